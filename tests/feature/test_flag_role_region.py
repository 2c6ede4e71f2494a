"""Rules for requests with a feature flag, a role or a region: the decision service judges, once it knows the caller."""

import pytest

from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import edge, issuers, limit, on, policy, prefix, proven_by, resource, route, rule, tokens_of
from support.tokens import bearer


@pytest.fixture
def shop(deciding_gateway: Gateway) -> Gateway:
    gateway = deciding_gateway
    gateway.upstream("everybody")
    gateway.apply(
        edge(gateway.port, region="eu"),
        issuers("a"),
        resource("Tenant", "beta", {"flags": ["new-cart"]}),
        resource("Tenant", "child", {"parent": "beta"}),
        resource("Tenant", "plain", {"region": "us"}),
        route("everybody", rule(prefix("/"), to="everybody")),
        policy("callers", on("Edge", "public"), authentication=proven_by(tokens_of(), mode="Optional")),
    )
    return gateway


def body_or_origin(gateway: Gateway, target: str, **claims: object) -> str | None:
    answer = gateway.get(target, headers=bearer("a", **claims) if claims else ())
    return answer.origin or answer.body


def test_a_flag_of_the_tenant_or_its_ancestor_opens_the_rule(shop: Gateway) -> None:
    shop.apply(route("cart", rule(prefix("/cart", flag="new-cart"), says="new cart")))
    assert body_or_origin(shop, "/cart/1?q=1", tenant="beta") == "new cart"
    assert body_or_origin(shop, "/cart", tenant="child") == "new cart"
    assert body_or_origin(shop, "/cart", tenant="plain") == "everybody"
    assert body_or_origin(shop, "/cart", sub="nobody") == "everybody"
    assert body_or_origin(shop, "/cart") == "everybody"
    assert body_or_origin(shop, "/cartoon", tenant="beta") == "everybody"


def test_a_flag_that_is_switched_takes_effect(shop: Gateway) -> None:
    shop.apply(route("cart", rule(prefix("/cart", flag="new-cart"), says="new cart")))
    shop.apply(resource("Tenant", "plain", {"flags": ["new-cart"]}))
    until(lambda: body_or_origin(shop, "/cart", tenant="plain"), lambda seen: seen == "new cart")
    shop.apply(resource("Tenant", "beta", {}))
    until(lambda: body_or_origin(shop, "/cart", tenant="beta"), lambda seen: seen == "everybody")


def test_a_role_of_the_caller_opens_the_rule(shop: Gateway) -> None:
    shop.apply(route("desk", rule(prefix("/desk", roles=["editor", "admin"]), says="desk")))
    assert body_or_origin(shop, "/desk", roles=["editor"]) == "desk"
    assert body_or_origin(shop, "/desk", roles=["x", "admin"]) == "desk"
    assert body_or_origin(shop, "/desk", roles=["reader"]) == "everybody"
    assert body_or_origin(shop, "/desk") == "everybody"


def test_a_limit_on_such_a_rule_says_when_to_come_again(shop: Gateway) -> None:
    shop.apply(
        route("desk", rule(prefix("/desk", roles=["editor"]), says="desk")),
        limit("few", on("Route", "desk"), requests=1),
    )
    asked = [shop.get("/desk", headers=bearer("a", roles=["editor"])) for _ in range(2)]
    assert [answer.status for answer in asked] == [200, 429]
    assert 3590 <= int(asked[1].header("retry-after") or 0) <= 3600
    assert shop.get("/desk").origin == "everybody"


def test_the_region_is_the_tenants_or_else_the_edges(shop: Gateway) -> None:
    shop.apply(
        route("near", rule(prefix("/near", region="eu"), says="eu"), rule(prefix("/near", region="us"), says="us"))
    )
    assert body_or_origin(shop, "/near", tenant="plain") == "us"
    assert body_or_origin(shop, "/near", tenant="beta") == "eu"
    assert body_or_origin(shop, "/near") == "eu"


def test_a_path_that_only_such_a_rule_has_is_404_for_others(deciding_gateway: Gateway) -> None:
    gateway = deciding_gateway
    gateway.apply(
        edge(gateway.port),
        issuers("a"),
        resource("Tenant", "beta", {"flags": ["new-cart"]}),
        route("cart", rule(prefix("/cart", flag="new-cart"), says="new cart")),
        policy("callers", on("Route", "cart"), authentication=proven_by(tokens_of())),
    )
    assert gateway.get("/cart", headers=bearer("a", tenant="beta")).body == "new cart"
    answer = gateway.get("/cart", headers=bearer("a"))
    assert (answer.status, answer.reason) == (404, "routing/no-route")
    assert gateway.get("/cart").status == 401
    assert gateway.get("/other").status == 404


@pytest.mark.parametrize("name", ["x-ff-select", "x-ff-table", "x-ff-tenant", "x-ff-plan"])
def test_no_header_opens_such_a_rule(shop: Gateway, name: str) -> None:
    shop.apply(route("cart", rule(prefix("/cart", flag="new-cart"), says="new cart")))
    for value in ("beta", f"{shop.namespace}/cart#rule-0.0", "new-cart"):
        assert shop.get("/cart", headers={name: value}).origin == "everybody"


def test_rules_for_a_tenant_may_have_such_conditions_too(shop: Gateway) -> None:
    match = prefix("/desk", tenants=["plain"], roles=["admin"])
    shop.apply(route("desk", rule(match, says="plain's desk")))
    assert body_or_origin(shop, "/desk", tenant="plain", roles=["admin"]) == "plain's desk"
    assert body_or_origin(shop, "/desk", tenant="plain", roles=["reader"]) == "everybody"
    assert body_or_origin(shop, "/desk", tenant="beta", roles=["admin"]) == "everybody"


def test_methods_and_headers_of_the_same_match_hold_as_well(shop: Gateway) -> None:
    match = prefix("/desk", roles=["admin"], methods=["POST"], headers=[{"name": "x-a", "value": "1"}])
    shop.apply(route("desk", rule(match, says="desk")))
    admin = bearer("a", roles=["admin"])
    assert shop.request("POST", "/desk", headers={**admin, "x-a": "1"}).body == "desk"
    assert shop.request("GET", "/desk", headers={**admin, "x-a": "1"}).origin == "everybody"
    assert shop.request("POST", "/desk", headers=admin).origin == "everybody"


def test_the_request_arrives_whole_after_it_was_led_elsewhere(shop: Gateway) -> None:
    origin: Origin = shop.upstream("cart")
    shop.apply(route("cart", rule(prefix("/cart", flag="new-cart"), to="cart", rewrite={"replacePrefix": "/v2"})))
    shop.request("POST", "/cart/1?q=1", headers=bearer("a", tenant="beta"), body="all of it")
    assert (origin.last.method, origin.last.target, origin.last.body) == ("POST", "/v2/1?q=1", b"all of it")
    assert origin.last.header("x-ff-tenant") == "beta"
    assert {name for name in origin.last.names if name.startswith("x-ff-")} == {"x-ff-tenant", "x-ff-subject"}
