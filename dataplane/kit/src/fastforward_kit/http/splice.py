"""A connection passed on to a server that listens on a Unix socket, byte for byte.

gRPC has a server of its own, which takes no sockets of others: so it listens beside, and what comes in HTTP/2 to the
one address reaches it through here. In: a connection taken over. Out: the same bytes there, and back. Called by
bootstrap, as the server's `http2`.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from fastforward_kit.http.message import Occupant

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 5.0


class Splice(Occupant):
    """Each side is read no faster than the other one takes it. What ends one side ends the other, after what is
    written has been sent.

    `find` tells the socket of the server behind, once it listens: for it a connection waits.
    """

    def __init__(self, find: Callable[[], Awaitable[Path]]) -> None:
        self._find = find
        self._near: asyncio.Transport | None = None
        self._far: asyncio.Transport | None = None
        self._early = bytearray()
        self._connecting: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """Nothing: the server behind knows by itself that it ends, and says so in its own protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # stream sockets have no other kind
        self._near = transport
        transport.pause_reading()
        self._connecting = asyncio.ensure_future(self._connect(transport))

    async def _connect(self, near: asyncio.Transport) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                path = await self._find()
                far, _ = await asyncio.get_running_loop().create_unix_connection(
                    lambda: _FarSide(self), os.fspath(path)
                )
        except Exception:  # one that can't be served must not wait for ever
            log.exception("no server behind")
            near.abort()
            return
        if self._near is None:
            far.abort()
            return
        self._far = far
        if self._early:
            far.write(bytes(self._early))
            self._early.clear()
        near.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._far is None:
            self._early += data
        else:
            self._far.write(data)

    def pause_writing(self) -> None:
        if self._far is not None:
            self._far.pause_reading()

    def resume_writing(self) -> None:
        if self._far is not None and not self._far.is_closing():
            self._far.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._near = None
        if self._far is not None:
            self._far.close()

    def far_data(self, data: bytes) -> None:
        """Bytes of the server."""
        if self._near is not None:
            self._near.write(data)

    def far_full(self, *, full: bool) -> None:
        """Whether the server takes no more for now."""
        if self._near is None or self._near.is_closing():
            return
        if full:
            self._near.pause_reading()
        else:
            self._near.resume_reading()

    def far_lost(self) -> None:
        """The server has ended the connection."""
        self._far = None
        if self._near is not None:
            self._near.close()


class _FarSide(asyncio.Protocol):
    """The connection to the server behind."""

    def __init__(self, splice: Splice) -> None:
        self._splice = splice

    def data_received(self, data: bytes) -> None:
        self._splice.far_data(data)

    def pause_writing(self) -> None:
        self._splice.far_full(full=True)

    def resume_writing(self) -> None:
        self._splice.far_full(full=False)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._splice.far_lost()
