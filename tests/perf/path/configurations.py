"""What the request path is compared with: Envoys and a Traefik with configurations written by hand.

In: ports, a key set. Out: static configurations as values. Called by subjects. `by_hand` has what worlds has
under NATIVE, with the filters that this needs and no others, and what Envoy's own advice for edges asks for
(https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge); `bare` has a listener, a route and an
upstream, and nothing else.
"""

from __future__ import annotations

from typing import Any

from perf.path.worlds import ADDED, CLOSED, DENIED, FEW, HERE, HOST, ISSUER, PATH, PLENTY, REMOVED, SET

Config = dict[str, Any]
BODY = "x" * 200
_TYPES = "type.googleapis.com/envoy.extensions"
_HTTP = f"{_TYPES}.filters.http"
_ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_HTTP}.router.v3.Router"}}
_RBAC, _LIMIT, _JWT = "envoy.filters.http.rbac", "envoy.filters.http.local_ratelimit", "envoy.filters.http.jwt_authn"
_HUNDRED = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def origin(port: int) -> Config:
    """The upstream of all: every request is answered with 200 bytes."""
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": BODY}}}
    return {"static_resources": {"listeners": [_listener(port, _manager(["*"], [answer], []))]}}


def bare(port: int, upstream_port: int) -> Config:
    """The least that a proxy does."""
    to_upstream = {"match": {"prefix": "/"}, "route": {"cluster": "work"}}
    listener = _listener(port, _manager(["*"], [to_upstream], []))
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(upstream_port)]}}


def by_hand(port: int, upstream_port: int, jwks: str = "") -> Config:
    """With header work, admission and limits; with `jwks`, tokens are needed as well."""
    routes = [
        _route(FEW, DENIED, limit=1, tokens=bool(jwks)),
        _route(PATH, DENIED, limit=PLENTY, tokens=bool(jwks)),
        _route(CLOSED, HERE, limit=0, tokens=False),
    ]
    filters = [_filter(_RBAC, f"{_HTTP}.rbac.v3.RBAC"), *([_tokens(jwks)] if jwks else []), _limits()]
    listener = _listener(port, {**_manager([HOST], routes, filters), **_ADVICE})
    listener["per_connection_buffer_limit_bytes"] = 32768
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(upstream_port)]}}


_ADVICE = {
    "server_name": "by-hand",
    "use_remote_address": True,
    "normalize_path": True,
    "merge_slashes": True,
    "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    "strip_any_host_port": True,
    "always_set_request_id_in_response": True,
    "common_http_protocol_options": {"idle_timeout": "3600s", "headers_with_underscores_action": "REJECT_REQUEST"},
    "http2_protocol_options": {
        "max_concurrent_streams": 100,
        "initial_stream_window_size": 65536,
        "initial_connection_window_size": 1048576,
    },
    "stream_idle_timeout": "300s",
    "request_timeout": "300s",
}


def traefik_static(port: int) -> Config:
    """Its start-up configuration; what is routed is in a file beside it."""
    return {
        "entryPoints": {"web": {"address": f"127.0.0.1:{port}"}},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
    }


def traefik_dynamic(upstream_port: int) -> Config:
    """The same work, as far as it has it: a header set to nothing is removed; addresses can only be allowed."""
    headers = {
        "customRequestHeaders": {REMOVED: "", SET: "set", ADDED: "added"},
        "customResponseHeaders": {REMOVED: "", SET: "set", ADDED: "added"},
    }
    hour = {"period": "1h", "sourceCriterion": {"requestHost": True}}
    middlewares = {
        "headers": {"headers": headers},
        "allowed": {"ipAllowList": {"sourceRange": [HERE]}},
        "closed": {"ipAllowList": {"sourceRange": [DENIED]}},
        "plenty": {"rateLimit": {"average": PLENTY, "burst": PLENTY, **hour}},
        "one": {"rateLimit": {"average": 1, "burst": 1, **hour}},
    }
    routers = {
        name: {"rule": f"Host(`{HOST}`) && PathPrefix(`{path}`)", "service": "work", "middlewares": used}
        for name, path, used in (
            ("svc", PATH, ["headers", "allowed", "plenty"]),
            ("few", FEW, ["headers", "allowed", "one"]),
            ("closed", CLOSED, ["headers", "closed"]),
        )
    }
    work = {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{upstream_port}"}]}}
    return {"http": {"routers": routers, "middlewares": middlewares, "services": {"work": work}}}


def _route(path: str, denied: str, *, limit: int, tokens: bool) -> Config:
    addition = [
        {"header": {"key": SET, "value": "set"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
        {"header": {"key": ADDED, "value": "added"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"},
    ]
    policy = {"permissions": [{"any": True}], "principals": [{"remote_ip": _network(denied)}]}
    rules = {"rules": {"action": "DENY", "policies": {"denied": policy}}}
    own: Config = {_RBAC: {"@type": f"{_TYPES}.filters.http.rbac.v3.RBACPerRoute", "rbac": rules}}
    if limit:
        bucket = {"max_tokens": limit, "tokens_per_fill": limit, "fill_interval": "3600s"}
        own[_LIMIT] = {**_LIMITED, "stat_prefix": "route", "token_bucket": bucket}
    if tokens:
        own[_JWT] = {"@type": f"{_HTTP}.jwt_authn.v3.PerRouteConfig", "requirement_name": "token"}
    return {
        "match": {"path_separated_prefix": path},
        "route": {"cluster": "work", "timeout": "15s"},
        "request_headers_to_add": addition,
        "request_headers_to_remove": [REMOVED],
        "response_headers_to_add": addition,
        "response_headers_to_remove": [REMOVED],
        "typed_per_filter_config": own,
    }


_LIMITED = {
    "@type": f"{_HTTP}.local_ratelimit.v3.LocalRateLimit",
    "filter_enabled": _HUNDRED,
    "filter_enforced": _HUNDRED,
    "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
}


def _limits() -> Config:
    config = {"@type": f"{_HTTP}.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "limits"}
    return {"name": _LIMIT, "typed_config": config}


def _tokens(jwks: str) -> Config:
    provider = {
        "issuer": ISSUER,
        "local_jwks": {"inline_string": jwks},
        "forward": True,
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "jwt_cache_config": {"jwt_cache_size": 5000},
        "claim_to_headers": [
            {"header_name": "x-tenant", "claim_name": "tenant"},
            {"header_name": "x-subject", "claim_name": "sub"},
        ],
    }
    requirement = {"token": {"provider_name": "token"}}
    config = {"providers": {"token": provider}, "requirement_map": requirement}
    return {"name": _JWT, "typed_config": {"@type": f"{_HTTP}.jwt_authn.v3.JwtAuthentication", **config}}


def _filter(name: str, kind: str) -> Config:
    return {"name": name, "typed_config": {"@type": kind}}


def _network(text: str) -> Config:
    address, _, length = text.partition("/")
    return {"address_prefix": address, "prefix_len": int(length)}


def _manager(hosts: list[str], routes: list[Config], filters: list[Config]) -> Config:
    return {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [*filters, _ROUTER],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": hosts, "routes": routes}]},
    }


def _listener(port: int, manager: Config) -> Config:
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": [chain]}


def _cluster(port: int) -> Config:
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    assignment = {"cluster_name": "work", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}
    return {"name": "work", "type": "STATIC", "load_assignment": assignment}
