"""`ff explain request` lists the zones of an Upstream that counts them, and says what depends on the proxy's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fastforward_operator.cli.zone import zone_lines

from support.ff import ff
from support.gatewayapi import gateway, gateway_class, http_route, listener
from support.gatewayapi import rule as gateway_rule
from support.resources import Document, Json, edge, endpoint_slice, resource, route, rule, service

ENDPOINTS: list[Json] = [
    {"address": "10.0.0.1", "port": 80, "zone": "a"},
    {"address": "10.0.0.2", "port": 80, "zone": "a"},
    {"address": "10.0.0.3", "port": 80, "zone": "b"},
    {"address": "10.0.0.4", "port": 80},
]


def write(folder: Path, *documents: Document) -> tuple[str, ...]:
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return ("explain", "request", "GET", "http://example.com/", "--from", str(folder))


def near(**zones: int) -> Document:
    return resource("Upstream", "books", {"endpoints": ENDPOINTS, "loadBalancing": {"zoneAware": zones}})


def test_zones_are_listed_with_what_they_mean(tmp_path: Path) -> None:
    asked = write(tmp_path, edge(80), near(minimumEndpoints=2), route("books", rule(to="books")))
    assert (
        """\
  upstream  default/books 100%
            no zone: 10.0.0.4:80
            zone a: 10.0.0.1:80, 10.0.0.2:80, which proxies of this zone ask alone
            zone b: 10.0.0.3:80, too few for proxies of this zone: 2 would do
            a proxy of another zone, or of none, asks all of them, as does one whose own zone has fewer than 2 healthy \
endpoints
"""
        in ff(*asked).out
    )
    (told,) = ff(*asked, "-o", "json").json["upstreams"]
    assert told["zones"]["minimum"] == 2
    assert [each["keeps"] for each in told["zones"]["zones"]] == [False, True, False]


def test_one_endpoint_is_enough_unless_more_are_asked_for(tmp_path: Path) -> None:
    out = ff(*write(tmp_path, edge(80), near(), route("books", rule(to="books")))).out
    assert "zone b: 10.0.0.3:80, which proxies of this zone ask alone\n" in out
    assert "as does one whose own zone has no healthy endpoint\n" in out


def test_where_zones_do_not_count_none_is_told(tmp_path: Path) -> None:
    plain = resource("Upstream", "books", {"endpoints": ENDPOINTS})
    asked = write(tmp_path, edge(80), plain, route("books", rule(to="books")))
    assert "zone" not in ff(*asked).out
    assert ff(*asked, "-o", "json").json["upstreams"] == [{"upstream": "default/books", "share": 1.0, "zones": None}]


@pytest.mark.parametrize("distribution", ["PreferClose", "PreferSameZone"])
def test_a_service_that_prefers_its_own_zone_is_told_alike(tmp_path: Path, distribution: str) -> None:
    ports = ({"name": "http", "port": 8080},)
    asked = write(
        tmp_path,
        gateway_class(),
        gateway(listener(80)),
        service("books", {"name": "http", "port": 80}, trafficDistribution=distribution),
        endpoint_slice("books", {"addresses": ["10.0.0.1"], "zone": "a"}, ports=ports),
        http_route("books", gateway_rule(to="books")),
    )
    assert "zone a: 10.0.0.1:8080, which proxies of this zone ask alone\n" in ff(*asked).out


def test_an_upstream_without_endpoints_says_so() -> None:
    assert list(zone_lines({"minimum": 1, "zones": []})) == ["no zone has an endpoint"]


def test_of_many_endpoints_some_are_told() -> None:
    endpoints = [f"10.0.0.{number}:80" for number in range(10)]
    told = {"minimum": 1, "zones": [{"zone": "a", "endpoints": endpoints, "keeps": True}]}
    assert ", 10.0.0.7:80 and 2 more, which proxies of this zone ask alone" in next(zone_lines(told))
