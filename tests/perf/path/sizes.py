"""The snapshots of the decisions benchmark: hosts with a rule each, tenants, API keys, and what Envoy would ask.

In: how many. Out: resources of snapshot.proto, requests. Called by decisions. Every rule wants an API key, whose tenant
is known, and the role `reader`, and counts exactly, by tenant.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from fastforward.snapshot.v1 import snapshot_pb2
from perf.harness.load import Ask
from support import decision_world
from support.decision_world import Key, asking, make_key, resource

_PLENTY, _ONE = "shop/plenty", "shop/one"
_PATH = "/books"
_ASKS = 1000
"""Different requests, sent in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much a snapshot holds."""

    routes: int
    tenants: int
    keys: int

    def __str__(self) -> str:
        return f"{self.routes:,} routes, {self.tenants:,} tenants, {self.keys:,} API keys"


def size_of(routes: int) -> Size:
    """A tenant for ten routes, an API key for each."""
    return Size(routes=routes, tenants=max(1, routes // 10), keys=routes)


class SizedWorld:
    """One snapshot."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._keys = [make_key(f"t{number % size.tenants}") for number in range(size.keys)]
        self._powerless = make_key("t0", roles=("stranger",))

    def resources(self) -> list[snapshot_pb2.Resource]:
        """All of it."""
        return [
            decision_world.apikeys(*self._keys, self._powerless),
            decision_world.auth(),
            decision_world.limit(_PLENTY, burst=1_000_000_000, requests=1_000_000_000),
            decision_world.limit(_ONE, burst=1),
            *(decision_world.tenant(f"t{number}") for number in range(self._size.tenants)),
            *(each for number in range(self._size.routes) for each in _host(number, _PLENTY)),
            *_host(-1, _ONE),
        ]

    def asks(self) -> list[Ask]:
        """Requests that are let pass, each for some route by some key."""
        chance = random.Random(0)
        return [
            _ask(chance.randrange(self._size.routes), self._keys[chance.randrange(len(self._keys))])
            for _ in range(_ASKS)
        ]

    def verdicts(self) -> list[tuple[int, Ask]]:
        """What must be answered, in this order, by a service that decides everything that is measured."""
        key = self._keys[0]
        return [
            (200, _ask(0, key)),
            (401, _ask(0, None)),
            (401, _ask(0, make_key("t0"))),
            (403, _ask(0, self._powerless)),
            (200, _ask(-1, key)),
            (429, _ask(-1, key)),
        ]


def _host(number: int, limit: str) -> tuple[snapshot_pb2.Resource, ...]:
    scope, plan = _scope(number), f"plan-{number}"
    body = snapshot_pb2.Plan(
        route=f"shop/r{number}",
        rule="all",
        scope=scope,
        match=snapshot_pb2.Match(path_type=snapshot_pb2.PATH_MATCH_TYPE_PREFIX, path=_PATH),
        auth=decision_world.AUTH,
        limits=[limit],
        upstreams=snapshot_pb2.Split(upstreams=[snapshot_pb2.WeightedUpstream(upstream="shop/backend", weight=1)]),
    )
    return (
        resource(f"scope/{scope}", snapshot_pb2.Scope(edge="shop/public", host=_name(number))),
        resource(f"plan/{plan}", body),
        resource(f"table/{scope}#", snapshot_pb2.Table(scope=scope, plans=[plan])),
    )


def _ask(number: int, key: Key | None) -> Ask:
    headers: Mapping[str, str] = {**asking(key), "x-ff-plan": f"plan-{number}", "x-ff-scope": _scope(number)}
    return Ask(host=_name(number), path=f"{_PATH}/x", headers=headers)


def _name(number: int) -> str:
    return f"h{number}.example"


def _scope(number: int) -> str:
    return f"shop/public|{_name(number)}"
