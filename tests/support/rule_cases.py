"""Documents that keep a rule and documents that break it, for each rule of the kinds. Called by the tests of rules."""

from __future__ import annotations

import fastforward_crds as crds

from support import external_rule_cases, inside_rule_cases, limit_rule_cases, traffic_rule_cases
from support.documents import Document
from support.rule_case import case
from support.traffic_rule_cases import OIDC

UP = {"upstreams": [{"name": "u"}]}
BODY = {"schema": {"name": "order"}}
ADAPTER = {"adapter": {"protocol": "WebSocket"}}
MESSAGE = {"message": {"type": "a.b", "upstream": {"name": "u"}}}
JWT = {"issuer": "i", "jwks": {"url": "https://i/keys"}}
EDGE = {"kind": "Edge", "name": "e"}
GATEWAY = {"kind": "Gateway", "name": "g"}
ROUTED = {"kind": "GRPCRoute", "name": "r"}
OURS, THEIRS = "gateway.fastforward.dev", "gateway.networking.k8s.io"
PLAIN: Document = {"name": "a", "port": 1}
SECURE: Document = {"name": "s", "port": 2, "protocol": "HTTPS", "tls": {"certificates": [{"name": "c"}]}}
DIRECT: Document = {"hosts": ["a.example.com"], "listeners": [PLAIN]}
FRONTED: Document = {**DIRECT, "front": {"traefik": {"addresses": ["10.0.0.0/8"]}}}
ENDING: Document = {"traefik": {"addresses": ["10.0.0.0/8"], "tls": "Terminate"}}
NAMING: Document = {"tenantHeader": "t", "addresses": ["10.0.0.0/8"]}


CASES = (
    *external_rule_cases.CASES,
    *inside_rule_cases.CASES,
    *limit_rule_cases.CASES,
    *traffic_rule_cases.CASES,
    case(
        crds.PolicyTarget,
        "This kind belongs to the other group.",
        "group",
        kept=[EDGE, GATEWAY, {**EDGE, "group": OURS}, {**GATEWAY, "group": THEIRS}, {**ROUTED, "group": THEIRS}],
        broken=[{**EDGE, "group": THEIRS}, {**GATEWAY, "group": OURS}, {**ROUTED, "group": OURS}],
    ),
    case(
        crds.PolicyTarget,
        "Only a Route has a rule; kinds of Gateway API have a sectionName.",
        "rule",
        kept=[{"kind": "Route", "name": "a", "rule": "r"}, EDGE, GATEWAY],
        broken=[{**EDGE, "rule": "r"}, {**GATEWAY, "rule": "r"}, {**ROUTED, "rule": "r"}],
    ),
    case(
        crds.PolicyTarget,
        "Only kinds of Gateway API have a sectionName; a Route has a rule.",
        "sectionName",
        kept=[{**GATEWAY, "sectionName": "s"}, {**ROUTED, "sectionName": "s"}, {"kind": "Route", "name": "a"}],
        broken=[{**EDGE, "sectionName": "s"}, {"kind": "Route", "name": "a", "sectionName": "s"}],
    ),
    case(
        crds.Listener,
        "HTTPS needs tls; HTTP has none.",
        "tls",
        kept=[
            {"name": "a", "port": 1},
            {"name": "a", "port": 1, "protocol": "HTTPS", "tls": {"certificates": [{"name": "c"}]}},
        ],
        broken=[
            {"name": "a", "port": 1, "protocol": "HTTPS"},
            {"name": "a", "port": 1, "tls": {"certificates": [{"name": "c"}]}},
        ],
    ),
    case(
        crds.RouteNamespaces,
        "Names go with from: Selected, and only with it.",
        "names",
        kept=[{}, {"from": "Selected", "names": ["a"]}, {"from": "All", "names": []}],
        broken=[{"from": "Selected"}, {"from": "Selected", "names": []}, {"names": ["a"]}],
    ),
    case(
        crds.TrustedHops,
        "A tenant header needs addresses to trust.",
        "addresses",
        kept=[{}, {"addresses": ["10.0.0.0/8"]}, {"tenantHeader": "t", "addresses": ["10.0.0.0/8"]}],
        broken=[{"tenantHeader": "t"}, {"tenantHeader": "t", "addresses": []}],
    ),
    case(
        crds.PathMatch,
        "A path starts with / and has no spaces.",
        "value",
        kept=[{}, {"value": "/a"}, {"type": "Regex", "value": "a b"}],
        broken=[{"value": "a"}, {"value": "/a b"}, {"value": "/ä"}, {"type": "Exact", "value": "/a\n"}],
    ),
    case(
        crds.PathMatch,
        "A path has neither query nor fragment.",
        "value",
        kept=[{"value": "/a"}, {"type": "Regex", "value": "/a?"}],
        broken=[{"value": "/a?b"}, {"type": "Exact", "value": "/a#b"}],
    ),
    case(
        crds.PathMatch,
        "A regular expression has at most 512 characters.",
        "value",
        kept=[{"type": "Regex", "value": "a" * 512}, {"value": "/" + "a" * 600}],
        broken=[{"type": "Regex", "value": "a" * 513}],
    ),
    case(
        crds.TextMatch,
        "This type needs a value.",
        "value",
        kept=[{"name": "a"}, {"name": "a", "type": "Present"}, {"name": "a", "type": "Regex", "value": "b"}],
        broken=[{"name": "a", "type": "Regex"}, {"name": "a", "type": "Prefix", "value": ""}],
    ),
    case(
        crds.TextMatch,
        "A regular expression has at most 512 characters.",
        "value",
        kept=[{"name": "a", "type": "Regex", "value": "a" * 512}, {"name": "a", "value": "a" * 513}],
        broken=[{"name": "a", "type": "Regex", "value": "a" * 513}],
    ),
    case(
        crds.HeaderValue,
        "This header belongs to the gateway.",
        "name",
        kept=[{"name": name, "value": ""} for name in ("hosts", "x-ff", "x-forwarded-for", "my-x-ff-a")],
        broken=[{"name": name, "value": ""} for name in ("Host", "CONNECTION", "x-FF-tenant", "x-envoy-a")],
    ),
    case(
        crds.HeaderChanges,
        "These headers belong to the gateway.",
        "remove",
        kept=[{}, {"remove": []}, {"remove": ["cookie"]}],
        broken=[{"remove": ["cookie", "Content-Length"]}, {"remove": ["transfer-encoding"]}],
    ),
    case(
        crds.Rewrite,
        "Only one way to rewrite the path.",
        "",
        kept=[{}, {"replacePath": "/a", "host": "a"}, {"regex": {"pattern": "a", "substitution": ""}}],
        broken=[
            {"replacePath": "/a", "replacePrefix": "/b"},
            {"replacePath": "/a", "regex": {"pattern": "a", "substitution": "b"}},
        ],
    ),
    case(
        crds.Cors,
        "Credentials can't be granted to every origin.",
        "allowCredentials",
        kept=[{"allowOrigins": ["*"]}, {"allowOrigins": ["https://*.a"], "allowCredentials": True}],
        broken=[{"allowOrigins": ["https://a", "*"], "allowCredentials": True}],
    ),
    case(
        crds.ShardDispatch,
        "A header goes with key: Header, and only with it.",
        "header",
        kept=[{"upstream": "a"}, {"upstream": "a", "key": "Header", "header": "h"}],
        broken=[{"upstream": "a", "header": "h"}, {"upstream": "a", "key": "Header"}],
    ),
    case(
        crds.RouteRule,
        "A rule has exactly one destination: upstreams, shards, redirect, respond, message or adapter.",
        "",
        kept=[UP, {"respond": {}}, {"redirect": {}, "upstreams": []}, {"shards": {"upstream": "a"}}, MESSAGE, ADAPTER],
        broken=[{}, {"upstreams": []}, {**UP, "respond": {}}, {"respond": {}, "redirect": {}}, {**ADAPTER, **MESSAGE}],
    ),
    case(
        crds.RouteRule,
        "A rewrite needs an upstream.",
        "rewrite",
        kept=[{**UP, "rewrite": {}}, {"shards": {"upstream": "a"}, "rewrite": {"host": "b"}}],
        broken=[{"respond": {}, "rewrite": {}}, {"redirect": {}, "upstreams": [], "rewrite": {"host": "b"}}],
    ),
    case(
        crds.RouteRule,
        "A timeout needs an upstream.",
        "timeout",
        kept=[{**UP, "timeout": {"request": "1s"}}, {"shards": {"upstream": "a"}, "timeout": {}}, {"respond": {}}],
        broken=[{"respond": {}, "timeout": {"idle": "1s"}}, {"redirect": {}, "timeout": {}}],
    ),
    case(
        crds.RouteRule,
        "Changes to request headers need an upstream.",
        "requestHeaders",
        kept=[{**UP, "requestHeaders": {"remove": ["a"]}}, {"shards": {"upstream": "a"}, "requestHeaders": {}}],
        broken=[{"respond": {}, "requestHeaders": {"remove": ["a"]}}],
    ),
    case(
        crds.RouteRule,
        "Cross-origin rules need an upstream: the proxy applies them to no answer of its own.",
        "cors",
        kept=[{**UP, "cors": {"allowOrigins": ["*"]}}, {"shards": {"upstream": "a"}, "cors": {"allowOrigins": ["*"]}}],
        broken=[{"respond": {}, "cors": {"allowOrigins": ["*"]}}, {"redirect": {}, "cors": {"allowOrigins": ["*"]}}],
    ),
    case(
        crds.RouteRule,
        "Rules for bodies need an upstream; the content of messages has `message.request`.",
        "body",
        kept=[{**UP, "body": BODY}, {"shards": {"upstream": "a"}, "body": BODY}],
        broken=[{"respond": {}, "body": BODY}, {"redirect": {}, "body": BODY}],
    ),
    case(
        crds.RouteRule,
        "Rules for answers need an upstream; the content of replies to messages has `message.reply`.",
        "responseBody",
        kept=[{**UP, "responseBody": BODY}, {"shards": {"upstream": "a"}, "responseBody": BODY}],
        broken=[{"respond": {}, "responseBody": BODY}, {"redirect": {}, "responseBody": BODY}],
    ),
    case(
        crds.RouteRule,
        "Bodies are held before it is known whose they are: no match may ask for tenants, roles, region or flag.",
        "body",
        kept=[
            {**UP, "body": BODY, "matches": [{"methods": ["POST"], "apiVersion": "v2"}]},
            {**UP, "matches": [{"roles": ["a"]}, {"tenants": ["a"]}]},
        ],
        broken=[
            {**UP, "body": BODY, "matches": [{}, {"tenants": ["a"]}]},
            {**UP, "body": BODY, "matches": [{"roles": ["a"]}]},
            {**UP, "body": BODY, "matches": [{"region": "eu"}]},
            {**UP, "body": BODY, "matches": [{"flag": "new"}]},
        ],
    ),
    case(
        crds.RouteRule,
        "A retry needs an upstream.",
        "retry",
        kept=[{**UP, "retry": {}}, {"shards": {"upstream": "a"}, "retry": {}}],
        broken=[{"respond": {}, "retry": {}}],
    ),
    case(
        crds.RouteRule,
        "replacePrefix needs every match to be a Prefix.",
        "rewrite.replacePrefix",
        kept=[{**UP, "rewrite": {"replacePrefix": "/b"}}, {**UP, "matches": [{"path": {"type": "Exact"}}]}],
        broken=[{**UP, "rewrite": {"replacePrefix": "/b"}, "matches": [{}, {"path": {"type": "Exact"}}]}],
    ),
    case(
        crds.RouteSpec,
        "Rule names are unique.",
        "rules",
        kept=[{"edges": [{"name": "e"}], "rules": [UP, UP, {**UP, "name": "a"}, {**UP, "name": "b"}]}],
        broken=[{"edges": [{"name": "e"}], "rules": [{**UP, "name": "a"}, UP, {**UP, "name": "a"}]}],
    ),
    case(
        crds.HashOn,
        "Hash on exactly one thing.",
        "",
        kept=[{"header": "a"}, {"cookie": "a", "address": False}, {"address": True}],
        broken=[{}, {"address": False}, {"header": "a", "cookie": "a"}, {"cookie": "a", "address": True}],
    ),
    case(
        crds.LoadBalancing,
        "hashOn goes with RingHash and Maglev, and only with them.",
        "hashOn",
        kept=[{}, *({"policy": policy, "hashOn": {"address": True}} for policy in ("RingHash", "Maglev"))],
        broken=[{"policy": "RingHash"}, {"policy": "Maglev"}, {"hashOn": {"address": True}}],
    ),
    case(
        crds.UpstreamSpec,
        "An upstream has exactly one of endpoints, dns and service.",
        "endpoints",
        kept=[
            {"endpoints": [{"address": "::1", "port": 1}]},
            {"endpoints": [], "dns": {"host": "a", "port": 1}},
            {"service": {"name": "a", "port": 1}},
        ],
        broken=[
            {},
            {"endpoints": []},
            {"endpoints": [{"address": "::1", "port": 1}], "dns": {"host": "a", "port": 1}},
            {"dns": {"host": "a", "port": 1}, "service": {"name": "a", "port": 1}},
        ],
    ),
    case(
        crds.ServiceRef,
        "A port has either a number or a name.",
        "port",
        kept=[{"name": "a", "port": 1}, {"name": "a", "portName": "http"}],
        broken=[{"name": "a"}, {"name": "a", "port": 1, "portName": "http"}],
    ),
    case(
        crds.AdaptiveConcurrency,
        "The least is no more than the most.",
        "least",
        kept=[{}, {"least": 5, "most": 5}],
        broken=[{"least": 6, "most": 5}, {"least": 2000}],
    ),
    case(
        crds.JwksSource,
        "Exactly one source of keys.",
        "",
        kept=[{"url": "http://a"}, {"secret": {"name": "a", "key": "b"}}],
        broken=[{}, {"url": "http://a", "configMap": {"name": "a", "key": "b"}}],
    ),
    case(
        crds.Provider,
        "A provider is one of jwt, apiKey, basic and oidc.",
        "",
        kept=[
            {"name": "a", "jwt": JWT},
            {"name": "a", "apiKey": {"secrets": [{"name": "s"}]}},
            {"name": "a", "basic": {"secrets": [{"name": "s"}]}},
            {"name": "a", "oidc": OIDC},
        ],
        broken=[{"name": "a"}, {"name": "a", "jwt": JWT, "apiKey": {"secrets": [{"name": "s"}]}}],
    ),
    case(
        crds.Authentication,
        "Providers are needed, except with mode None.",
        "providers",
        kept=[{"mode": "None"}, {"mode": "None", "providers": []}, {"providers": [{"name": "a", "jwt": JWT}]}],
        broken=[{}, {"mode": "Optional", "providers": []}, {"mode": "None", "providers": [{"name": "a", "jwt": JWT}]}],
    ),
    case(
        crds.AuthPolicySpec,
        "A policy says something about authentication or authorization.",
        "",
        kept=[{"targets": [EDGE], "authentication": {"mode": "None"}}],
        broken=[{"targets": [EDGE]}],
    ),
    case(
        crds.EdgeSpec,
        "Behind Traefik every client is the same peer, so no header can name the tenant.",
        "trustedHops.tenantHeader",
        kept=[FRONTED, {**FRONTED, "trustedHops": {"count": 1}}, {**DIRECT, "trustedHops": NAMING}],
        broken=[{**FRONTED, "trustedHops": NAMING}],
    ),
    case(
        crds.EdgeSpec,
        "Traefik is set up in front of proxies that the operator runs.",
        "proxies.mode",
        kept=[{**FRONTED, "proxies": {"mode": "Managed"}}, {**DIRECT, "proxies": {"mode": "External"}}],
        broken=[{**FRONTED, "proxies": {"mode": "External"}}],
    ),
    case(
        crds.EdgeSpec,
        "Traefik hands on to one listener for each protocol.",
        "listeners",
        kept=[{**FRONTED, "listeners": [PLAIN, SECURE]}, {**DIRECT, "listeners": [PLAIN, {**PLAIN, "name": "b"}]}],
        broken=[{**FRONTED, "listeners": [PLAIN, {**PLAIN, "name": "b"}]}],
    ),
    case(
        crds.EdgeSpec,
        "Where Traefik ends TLS, listeners are HTTP.",
        "front.traefik.tls",
        kept=[{**FRONTED, "front": ENDING}, {**FRONTED, "listeners": [SECURE]}],
        broken=[{**FRONTED, "front": ENDING, "listeners": [PLAIN, SECURE]}],
    ),
)
