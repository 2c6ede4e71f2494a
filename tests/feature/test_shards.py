"""Dispatch to the Shard that a request belongs to: its tenant's home, or else where its key hashes to."""

from collections import Counter

import pytest

from support.gateway import Gateway, until
from support.resources import (
    Document,
    Json,
    issuers,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    tokens_of,
)
from support.tokens import bearer


def shard(name: str, **spec: Json) -> Document:
    return resource("Shard", name, {"upstreams": [{"purpose": "orders", "name": f"orders-{name}"}], **spec})


@pytest.fixture
def orders(deciding_gateway: Gateway) -> Gateway:
    """Three shards, an Upstream each; tokens are optional."""
    gateway = deciding_gateway
    for name in ("eu", "us", "ap"):
        gateway.upstream(f"orders-{name}")
    gateway.apply(
        issuers("a"),
        *(shard(name) for name in ("eu", "us", "ap")),
        resource("Tenant", "acme", {"shard": "us"}),
        resource("Tenant", "child", {"parent": "acme"}),
        resource("Tenant", "homeless", {}),
        route("orders", by("Header", header="x-user")),
        policy("callers", on("Route", "orders"), authentication=proven_by(tokens_of(), mode="Optional")),
    )
    return gateway


def by(key: str, **more: str) -> Document:
    return rule(prefix("/"), shards={"upstream": "orders", "key": key, **more})


def places(gateway: Gateway, users: int = 60) -> dict[int, str | None]:
    with gateway.connect() as connection:
        return {
            user: connection.request("GET", "/", host="example.com", headers={"x-user": str(user)}).origin
            for user in range(users)
        }


def test_a_tenant_with_a_home_goes_there_whatever_the_key(orders: Gateway) -> None:
    for tenant in ("acme", "child"):
        for user in range(5):
            headers = {**bearer("a", tenant=tenant), "x-user": str(user)}
            assert orders.get(headers=headers).origin == "orders-us"


def test_a_key_always_leads_to_the_same_shard_and_keys_spread(orders: Gateway) -> None:
    first = places(orders)
    assert places(orders) == first
    assert all(count > 5 for count in Counter(first.values()).values())
    assert set(first.values()) == {"orders-eu", "orders-us", "orders-ap"}


def test_a_shard_that_drains_gives_up_only_its_own_keys(orders: Gateway) -> None:
    before = places(orders)
    orders.apply(shard("ap", state="Draining"))
    after = until(lambda: places(orders), lambda seen: "orders-ap" not in seen.values())
    assert {user: name for user, name in after.items() if before[user] != "orders-ap"} == {
        user: name for user, name in before.items() if name != "orders-ap"
    }


def test_draining_and_canary_shards_still_serve_those_whose_home_they_are(orders: Gateway) -> None:
    for state in ("Draining", "Canary"):
        orders.apply(shard("us", state=state))
        until(lambda: "orders-us" not in places(orders, 30).values())
        assert orders.get(headers=bearer("a", tenant="acme")).origin == "orders-us"


def test_weights_say_how_many_keys_a_shard_gets(orders: Gateway) -> None:
    orders.apply(shard("eu", weight=8), shard("us", weight=1), shard("ap", weight=1))
    found = until(lambda: Counter(places(orders, 100).values()), lambda seen: seen["orders-eu"] > 60)
    assert found["orders-us"] + found["orders-ap"] > 5


def test_keys_stay_in_the_region_of_the_request_if_it_has_shards(orders: Gateway) -> None:
    orders.apply(
        shard("eu", region="north"),
        shard("us", region="south"),
        shard("ap"),
        resource("Tenant", "homeless", {"region": "south"}),
    )

    def origins(tenant: str) -> set[str | None]:
        named = {"tenant": tenant} if tenant else {}
        return {orders.get(headers={**bearer("a", **named), "x-user": str(user)}).origin for user in range(20)}

    until(lambda: origins("homeless"), lambda seen: seen == {"orders-us"})
    assert origins("") == {"orders-eu", "orders-us", "orders-ap"}
    orders.apply(shard("us", region="south", state="Draining"))
    until(lambda: origins("homeless"), lambda seen: seen == {"orders-eu", "orders-ap"})


def test_a_request_without_the_key_is_told_so(orders: Gateway) -> None:
    answer = orders.get()
    assert (answer.status, answer.reason) == (400, "routing/shard-key-missing")
    assert orders.log_line(answer)["refusal"] == "routing/shard-key-missing"


@pytest.mark.parametrize(("key", "claim"), [("Tenant", "tenant"), ("Subject", "sub")])
def test_the_key_may_be_the_tenant_or_the_subject(orders: Gateway, key: str, claim: str) -> None:
    for name in ("t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"):
        orders.apply(resource("Tenant", name, {}))
    orders.apply(route("orders", by(key)))
    found = {}
    for name in ("t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"):
        seen = {orders.get(headers=bearer("a", **{claim: name})).origin for _ in range(2)}
        assert len(seen) == 1
        found[name] = seen.pop()
    assert len(set(found.values())) > 1


def test_no_client_chooses_its_shard(orders: Gateway) -> None:
    headers = {**bearer("a", tenant="acme"), "x-ff-cluster": f"{orders.namespace}/orders-eu"}
    assert orders.get(headers=headers).origin == "orders-us"


def test_another_home_moves_the_tenant(orders: Gateway) -> None:
    orders.apply(resource("Tenant", "acme", {"shard": "ap"}))
    until(lambda: orders.get(headers=bearer("a", tenant="acme")).origin, lambda name: name == "orders-ap")


def test_who_inherits_a_home_waits_for_the_ancestor_and_goes_nowhere_else(orders: Gateway) -> None:
    def told() -> tuple[int, str | None]:
        answer = orders.get(headers={**bearer("a", tenant="child"), "x-user": "1"})
        return answer.status, answer.origin or answer.reason

    assert told() == (200, "orders-us")
    orders.delete("Tenant", "acme")
    until(told, lambda seen: seen == (503, "routing/shard-unavailable"))
    orders.apply(resource("Tenant", "acme", {"shard": "us"}))
    until(told, lambda seen: seen == (200, "orders-us"))


def test_a_purpose_that_no_shard_serves_is_told_and_answered_with_an_error(orders: Gateway) -> None:
    missing = rule(prefix("/missing"), shards={"upstream": "missing", "key": "Tenant"})
    orders.apply(route("more", missing), expect={("Route", "more"): "ShardNotFound"})
    until(lambda: orders.get("/missing", headers=bearer("a", tenant="homeless")).status, lambda status: status == 500)


def test_the_request_is_rewritten_on_its_way_to_the_shard(orders: Gateway) -> None:
    rewritten = {**by("Header", header="x-user"), "rewrite": {"replacePrefix": "/v2"}, "timeout": {"request": "5s"}}
    orders.apply(route("orders", rewritten))
    name = orders.get("/a?q=1", headers={"x-user": "1"}).origin
    assert name is not None
    assert orders.origins[name].last.target == "/v2/a?q=1"


def test_without_a_shard_that_takes_keys_the_answer_says_so(orders: Gateway) -> None:
    orders.apply(*(shard(name, state="Draining") for name in ("eu", "us", "ap")))
    refused = until(lambda: orders.get(headers={"x-user": "1"}), lambda answer: answer.status == 503)
    assert refused.header("content-type") == "application/problem+json"
    assert refused.json["reason"] == "shard-unavailable"
    assert refused.reason == orders.log_line(refused)["refusal"] == "routing/shard-unavailable"
