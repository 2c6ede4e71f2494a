"""Cases of the rules of mirrors, faults, load balancing and logins. Called by rule_cases."""

from __future__ import annotations

import fastforward_crds as crds

from support.documents import Document
from support.rule_case import case

COPY: Document = {"mirrors": [{"name": "m"}]}
FAULT: Document = {"fault": {"abort": {}}}
UP: Document = {"upstreams": [{"name": "u"}]}
PROXIED: Document = {"hosts": ["a.example.com"], "listeners": [{"name": "a", "port": 1, "proxyProtocol": True}]}
DIRECT: Document = {"hosts": ["a.example.com"], "listeners": [{"name": "a", "port": 1}]}
TRUSTED: Document = {"trustedHops": {"addresses": ["10.0.0.0/8"]}}
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

CASES = (
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
