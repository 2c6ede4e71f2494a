"""Connections of this process.

In: connections, of the WebSocket adapter. Out: lists; frames pushed, connections closed. Called by the adapter, and by
whoever is to reach clients.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping

from fastforward_websocket import Live

from fastforward_entrypoint.messages.identifier import make_message_id

from .port import Done, Listed, Whose

_AT_ONCE = 64
"""Connections spoken to in a row; then others have their turn."""


class LocalConnections:
    """By id. An id begins with the name of its process: so whoever sees it knows who holds the connection."""

    def __init__(self, make_id: Callable[[], str] = make_message_id) -> None:
        self.process = secrets.token_hex(8)
        self._make_id = make_id
        self._live: dict[str, Live] = {}
        self.errors: Mapping[str, int] = {}
        """None: nobody else is to be reached."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self._live)

    def make_id(self) -> str:
        """Returns an id for a new one."""
        return f"{self.process}.{self._make_id()}"

    def add(self, live: Live) -> None:
        """Remembers one."""
        self._live[live.about.id] = live

    def remove(self, id_: str) -> None:
        """Forgets it."""
        self._live.pop(id_, None)

    async def list(self, whose: Whose, limit: int) -> Listed:
        """See the port."""
        found = [live.about for live in self._chosen(whose)]
        return Listed(tuple(found[:limit]), len(found))

    async def push(self, frame: str, whose: Whose) -> Done:
        """See the port."""
        return Done(sum([live.push(frame) async for live in self._in_turns(whose)]))

    async def close(self, code: int, reason: str, whose: Whose) -> Done:
        """See the port."""
        closed = 0
        async for live in self._in_turns(whose):
            live.close(code, reason)
            closed += 1
        return Done(closed)

    async def run(self) -> None:
        """There is nothing to do beside."""

    async def end(self) -> None:
        """There is nothing to let go of."""

    def _chosen(self, whose: Whose) -> tuple[Live, ...]:
        if whose.id is not None:
            live = self._live.get(whose.id)
            return (live,) if live is not None and whose.fits(live.about) else ()
        return tuple(live for live in self._live.values() if whose.fits(live.about))

    async def _in_turns(self, whose: Whose) -> AsyncIterator[Live]:
        for place, live in enumerate(self._chosen(whose), 1):
            yield live
            if place % _AT_ONCE == 0:
                await asyncio.sleep(0)


def process_of(id_: str) -> str:
    """Returns the name of the process that has made the id."""
    return id_.partition(".")[0]
