"""The Shards of a namespace, and which of them a key belongs to.

Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by Schindelhauer and Schomaker 2005): each shard
draws a number from its name and the key, and the greatest wins. A shard that comes takes keys from all others in
proportion, one that goes gives up only its own, and nothing else moves. Where shards of the request's region take keys,
only those are asked. Made by `snapshot`; asked by stages/routing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2

_RANGE = 2.0**64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shard:
    """One shard. `upstreams` maps purposes to Upstreams."""

    name: str
    region: str
    hashed: float
    """Its weight among those that take hashed keys; 0 for one that takes none."""
    upstreams: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardSet:
    """All shards of a namespace, by name."""

    shards: Mapping[str, Shard]

    def of(self, key: str, region: str = "") -> Shard | None:
        """Returns the shard that `key` hashes to, one of `region` if there is any; None when none takes keys."""
        text = key.encode("utf-8", "surrogatepass")
        candidates = [shard for shard in self.shards.values() if shard.hashed > 0.0]
        near = [shard for shard in candidates if region and shard.region == region]
        return max(near or candidates, key=lambda shard: (_draw(shard, text), shard.name), default=None)


def _draw(shard: Shard, key: bytes) -> float:
    digest = hashlib.blake2b(key, key=hashlib.blake2b(shard.name.encode(), digest_size=16).digest(), digest_size=8)
    # Between 0 and 1, both excluded, so that the logarithm is finite and below 0.
    uniform = (int.from_bytes(digest.digest(), "big") + 0.5) / (_RANGE + 1.0)
    return shard.hashed / -math.log(uniform)


def compile_shards(wire: snapshot_pb2.ShardSet) -> ShardSet:
    """Returns the compiled shards."""
    return ShardSet(shards={shard.name: _compile_shard(shard) for shard in wire.shards})


def _compile_shard(wire: snapshot_pb2.Shard) -> Shard:
    active = wire.state == snapshot_pb2.SHARD_STATE_ACTIVE
    hashed = float(wire.weight) if active else 0.0
    return Shard(name=wire.name, region=wire.region, hashed=hashed, upstreams=dict(wire.upstreams))
