"""Remembers in this process: enough as long as it is the only one.

In: claims and results. Out: what is known, at once. A clock that the wall clock's jumps don't reach counts.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from fastforward_pipeline.effects import Unavailable
from fastforward_pipeline.message import Begin, Beginning, Claim, Finish


@dataclass(slots=True)
class _Kept:
    ends: float
    claim: Claim
    result: bytes | None = None


class InProcessOnceStore:
    """At most `capacity` keys, and results of `max_bytes` together; the longest known results go first, what is being
    handled never. A restart forgets all.
    """

    def __init__(
        self,
        *,
        capacity: int = 100_000,
        max_bytes: int = 256 << 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._bytes_left = max_bytes
        self._clock = clock
        self._begun: dict[str, _Kept] = {}
        self._done: OrderedDict[str, _Kept] = OrderedDict()

    async def begin(self, asked: Begin) -> Beginning | Unavailable:
        """See the port."""
        claim = asked.claim
        known = self._known(claim.key)
        if known is not None and known.claim.token != claim.token:
            return Beginning(first=False, print=known.claim.print, result=known.result)
        self._forget(claim.key)
        if not self._make_room():
            return Unavailable()
        self._begun[claim.key] = _Kept(self._clock() + asked.lease_s, claim)
        return Beginning(first=True)

    async def finish(self, asked: Finish) -> bool | Unavailable:
        """See the port."""
        claim = asked.claim
        known = self._known(claim.key)
        if known is not None and known.claim.token != claim.token:
            return False
        self._forget(claim.key)
        if asked.result is not None:
            self._done[claim.key] = _Kept(self._clock() + asked.keep_s, claim, asked.result)
            self._bytes_left -= len(asked.result)
            while self._bytes_left < 0:
                self._forget(next(iter(self._done)))
        return True

    async def run(self) -> None:
        """There is nothing to do beside."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _known(self, key: str) -> _Kept | None:
        known = self._begun.get(key) or self._done.get(key)
        return known if known is not None and known.ends > self._clock() else None

    def _forget(self, key: str) -> None:
        self._begun.pop(key, None)
        done = self._done.pop(key, None)
        if done is not None:
            self._bytes_left += len(done.result or b"")

    def _make_room(self) -> bool:
        """Whether there is room for one more key."""
        if len(self._begun) + len(self._done) < self._capacity:
            return True
        if self._done:
            self._forget(next(iter(self._done)))
            return True
        now = self._clock()
        for key in [key for key, kept in self._begun.items() if kept.ends <= now]:
            del self._begun[key]
        return len(self._begun) < self._capacity
