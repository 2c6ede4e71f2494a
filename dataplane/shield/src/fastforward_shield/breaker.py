"""The circuit breaker: lets calls through while the callee is well, none while it is not, a few to find out.

Held by hop, which asks before each try and tells how it ended. Times are the event loop's. A try that began before the
breaker opened tells nothing afterwards: each change of state begins a new epoch, and only tries of this epoch count.
"""

from __future__ import annotations

from enum import StrEnum

from .policy import Breaker

_SLICES = 10
"""Of the sliding window: failures leave it a slice at a time."""


class State(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Window:
    """Good and bad tries of the last `span` seconds, in slices."""

    __slots__ = ("_bad", "_good", "_slice", "_width", "bad", "good")

    def __init__(self, span: float, now: float) -> None:
        self._width = span / _SLICES
        self._slice = int(now / self._width)
        self._good, self._bad = [0] * _SLICES, [0] * _SLICES
        self.good = self.bad = 0
        """In all slices."""

    def add(self, now: float, *, good: bool) -> None:
        """One more; slices that are over are forgotten first."""
        current = int(now / self._width)
        if current != self._slice:
            self._forget(current)
        place = current % _SLICES
        if good:
            self._good[place] += 1
            self.good += 1
        else:
            self._bad[place] += 1
            self.bad += 1

    def _forget(self, current: int) -> None:
        for passed in range(max(self._slice + 1, current - _SLICES + 1), current + 1):
            place = passed % _SLICES
            self.good -= self._good[place]
            self.bad -= self._bad[place]
            self._good[place] = self._bad[place] = 0
        self._slice = max(self._slice, current)


class CircuitBreaker:
    """One hop's breaker."""

    __slots__ = ("_epoch", "_open_s", "_opens_at", "_out", "_passed", "_policy", "_window", "opened", "state")

    def __init__(self, policy: Breaker, now: float) -> None:
        self._policy = policy
        self._window = Window(policy.window_s, now)
        self._epoch = 0
        self._open_s = policy.open_s
        self._opens_at = 0.0
        self._out = self._passed = 0
        """Half open: probes on their way, and good ones so far."""
        self.state = State.CLOSED
        self.opened = 0
        """How often it has opened."""

    @property
    def failures(self) -> int:
        """Of the window, when something was last added to it."""
        return self._window.bad

    @property
    def calls(self) -> int:
        """Of the window, good and bad."""
        return self._window.good + self._window.bad

    def admit(self, now: float) -> int | None:
        """The epoch to which a try belongs that may begin; None when it may not."""
        if self.state is State.CLOSED:
            return self._epoch
        if self.state is State.OPEN:
            if now < self._opens_at:
                return None
            self._turn(State.HALF_OPEN)
        if self._out + self._passed >= self._policy.probes:
            return None
        self._out += 1
        return self._epoch

    def wait_s(self, now: float) -> float:
        """How long until a try may begin, as far as is known."""
        return max(0.0, self._opens_at - now) if self.state is State.OPEN else 0.0

    def succeed(self, epoch: int, now: float) -> None:
        """A try ended well."""
        if epoch != self._epoch:
            return
        if self.state is State.CLOSED:
            self._window.add(now, good=True)
            return
        self._out -= 1
        self._passed += 1
        if self._passed >= self._policy.probes:
            self._turn(State.CLOSED)
            self._open_s = self._policy.open_s
            self._window = Window(self._policy.window_s, now)

    def fail(self, epoch: int, now: float) -> None:
        """A try failed, as the callee's fault."""
        if epoch != self._epoch:
            return
        if self.state is State.CLOSED:
            self._window.add(now, good=False)
            if self._is_too_bad():
                self._open(now)
            return
        self._open_s = min(self._policy.max_open_s, 2 * self._open_s)
        self._open(now)

    def forget(self, epoch: int) -> None:
        """A try ended without telling anything: its caller went away."""
        if epoch == self._epoch and self.state is State.HALF_OPEN:
            self._out -= 1

    def _is_too_bad(self) -> bool:
        bad, calls = self._window.bad, self.calls
        if self._policy.failures is not None and bad >= self._policy.failures:
            return True
        share = self._policy.failure_share
        return share is not None and calls >= self._policy.least_calls and bad >= share * calls

    def _open(self, now: float) -> None:
        self._turn(State.OPEN)
        self._opens_at = now + self._open_s
        self.opened += 1

    def _turn(self, state: State) -> None:
        self.state = state
        self._epoch += 1
        self._out = self._passed = 0
