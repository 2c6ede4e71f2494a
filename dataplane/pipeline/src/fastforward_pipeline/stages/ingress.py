"""Stage 1, ingress: which host of which Edge the request is for; and preflights, which the edge answers by itself.

In: the request. Leaves: `scope` and, when the proxy has found the Plan, `entry`. A preflight (Fetch standard, CORS) is
answered before anybody asks who the caller is, for browsers send none of the caller's credentials with it.
"""

from __future__ import annotations

from fastforward_pipeline.compiled.table import Scope
from fastforward_pipeline.decision import Pairs, Refusal, Reply
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.snapshot import Snapshot
from fastforward_pipeline.trail import Verdict

from . import normalization

ALLOW_ORIGIN = "access-control-allow-origin"


def judge(exchange: Exchange) -> Refusal | None:
    """Finds the scope: the Plan's, or the host's."""
    request, snapshot = exchange.request, exchange.snapshot
    if request.plan:
        plan = snapshot.plans.get(request.plan)
        scope = None if plan is None else snapshot.scopes.get(plan.scope)
        if plan is None or scope is None:
            return Refusal(reason=Reason.PLAN_UNKNOWN, detail=f"plan {request.plan[:64]} is not in the snapshot")
        exchange.entry = plan
    else:
        scope = find_scope(snapshot, request.edge, request.host.lower())
        if scope is None:
            detail = f"no Route has the host {request.host!r}"
            return Refusal(reason=Reason.NO_ROUTE, detail=detail, object=_edge(request.edge), field="spec.hosts")
        exchange.request = exchange.facts.request = normalization.receive(request, scope.trusted_hops)
    exchange.scope = scope
    exchange.facts.api_version_header = scope.api_version_header
    exchange.facts.api_version_default = scope.api_version_default
    if exchange.trail is not None:
        exchange.trail.note("ingress", Verdict.PASSED, f"the host {scope.host} is served", object=f"Edge {scope.edge}")
    return None


def find_scope(snapshot: Snapshot, edge: str, host: str) -> Scope | None:
    """Returns the host's scope on the Edge, or without one on the Edge that names the host most exactly."""
    if edge:
        return snapshot.find_scope(edge, host)
    edges = sorted({scope.edge for scope in snapshot.scopes.values()})
    found = [scope for name in edges if (scope := snapshot.find_scope(name, host)) is not None]
    return max(found, key=lambda scope: (scope.host == host, len(scope.host)), default=None)


def answer_preflight(exchange: Exchange) -> Reply | None:
    """Answers a preflight from an origin that the rule allows; where all are answered, others are not told so."""
    request, plan = exchange.request, exchange.entry
    if plan.cors is None or request.method != "OPTIONS":
        return None
    origin = request.text("origin")
    if not origin or not request.text("access-control-request-method"):
        return None
    allowed = plan.cors.allows(origin)
    if not allowed and not plan.cors.answers_all:
        return None
    if exchange.trail is not None:
        detail = f"the edge answers the preflight from {origin}" + ("" if allowed else ", which is not allowed")
        exchange.trail.note("ingress", Verdict.ANSWERED, detail, object=f"Route {plan.route}", field="cors")
    own = ((ALLOW_ORIGIN, origin),) if allowed else ()
    return Reply(status=200, headers=(*own, *plan.cors.granted(request, allowed=allowed)), preflight=True)


def mark_answer(exchange: Exchange) -> Pairs:
    """Returns the headers by which a browser lets a script of an allowed origin read the answer."""
    plan = exchange.entered()
    if plan is None or plan.cors is None:
        return ()
    cors, origin = plan.cors, exchange.request.text("origin")
    if not origin or not cors.allows(origin):
        return ()
    return ((ALLOW_ORIGIN, origin), *cors.answer)


def _edge(name: str) -> str:
    return f"Edge {name}" if name else ""
