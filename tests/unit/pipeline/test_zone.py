"""Zones: the Trail tells where endpoints are, and judges the same without it."""

from __future__ import annotations

from fastforward_pipeline import Trail
from fastforward_pipeline.compiled.zone import compile_zones

from support.decision_snapshots import ask, decided, host, pb, plan, snapshot, split


def zone(name: str, *addresses: str) -> pb.Zone:
    return pb.Zone(name=name, endpoints=[pb.Endpoint(address=address, port=80) for address in addresses])


WIRE = pb.Zones(
    minimum=2, zones=[zone("", "10.0.0.9", "10.0.0.8"), zone("a", "10.0.0.1", "::1"), zone("b", "10.0.0.3")]
)
WORLD = snapshot(
    host(plan("books", upstreams=split(("shop/near", 3), ("shop/far", 1)))),
    [pb.Resource(name="zones/shop/near", zones=WIRE)],
)


def test_a_zone_keeps_requests_if_it_has_a_name_and_enough_endpoints() -> None:
    assert [each.keeps for each in compile_zones(WIRE).zones] == [False, True, False]


def test_the_trail_tells_zones_of_upstreams_for_which_they_count() -> None:
    trail = Trail()
    told = trail.to_dict(decided(WORLD, ask(), trail=trail))
    assert told["upstreams"] == [
        {
            "upstream": "shop/near",
            "share": 0.75,
            "zones": {
                "minimum": 2,
                "zones": [
                    {"zone": "", "endpoints": ["10.0.0.9:80", "10.0.0.8:80"], "keeps": False},
                    {"zone": "a", "endpoints": ["10.0.0.1:80", "[::1]:80"], "keeps": True},
                    {"zone": "b", "endpoints": ["10.0.0.3:80"], "keeps": False},
                ],
            },
        },
        {"upstream": "shop/far", "share": 0.25, "zones": None},
    ]


def test_zones_decide_nothing_here() -> None:
    with_them, without = decided(WORLD, ask()), decided(WORLD.apply([], ["zones/shop/near"]), ask(), trail=Trail())
    assert (with_them.status, with_them.candidates) == (without.status, without.candidates)
