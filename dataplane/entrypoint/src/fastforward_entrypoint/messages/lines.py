"""Channels to Upstreams that speak gRPC, each behind a Hop of its own, for as long as they are there.

In: the name of an Upstream, and how calls there go. Out: a stub and its Hop. Called by targets and stages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import grpc.aio
from fastforward_shield import Hop, Meaning, Policy

Stub = TypeVar("Stub")

_OPTIONS = (
    # Each endpoint gets its share; the others go on when one is gone.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_LOOK_S = 1.0
_CLOSING_S = 15.0


@dataclass(slots=True)
class Line(Generic[Stub]):
    """The way to one Upstream, as long as its endpoints stay."""

    target: str
    channel: grpc.aio.Channel
    stub: Stub
    hop: Hop


class Lines(Generic[Stub]):
    """A line for each Upstream, made when it is first asked for. Used in one event loop."""

    def __init__(
        self,
        find: Callable[[str], str],
        make: Callable[[grpc.aio.Channel], Stub],
        judge: Callable[[Exception], Meaning],
        mark: str = "",
    ) -> None:
        """`find` tells the gRPC target of NAMESPACE/NAME, empty where there is none; `mark` begins the hops' names."""
        self._find = find
        self._make = make
        self._judge = judge
        self._mark = mark
        self._lines: dict[str, Line[Stub]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        return (line.hop for line in list(self._lines.values()))

    def to(self, upstream: str, policy: Policy) -> Line[Stub]:
        """Returns the line to an Upstream; its hop is new when the policy is. Raises KeyError without a target."""
        target, line = self._find(upstream), self._lines.get(upstream)
        if not target:
            raise KeyError(upstream)
        if line is None or line.target != target:
            channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
            hop = self._new_hop(upstream, policy) if line is None else line.hop
            if line is not None:
                self._retire(line)
            line = Line(target, channel, self._make(channel), hop)
            self._lines[upstream] = line
        if line.hop.policy is not policy and line.hop.policy != policy:
            line.hop = self._new_hop(upstream, policy)
        return line

    def _new_hop(self, upstream: str, policy: Policy) -> Hop:
        return Hop(self._mark + upstream, policy, self._judge)

    async def follow(self) -> None:
        """Until cancelled: lets go of Upstreams that are gone, or gRPC would try to reach them for ever."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.let_go()

    def let_go(self) -> None:
        """Ends the connections to Upstreams that are gone or elsewhere."""
        for name, line in list(self._lines.items()):
            if self._find(name) != line.target:
                self._retire(self._lines.pop(name))

    def _retire(self, line: Line[Stub]) -> None:
        """What is on its way over an old line may still come to its end."""
        closing = asyncio.ensure_future(line.channel.close(_CLOSING_S))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Ends all connections."""
        for line in self._lines.values():
            await line.channel.close()
        for closing in self._closing:
            closing.cancel()
        self._lines.clear()


class Hops:
    """The hops of several kinds of lines, as they are each time one looks."""

    def __init__(self, *lines: Iterable[Hop]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Hop]:
        return chain.from_iterable(self._lines)
