"""The port through which connections are listed, spoken to and closed, whichever process holds them.

Implemented by `in_process` and `redis`, which pass the same suite, tests/contract/test_connections.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from fastforward_websocket import Connected, Connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Which connections: whatever is set must fit."""

    id: str | None = None
    tenant: str | None = None
    subject: str | None = None

    def fits(self, about: Connected) -> bool:
        """Whether it is one of them."""
        return (
            (self.id is None or about.id == self.id)
            and (self.tenant is None or about.tenant == self.tenant)
            and (self.subject is None or about.subject == self.subject)
        )


EVERYBODY = Whose()


class Elsewhere(Enum):
    """What became of it in other processes."""

    ANSWERED = "answered"
    """Whoever there is has answered."""
    LATE = "late"
    """Some have not in time."""
    UNREACHABLE = "unreachable"
    """They can't be asked now."""


@dataclass(frozen=True, slots=True)
class Done:
    """To how many connections it was done."""

    count: int
    elsewhere: Elsewhere = Elsewhere.ANSWERED


@dataclass(frozen=True, slots=True)
class Listed:
    """Some connections, the oldest first, and how many there are."""

    connections: tuple[Connected, ...]
    total: int
    elsewhere: Elsewhere = Elsewhere.ANSWERED


class Registry(Connections, Protocol):
    """All connections. Those of this process can be reached whatever becomes of the others."""

    async def list(self, whose: Whose, limit: int) -> Listed:
        """Returns who is connected."""
        ...

    async def push(self, frame: str, whose: Whose) -> Done:
        """Sends a frame. Nobody waits for a slow client."""
        ...

    async def close(self, code: int, reason: str, whose: Whose) -> Done:
        """Ends them."""
        ...
