"""Asks EntryPoints what they have seen, over the streams that they opened for that.

In: streams of nodes, inquiries of people. Out: what each node says; nothing of one that does not answer in time. Held
by server, in whose thread it runs. So nobody has to reach an EntryPoint, and who asks needs no other right than to ask
the operator.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from fastforward.inspection.v1 import inspection_pb2

PATIENCE_S = 2.0
_MOST_NAME = 200


class Told(NamedTuple):
    """What a node said; None when it said nothing in time."""

    node: str
    answer: inspection_pb2.Answer | None


@dataclass(slots=True, eq=False)
class _Node:
    """One stream."""

    name: str
    write: Callable[[bytes], Awaitable[None]]
    waiting: dict[int, asyncio.Future[inspection_pb2.Answer]] = field(default_factory=dict)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ask(self, inquiry: inspection_pb2.Inquiry) -> Told:
        """One question, and its answer."""
        answered: asyncio.Future[inspection_pb2.Answer] = asyncio.get_running_loop().create_future()
        self.waiting[inquiry.number] = answered
        try:
            async with asyncio.timeout(PATIENCE_S):
                async with self.writing:
                    await self.write(inquiry.SerializeToString())
                return Told(self.name, await answered)
        except (TimeoutError, OSError, asyncio.InvalidStateError):
            return Told(self.name, None)
        finally:
            self.waiting.pop(inquiry.number, None)

    def take(self, answer: inspection_pb2.Answer) -> None:
        """What nobody waits for any more is left."""
        waits = self.waiting.get(answer.number)
        if waits is not None and not waits.done():
            waits.set_result(answer)

    def leave(self) -> None:
        """The stream has ended: whoever waits need not wait on."""
        for waits in self.waiting.values():
            if not waits.done():
                waits.set_exception(ConnectionError(f"{self.name} is gone"))


class Inspections:
    """All streams. Used in one event loop."""

    def __init__(self) -> None:
        self._nodes: dict[_Node, None] = {}
        self._numbers = itertools.count(1)

    async def converse(
        self, answers: AsyncIterator[inspection_pb2.Answer], write: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Until the stream ends."""
        node: _Node | None = None
        try:
            async for answer in answers:
                if node is None:
                    node = _Node(answer.node[:_MOST_NAME], write)
                    self._nodes[node] = None
                else:
                    node.take(answer)
        finally:
            if node is not None:
                del self._nodes[node]
                node.leave()

    async def ask(self, inquiry: inspection_pb2.Inquiry) -> list[Told]:
        """Asks all at once; returns what each says, by name."""
        inquiry.number = next(self._numbers)
        told = await asyncio.gather(*(node.ask(inquiry) for node in self._nodes))
        return sorted(told, key=lambda each: each.node)
