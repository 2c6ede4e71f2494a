"""How long to wait before trying again: exponential, with full jitter, so that a fleet does not return in step.

Called by whoever holds a connection open: the snapshot client, counter stores, the workers' supervisor.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Waits in seconds: between half of `first` * 2 ** n and all of it, never more than `longest`.

    Half is kept as a floor, so that a peer that refuses at once is not asked in a tight loop.
    """

    first: float
    longest: float
    jitter: Callable[[], float] = random.random
    _failures: int = field(default=0, init=False)

    def next_wait(self) -> float:
        """Counts one more failure and returns how long to wait after it."""
        ceiling = min(self.longest, self.first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return ceiling * (0.5 + 0.5 * self.jitter())

    def reset(self) -> None:
        """Forgets the failures, after a success."""
        self._failures = 0
