"""Like places where tenants live. Made by translate/shard; read by emit/decision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One Shard. `state` is Active, Canary or Draining; `upstreams` pairs purposes with Upstream names."""

    namespace: str
    name: str
    region: str
    state: str
    weight: int
    upstreams: tuple[tuple[str, str], ...]
