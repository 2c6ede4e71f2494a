"""Requests stay in the zone of the proxy where it has enough endpoints; else all zones serve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator

import pytest

from support import gatewayapi
from support.client import Response
from support.gateway import Gateway, Stack, running_stack, until
from support.resources import Document, Json, endpoint_slice, resource, route, rule, service, upstream

CHECK: Document = {"type": "TCP", "interval": "50ms", "unhealthyThreshold": 1}
OWN = {"near-1", "near-2"}
ALL = {*OWN, "far-1", "far-2", "far-3"}


@pytest.fixture(scope="module")
def stack() -> Generator[Stack]:
    with running_stack(zone="near") as running:
        running.hold_tables()
        yield running


def endpoints(gateway: Gateway, names: set[str]) -> list[Document]:
    """Origins with these names, each in the zone that its name begins with."""
    for name in names - gateway.origins.keys():
        gateway.origin(name)
    return [
        {"address": "127.0.0.1", "port": gateway.origins[name].port, "zone": name.partition("-")[0]}
        for name in sorted(names)
    ]


def apply(gateway: Gateway, names: set[str], enough: int = 1, policy: str = "RoundRobin", **spec: Json) -> None:
    zones = {"loadBalancing": {"policy": policy, "zoneAware": {"minimumEndpoints": enough}}}
    gateway.apply(
        resource("Upstream", "books", {"endpoints": endpoints(gateway, names), **zones, **spec}),
        route("books", rule(to="books")),
    )


def ask(gateway: Gateway, **headers: str) -> list[Response]:
    return [gateway.get(headers=headers) for _ in range(120)]


def origins(gateway: Gateway, **headers: str) -> Counter[str | None]:
    """Who answers: each of a few that are asked at random is among them, or as good as always."""
    answers = ask(gateway, **headers)
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.origin for answer in answers)


@pytest.mark.parametrize("policy", ["RoundRobin", "LeastRequest", "Random"])
def test_requests_stay_in_the_own_zone(gateway: Gateway, policy: str) -> None:
    apply(gateway, ALL, enough=2, policy=policy)
    assert set(origins(gateway)) == OWN


def test_of_two_endpoints_the_one_of_the_own_zone_gets_them_all(gateway: Gateway) -> None:
    apply(gateway, {"near-1", "far-1"})
    assert set(origins(gateway)) == {"near-1"}


def test_with_too_few_in_the_own_zone_all_are_asked_alike(gateway: Gateway) -> None:
    apply(gateway, ALL, enough=3)
    found = origins(gateway)
    assert set(found) == ALL
    # Twenty-four each; what goes to which zone is chance.
    assert sum(found[name] for name in OWN) < 80


def test_other_zones_serve_while_the_own_one_has_nobody(gateway: Gateway) -> None:
    others = ALL - OWN
    apply(gateway, others)
    assert set(origins(gateway)) == others
    apply(gateway, ALL)
    assert set(origins(gateway)) == OWN


def test_other_zones_serve_while_those_of_the_own_one_fail(gateway: Gateway) -> None:
    apply(gateway, ALL, healthCheck=CHECK)
    assert set(origins(gateway)) == OWN
    for name in OWN:
        gateway.origins[name].stop()
    # Within a second: that long Envoy gathers what else fails, and tells its workers once.
    until(lambda: {answer.origin for answer in ask(gateway)}, lambda found: found == ALL - OWN)


def test_endpoints_that_fail_are_too_few_as_well(gateway: Gateway) -> None:
    apply(gateway, ALL, enough=2, healthCheck=CHECK)
    assert set(origins(gateway)) == OWN
    gateway.origins["near-1"].stop()
    until(lambda: {answer.origin for answer in ask(gateway)}, lambda found: found == ALL - {"near-1"})


def test_endpoints_without_a_zone_are_none_of_the_own_zone(gateway: Gateway) -> None:
    made = endpoints(gateway, {"near-1", "far-1"})
    del made[0]["zone"]  # far-1, by name
    gateway.apply(
        resource("Upstream", "books", {"endpoints": made, "loadBalancing": {"zoneAware": {}}}),
        route("books", rule(to="books")),
    )
    assert set(origins(gateway)) == {"near-1"}


def test_a_service_that_prefers_its_own_zone_has_it_for_routes_of_gateway_api(gateway: Gateway) -> None:
    known = endpoints(gateway, ALL)
    slices = [
        endpoint_slice(
            "books",
            {"addresses": ["127.0.0.1"], "zone": each["zone"]},
            ports=({"name": "http", "port": each["port"]},),
            name=f"books-{place}",
        )
        for place, each in enumerate(known)
    ]
    plain = service("books", {"name": "http", "port": 80})
    near = service("books", {"name": "http", "port": 80}, trafficDistribution="PreferClose")
    gateway.apply(
        gatewayapi.gateway_class(),
        gatewayapi.gateway(gatewayapi.listener(gateway.port)),
        plain,
        *slices,
        gatewayapi.http_route("books", gatewayapi.rule(to="books")),
    )
    assert set(origins(gateway)) == ALL
    gateway.apply(near)
    until(lambda: set(origins(gateway)), lambda found: found == OWN)


def test_weights_count_within_the_zone(gateway: Gateway) -> None:
    made = endpoints(gateway, ALL)
    made[-1]["weight"] = 3  # near-2
    gateway.apply(
        resource("Upstream", "books", {"endpoints": made, "loadBalancing": {"zoneAware": {}}}),
        route("books", rule(to="books")),
    )
    with gateway.connect() as connection:
        found = Counter(connection.request("GET", "/", host="example.com").origin for _ in range(80))
    assert found == {"near-1": 20, "near-2": 60}


def test_a_session_begins_in_the_own_zone_and_goes_on_in_its_own(gateway: Gateway) -> None:
    apply(gateway, {"far-1"}, sessionAffinity={"header": "x-session"})
    far = gateway.get().header("x-session") or ""
    apply(gateway, ALL, sessionAffinity={"header": "x-session"})
    assert set(origins(gateway)) == OWN
    assert set(origins(gateway, **{"x-session": far})) == {"far-1"}


def test_pods_have_the_zones_that_their_slices_tell(gateway: Gateway) -> None:
    near, far = (gateway.origin(name) for name in ("near-1", "far-1"))
    slices = [
        endpoint_slice(
            "books", {"addresses": ["127.0.0.1"], "zone": zone}, ports=({"port": origin.port},), name=f"books-{zone}"
        )
        for zone, origin in (("near", near), ("far", far))
    ]
    gateway.apply(
        service("books", {"port": 80}),
        *slices,
        upstream("books", service={"name": "books", "port": 80}, loadBalancing={"zoneAware": {}}),
        route("books", rule(to="books")),
    )
    assert set(origins(gateway)) == {"near-1"}


def test_upstreams_that_do_not_ask_for_it_use_all_zones(gateway: Gateway) -> None:
    gateway.apply(
        resource("Upstream", "books", {"endpoints": endpoints(gateway, ALL)}), route("books", rule(to="books"))
    )
    assert set(origins(gateway)) == ALL
