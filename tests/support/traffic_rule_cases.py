"""Cases of the rules of mirrors, faults, load balancing and logins. Called by rule_cases."""

from __future__ import annotations

import fastforward_crds as crds

from support.documents import Document
from support.rule_case import case

COPY: Document = {"mirrors": [{"name": "m"}]}
FAULT: Document = {"fault": {"abort": {}}}
ENDPOINTS: Document = {"endpoints": [{"address": "10.0.0.1", "port": 1}]}
NAMED: Document = {"dns": {"host": "a.example.com", "port": 1}}
SESSION: Document = {"sessionAffinity": {"header": "x-a"}}
HASHED: Document = {"loadBalancing": {"policy": "Maglev", "hashOn": {"address": True}}}
ZONED: Document = {"loadBalancing": {"zoneAware": {}}}
NOON, LATER = "2026-12-24T12:00:00Z", "2026-12-24T12:00:01Z"
UP: Document = {"upstreams": [{"name": "u"}]}
PROXIED: Document = {"hosts": ["a.example.com"], "listeners": [{"name": "a", "port": 1, "proxyProtocol": True}]}
DIRECT: Document = {"hosts": ["a.example.com"], "listeners": [{"name": "a", "port": 1}]}
PLAIN: Document = {"name": "b", "port": 2}
TRUSTED: Document = {"trustedHops": {"addresses": ["10.0.0.0/8"]}}
NAMING: Document = {"trustedHops": {"addresses": ["10.0.0.0/8"], "tenantHeader": "t"}}
FRONT: Document = {"front": {"traefik": {"addresses": ["10.0.0.0/8"]}}}
MESSAGE: Document = {"message": {"type": "a.b", "upstream": {"name": "u"}}}
OIDC: Document = {
    "issuer": "i",
    "clientId": "c",
    "clientSecret": {"name": "s", "key": "k"},
    "endpoints": {"authorization": "https://i/a", "token": "https://i/t"},
    "tokenUpstream": {"name": "u"},
    "jwks": {"url": "https://i/keys"},
}
JWT: Document = {"issuer": "i", "jwks": {"url": "https://i/keys"}}

TEMPLATE: Document = {"path": {"type": "Template", "value": "/a/{b}"}}

QUIC: Document = {
    "name": "s",
    "port": 2,
    "protocol": "HTTPS",
    "tls": {"certificates": [{"name": "c"}]},
    "http3": True,
}
CLIENTS: Document = {"certificates": [{"name": "c"}], "clients": {"authorities": [{"name": "a"}]}}
CALLS: Document = {"transcode": {"schema": {"name": "s"}}}

CASES = (
    case(
        crds.Listener,
        "HTTP/3 needs HTTPS.",
        "http3",
        kept=[QUIC, {**DIRECT["listeners"][0], "http3": False}],
        broken=[{**DIRECT["listeners"][0], "http3": True}],
    ),
    case(
        crds.Listener,
        "Over HTTP/3 nobody is asked for a certificate: leave out `clients`, or take another listener.",
        "http3",
        kept=[QUIC, {**QUIC, "http3": False, "tls": CLIENTS}],
        broken=[{**QUIC, "tls": CLIENTS}],
    ),
    case(
        crds.Listener,
        "HTTP/3 has no PROXY protocol.",
        "http3",
        kept=[QUIC, {**QUIC, "http3": False, "proxyProtocol": True}],
        broken=[{**QUIC, "proxyProtocol": True}],
    ),
    case(
        crds.EdgeSpec,
        "With the PROXY protocol every client comes from a trusted address, so no header can name the tenant.",
        "trustedHops.tenantHeader",
        kept=[{**PROXIED, **TRUSTED}, {**DIRECT, **NAMING}],
        broken=[
            {**PROXIED, **NAMING},
            {**NAMING, "hosts": PROXIED["hosts"], "listeners": [PLAIN, *PROXIED["listeners"]]},
        ],
    ),
    case(
        crds.EdgeSpec,
        "Traefik hands on connections of TCP: there is no HTTP/3 behind it.",
        "listeners",
        kept=[{**DIRECT, "listeners": [QUIC]}, {**DIRECT, **FRONT, "listeners": [{**QUIC, "http3": False}]}],
        broken=[{**DIRECT, **FRONT, "listeners": [QUIC]}],
    ),
    case(
        crds.RouteRule,
        "Calls in gRPC need an upstream.",
        "transcode",
        kept=[{**UP, **CALLS}, {"shards": {"upstream": "orders"}, **CALLS}],
        broken=[{"respond": {}, **CALLS}, {**MESSAGE, **CALLS}],
    ),
    case(
        crds.RouteRule,
        "The path says which call it is: with `transcode` only the host can be rewritten.",
        "rewrite",
        kept=[{**UP, **CALLS, "rewrite": {"host": "a.example.com"}}, {**UP, "rewrite": {"replacePath": "/a"}}],
        broken=[
            {**UP, **CALLS, "rewrite": {"replacePath": "/a"}},
            {**UP, **CALLS, "rewrite": {"replacePrefix": "/a"}},
            {**UP, **CALLS, "rewrite": {"host": "a.example.com", "regex": {"pattern": "a", "substitution": "b"}}},
            {**UP, **CALLS, "matches": [TEMPLATE], "rewrite": {"template": "/{b}"}},
        ],
    ),
    case(
        crds.PathMatch,
        "A template has at most one {name} in each segment, {name...} at its end alone, and 512 characters.",
        "value",
        kept=[
            {"type": "Template", "value": value}
            for value in ("/", "/a/{b}/c", "/{b}.json", "/a{b}c/{d}/", "/a/{b...}", f"/{'a' * 511}")
        ],
        broken=[
            {"type": "Template", "value": value}
            for value in ("/{a}{b}", "/{}", "/{1}", "/{a", "/a}", "/{a...}/b", "/x{a...}", "/{a-b}", f"/{'a' * 512}")
        ],
    ),
    case(
        crds.RouteRule,
        "A rewrite by template needs exactly one match, whose path is a Template.",
        "rewrite.template",
        kept=[{**UP, "matches": [TEMPLATE], "rewrite": {"template": "/{b}"}}, {**UP, "matches": [TEMPLATE]}],
        broken=[
            {**UP, "rewrite": {"template": "/b"}},
            {**UP, "matches": [TEMPLATE, TEMPLATE], "rewrite": {"template": "/{b}"}},
        ],
    ),
    case(
        crds.SessionAffinity,
        "A session is told by a cookie or by a header.",
        "",
        kept=[{"cookie": {"name": "a"}}, {"header": "x-a"}],
        broken=[{}, {"cookie": {"name": "a"}, "header": "x-a"}],
    ),
    case(
        crds.SessionAffinity,
        "A header of sessions begins with x-, but not with x-ff- or x-envoy-, which are the gateway's own.",
        "header",
        kept=[{"header": "X-Session"}, {"header": "x-ffa"}, {"cookie": {"name": "a"}}],
        broken=[{"header": name} for name in ("cookie", "X-FF-Tenant", "x-envoy-a", "session")],
    ),
    case(
        crds.UpstreamSpec,
        "Sessions need endpoints that are told one by one: endpoints or service.",
        "sessionAffinity",
        kept=[{**ENDPOINTS, **SESSION}, {"service": {"name": "s", "port": 1}, **SESSION}, NAMED],
        broken=[{**NAMED, **SESSION}],
    ),
    case(
        crds.UpstreamSpec,
        "A hash keeps sessions by itself: sessionAffinity goes with the other policies.",
        "sessionAffinity",
        kept=[{**ENDPOINTS, **SESSION, "loadBalancing": {"policy": "LeastRequest"}}, {**ENDPOINTS, **HASHED}],
        broken=[{**ENDPOINTS, **SESSION, **HASHED}],
    ),
    case(
        crds.UpstreamSpec,
        "Zones need endpoints that are told one by one: endpoints or service.",
        "loadBalancing.zoneAware",
        kept=[{**ENDPOINTS, **ZONED}, {"service": {"name": "s", "port": 1}, **ZONED}, NAMED],
        broken=[{**NAMED, **ZONED}],
    ),
    case(
        crds.Schedule,
        "A schedule says something: from, until or weekly.",
        "",
        kept=[{"from": NOON}, {"until": NOON}, {"weekly": [{}]}],
        broken=[{}, {"weekly": []}],
    ),
    case(
        crds.Schedule,
        "A schedule ends after it has begun.",
        "until",
        kept=[{"from": NOON, "until": LATER}, {"from": "2026-12-24T12:00:00+02:00", "until": NOON}],
        broken=[{"from": LATER, "until": NOON}, {"from": NOON, "until": "2026-12-24T13:00:00+01:00"}],
    ),
    case(
        crds.Schedule,
        "Only weekly hours have a zone: instants say theirs.",
        "zone",
        kept=[{"from": NOON, "zone": "UTC"}, {"weekly": [{}], "zone": "Europe/Berlin"}],
        broken=[{"from": NOON, "zone": "Europe/Berlin"}],
    ),
    case(
        crds.Retry,
        "Hedging begins after perTryTimeout: say how long that is.",
        "perTryTimeout",
        kept=[{}, {"hedge": False}, {"hedge": True, "perTryTimeout": "1s"}],
        broken=[{"hedge": True}],
    ),
    case(
        crds.EdgeSpec,
        "The PROXY protocol is believed from trusted addresses only: name them.",
        "trustedHops.addresses",
        kept=[DIRECT, {**PROXIED, **TRUSTED}],
        broken=[PROXIED, {**PROXIED, "trustedHops": {"count": 1}}],
    ),
    case(
        crds.EdgeSpec,
        "Behind Traefik the PROXY protocol is set up by itself.",
        "listeners",
        kept=[{**DIRECT, **FRONT}, {**PROXIED, **TRUSTED}],
        broken=[{**PROXIED, **TRUSTED, **FRONT}],
    ),
    case(
        crds.Fault,
        "A fault is a delay, an abort, or both.",
        "",
        kept=[{"abort": {}}, {"delay": {"duration": "1s"}}, {"abort": {}, "delay": {"duration": "1s"}}],
        broken=[{}, {"headers": [{"name": "a", "value": "b"}]}],
    ),
    case(
        crds.RouteRule,
        "Mirrors need an upstream: the proxy copies only what it forwards.",
        "mirrors",
        kept=[{**UP, **COPY}, {"shards": {"upstream": "u"}, **COPY}, {"respond": {}, "mirrors": []}],
        broken=[{"respond": {}, **COPY}, {**MESSAGE, **COPY}, {"redirect": {}, **COPY}],
    ),
    case(
        crds.RouteRule,
        "Faults are for what the proxy serves by itself, not for messages.",
        "fault",
        kept=[{**UP, **FAULT}, {"respond": {}, **FAULT}, MESSAGE],
        broken=[{**MESSAGE, **FAULT}, {"adapter": {"protocol": "WebSocket"}, **FAULT}],
    ),
    case(
        crds.LoadBalancing,
        "slowStart goes with RoundRobin and LeastRequest.",
        "slowStart",
        kept=[{"slowStart": "1s"}, {"policy": "LeastRequest", "slowStart": "1s"}, {"policy": "Random"}],
        broken=[{"policy": "Random", "slowStart": "1s"}],
    ),
    case(
        crds.LoadBalancing,
        "A hash chooses among all endpoints: zoneAware goes with the other policies.",
        "zoneAware",
        kept=[{"zoneAware": {}}, {"policy": "Random", "zoneAware": {}}, HASHED["loadBalancing"]],
        broken=[{**HASHED["loadBalancing"], "zoneAware": {}}],
    ),
    case(
        crds.Authentication,
        "Browsers are sent to one issuer.",
        "providers",
        kept=[{"providers": [{"name": "a", "oidc": OIDC}, {"name": "b", "jwt": JWT}]}],
        broken=[{"providers": [{"name": "a", "oidc": OIDC}, {"name": "b", "oidc": OIDC}]}],
    ),
    case(
        crds.Oidc,
        "Login and logout need two paths.",
        "logoutPath",
        kept=[OIDC, {**OIDC, "redirectPath": "/a", "logoutPath": "/b"}],
        broken=[{**OIDC, "redirectPath": "/oauth2/logout"}, {**OIDC, "redirectPath": "/a", "logoutPath": "/a"}],
    ),
)
