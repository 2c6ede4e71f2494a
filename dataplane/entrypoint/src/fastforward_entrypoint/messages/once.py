"""What has been handled once is told again: the port, and the store of one process.

Called by exchange, for messages that bring an idempotency key.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastforward_pipeline.message import Begin, Beginning, Finish


class OnceStore(Protocol):
    """Remembers keys until they are over. What it can't remember, it says: a message then goes no further."""

    async def begin(self, asked: Begin) -> Beginning:
        """Whether the key is new, else what is known of it. Of two at once, one is first."""
        ...

    async def finish(self, asked: Finish) -> None:
        """Keeps the result of a key, or without one forgets the key: the same message may come again."""
        ...


@dataclass(slots=True)
class _Kept:
    ends: float
    print: str
    result: bytes | None = None


class InProcessOnceStore:
    """At most `capacity` keys; the longest known go first. A restart forgets all."""

    def __init__(self, *, capacity: int = 100_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def begin(self, asked: Begin) -> Beginning:
        """See the port."""
        now = self._clock()
        known = self._kept.get(asked.key)
        if known is not None and known.ends > now:
            return Beginning(first=False, print=known.print, result=known.result)
        self._kept[asked.key] = _Kept(now + asked.keep_s, asked.print)
        self._kept.move_to_end(asked.key)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
        return Beginning(first=True)

    async def finish(self, asked: Finish) -> None:
        """See the port."""
        if asked.result is None:
            self._kept.pop(asked.key, None)
        elif (known := self._kept.get(asked.key)) is not None:
            known.result, known.ends = asked.result, self._clock() + asked.keep_s
