"""Whether others write so much that statuses had better wait.

In: that somebody else wrote an object, the time. Out: how long to wait. Called by statuswriter: a status costs an
API server as much as what users write, so in a burst each would keep one of theirs waiting, and most would be about
versions that are replaced before the burst is over.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Courtesy:
    """It is crowded while others have written `many` objects in the last `window_s` seconds."""

    many: int
    window_s: float
    _heard: deque[float] = field(default_factory=deque)
    """When the last `many` were written."""

    def heard(self, now: float) -> None:
        """Somebody else wrote an object."""
        self._heard.append(now)
        if len(self._heard) > self.many:
            self._heard.popleft()

    def wait(self, now: float) -> float:
        """Seconds until it is not crowded any more, if nobody writes meanwhile; 0: it is not."""
        return max(0.0, self._heard[0] + self.window_s - now) if len(self._heard) == self.many else 0.0
