"""Stage 8, dispatch: what becomes of the request, and what the upstream sees of it.

In: `final`, `candidates`. Redirects and answers of the gateway end here; `upstream_request` tells how the proxy
changes a request that goes on (Envoy: prefix_rewrite, regex_rewrite, host_rewrite_literal, request_headers_to_add and
to_remove).
"""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.compiled.pattern import Pattern
from fastforward_pipeline.compiled.route import Plan
from fastforward_pipeline.decision import REMOVED, Decision, Pairs, Refusal, Reply
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.request import Headers, Request, make_headers
from fastforward_pipeline.trail import Verdict

from .normalization import receive

_TRUSTED = ("x-ff-tenant", "x-ff-subject", "cookie")
_OWN = ("location", "content-type")
"""What an answer of the gateway itself consists of; the rule may change these."""


def judge(exchange: Exchange) -> Refusal | Reply | None:
    """Ends the request where the gateway answers by itself."""
    plan = exchange.final
    match plan.destination:
        case "redirect":
            location = redirect_location(plan, exchange.request)
            _tell(exchange, Verdict.ANSWERED, f"redirected to {location}")
            return Reply(status=plan.wire.redirect.status, headers=(("location", location),))
        case "respond":
            respond = plan.wire.respond
            _tell(exchange, Verdict.ANSWERED, f"answered {respond.status} by the edge")
            kind = (("content-type", respond.content_type),) if respond.body else ()
            return Reply(status=respond.status, headers=kind, body=respond.body)
        case "unavailable":
            return _unavailable(exchange, plan)
        case "message":
            message = plan.wire.message
            _tell(exchange, Verdict.PASSED, f"sent as the message {message.type} to {_takers(message)}")
            return None
        case "adapter":
            protocol = snapshot_pb2.AdapterProtocol.Name(plan.wire.adapter.protocol).rpartition("_")[2]
            _tell(exchange, Verdict.PASSED, f"handed to the adapter of {protocol}")
            return None
    if exchange.trail is not None:
        zones = exchange.snapshot.zones
        exchange.trail.zones = {c.upstream: zones[c.upstream] for c in exchange.candidates if c.upstream in zones}
        shares = ", ".join(f"{c.upstream or 'nobody (500)'} {c.share:.1%}" for c in exchange.candidates)
        rules = plan.response_body
        judged = "" if rules is None else f"; Schema {rules.schema} judges the answer"
        called = "" if plan.max_json_bytes is None else " as a call in gRPC, by the path of its method"
        _tell(exchange, Verdict.PASSED, f"sent to {shares}{called}{judged}")
    return None


def _takers(message: snapshot_pb2.MessageDispatch) -> str:
    if message.delivery == snapshot_pb2.MESSAGE_DELIVERY_COMMAND:
        return "whoever consumes its commands"
    parts = message.gather.parts
    if not parts:
        return message.upstream or "nobody"
    named = ", ".join(f"{part.upstream or 'nobody'} as {part.member}" for part in parts)
    return f"{named} at once, of which {message.gather.require} must answer"


def _unavailable(exchange: Exchange, plan: Plan) -> Refusal | Reply:
    if exchange.request.plan:
        # The proxy answers 500 by itself; a 500 from here would say that the decision service is broken.
        return Reply(status=500)
    reason = plan.wire.unavailable.reason
    field = f"rules[{plan.rule}]"
    return Refusal(reason=Reason.UNAVAILABLE, detail=reason, object=f"Route {plan.route}", field=field)


def redirect_location(plan: Plan, request: Request) -> str:
    """Returns the Location: what the redirect does not name stays as requested, the query too.

    On the same host it is relative (RFC 9110, section 10.2.2): the port that the client used is not known.
    """
    redirect = plan.wire.redirect
    path, mark, query = request.path.partition("?")
    relative = not (redirect.scheme or redirect.host or redirect.port or redirect.prefix)
    target = redirect.path or path
    if redirect.prefix:
        target = _replace_prefix(plan.wire.match.path, redirect.prefix, path)
    if "?" not in target and not (relative and redirect.path and not query):
        target += mark + query
    if relative:
        return target
    port = f":{redirect.port}" if redirect.port else ""
    return f"{redirect.scheme or request.scheme}://{redirect.host or request.host}{port}{target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """The request as the upstream sees it, as far as the gateway decides that."""

    method: str
    host: str
    path: str
    headers: Headers


def upstream_request(decision: Decision, request: Request, upstream: str = "") -> UpstreamRequest:
    """Returns what an allowed request looks like behind the gateway. Headers that transport needs are not told.

    Of several Upstreams it is for the one named, or else the first.
    """
    plan, scope = decision.plan, decision.scope
    if plan is None or scope is None:
        raise ValueError("a request without a rule goes nowhere")
    received = receive(request, scope.trusted_hops).headers
    kept = {name: values for name, values in received.items() if name != scope.tenant_header}
    return UpstreamRequest(
        method=request.method,
        host=plan.wire.rewrite.host or request.host,
        path=rewrite_path(plan, request.path),
        headers=_change_headers(plan, kept, decision, upstream),
    )


def rewrite_path(plan: Plan, target: str) -> str:
    """Returns the path that the upstream sees; the query stays."""
    path, mark, query = target.partition("?")
    rewrite = plan.wire.rewrite
    if rewrite.prefix:
        path = _replace_prefix(plan.wire.match.path, rewrite.prefix, path)
    elif rewrite.path:
        path = rewrite.path
    elif rewrite.regex_pattern:
        path = Pattern(rewrite.regex_pattern).replace(rewrite.regex_substitution, path)
    return path + mark + query


def _replace_prefix(prefix: str, replacement: str, path: str) -> str:
    """Whole segments: `/a` by `/` makes `/b` of `/a/b`."""
    if prefix == "/":
        return replacement.rstrip("/") + path
    rest = path[len(prefix) :]
    return replacement + rest.lstrip("/") if replacement.endswith("/") else replacement + rest


def client_headers(decision: Decision, received: Pairs, upstream: str = "") -> Pairs:
    """Returns the headers that the client sees; `received` are those of the upstream's answer, if it gave one.

    The rule's changes hold for refusals too. They come before what filters write, and neither remove nor replace that.
    """
    given = make_headers(received)
    if decision.changes is not None and decision.candidates:
        given = _change(given, _share(decision.changes, upstream).response_headers)
    own = make_headers((name, value) for name, value in decision.response_headers if name in _OWN)
    answer: Headers = {**given, **own}
    if decision.changes is not None:
        changes = decision.changes.wire.response_headers
        kept = {name: values for name, values in given.items() if name not in changes.remove}
        answer = _write({**kept, **own}, changes)
    # The gateway's own answer, and an empty one: it has no type.
    untyped = decision.allowed and not decision.body and not decision.candidates
    names = [name for name in answer if not (untyped and name == "content-type")]
    pairs = [(name, value) for name in names for value in answer[name]]
    return (*pairs, *((name, value) for name, value in decision.response_headers if name not in _OWN))


def _change_headers(plan: Plan, headers: Headers, decision: Decision, upstream: str) -> Headers:
    trusted = {name: (value,) for name, value in decision.request_headers if name in _TRUSTED}
    taken = {value for name, value in decision.request_headers if name == REMOVED}
    left = {name: values for name, values in headers.items() if name not in taken}
    shared = _change({**left, **trusted}, _share(plan, upstream).request_headers)
    # What services may tell is taken away before the rule writes, whether they tell it or not.
    told = dict(decision.told)
    changed = _change({name: values for name, values in shared.items() if name not in told}, plan.wire.request_headers)
    return {**changed, **{name: (value,) for name, value in told.items() if value}}


def _share(plan: Plan, upstream: str) -> snapshot_pb2.WeightedUpstream:
    """Returns the Upstream of that name among those of the rule, or else the first."""
    shares = plan.wire.upstreams.upstreams
    first = shares[0] if shares else snapshot_pb2.WeightedUpstream()
    return next((share for share in shares if upstream and share.upstream == upstream), first)


def _change(headers: Headers, changes: snapshot_pb2.HeaderChanges) -> Headers:
    return _write({name: values for name, values in headers.items() if name not in changes.remove}, changes)


def _write(headers: Headers, changes: snapshot_pb2.HeaderChanges) -> Headers:
    """Returns the headers with those set and added."""
    written = dict(headers)
    for header in changes.set:
        written[header.name] = (header.value,)
    for header in changes.add:
        written[header.name] = (*written.get(header.name, ()), header.value)
    return written


def _tell(exchange: Exchange, verdict: Verdict, detail: str) -> None:
    if exchange.trail is not None:
        plan = exchange.final
        exchange.trail.note("dispatch", verdict, detail, object=f"Route {plan.route}", field=f"rules[{plan.rule}]")
