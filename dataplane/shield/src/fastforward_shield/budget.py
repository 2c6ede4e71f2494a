"""How many retries are left: calls bring them, retries spend them, so that a failing callee isn't asked ever more.

Held by hop. Times are the event loop's.
"""

from __future__ import annotations

from .policy import Retry


class RetryBudget:
    """A bucket that fills with calls and with time."""

    __slots__ = ("_left", "_most", "_per_s", "_seen", "_share")

    def __init__(self, retry: Retry, now: float) -> None:
        self._share, self._per_s, self._most = retry.budget_share, retry.budget_per_s, retry.budget_most
        self._left = min(self._most, max(1.0, self._per_s))
        self._seen = now

    @property
    def left(self) -> float:
        """Retries, as of the last call or retry."""
        return self._left

    def deposit(self) -> None:
        """A call begins."""
        self._left = min(self._most, self._left + self._share)

    def withdraw(self, now: float) -> bool:
        """Whether a retry may follow; if so it is spent."""
        self._left = min(self._most, self._left + self._per_s * (now - self._seen))
        self._seen = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
