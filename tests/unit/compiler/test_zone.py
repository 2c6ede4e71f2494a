"""What an Upstream says of zones."""

from __future__ import annotations

import fastforward_crds as crds
from fastforward_compiler import ir
from fastforward_compiler.translate.world import ref_of
from fastforward_compiler.translate.zone import own_zone_minimum, zone_problems

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
