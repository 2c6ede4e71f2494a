"""A callee that does what it is told, and says what happened to it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from fastforward_shield import Meaning, Try


class RefusedError(Exception):
    """The callee's own answer: no further try would change it."""


class BusyError(Exception):
    """It did nothing."""


class BrokenError(Exception):
    """It may have done half of it."""


def judge(error: Exception) -> Meaning:
    if isinstance(error, RefusedError):
        return Meaning.ANSWERED
    return Meaning.AGAIN if isinstance(error, BusyError) else Meaning.FAILED


@dataclass
class Callee:
    """Takes `takes_s`; ends as `ends` say in turn, then well."""

    takes_s: float = 0.0
    ends: deque[type[Exception] | None] = field(default_factory=deque)
    tries: list[Try] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    abandoned: int = 0

    async def __call__(self, attempt: Try) -> int:
        self.tries.append(attempt)
        self.times.append(asyncio.get_running_loop().time())
        number = len(self.tries)
        end = self.ends.popleft() if self.ends else None
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        finally:
            self.busy -= 1
        if end is not None:
            raise end
        return number
