"""Tenants as requests are judged by them. Made by `snapshot`; asked by tenant resolution."""

from __future__ import annotations

from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tenant:
    """A tenant with everything inherited filled in."""

    name: str
    plan: str
    region: str
    shard: str
    flags: frozenset[str]


def compile_tenant(wire: snapshot_pb2.Tenant) -> Tenant:
    """Returns the compiled tenant."""
    return Tenant(name=wire.name, plan=wire.plan, region=wire.region, shard=wire.shard, flags=frozenset(wire.flags))
