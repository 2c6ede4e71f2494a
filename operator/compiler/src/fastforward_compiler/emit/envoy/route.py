"""An Entry to a Route of Envoy: destination, rewrites, header changes, timeouts and retries.

In: ir.Entry. Out: the Route that a leaf of the table's tree carries; table adds what its filters need. Called by table.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .chain import CALL_CLUSTER, CLUSTER_HEADER, DECISION_CLUSTER, REASON_HEADER
from .protos import EnvoyMessage, base_pb2, percent_pb2, previous_hosts_pb2, regex_pb2, route_components_pb2
from .refusal import NO_ROUTE, UNAVAILABLE, emit_refusal
from .session import emit_told
from .wire import (
    ADD,
    header_option,
    header_value,
    literal_pattern,
    literal_substitution,
    milliseconds,
    pack,
    regex,
    uint32,
)

DEFAULT_TIMEOUT_MS = 15_000
MISSING_CLUSTER = "ff-missing"
"""A cluster that never exists: its share of the requests is answered 500."""

_MILLION = 1_000_000
_COOKIE_LIFETIME_MS = 3_600_000
_ROUTE = route_components_pb2.Route
_ACTION = route_components_pb2.RouteAction
_REDIRECTS = {
    301: route_components_pb2.RedirectAction.MOVED_PERMANENTLY,
    302: route_components_pb2.RedirectAction.FOUND,
    303: route_components_pb2.RedirectAction.SEE_OTHER,
    307: route_components_pb2.RedirectAction.TEMPORARY_REDIRECT,
    308: route_components_pb2.RedirectAction.PERMANENT_REDIRECT,
}
_QUERY = "%CEL(request.query == '' ? '' : '?')%%QUERY_PARAMS(ORIG)%"
_SAME = "%REQ(:PATH)%"
_UNCONNECTED = ir.Retry(attempts=3, on=("connect-failure",))
_RETRY = route_components_pb2.RetryPolicy(
    retry_host_predicate=[
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": pack(previous_hosts_pb2.PreviousHostsPredicate()),
        }
    ],
    host_selection_retry_max_attempts=3,
)
_NO_CHANGES = ir.HeaderChanges()
# The tree has matched already; a Route must have a match of its own all the same.
_ANY_PATH = route_components_pb2.RouteMatch(prefix="")


def emit_route(entry: ir.Entry) -> EnvoyMessage:
    """Returns the Route of an entry."""
    route = _ROUTE(name=entry.id, match=_ANY_PATH)
    if entry.gate and not isinstance(entry.destination, ir.Unavailable):
        emit_refusal(route, NO_ROUTE)
    else:
        emit_destination(entry, route)
    emit_header_changes(entry.request_headers, entry.response_headers, route)
    return route


def emit_destination(entry: ir.Entry, route: EnvoyMessage) -> None:
    """Writes where the request goes. No upstream says that the gateway refused it: logs and `ff top` believe that."""
    match entry.destination:
        case ir.Split() as split:
            emit_split(split, route)
            route.response_headers_to_remove.append(REASON_HEADER)
            emit_forwarding(entry, route, grpc=split.grpc and entry.transcoding is None, hash_on=split.hash_on)
        case ir.ShardDispatch() as shards:
            route.route.cluster_header = CLUSTER_HEADER
            route.response_headers_to_remove.append(REASON_HEADER)
            emit_told(shards.session, route)
            emit_forwarding(entry, route, grpc=shards.grpc and entry.transcoding is None, hash_on=shards.hash_on)
        case ir.MessageDispatch(ingress=ingress):
            # Whoever decides takes messages as well: the same services, sockets and certificates.
            route.route.cluster = ingress or DECISION_CLUSTER
            emit_forwarding(entry, route, grpc=False, hash_on=())
            emit_return(ingress, route)
        case ir.AdapterDispatch(protocol=protocol, ingress=ingress):
            route.route.cluster = ingress or (CALL_CLUSTER if protocol == "GRPC" else DECISION_CLUSTER)
            # Subscriptions and connections last; each operation has a deadline of its own.
            emit_forwarding(entry, route, grpc=True, hash_on=())
            emit_return(ingress, route)
        case ir.Redirect() as redirect:
            emit_redirect(redirect, entry.match, route)
        case ir.Respond() as respond:
            route.direct_response.status = respond.status
            if respond.body:
                route.direct_response.body.inline_string = respond.body
                content_type = header_option("content-type", header_value(respond.content_type))
                route.response_headers_to_add.append(content_type)
        case _:
            emit_refusal(route, UNAVAILABLE)


def emit_return(ingress: str, route: EnvoyMessage) -> None:
    """Writes that who can't connect to pods with adapters tries again: they may be gone, and others do their work."""
    if ingress:
        route.route.retry_policy.CopyFrom(emit_retry(_UNCONNECTED))


def emit_split(split: ir.Split, route: EnvoyMessage) -> None:
    """Writes the cluster, or the clusters by weight."""
    first, action = split.shares[0], route.route
    if len(split.shares) == 1 and first.upstream and first.request_headers == first.response_headers == _NO_CHANGES:
        action.cluster = first.upstream
        emit_told(first.session, route)
        return
    for share in split.shares:
        name = share.upstream or MISSING_CLUSTER
        cluster = action.weighted_clusters.clusters.add(name=name, weight=uint32(share.weight))
        emit_header_changes(share.request_headers, share.response_headers, cluster)
        emit_told(share.session, cluster)
        if not share.upstream:
            action.cluster_not_found_response_code = _ACTION.INTERNAL_SERVER_ERROR


def emit_forwarding(entry: ir.Entry, route: EnvoyMessage, *, grpc: bool, hash_on: tuple[str, ...]) -> None:
    """Writes what holds for every request that is forwarded."""
    action = route.route
    timeout_ms = entry.timeout_ms
    if timeout_ms is None:
        timeout_ms = 0 if grpc else DEFAULT_TIMEOUT_MS
    action.timeout.CopyFrom(milliseconds(timeout_ms))
    if grpc:
        # As long as the client's own deadline, whatever it is (grpc-timeout).
        action.max_stream_duration.grpc_timeout_header_max.CopyFrom(milliseconds(0))
    if entry.idle_timeout_ms is not None:
        action.idle_timeout.CopyFrom(milliseconds(entry.idle_timeout_ms))
    if entry.retry is not None:
        action.retry_policy.CopyFrom(emit_retry(entry.retry))
        if entry.retry.hedge:
            action.hedge_policy.hedge_on_per_try_timeout = True
    if hash_on:
        action.hash_policy.extend(map(emit_hash_policy, hash_on))
    if entry.rewrite is not None:
        emit_rewrite(entry.rewrite, entry.match, route)
    action.request_mirror_policies.extend(map(emit_mirror, entry.mirrors))


def emit_mirror(mirror: ir.Mirror) -> EnvoyMessage:
    """Returns whom to send copies to, and how many; Envoy counts in millionths."""
    millionths = round(mirror.numerator * _MILLION / mirror.denominator)
    share = percent_pb2.FractionalPercent(numerator=millionths, denominator=percent_pb2.FractionalPercent.MILLION)
    return _ACTION.RequestMirrorPolicy(
        cluster=mirror.upstream,
        runtime_fraction=base_pb2.RuntimeFractionalPercent(default_value=share),
        # Copies look like the original; Envoy would write -shadow behind the host.
        disable_shadow_host_suffix_append=True,
    )


def emit_retry(retry: ir.Retry) -> EnvoyMessage:
    """Returns when to try again, on another endpoint if there is one, after a jittered exponential pause."""
    policy = route_components_pb2.RetryPolicy()
    policy.CopyFrom(_RETRY)
    policy.retry_on = ",".join((*retry.on, *(["retriable-status-codes"] if retry.codes else [])))
    policy.retriable_status_codes.extend(retry.codes)
    policy.num_retries.value = retry.attempts
    policy.retry_back_off.base_interval.CopyFrom(milliseconds(retry.backoff_ms))
    policy.retry_back_off.max_interval.CopyFrom(milliseconds(retry.backoff_ms * 10))
    if retry.per_try_timeout_ms:
        policy.per_try_timeout.CopyFrom(milliseconds(retry.per_try_timeout_ms))
    return policy


def emit_hash_policy(hash_on: str) -> EnvoyMessage:
    """Returns what a ring hashes."""
    policy = _ACTION.HashPolicy
    kind, _, name = hash_on.partition(":")
    match kind:
        case "header":
            return policy(header=policy.Header(header_name=name))
        case "cookie":
            return policy(cookie=policy.Cookie(name=name, ttl=milliseconds(_COOKIE_LIFETIME_MS), path="/"))
        case _:
            return policy(connection_properties=policy.ConnectionProperties(source_ip=True))


def emit_rewrite(rewrite: ir.Rewrite, match: ir.Match, route: EnvoyMessage) -> None:
    """Writes the host and the path that the upstream sees; the query stays."""
    if rewrite.host:
        route.route.host_rewrite_literal = rewrite.host
    if rewrite.prefix:
        emit_prefix_rewrite(match.path, rewrite.prefix, route)
    elif rewrite.path:
        route.route.regex_rewrite.CopyFrom(path_rewrite("^.*", literal_substitution(rewrite.path)))
    elif rewrite.regex_pattern:
        route.route.regex_rewrite.CopyFrom(path_rewrite(rewrite.regex_pattern, rewrite.regex_substitution))


def emit_prefix_rewrite(prefix: str, replacement: str, route: EnvoyMessage) -> None:
    """Writes the replacement of a prefix by whole segments.

    Envoy replaces the text alone: `/a` by `/` makes `//b` of `/a/b`, so a replacement that ends with a slash takes the
    slashes that follow the prefix along.
    """
    if prefix == "/":
        route.match.prefix = "/"
        route.route.prefix_rewrite = replacement.rstrip("/") + "/"
    elif replacement.endswith("/"):
        route.route.regex_rewrite.CopyFrom(path_rewrite(*prefix_pattern(prefix, replacement)))
    else:
        route.match.path_separated_prefix = prefix
        route.route.prefix_rewrite = replacement


def prefix_pattern(prefix: str, replacement: str) -> tuple[str, str]:
    """Returns pattern and substitution for a path that is known to begin with the prefix, by whole segments."""
    if prefix == "/":
        return "^/", literal_substitution(replacement.rstrip("/") + "/")
    rest = "/*" if replacement.endswith("/") else ""
    return f"^{literal_pattern(prefix)}{rest}", literal_substitution(replacement)


def path_rewrite(pattern: str, substitution: str) -> EnvoyMessage:
    """Returns a rewrite of the path, without its query, by regular expression."""
    return regex_pb2.RegexMatchAndSubstitute(pattern=regex(pattern), substitution=substitution)


def emit_redirect(redirect: ir.Redirect, match: ir.Match, route: EnvoyMessage) -> None:
    """Writes the redirect; its query is the request's, unless the path brings one."""
    if not (redirect.scheme or redirect.host or redirect.port or redirect.prefix):
        emit_relative_redirect(redirect, route)
        return
    action = route_components_pb2.RedirectAction(response_code=_REDIRECTS[redirect.status])
    if redirect.scheme:
        action.scheme_redirect = redirect.scheme
    if redirect.host:
        action.host_redirect = redirect.host
    if redirect.port:
        action.port_redirect = redirect.port
    if redirect.path:
        action.path_redirect = redirect.path
    if redirect.prefix:
        action.regex_rewrite.CopyFrom(path_rewrite(*prefix_pattern(match.path, redirect.prefix)))
    route.redirect.CopyFrom(action)


def emit_relative_redirect(redirect: ir.Redirect, route: EnvoyMessage) -> None:
    """Writes a redirect on the same host as a relative reference (RFC 9110, section 10.2.2).

    An absolute one would lack the port: it is stripped before tables are looked at.
    """
    route.direct_response.status = redirect.status
    location = header_value(redirect.path) + ("" if "?" in redirect.path else _QUERY) if redirect.path else _SAME
    route.response_headers_to_add.append(header_option("location", location))


def emit_header_changes(request: ir.HeaderChanges, response: ir.HeaderChanges, target: EnvoyMessage) -> None:
    """Writes the changes to the headers of the request and the answer: Envoy removes first, then writes in order.

    `target` is a Route or one of its clusters by weight.
    """
    if request != _NO_CHANGES:
        target.request_headers_to_remove.extend(removable(request))
        target.request_headers_to_add.extend(header_options(request))
    if response != _NO_CHANGES:
        target.response_headers_to_remove.extend(response.remove)
        target.response_headers_to_add.extend(header_options(response))


def removable(changes: ir.HeaderChanges) -> list[str]:
    """Returns the request headers to remove; Envoy refuses a Route that removes the host."""
    return [name for name in changes.remove if name != "host"]


def header_options(changes: ir.HeaderChanges) -> list[EnvoyMessage]:
    """Returns the headers to write, values taken literally."""
    written = [header_option(name, header_value(value)) for name, value in changes.set]
    return written + [header_option(name, header_value(value), ADD) for name, value in changes.add]
