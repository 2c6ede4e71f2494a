"""Objects of Gateway API for Hypothesis: they refer to each other and to Services, mostly rightly, sometimes not.

Out: what stands beside `metadata` in such documents, and in the policies of ours that are aimed at them. Used by the
compiler's property tests, with the builders of worlds.
"""

from __future__ import annotations

from collections.abc import Mapping

import fastforward_crds as crds
from fastforward_crds.gatewayapi import GROUP
from hypothesis import strategies as st

from . import worlds
from .credentials import apikeys_data, certificate_pem, jwks, tls_data
from .native_worlds import BODIES, NAMES, Strategy, lists, record

CLASSES = st.sampled_from(["x"] * 5 + ["y"])
HOSTS = st.sampled_from(["*.example.com", "a.example.com", "a.example.com", "a.b.example.com", "*", "example.org"])
NAMESPACES = st.sampled_from(["a"] * 5 + ["b"])
PATHS = st.sampled_from(["/", "/a", "/a/", "/a/b", "relative", "/a#b", "/a?b", "//a"])
WORDS = st.sampled_from(["1", "2", "v.*", "("])


def gateway_classes() -> Strategy:
    controllers = st.sampled_from(["gateway.fastforward.dev/controller"] * 5 + ["example.com/other"])
    return st.builds(merge, record({"controllerName": controllers}), parameters(namespace="a"))


def parameters(**more: str) -> Strategy:
    """Mostly none: what refers to some that can't be used listens nowhere."""
    refs = [{"group": "", "kind": kind, "name": "y", **more} for kind in ("ConfigMap", "ConfigMap", "Bucket")]
    return st.sampled_from([{}] * 9 + [{"parametersRef": ref} for ref in refs])


def selections(*values: str) -> Strategy:
    """Which namespaces may attach."""
    selector = st.sampled_from([{}, {"matchLabels": {"kubernetes.io/metadata.name": "b"}}])
    return record({"from": st.sampled_from(values)}, selector=selector)


def object_refs(*kinds: str) -> Strategy:
    return record({"name": NAMES}, namespace=NAMESPACES, kind=st.sampled_from(kinds))


def listeners() -> Strategy:
    tls = record(
        certificateRefs=st.lists(object_refs("Secret", "Secret", "ConfigMap"), max_size=2),
        mode=st.sampled_from(["Terminate", "Passthrough"]),
    )
    kinds = record({"kind": st.sampled_from(["HTTPRoute", "TLSRoute"])}, group=st.sampled_from([GROUP, ""]))
    allowed = record(namespaces=selections("All", "All", "Same", "Selector", "None"), kinds=st.lists(kinds, max_size=1))
    one = record(
        {
            "name": NAMES,
            "port": st.sampled_from([80, 443]),
            "protocol": st.sampled_from(["HTTP", "HTTP", "HTTPS", "TLS", "TCP", "UDP"]),
        },
        hostname=HOSTS,
        tls=tls,
        allowedRoutes=allowed,
    )
    return st.lists(one, min_size=1, max_size=3, unique_by=lambda each: each["name"])


def gateways() -> Strategy:
    authorities = st.lists(object_refs("ConfigMap", "ConfigMap", "Service"), min_size=1, max_size=2)
    modes = st.sampled_from(["AllowValidOnly", "AllowInsecureFallback"])
    validation = record({"caCertificateRefs": authorities}, mode=modes)
    per_port = record({"port": st.just(443), "tls": record(validation=validation)})
    tls = record(
        backend=record(clientCertificateRef=object_refs("Secret")),
        frontend=record({"default": record(validation=validation)}, perPort=st.lists(per_port, max_size=1)),
    )
    addresses = st.lists(
        record(type_=st.sampled_from(["IPAddress", "Hostname"]), value=st.just("192.0.2.9")), max_size=1
    )
    allowed = record(namespaces=selections("All", "Same", "Selector", "None"))
    return record(
        {"gatewayClassName": CLASSES, "listeners": listeners()},
        tls=tls,
        addresses=addresses,
        allowedListeners=allowed,
        infrastructure=st.builds(merge, record(labels=st.just({"team": "books"})), parameters()),
    )


def listener_sets() -> Strategy:
    return record({"parentRef": record({"name": NAMES}, namespace=NAMESPACES), "listeners": listeners()})


def parents() -> Strategy:
    kinds = st.sampled_from([{}] * 6 + [{"kind": "ListenerSet"}, {"kind": "Service"}])
    narrowed = st.sampled_from([{}] * 6 + [{"sectionName": "x"}, {"sectionName": "z"}, {"port": 443}, {"port": 80}])
    where = st.sampled_from([{}] * 6 + [{"namespace": "a"}, {"namespace": "b"}])
    name = st.sampled_from([{"name": "x"}] * 5 + [{"name": "y"}])
    return st.lists(st.builds(merge, name, kinds, narrowed, where), min_size=1, max_size=2)


def merge(*parts: Mapping[str, object]) -> dict[str, object]:
    return {key: value for part in parts for key, value in part.items()}


def backends(**more: Strategy) -> Strategy:
    kinds = st.sampled_from(
        [{}] * 6 + [{"kind": "Bucket"}, {"kind": "Upstream", "group": "gateway.fastforward.dev"}],
    )
    ref = record({"name": NAMES, "port": st.sampled_from([80, 80, 81])}, namespace=NAMESPACES, **more)
    return st.builds(lambda one, kind: {**one, **kind}, ref, kinds)


def several(items: Strategy) -> Strategy:
    """Mostly one or two; left to itself Hypothesis would draw none, and what comes after would be about nothing."""
    return st.lists(items, min_size=1, max_size=2) | st.lists(items, max_size=2)


def header_changes() -> Strategy:
    one = record({"name": st.sampled_from(["x-one", "X-Two", "host"]), "value": st.just("1")})
    return record(set=st.lists(one, max_size=1), add=st.lists(one, max_size=1), remove=st.just(["x-three"]))


def filters() -> Strategy:
    path = st.sampled_from(
        [
            {"type": "ReplaceFullPath", "replaceFullPath": "/w"},
            {"type": "ReplacePrefixMatch", "replacePrefixMatch": ""},
            {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/n"},
        ]
    )
    host = st.just("inner.example.com")
    redirect = record(
        scheme=st.just("https"),
        hostname=host,
        path=path,
        port=st.just(8443),
        statusCode=st.sampled_from([301, 302, 303, 307, 308]),
    )
    fraction = st.just({"numerator": 1, "denominator": 3})
    mirror = record({"backendRef": backends()}, percent=st.integers(0, 100), fraction=fraction)
    cors = record(
        allowOrigins=st.just(["https://a.example.com", "*"]),
        allowMethods=st.sampled_from([["*"], ["GET"]]),
        allowHeaders=st.just(["X-One"]),
        allowCredentials=st.booleans(),
    )
    made: tuple[tuple[str, str, Strategy], ...] = (
        ("RequestHeaderModifier", "requestHeaderModifier", header_changes()),
        ("ResponseHeaderModifier", "responseHeaderModifier", header_changes()),
        ("URLRewrite", "urlRewrite", record(hostname=host, path=path)),
        ("RequestRedirect", "requestRedirect", redirect),
        ("RequestMirror", "requestMirror", mirror),
        ("CORS", "cors", cors),
    )
    one = st.one_of(
        *(st.fixed_dictionaries({"type": st.just(kind), field: value}) for kind, field, value in made),
        st.just({"type": "ExtensionRef"}),
    )
    return lists(one)


def texts() -> Strategy:
    kinds = st.sampled_from(["Exact", "Exact", "RegularExpression"])
    return st.lists(record({"name": st.sampled_from(["x-one", "X-One"]), "value": WORDS}, type_=kinds), max_size=2)


def persistence() -> Strategy:
    """Mostly such as can be kept."""
    lives = st.sampled_from([{}] * 3 + [{"absoluteTimeout": "1h", "cookieConfig": {"lifetimeType": "Permanent"}}])
    spoiled = st.sampled_from([{}] * 5 + [{"idleTimeout": "1m"}, {"absoluteTimeout": "1h"}])
    one = record(sessionName=st.sampled_from(["x-s", "x-s", "x-ff-s"]), type_=st.sampled_from(["Cookie", "Header"]))
    return st.builds(merge, one, lives, spoiled)


def http_rules() -> Strategy:
    path = record({"value": PATHS}, type_=st.sampled_from(["Exact", "PathPrefix", "RegularExpression"]))
    match = record(path=path, headers=texts(), queryParams=texts(), method=st.sampled_from(["GET", "PUT"]))
    waits = st.sampled_from(["0s", "1s"])
    shares = backends(weight=st.integers(0, 2), filters=filters())
    return record(
        {"backendRefs": several(shares)},
        matches=st.lists(match, max_size=2),
        filters=filters(),
        timeouts=record(request=waits, backendRequest=waits),
        retry=record(codes=st.just([503]), attempts=st.integers(0, 2), backoff=st.just("10ms")),
        name=NAMES,
        sessionPersistence=persistence(),
    )


def http_routes() -> Strategy:
    return record({"parentRefs": parents(), "rules": several(http_rules())}, hostnames=st.lists(HOSTS, max_size=2))


def grpc_routes() -> Strategy:
    method = record(
        type_=st.sampled_from(["Exact", "RegularExpression"]),
        service=st.sampled_from(["books.Books", "("]),
        method=st.just("List"),
    )
    match = record(method=method, headers=texts())
    rule = record(
        {"backendRefs": several(backends())},
        matches=st.lists(match, max_size=2),
        filters=filters(),
        sessionPersistence=persistence(),
    )
    return record({"parentRefs": parents(), "rules": several(rule)}, hostnames=st.lists(HOSTS, max_size=2))


def stream_routes(*, hosts: bool) -> Strategy:
    rule = record({"backendRefs": st.lists(backends(weight=st.integers(0, 2)), max_size=2)})
    named = {"hostnames": st.lists(HOSTS, max_size=2)} if hosts else {}
    return record({"parentRefs": parents(), "rules": st.lists(rule, max_size=2)}, **named)


def backend_tls_policies() -> Strategy:
    target = record(
        {"group": st.just(""), "kind": st.sampled_from(["Service", "Service", "Bucket"]), "name": NAMES},
        sectionName=st.just("http"),
    )
    refs = st.lists(record({"name": NAMES, "kind": st.sampled_from(["ConfigMap", "Service"])}), max_size=2)
    names = st.sampled_from(
        [[], [{"type": "Hostname", "hostname": "*.example.com"}, {"type": "URI", "uri": "spiffe://a"}]]
    )
    validation = record(
        {"hostname": st.just("a.example.com")},
        caCertificateRefs=refs,
        wellKnownCACertificates=st.just("System"),
        subjectAltNames=names,
    )
    return record({"targetRefs": st.lists(target, min_size=1, max_size=2), "validation": validation})


def targets() -> Strategy:
    """What policies of ours aim at: everything, a listener, a rule."""
    kinds = st.sampled_from(["Gateway", "Gateway", "HTTPRoute", "HTTPRoute", "GRPCRoute"])
    sections = st.sampled_from([{}] * 5 + [{"sectionName": name} for name in ("x", "y", "rule-0")])
    return lists(st.builds(merge, record({"kind": kinds, "name": NAMES}), sections), 1)


SPECS: Mapping[str, Strategy] = {
    "GatewayClass": gateway_classes(),
    "Gateway": gateways(),
    "ListenerSet": listener_sets(),
    "HTTPRoute": http_routes(),
    "GRPCRoute": grpc_routes(),
    "TLSRoute": stream_routes(hosts=True),
    "TCPRoute": stream_routes(hosts=False),
    "UDPRoute": stream_routes(hosts=False),
    "BackendTLSPolicy": backend_tls_policies(),
    "AuthPolicy": worlds.auth_policies(targets()),
    "RateLimit": worlds.rate_limits(targets()),
    "Tenant": worlds.tenants(),
}
KINDS = ("HTTPRoute",) * 6 + ("Gateway",) * 2 + ("GatewayClass", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
KINDS += ("AuthPolicy",) * 3 + ("RateLimit", "Tenant")
KINDS += ("ListenerSet", "BackendTLSPolicy", "Service", "EndpointSlice", "Secret", "ConfigMap", "ReferenceGrant")


GUARDING = ("AuthPolicy",) * 6 + ("Gateway", "HTTPRoute", "GRPCRoute", "ConfigMap")


@st.composite
def objects(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS) -> worlds.Object:
    """Objects of Gateway API and those that they refer to; a few are spoiled."""
    kind = draw(st.sampled_from(kinds))
    metadata = draw(worlds.metadata())
    if kind in crds.CLUSTER_SCOPED:
        metadata.pop("namespace", None)
    if kind == "EndpointSlice":
        metadata["labels"] = {crds.SERVICE_LABEL: draw(NAMES)}
    head = {"apiVersion": worlds.API_VERSIONS[kind], "kind": kind, "metadata": metadata}
    made = {"spec": draw(SPECS[kind])} if kind in SPECS else draw(BODIES[kind])
    document = {**head, **made}
    return crds.parse_resource(worlds.spoil(document) if draw(st.integers(0, 11)) == 7 else document)


def ground() -> tuple[worlds.Object, ...]:
    """What most references can resolve to."""
    everybody = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    tls = {"certificateRefs": [{"name": "x"}]}
    listeners = [
        {"name": "x", "port": 80, "protocol": "HTTP", **everybody},
        {"name": "y", "port": 443, "protocol": "HTTPS", "tls": tls, **everybody},
        {"name": "z", "port": 443, "protocol": "TLS", "hostname": "a.example.com", "tls": {"mode": "Passthrough"}},
        {"name": "tcp", "port": 81, "protocol": "TCP", **everybody},
        {"name": "udp", "port": 81, "protocol": "UDP", **everybody},
    ]
    service = {"group": "", "kind": "Service", "name": "x"}
    datagrams = {"name": "dgram", "port": 80, "protocol": "UDP"}
    validation = {
        "hostname": "a.example.com",
        "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "x"}],
    }
    backends = {"backendRefs": [{"name": "x", "port": 80}]}
    route = {"parentRefs": [{"name": "x"}], "rules": [backends, {"name": "x", **backends}]}
    bodies: tuple[tuple[str, str, worlds.Document], ...] = (
        ("GatewayClass", "x", {"spec": {"controllerName": "gateway.fastforward.dev/controller"}}),
        ("Gateway", "x", {"spec": {"gatewayClassName": "x", "listeners": listeners}}),
        ("Service", "x", {"spec": {"ports": [{"name": "http", "port": 80}, datagrams]}}),
        ("Secret", "x", {"type": "kubernetes.io/tls", "stringData": tls_data("*.example.com")}),
        ("ConfigMap", "x", {"data": {"ca.crt": certificate_pem("authority"), "jwks": jwks()}}),
        ("Secret", "y", {"type": "gateway.fastforward.dev/api-keys", "stringData": apikeys_data(AAAAAAAAAAAA="x")}),
        ("Tenant", "x", {"spec": {"plan": "pro"}}),
        ("HTTPRoute", "x", {"spec": route}),
        ("GRPCRoute", "x", {"spec": route}),
        ("BackendTLSPolicy", "x", {"spec": {"targetRefs": [service], "validation": validation}}),
    )
    return tuple(
        crds.parse_resource(
            {
                "apiVersion": worlds.API_VERSIONS[kind],
                "kind": kind,
                "metadata": {"name": name, **({} if kind in crds.CLUSTER_SCOPED else {"namespace": "a"})},
                **body,
            }
        )
        for kind, name, body in bodies
    )
