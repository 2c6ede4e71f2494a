"""The webhook's door: whoever comes shows a certificate soon, or makes room.

In: connections. Out: those whose handshake succeeded, handed to the HTTP server. Called by server. Strangers can open
connections faster than they are turned away; so only so many are at the door, and of more the longest there has to go.
Who has come in is known, so that nothing is left open at the end.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

MOST_STRANGERS = 64
HANDSHAKE_S = 5.0


class Door:
    """Call it for the protocol of each new connection. Belongs to one event loop."""

    def __init__(self, context: ssl.SSLContext, inside: Callable[[], asyncio.Protocol]) -> None:
        self._context = context
        self._inside = inside
        self._strangers: dict[asyncio.Transport, asyncio.Task[None]] = {}
        self._guests: set[asyncio.Transport] = set()

    def __call__(self) -> asyncio.Protocol:
        """One connection."""
        return _Stranger(self)

    def knock(self, transport: asyncio.Transport, stranger: _Stranger) -> None:
        """Somebody is at the door."""
        transport.pause_reading()
        while len(self._strangers) >= MOST_STRANGERS:
            self._turn_away(next(iter(self._strangers)))
        self._strangers[transport] = asyncio.create_task(self._admit(transport, stranger))

    async def close(self) -> None:
        """Everybody leaves at once."""
        for transport in list(self._strangers):
            self._turn_away(transport)
        for transport in self._guests:
            transport.abort()
        self._guests.clear()
        # Sockets are closed in the loop's next rounds.
        for _ in range(3):
            await asyncio.sleep(0)

    async def _admit(self, transport: asyncio.Transport, stranger: _Stranger) -> None:
        loop = asyncio.get_running_loop()
        try:
            secure = await loop.start_tls(
                transport, stranger, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except (OSError, ssl.SSLError):
            transport.abort()
            return
        finally:
            self._strangers.pop(transport, None)
        if secure is None:
            return
        self._guests = {guest for guest in self._guests if not guest.is_closing()} | {transport}
        stranger.hand_over(secure, self._inside())

    def _turn_away(self, transport: asyncio.Transport) -> None:
        self._strangers.pop(transport).cancel()
        transport.abort()


class _Stranger(asyncio.Protocol):
    """Keeps what comes right behind the handshake: a client need not wait to hear that it is over."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._early = b""
        self._left = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._door.knock(transport, self)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._left = True

    def hand_over(self, secure: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        """From here on the protocol hears all."""
        if self._left:
            return
        secure.set_protocol(protocol)
        protocol.connection_made(secure)
        if self._early:
            protocol.data_received(self._early)
