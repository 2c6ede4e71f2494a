"""A connection that another protocol has taken over: everything goes to it, and the server still knows when it ends.

Called by asyncio; created by connection.
"""

import asyncio
from collections.abc import Callable

from fastforward_kit.http.message import Occupant


class Relay(asyncio.Protocol):
    """Hands on what asyncio says; `closed` is called after the occupant has been told."""

    def __init__(self, occupant: Occupant, closed: Callable[[Exception | None], None]) -> None:
        self._occupant = occupant
        self._closed = closed

    def leave(self) -> None:
        """The server drains."""
        self._occupant.leave()

    def data_received(self, data: bytes) -> None:
        self._occupant.data_received(data)

    def eof_received(self) -> bool | None:
        return self._occupant.eof_received()

    def pause_writing(self) -> None:
        self._occupant.pause_writing()

    def resume_writing(self) -> None:
        self._occupant.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._occupant.connection_lost(exc)
        finally:
            self._closed(exc)


def hand_over(
    transport: asyncio.Transport, occupant: Occupant, early: bytes, closed: Callable[[Exception | None], None]
) -> Relay:
    """Makes the occupant the transport's protocol; `early` is what came for it already."""
    relay = Relay(occupant, closed)
    transport.set_protocol(relay)
    occupant.connection_made(transport)
    if early and not transport.is_closing():
        occupant.data_received(early)
    return relay
