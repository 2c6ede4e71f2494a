"""Shard: one of several like places where tenants live.

In: a Shard document. Out: `Shard`. Called by parse and by the compiler's translate/shard.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .formats import Label
from .lists import Items
from .meta import Model, Ref, Resource


class ShardUpstream(Ref):
    """The Upstream that serves one purpose in this shard."""

    purpose: Label
    """Purpose, as routes name it in `shards.upstream`."""


class ShardSpec(Model):
    """What a Shard says."""

    region: Label | None = None
    """Region; keys of its requests are hashed among its shards alone, as long as one of them is active."""
    state: Literal["Active", "Canary", "Draining"] = "Active"
    """Active takes hashed tenants; Canary and Draining serve only tenants whose home they are."""
    weight: Annotated[int, Field(ge=0, le=100)] = 1
    """Share of hashed keys."""
    upstreams: Annotated[tuple[ShardUpstream, ...], Items(least=1, most=32, key="purpose")]
    """Upstreams, one a purpose."""


class Shard(Resource):
    """One of several like places where tenants live."""

    kind: Literal["Shard"] = "Shard"
    spec: ShardSpec
