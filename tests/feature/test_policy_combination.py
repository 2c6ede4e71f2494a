"""Policies of the Edge and of its Routes hold together: a Route adds to what it inherits and never weakens it."""

import pytest

from support.gateway import Gateway, until
from support.resources import (
    Document,
    Json,
    edge,
    granted_to,
    issuers,
    on,
    policy,
    prefix,
    proven_by,
    route,
    rule,
    tokens_of,
)
from support.tokens import bearer

EDGE, ROUTE = on("Edge", "public"), on("Route", "books")
ADMIN, READER = bearer("a", roles=["admin"]), bearer("a", roles=["reader"])


@pytest.fixture
def shop(gateway: Gateway) -> Gateway:
    gateway.apply(
        edge(gateway.port),
        issuers("a", "b"),
        route("books", rule(prefix("/books"), says="books")),
        route("other", rule(prefix("/other"), says="other")),
    )
    return gateway


def inherited(gateway: Gateway, **spec: Json) -> None:
    gateway.apply(policy("edge", EDGE, **{"authentication": proven_by(tokens_of("a"), tokens_of("b")), **spec}))


def test_every_route_inherits_the_edges_policy(shop: Gateway) -> None:
    inherited(shop)
    for path in ("/books", "/other"):
        assert shop.get(path).status == 401
        assert shop.get(path, headers=ADMIN).status == 200
    effective = shop.object("Route", shop.namespace, "books")["effective"]
    assert effective == [f"AuthPolicy {shop.namespace}/edge"]


def test_authorizations_add_up(shop: Gateway) -> None:
    inherited(shop, authorization=granted_to(staff={"roles": ["admin", "reader"]}))
    shop.apply(policy("route", ROUTE, authorization=granted_to(admins={"roles": ["admin"]})))
    assert shop.get("/books", headers=ADMIN).status == 200
    assert shop.get("/books", headers=READER).status == 403
    assert shop.get("/other", headers=READER).status == 200
    assert shop.get("/books", headers=bearer("a", roles=["guest"])).status == 403
    assert shop.get("/other", headers=bearer("a", roles=["guest"])).status == 403


@pytest.mark.parametrize(
    "weaker",
    [
        {"mode": "None"},
        proven_by(tokens_of("a"), mode="Optional"),
        proven_by(tokens_of("c")),
        proven_by(tokens_of("a"), tokens_of("c")),
    ],
    ids=["none", "optional", "another-issuer", "one-more-issuer"],
)
def test_a_weaker_authentication_is_refused_told_and_the_inherited_one_stays(shop: Gateway, weaker: Document) -> None:
    shop.apply(issuers("a", "b", "c"))
    inherited(shop)
    shop.apply(policy("route", ROUTE, authentication=weaker), expect={("AuthPolicy", "route"): "WeakensInherited"})
    assert shop.get("/books").status == 401
    assert shop.get("/books", headers=bearer("c")).status == 401
    assert shop.get("/books", headers=ADMIN).status == 200


def test_a_stronger_authentication_narrows_the_inherited_one(shop: Gateway) -> None:
    inherited(shop)
    shop.apply(policy("route", ROUTE, authentication=proven_by(tokens_of("a"))))
    assert shop.get("/books", headers=bearer("a")).status == 200
    assert shop.get("/books", headers=bearer("b")).status == 401
    assert shop.get("/other", headers=bearer("b")).status == 200


def test_a_route_may_require_what_the_edge_leaves_optional(shop: Gateway) -> None:
    inherited(shop, authentication=proven_by(tokens_of("a"), mode="Optional"))
    shop.apply(policy("route", ROUTE, authentication=proven_by(tokens_of("a"))))
    assert shop.get("/books").status == 401
    assert shop.get("/other").body == "other"


def test_an_overridable_policy_gives_way_to_the_routes_own(shop: Gateway) -> None:
    inherited(shop, overridable=True)
    shop.apply(policy("route", ROUTE, authentication={"mode": "None"}))
    assert shop.get("/books").body == "books"
    assert shop.get("/other").status == 401
    shop.delete("AuthPolicy", "route")
    until(lambda: shop.get("/books").status, lambda status: status == 401)


def test_a_policy_that_stops_being_overridable_takes_its_routes_back(shop: Gateway) -> None:
    inherited(shop, overridable=True)
    none = policy("route", ROUTE, authentication={"mode": "None"})
    shop.apply(none)
    assert shop.get("/books").body == "books"
    inherited(shop)
    until(lambda: shop.get("/books").status, lambda status: status == 401)
    shop.apply(none, expect={("AuthPolicy", "route"): "WeakensInherited"})


def test_authentication_on_a_tenants_rule_is_refused_and_the_rule_closed(shop: Gateway) -> None:
    shop.apply(
        {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"}, "spec": {}}
    )
    inherited(shop, authentication=proven_by(tokens_of("a"), mode="Optional"))
    shop.apply(route("books", rule(prefix("/books", tenants=["acme"]), says="acme's"), rule(prefix("/"), says="all")))
    assert shop.get("/books", headers=bearer("a", tenant="acme")).body == "acme's"
    late = policy("late", on("Route", "books", "rule-0"), authentication=proven_by(tokens_of("a")))
    shop.apply(late, expect={("AuthPolicy", "late"): "AuthenticationPerHost"})
    until(lambda: shop.get("/books", headers=bearer("a", tenant="acme")).status, lambda status: status == 500)
    assert shop.get("/books").body == "all"
