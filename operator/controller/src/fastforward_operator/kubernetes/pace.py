"""How often something may be said of one object: a few times at once, and then as its turn comes.

In: objects that something is to be said of, the time. Out: how long that has to wait. Called by statuswriter and
events: an object that somebody changes ten times a second would otherwise cost the API server more than all others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fastforward_compiler.problem import ObjectRef

_TIDY_AT = 1000


@dataclass(slots=True)
class Pace:
    """`at_once` in a row, one each `interval_s` seconds in the long run."""

    at_once: int
    interval_s: float
    _due: dict[ObjectRef, float] = field(default_factory=dict)
    """When all that was said of an object would have been said, at one each interval."""
    _tidied_at: int = _TIDY_AT
    """How many objects are remembered when those that may say all again are forgotten."""

    def wait(self, ref: ObjectRef, now: float) -> float:
        """How long something of an object has to wait, in seconds; 0: it may be said, and is counted."""
        due = max(now, self._due.get(ref, now))
        wait = due - now - (self.at_once - 1) * self.interval_s
        if wait > 0:
            return wait
        self._due[ref] = due + self.interval_s
        if len(self._due) > self._tidied_at:
            self._due = {each: at for each, at in self._due.items() if at > now}
            self._tidied_at = max(_TIDY_AT, 2 * len(self._due))
        return 0.0
