"""Who is connected: what the adapter needs of it. Implemented by EntryPoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """One connection, as it was when it began."""

    id: str
    tenant: str
    subject: str
    host: str
    since: float
    """Unix time."""


class Live(Protocol):
    """A connection that can be spoken to."""

    @property
    def about(self) -> Connected:
        """Whose it is."""
        ...

    def push(self, frame: str) -> bool:
        """Sends a frame without waiting; whether the connection was still there."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Ends it."""
        ...


class Connections(Protocol):
    """All that there are."""

    def make_id(self) -> str:
        """Returns an id for a new one."""
        ...

    def add(self, live: Live) -> None:
        """Remembers one."""
        ...

    def remove(self, id_: str) -> None:
        """Forgets it."""
        ...
