"""The HTTP filter chain: which filters, in which order, and the header names that they talk through.

Out: the list of filters, the same on every listener for ever: what changes (keys, limits) is delivered by ECDS, what
differs between routes is per-route configuration. Called by edge; the names are read by every module beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable

from .csrf import always
from .matching import ANYTHING, TEXT, header_input, pattern, skip_if, some, test
from .protos import (
    EnvoyMessage,
    backoff_pb2,
    base_pb2,
    buffer_pb2,
    config_source_pb2,
    cors_pb2,
    csrf_pb2,
    ext_authz_pb2,
    fault_pb2,
    header_mutation_pb2,
    http_connection_manager_pb2,
    http_rbac_pb2,
    http_status_pb2,
    http_uri_pb2,
    jwt_authn_pb2,
    local_rate_limit_pb2,
    lua_pb2,
    previous_hosts_pb2,
    router_pb2,
)
from .trace import trace_context
from .wire import ADS, milliseconds, pack, string_list, type_url, uint32

TRACE = "trace"
RESOLVE = "resolve"
CORS = "cors"
ADMISSION = "admission"
JWT = "jwt"
FALLBACK = "fallback"
CLOSED = "decision.closed"
OPEN = "decision.open"
AUTHORIZATION = "authorization"
CSRF = "csrf"
LIMITS = "limits"
SHADOW_LIMITS = "limits.shadow"
HEADERS = "headers"
FAULT = "fault"
BODY = "body"

SCOPE_HEADER = "x-ff-scope"
TABLE_HEADER = "x-ff-table"
SELECT_HEADER = "x-ff-select"
LISTENER_HEADER = "x-ff-listener"
PATH_HEADER = "x-ff-path"
"""The normalised path without its query, and PATH_END: what tables match on."""
PATH_END = "/"
"""Ends the path in PATH_HEADER, so that one prefix of it stands for a path and for all paths below."""
PORT_MARK = ":"
"""Parts a port from the host before it; no name of a scope holds it."""
EDGE_HEADER, VIA_HEADER, ENTRY_HEADER = "x-ff-edge", "x-ff-via", "x-ff-entry"
"""Of requests that go to EntryPoint: the Edge, its listener, and the rule's Plan. What has these is no decision."""
ADDRESS_HEADER, PEER_HEADER = "x-ff-address", "x-ff-peer"
HOST_HEADER = "x-ff-host"
"""Of calls of gRPC, which tells no server whose host they are for."""
TENANT_HEADER = "x-ff-tenant"
SUBJECT_HEADER = "x-ff-subject"
KEY_HEADER = "x-ff-key"
CLUSTER_HEADER = "x-ff-cluster"
REASON_HEADER = "x-ff-reason"
"""In answers: `STAGE/REASON` of a refusal."""
RETRY_HEADER = "x-ff-retry"
"""On the way through the filters, in refusals by native limits; never told."""
EXACT = "x-ff-exact-"
"""Of a decision, followed by limit, remaining, reset: what exact limits say where native ones are told as well."""
TOLD = "x-ff-told-"
"""Of a decision, followed by a header's name: what a service that was asked says to the upstream."""

ENDS = f"{EXACT}ends"
"""Of a decision: what is to be done when the request ends. For the decision service, which is told it again."""
SHADOW_HEADER = "x-ff-shadow"
"""Of a decision: what policies in the shadow would have refused. For the access log alone."""
ADMISSION_SHADOW = "admission_"
"""Begins the names under which the filter `admission` tells what it would have refused."""

LISTS = "lists"
"""Begins the names of the filters that look clients up in lists; what stands after it is the Edge's name."""
LISTED = "lists_"
"""Begins the names under which they tell what they found."""

RBAC = "envoy.filters.http.rbac"
"""Namespace of what filters of this kind tell."""
DECISION = "envoy.filters.http.ext_authz"
"""Namespace of what Envoy keeps of a decision."""
DECISION_CLUSTER = "ff-decision"
CALL_CLUSTER = "ff-call"
"""The same services, spoken to in HTTP/2."""
METADATA = "fastforward"
"""Namespace of route metadata."""
NO_TABLE = "-"
NO_SCOPE = "-"
"""What `resolve` writes for a host that nobody has."""

CLIENT_ADDRESS = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
PEER_ADDRESS = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"

_FETCH_TIMEOUT_MS = 5000
_RETRY_MS = 5
_ASKED = (
    ("x-ff-plan", f"%METADATA(ROUTE:{METADATA}:plan)%"),
    (ADDRESS_HEADER, CLIENT_ADDRESS),
    (PEER_HEADER, PEER_ADDRESS),
    ("x-ff-body-bytes", "%REQ(CONTENT-LENGTH)%"),
    ("x-request-id", "%REQ(X-REQUEST-ID)%"),
)
_ANSWERED = (TENANT_HEADER, SUBJECT_HEADER, TABLE_HEADER, SELECT_HEADER, CLUSTER_HEADER, KEY_HEADER)
_TOLD = ("content-type", "www-authenticate", "retry-after", REASON_HEADER)
_LOGIN_TOLD = ("location", "set-cookie")


def http_filters(
    decision_timeout_ms: int, first: Iterable[EnvoyMessage] = (), last: Iterable[EnvoyMessage] = ()
) -> list[EnvoyMessage]:
    """Returns the filters in the order in which requests pass them; the comments say why here.

    `first` are those that the Edge wants for all of its answers, `last` those for what goes on to an upstream.
    """
    fallback = discovered(FALLBACK, lua_pb2.Lua)
    return [
        # Before anything that may answer, so that every line of the access log has its trace.
        configured(TRACE, trace_context()),
        # Before anything that answers: what they write or compress nobody behind them reads any more.
        *first,
        # Before anything that reads the route: hosts that no scope names exactly get theirs here.
        discovered(RESOLVE, lua_pb2.Lua),
        # Before anything that refuses, so that scripts may read the refusal.
        configured(CORS, cors_pb2.Cors()),
        configured(ADMISSION, http_rbac_pb2.RBAC()),
        discovered(JWT, jwt_authn_pb2.JwtAuthentication),
        # A tenant without a table, or whose table lacks the path, gets the host's: before the decisions, which pass by
        # a request without route, and after them, because they name tenants too.
        fallback,
        configured(CLOSED, decision(decision_timeout_ms, fail_open=False)),
        configured(OPEN, decision(decision_timeout_ms, fail_open=True)),
        fallback,
        # Writes a host's tenant over what `jwt` wrote; sees answers after limits have written theirs. After the
        # decisions, because it takes what to write from the route that the request is on when it comes by.
        configured(HEADERS, header_mutation_pb2.HeaderMutation()),
        configured(AUTHORIZATION, http_rbac_pb2.RBAC()),
        # After the caller has been led to the rule that governs, and before anything that counts.
        configured(CSRF, csrf_pb2.CsrfPolicy(filter_enabled=always(False))),
        # After authorization: a request refused there costs its caller no token.
        discovered(LIMITS, local_rate_limit_pb2.LocalRateLimit),
        discovered(SHADOW_LIMITS, local_rate_limit_pb2.LocalRateLimit),
        # After the limits: a request that is made to fail has counted all the same.
        configured(FAULT, fault_pb2.HTTPFault()),
        # Last, so that only requests that may pass are held.
        configured(BODY, body_of_unknown_length()),
        # Behind all that takes its own time: what they see of a request is how long the upstream takes.
        *last,
        configured("router", router_pb2.Router()),
    ]


def configured(name: str, config: EnvoyMessage) -> EnvoyMessage:
    """Returns a filter whose configuration is part of the listener."""
    return http_connection_manager_pb2.HttpFilter(name=name, typed_config=pack(config))


def discovered(name: str, kind: EnvoyMessage) -> EnvoyMessage:
    """Returns a filter whose configuration comes by ECDS; until it is there, requests are answered 500."""
    source = config_source_pb2.ConfigSource()
    source.CopyFrom(ADS)
    source.initial_fetch_timeout.CopyFrom(milliseconds(_FETCH_TIMEOUT_MS))
    return http_connection_manager_pb2.HttpFilter(
        name=name,
        config_discovery=config_source_pb2.ExtensionConfigSource(config_source=source, type_urls=[type_url(kind)]),
    )


def body_of_unknown_length() -> EnvoyMessage:
    """Returns the filter that holds a body to count it, where the route says so and its length is not announced.

    A request without route has nobody who says no: it is passed by, or it would be held until its body ends.
    """
    known = some(
        test(header_input("content-length"), pattern(ANYTHING)),
        test(header_input("upgrade"), pattern(ANYTHING)),
        test(header_input(SCOPE_HEADER), TEXT(exact=NO_SCOPE)),
        test(header_input(":method"), TEXT(exact="CONNECT")),
    )
    # Routes bring bounds of their own; this one is for requests that none of the above tells to have no route.
    return skip_if(known, BODY, buffer_pb2.Buffer(max_request_bytes=uint32(1)))


def decision(timeout_ms: int, *, fail_open: bool) -> EnvoyMessage:
    """Returns the filter that asks the decision service, over HTTP on a Unix socket.

    Every table switches it off and each route that wants it on: `disabled` in the chain would be judged once, on the
    first route that a request matched, and skip it for a tenant's route found later.
    """
    return ext_authz_pb2.ExtAuthz(
        stat_prefix="open" if fail_open else "closed",
        clear_route_cache=True,
        failure_mode_allow=fail_open,
        failure_mode_allow_header_add=fail_open,
        status_on_error=http_status_pb2.HttpStatus(code=503),
        allowed_headers=string_list(patterns=(".*",)),
        http_service=http_service(timeout_ms),
    )


def http_service(timeout_ms: int, more_ms: int = 0, *, logs_in: bool = False) -> EnvoyMessage:
    """Returns how the decision service is asked; each try, and the whole, may take `more_ms` longer.

    Where it `logs_in`, its answers set cookies, send browsers elsewhere, and take cookies out of requests.
    """
    request = ext_authz_pb2.AuthorizationRequest(
        headers_to_add=[base_pb2.HeaderValue(key=name, value=value) for name, value in _ASKED]
    )
    response = ext_authz_pb2.AuthorizationResponse(
        allowed_upstream_headers=string_list(exact_names=(*_ANSWERED, *(("cookie",) if logs_in else ()))),
        allowed_client_headers=string_list(
            exact_names=(*_TOLD, *(_LOGIN_TOLD if logs_in else ())), prefixes=("x-ratelimit-",)
        ),
        allowed_client_headers_on_success=string_list(prefixes=("x-ratelimit-",)),
        dynamic_metadata_from_headers=string_list(
            exact_names=(TENANT_HEADER, REASON_HEADER, SHADOW_HEADER), prefixes=(EXACT, TOLD)
        ),
    )
    uri = http_uri_pb2.HttpUri(
        uri="http://decision", cluster=DECISION_CLUSTER, timeout=milliseconds(timeout_ms + more_ms)
    )
    return ext_authz_pb2.HttpService(
        server_uri=uri,
        retry_policy=retries(timeout_ms, more_ms),
        authorization_request=request,
        authorization_response=response,
    )


def retries(timeout_ms: int, more_ms: int = 0) -> EnvoyMessage:
    """Returns when a decision is asked for again: a service that dies resets its requests, so another one is asked.

    A try may take 3/10 of the whole time: three that hang leave some for the rest. Where one of two is dead and the
    other one hesitates, the tries after that are drawn from both: with three tries more, 35 of 100 such requests were
    lost, with eight one.

    Without the predicate least-request would choose the dead one again, for it has the fewest requests. Envoy takes the
    longest back-off for the time-out of each try as well, and waits a second before the first retry by default.
    """
    try_ms = max(_RETRY_MS, timeout_ms * 3 // 10) + more_ms
    backoff = backoff_pb2.BackoffStrategy(base_interval=milliseconds(_RETRY_MS), max_interval=milliseconds(try_ms))
    predicate = base_pb2.RetryPolicy.RetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts",
        typed_config=pack(previous_hosts_pb2.PreviousHostsPredicate()),
    )
    return base_pb2.RetryPolicy(
        retry_on="connect-failure,refused-stream,reset",
        num_retries=uint32(8),
        retry_back_off=backoff,
        retry_host_predicate=[predicate],
        # Each draw prefers the dead one, three times in four: only many of them make sure of another.
        host_selection_retry_max_attempts=30,
    )
