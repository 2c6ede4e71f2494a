"""Scopes and tables to their wire form. Called by emitter."""

from __future__ import annotations

from collections.abc import Iterable

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir


def emit_scope(scope: ir.Scope, edge: ir.Edge) -> snapshot_pb2.Scope:
    """Returns the wire form of one host of `edge`."""
    # What a host is looked up by: of a Gateway, each port has hosts of its own.
    place = scope.name.partition("|")[0]
    listeners = [each for each in edge.listeners if (each.scope or edge.name) == place]
    return snapshot_pb2.Scope(
        edge=place,
        host=scope.host,
        region=scope.region,
        api_version_header=edge.api_version_header,
        api_version_default=edge.api_version_default,
        host_tenant=scope.host_tenant,
        tenant_header=edge.tenant_header,
        trusted=edge.trusted_addresses,
        trusted_hops=edge.trusted_hop_count,
        listeners=sorted({name for each in listeners for name in each.called}),
        entrances=[
            snapshot_pb2.Entrance(listener=name, scheme="https" if each.all_certificates else "http", port=each.port)
            for each in listeners
            if not each.scope
            for name in each.called
        ],
    )


def emit_table(table: ir.Table, plans: Iterable[str]) -> snapshot_pb2.Table:
    """Returns the wire form of `table`, whose entries' plans are named `plans`, in order."""
    return snapshot_pb2.Table(scope=table.scope, tenant=table.tenant, plans=plans)
