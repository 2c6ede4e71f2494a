"""Worlds for Hypothesis in which tenants have rules of their own, and several policies say who may speak for whom.

Out: a strategy for histories. Two namespaces: the Edge's, and one that uses it. Used by the property tests of what is
emitted.
"""

from __future__ import annotations

import fastforward_crds as crds
from fastforward_compiler import object_ref
from hypothesis import strategies as st

from .credentials import jwks
from .native_worlds import Strategy, lists, record
from .worlds import Batch, Document, Object, keyed

OURS = "a"
NAMESPACES = st.sampled_from([OURS] * 4 + ["b"])
TENANTS = st.sampled_from(["acme", "bolt"])
ROUTES = ("all", "own", "more")
ISSUERS = ("main", "foreign")


def edges() -> Strategy:
    hosts = st.sampled_from(["*.example.com", "api.example.com", "acme.example.com"])
    return record(
        {
            "hosts": lists(hosts, 1, 3),
            "listeners": st.just([{"name": "http", "port": 8080}]),
            "routeNamespaces": st.just({"from": "All"}),
        },
        trustedHops=st.just({"addresses": ["10.0.0.0/8"], "tenantHeader": "x-tenant"}),
    )


def routes() -> Strategy:
    match = record(
        {"path": record({"value": st.sampled_from(["/", "/a"])})},
        tenants=lists(TENANTS, 1),
        roles=st.just(["admin"]),
    )
    answer = record({"body": st.sampled_from(["one", "two"])})
    rule = record({"name": st.sampled_from(["x", "y"]), "respond": answer}, matches=lists(match, 1))
    return record(
        {"edges": st.just([{"name": "public", "namespace": OURS}]), "rules": keyed(rule, "name", 1)},
        hosts=lists(st.sampled_from(["*.example.com", "api.example.com"]), 1),
    )


def tenants() -> Strategy:
    return record(parent=TENANTS, hosts=st.just(["acme.example.com"]), plan=st.just("pro"))


def policies() -> Strategy:
    everybody = {"kind": "Route", "name": "all"}
    own, more = {"kind": "Route", "name": "own"}, {"kind": "Route", "name": "more", "rule": "x"}
    target = st.sampled_from([everybody, everybody, own, more, {"kind": "Edge", "name": "public"}])
    jwt = st.sampled_from([_jwt(issuer) for issuer in ISSUERS])
    provider = record({"name": st.sampled_from(["one", "two"]), "jwt": jwt}, tenants=lists(TENANTS | st.just("*")))
    authentication = record(
        {"providers": keyed(provider, "name", 1)},
        mode=st.sampled_from(["Required", "Optional"]),
        shadow=st.sampled_from([False] * 4 + [True]),
    )
    condition = st.just("request.method == 'GET'")
    grant = record({"name": st.just("some")}, roles=st.just(["admin"]), tenants=lists(TENANTS), condition=condition)
    authorization = record({"grants": keyed(grant, "name", 1)})
    halves = st.one_of(
        record({"authentication": authentication}),
        record({"authentication": authentication}, authorization=authorization),
        record({"authorization": authorization}),
    )
    rest = record({"targets": lists(target, 1)}, overridable=st.booleans(), shadow=st.booleans())
    return st.builds(lambda one, other: {**one, **other}, halves, rest)


def _jwt(issuer: str) -> Document:
    return {"issuer": f"https://{issuer}", "jwks": {"configMap": {"name": "keys", "key": issuer}}}


def limits() -> Strategy:
    key = st.sampled_from([[{"type": "Tenant"}], [{"type": "Address"}]])
    return record(
        {
            "targets": st.just([{"kind": "Route", "name": "own"}]),
            "key": key,
            "budget": record({"requests": st.just(3)}),
        },
        enforcement=st.sampled_from(["Exact", "PerProxy"]),
    )


_KINDS: tuple[tuple[str, Strategy, Strategy, Strategy], ...] = (
    ("Edge", st.just("public"), st.just(OURS), edges()),
    *[("Route", st.sampled_from(ROUTES), NAMESPACES, routes())] * 3,
    *[("Tenant", TENANTS, NAMESPACES, tenants())] * 2,
    *[("AuthPolicy", st.sampled_from(["p", "p", "q"]), NAMESPACES, policies())] * 5,
    ("RateLimit", st.just("l"), NAMESPACES, limits()),
)


@st.composite
def objects(draw: st.DrawFn) -> Object:
    """Objects of the kinds that say whose a request is and who may say so; policies are the most."""
    kind, names, namespaces, specs = draw(st.sampled_from(_KINDS))
    return _object(kind, draw(names), draw(specs), draw(namespaces))


@st.composite
def histories(draw: st.DrawFn, *, most: int = 5) -> list[Batch]:
    """The ground, then one change after the other: each is to tell all that it changes."""
    begin: Batch = {object_ref(value): value for value in ground()}
    changes = draw(st.lists(objects(), min_size=1, max_size=most))
    return [begin, *({object_ref(value): draw(st.sampled_from([value] * 4 + [None]))} for value in changes)]


def ground() -> tuple[Object, ...]:
    """A host with rules for everybody and for one tenant, each with a policy: what is drawn changes them."""
    keys = {issuer: jwks(issuer) for issuer in ISSUERS}
    maps = tuple(
        crds.parse_resource(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "keys", "namespace": namespace},
                "data": keys,
            }
        )
        for namespace in (OURS, "b")
    )
    edge = {
        "hosts": ["*.example.com"],
        "listeners": [{"name": "http", "port": 8080}],
        "routeNamespaces": {"from": "All"},
    }
    callers = {"providers": [{"name": "one", "jwt": _jwt("main"), "tenants": ["acme"]}]}
    to = [{"name": "public", "namespace": OURS}]
    own = {"path": {"value": "/"}, "tenants": ["acme"]}
    return (
        *maps,
        _object("Edge", "public", edge),
        _object("Tenant", "acme", {}),
        _object("Tenant", "bolt", {"parent": "acme"}),
        _object("Route", "all", {"edges": to, "rules": [{"name": "x", "respond": {"body": "all"}}]}),
        _object("Route", "own", {"edges": to, "rules": [{"name": "x", "matches": [own], "respond": {"body": "own"}}]}),
        _object("AuthPolicy", "p", {"targets": [{"kind": "Route", "name": "all"}], "authentication": callers}),
    )


def _object(kind: str, name: str, spec: Document, namespace: str = OURS) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return crds.parse_resource({"apiVersion": crds.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
