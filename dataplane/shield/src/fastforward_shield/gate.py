"""The bulkhead: how many calls may be on their way at once, who waits, and a limit that follows the callee.

Held by hop. Places are given in the order in which they were asked for. Times are the event loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from math import sqrt

from .policy import Adaptive, Bulkhead

_PROBE_EVERY = 1000
"""Answers between two looks at how quick the callee is when nothing queues up."""
_BACK_OFF = 0.9
"""By which a call that ran out of time shrinks the limit."""


class Gradient:
    """A limit that follows the callee: `observe` each answer's time, read `limit`.

    It compares each answer with the quickest there was. That one grows old, and under lasting load every answer has
    waited: so at times the limit is halved for a moment, until the queue at the callee is gone.
    """

    __slots__ = ("_best_s", "_halved", "_limit", "_policy", "_seen")

    def __init__(self, policy: Adaptive, first: int) -> None:
        self._policy = policy
        self._limit = float(first)
        self._best_s = float("inf")
        self._seen = 0
        self._halved = 0
        """Answers that are still to come while it is halved."""

    @property
    def limit(self) -> int:
        """Calls that may be on their way now."""
        return max(self._policy.least, int(self._limit / 2 if self._halved else self._limit))

    def observe(self, took_s: float, in_flight: int) -> None:
        """An answer came after so long, while so many calls were on their way."""
        self._best_s = min(self._best_s, took_s)
        self._seen += 1
        if self._halved:
            self._halved -= 1
            return
        if self._seen >= _PROBE_EVERY:
            # The first half of these answers has still waited behind the others.
            self._seen, self._halved, self._best_s = 0, 2 * int(self._limit), took_s
        if in_flight < self._limit / 2:
            return  # The limit is not what holds anybody back, so nothing is learned about it.
        gradient = self._policy.tolerance * self._best_s / took_s if took_s > 0 else 1.0
        wanted = self._limit * max(0.5, min(1.0, gradient)) + sqrt(self._limit)
        self._set(self._limit + (wanted - self._limit) * self._policy.smoothing)

    def back_off(self) -> None:
        """A call failed in a way that says too much was asked."""
        self._set(self._limit * _BACK_OFF)

    def _set(self, limit: float) -> None:
        self._limit = max(float(self._policy.least), min(float(self._policy.most), limit))


class Gate:
    """Places for calls, and a queue before them."""

    __slots__ = ("_gradient", "_policy", "_queue", "in_flight")

    def __init__(self, policy: Bulkhead) -> None:
        self._policy = policy
        self._gradient = None if policy.adaptive is None else Gradient(policy.adaptive, policy.concurrent)
        self._queue: deque[asyncio.Future[None]] = deque()
        self.in_flight = 0

    @property
    def limit(self) -> int:
        """Calls that may be on their way now."""
        return self._policy.concurrent if self._gradient is None else self._gradient.limit

    @property
    def waiting(self) -> int:
        """Calls in the queue."""
        return len(self._queue)

    def enter(self) -> bool:
        """Takes a place if one is free and nobody waits for it."""
        if self._queue or self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        return True

    async def wait(self, until: float) -> bool:
        """Waits for a place, until then at the latest; False when the queue is full or the time is up."""
        if len(self._queue) >= self._policy.queue:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout_at(min(until, loop.time() + self._policy.queue_s)):
                await turn
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self, took_s: float | None) -> None:
        """Gives the place back; `took_s` of an answer, None of a call that tells nothing about the callee's speed."""
        if self._gradient is not None and took_s is not None:
            self._gradient.observe(took_s, self.in_flight)
        self.in_flight -= 1
        self._admit()

    def back_off(self) -> None:
        """Too much was asked of the callee."""
        if self._gradient is not None:
            self._gradient.back_off()

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            # The place was given in the same moment: somebody else gets it.
            self.in_flight -= 1
            self._admit()
            return
        turn.cancel()
        with contextlib.suppress(ValueError):
            self._queue.remove(turn)

    def _admit(self) -> None:
        while self._queue and self.in_flight < self.limit:
            turn = self._queue.popleft()
            if not turn.done():  # or its caller has gone away, and does not know it yet
                turn.set_result(None)
                self.in_flight += 1
