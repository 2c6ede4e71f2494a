"""The Shards of a namespace to their wire form: one resource, as a key is hashed over all. Called by emitter."""

from __future__ import annotations

from collections.abc import Iterable

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

STATES = {
    "Active": snapshot_pb2.SHARD_STATE_ACTIVE,
    "Canary": snapshot_pb2.SHARD_STATE_CANARY,
    "Draining": snapshot_pb2.SHARD_STATE_DRAINING,
}


def emit_shards(shards: Iterable[ir.Shard]) -> snapshot_pb2.ShardSet:
    """Returns the wire form of the shards, by name."""
    return snapshot_pb2.ShardSet(
        shards=[
            snapshot_pb2.Shard(
                name=shard.name,
                region=shard.region,
                state=STATES[shard.state],
                weight=shard.weight,
                upstreams=dict(shard.upstreams),
            )
            for shard in sorted(shards, key=lambda shard: shard.name)
        ]
    )
