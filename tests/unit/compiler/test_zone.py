"""What an Upstream says of zones."""

from __future__ import annotations

import fastforward_crds as crds
import pytest
from fastforward_compiler import ir
from fastforward_compiler.translate.world import ref_of
from fastforward_compiler.translate.zone import own_zone_minimum, zone_problems

from support.gatewayapi import gateway, gateway_class, http_route, listener
from support.gatewayapi import rule as gateway_rule
from support.resources import edge, endpoint_slice, prefix, route, rule, service, upstream

from .conftest import Bench

ROUTES = tuple(route(name, rule(prefix(f"/{name}"), to=name)) for name in ("near", "far"))
ON = ref_of("Upstream", "shop/books")
NAME = ir.Dns(host="far.example.com", port=80, refresh_ms=1)
AWARE = crds.LoadBalancing(zone_aware=crds.ZoneAware())


def test_one_endpoint_is_enough_unless_more_are_asked_for() -> None:
    assert own_zone_minimum(crds.LoadBalancing()) == 0
    assert own_zone_minimum(AWARE) == 1


def test_endpoints_behind_a_name_have_no_zones() -> None:
    assert zone_problems(ON, AWARE, None) == ()
    assert zone_problems(ON, crds.LoadBalancing(), NAME) == ()
    (found,) = zone_problems(ON, AWARE, NAME)
    assert "far.example.com" in found.message


def test_it_is_said_which_upstreams_keep_requests_in_the_zone(bench: Bench) -> None:
    bench.apply(edge(80), upstream("near", 1, loadBalancing={"zoneAware": {}}), upstream("far", 2), *ROUTES)
    said = {entry.route: entry.placements[-1].why for entry in bench.entries()}
    assert said["default/far"] == "The proxy sends the request to the upstream."
    assert "; of default/near the endpoints of its own zone, where enough are healthy" in said["default/near"]


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [("", 0), ("PreferClose", 1), ("PreferSameZone", 1), ("PreferSameNode", 1), ("Somehow", 0)],
)
def test_a_service_says_it_for_routes_of_gateway_api(bench: Bench, distribution: str, expected: int) -> None:
    bench.apply(
        gateway_class(),
        gateway(listener(80)),
        endpoint_slice("books", {"addresses": ["127.0.0.1"]}, ports=({"name": "http", "port": 1},)),
        service("books", {"name": "http", "port": 80}, trafficDistribution=distribution),
        http_route("books", gateway_rule(to="books")),
    )
    (made,) = bench.compiler.snapshot().upstreams
    assert made.own_zone_minimum == expected
    (table,) = bench.compiler.snapshot().tables
    assert [entry.destination.near for entry in table.entries if isinstance(entry.destination, ir.Split)] == [
        ("default/books:80",) if expected else ()
    ]
