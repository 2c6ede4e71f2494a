"""What a hop says when it has no answer, and what an operation's own failures mean to it.

Raised by hop, gate and breaker; caught by whoever called the hop, who renders it in the caller's protocol.
"""

from __future__ import annotations

from enum import Enum, auto


class Meaning(Enum):
    """What a failed try says of the callee."""

    ANSWERED = auto()
    """It is well, the request is not: its answer, which no further try would change."""
    AGAIN = auto()
    """It failed before it did anything, or says that it may be asked again: another try may do."""
    FAILED = auto()
    """It failed, and may have done half of it: another try may only follow if doing it twice is harmless."""


class HopError(Exception):
    """A hop gives no answer; `hop` is its name."""

    def __init__(self, hop: str, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.hop = hop
        self.retry_after_s = retry_after_s
        """When asking again makes sense; 0 for unknown."""


class DeadlineExceededError(HopError):
    """The time of the whole call is up; whether the callee did anything is unknown."""


class TryTimeoutError(HopError):
    """The time of one try is up; whether the callee did anything is unknown."""


class SaturatedError(HopError):
    """As many calls as are allowed are on their way, and the queue is full or took too long. Nothing was sent."""


class CircuitOpenError(HopError):
    """The callee failed too often of late and is left alone for a while. Nothing was sent."""
