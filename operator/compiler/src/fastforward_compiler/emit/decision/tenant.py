"""Tenants to their wire form. Called by emitter."""

from __future__ import annotations

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_tenant(tenant: ir.Tenant) -> snapshot_pb2.Tenant:
    """Returns the wire form of a tenant."""
    return snapshot_pb2.Tenant(
        name=tenant.name,
        plan=tenant.plan,
        region=tenant.region,
        shard=tenant.shard,
        flags=tenant.flags,
    )
