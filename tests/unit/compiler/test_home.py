"""Homes of tenants while their ancestors come and go."""

from __future__ import annotations

import pytest
from fastforward_compiler.problem import Reason

from support.resources import resource

from .conftest import Bench

HOLDING = resource("Tenant", "holding", {"shard": "eu-1"})
ACME = resource("Tenant", "acme", {"parent": "holding"})
BRANCH = resource("Tenant", "branch", {"parent": "acme"})
UNKNOWN = {"acme": "~", "branch": "~"}


def homes(bench: Bench) -> dict[str, str]:
    return {tenant.name: tenant.shard for tenant in bench.compiler.snapshot().tenants}


def test_who_inherits_a_home_is_not_homeless_when_the_ancestor_goes(bench: Bench) -> None:
    bench.apply(HOLDING, ACME, BRANCH)
    settled = homes(bench)
    assert settled == {"holding": "eu-1", "acme": "eu-1", "branch": "eu-1"}
    bench.delete("Tenant", "holding")
    assert homes(bench) == UNKNOWN
    assert bench.reasons("Tenant", "acme") == [Reason.TENANT_NOT_FOUND]
    assert "rules that lead to Shards answer them 503" in bench.report("Tenant", "acme").problems[0].message
    bench.apply(HOLDING)
    assert homes(bench) == settled


def test_a_home_is_not_known_before_the_ancestor_comes(bench: Bench) -> None:
    bench.apply(BRANCH, ACME)
    assert homes(bench) == UNKNOWN
    bench.apply(resource("Tenant", "holding", {}))
    assert homes(bench) == {"holding": "", "acme": "", "branch": ""}


@pytest.mark.parametrize("shard", ["eu-1", None])
def test_a_cycle_leaves_only_homes_of_ones_own(bench: Bench, shard: str | None) -> None:
    bench.apply(HOLDING, ACME, BRANCH, resource("Tenant", "settled", {"parent": "acme", "shard": "us-1"}))
    own = {} if shard is None else {"shard": shard}
    bench.apply(resource("Tenant", "holding", {"parent": "acme", **own}))
    home = shard or "~"
    assert homes(bench) == {"holding": home, "acme": "~", "branch": "~", "settled": "us-1"}
