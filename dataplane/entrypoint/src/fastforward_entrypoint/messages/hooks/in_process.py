"""Keeps events in this process: delivered as long as it lives.

In: events, and how deliveries went. Out: what is due. A clock that the wall clock's jumps don't reach counts. Dead
letters are kept nowhere: that they were there is counted and logged.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from .port import Dead, Delivered, Delivery, Later, Letter, Outcome, Wish


@dataclass(slots=True)
class _Box:
    """The events for one hook, and when each is due; entries of the heap that say something else are old."""

    kept: dict[str, tuple[float, Delivery]] = field(default_factory=dict)
    due: list[tuple[float, int, str]] = field(default_factory=list)


class InProcessOutbox:
    """At most `capacity` events, of `max_bytes` together; there is no room for more. A restart loses all."""

    def __init__(
        self,
        *,
        capacity: int = 10_000,
        max_bytes: int = 64 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._room = capacity
        self._bytes_left = max_bytes
        self._clock = clock
        self._boxes: dict[str, _Box] = {}
        self._numbers = itertools.count()

    async def keep(self, letter: Letter, hooks: Sequence[str]) -> Sequence[str]:
        """See the port."""
        return [hook for hook in hooks if not self._keep(letter, hook)]

    def _keep(self, letter: Letter, hook: str) -> bool:
        box = self._boxes.setdefault(hook, _Box())
        if letter.event in box.kept:
            return True
        if not self._room or self._bytes_left < len(letter.body):
            return False
        self._room -= 1
        self._bytes_left -= len(letter.body)
        self._put(box, self._clock(), Delivery(letter.event, hook, letter.body, 0))
        return True

    def _put(self, box: _Box, due: float, delivery: Delivery) -> None:
        box.kept[delivery.event] = due, delivery
        heapq.heappush(box.due, (due, next(self._numbers), delivery.event))

    async def claim(self, wishes: Iterable[Wish]) -> Sequence[Delivery]:
        """See the port."""
        return [delivery for wish in wishes for delivery in self._claim(wish)]

    def _claim(self, wish: Wish) -> list[Delivery]:
        box, now = self._boxes.get(wish.hook), self._clock()
        if box is None:
            return []
        taken: list[Delivery] = []
        while box.due and box.due[0][0] <= now and len(taken) < wish.most:
            due, _, event = heapq.heappop(box.due)
            kept = box.kept.get(event)
            if kept is not None and kept[0] == due:
                taken.append(kept[1])
        for each in taken:
            self._put(box, now + wish.lease_s, each)
        return taken

    async def settle(self, delivery: Delivery, outcome: Outcome) -> None:
        """See the port."""
        box = self._boxes.get(delivery.hook)
        if box is None or delivery.event not in box.kept:
            return
        match outcome:
            case Later(wait_s=wait_s, tries=tries):
                self._put(box, self._clock() + wait_s, replace(delivery, tries=tries))
            case Delivered() | Dead():
                self._drop(box, delivery.event)

    def _drop(self, box: _Box, event: str) -> None:
        _, delivery = box.kept.pop(event)
        self._room += 1
        self._bytes_left += len(delivery.body)

    def forget(self, hook: str) -> int:
        """See the port."""
        box = self._boxes.pop(hook, _Box())
        dropped = list(box.kept)
        for event in dropped:
            self._drop(box, event)
        return len(dropped)

    async def run(self) -> None:
        """There is nothing to do beside."""

    async def close(self) -> int:
        """See the port."""
        return sum(map(self.forget, list(self._boxes)))
