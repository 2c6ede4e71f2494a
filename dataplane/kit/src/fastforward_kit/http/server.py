"""Listens, hands requests to one handler, and drains without losing one.

Why not a web server's: Envoy asks this one on every request that needs a decision. A protocol class on the workload's
own event loop answers without a second thread, a task or a framework in between, and says itself when a connection may
be closed (docs/adr has the measurement). Called by workloads' bootstrap and by the health endpoint.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine

import structlog

from fastforward_kit.http.address import Address
from fastforward_kit.http.connection import Connection
from fastforward_kit.http.listener import Listener
from fastforward_kit.http.message import Handler, Occupant, Request, Response
from fastforward_kit.http.peer import is_of_kind

log = structlog.get_logger(__name__)

RECEIVE_SECONDS = 10.0
"""For a request to arrive without its body, and for each part of that."""
RECEIVE_RATE = 4096.0
"""Bytes a second that a body has at least: a part now and then would hold a connection as long as the peer likes."""


class HttpServer:
    """`handler` may raise: the peer then gets 500, and the log what was raised.

    With `tls` it takes only peers whose certificate is of the authorities and names a node of the kind `peers`.
    `http2` makes what takes over connections that begin in HTTP/2; without it they are refused.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        tls: ssl.SSLContext | None = None,
        peers: str = "",
        http2: Callable[[], Occupant] | None = None,
    ) -> None:
        self._handler = handler
        self.http2 = http2
        self._tls = tls
        self._peers = peers
        self._connections: set[Connection] = set()
        self._aside: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._listener: Listener | None = None
        self._accepting: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self.draining = False
        """Once true, every answer closes its connection."""

    async def listen(self, address: Address) -> Address:
        """Binds `address` and accepts; returns it, with the port that was given for port 0. Raises OSError."""
        self._listener = Listener(address)
        await self.accept(self._listener.socket)
        return self._listener.address

    async def accept(self, listening: socket.socket) -> None:
        """Accepts on a socket that listens already, for example one that several processes share."""
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        if listening.family == socket.AF_UNIX:
            self._accepting = await loop.create_unix_server(lambda: Connection(self), sock=listening, ssl=self._tls)
        else:
            self._accepting = await loop.create_server(lambda: Connection(self), sock=listening, ssl=self._tls)
        self._sweep_slow()

    async def drain(self, *, linger_seconds: float, limit_seconds: float) -> None:
        """Ends without losing a request, as far as `limit_seconds` allow.

        For `linger_seconds`, unless a successor has taken the address, new connections are still accepted and every
        answer asks its peer to go elsewhere. Then idle connections are closed and the busy ones waited for; streams
        without an end are ended, and other protocols asked to leave.
        """
        self.draining = True
        if not self._connections or (self._listener is not None and self._listener.taken_over):
            linger_seconds = min(linger_seconds, 0.05)
        await asyncio.sleep(linger_seconds)
        self.close_listener()
        for connection in tuple(self._connections):
            connection.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                await self._emptied.wait()
        for connection in tuple(self._connections):
            connection.abort()

    def close_listener(self) -> None:
        """Stops accepting."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._accepting is not None:
            self._accepting.close()
        if self._listener is not None:
            self._listener.close()

    def admits(self, transport: asyncio.Transport) -> bool:
        """Whether the peer may ask."""
        if self._tls is None or is_of_kind(transport, self._peers):
            return True
        log.warning("peer refused", peer=str(transport.get_extra_info("peername")), wanted=self._peers)
        return False

    def opened(self, connection: Connection) -> None:
        """Remembers a new connection."""
        self._connections.add(connection)
        self._emptied.clear()

    def closed(self, connection: Connection) -> None:
        """Forgets a connection that is gone."""
        self._connections.discard(connection)
        if not self._connections:
            self._emptied.set()

    def answer(self, request: Request) -> Response | asyncio.Future[Response]:
        """Asks the handler; 500 when it raises."""
        try:
            return self._handler(request)
        except Exception:  # one request must not end the others
            log.exception("handler failed", method=request.method)
            return Response(500)

    def outcome(self, future: asyncio.Future[Response]) -> Response:
        """Returns the answer that a future came to; 500 when it failed or was cancelled."""
        try:
            return future.result()
        except (Exception, asyncio.CancelledError):
            log.exception("handler failed")
            return Response(500)

    def unsendable(self, error: ValueError) -> Response:
        """Returns what is sent instead of an answer with a forged header: a refusal, so that nothing passes by it."""
        log.error("answer withheld", why=str(error))
        return Response(400)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Has something done that nobody waits for."""
        task = asyncio.ensure_future(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    def _sweep_slow(self) -> None:
        """Aborts connections whose request has been arriving for too long: they hold memory for nothing."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self._connections):
            if connection.lags(now, seconds=RECEIVE_SECONDS, rate=RECEIVE_RATE):
                connection.abort()
        self._sweep = loop.call_later(RECEIVE_SECONDS / 2, self._sweep_slow)
