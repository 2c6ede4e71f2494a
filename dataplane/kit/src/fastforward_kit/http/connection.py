"""One connection: bytes in, requests to the handler in order, answers out.

llhttp (httptools) parses; this class only collects what the parser finds, so that a request costs no task and, when
the handler answers at once, no trip through the event loop. Called by asyncio; created by the server.
"""

import asyncio
import re
from collections import deque
from functools import partial
from typing import Protocol

import httptools

from fastforward_kit.http.message import Request, Response, encode

MAX_HEAD_BYTES = 128 * 1024  # Envoy's own bound on request headers is 60 KiB unless raised to at most 96
PARSED_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE"))
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110, section 5.6.2
MAX_BODY_BYTES = 4 * 1024 * 1024  # of what becomes a message; questions have none
MAX_WAITING = 16  # pipelined requests kept while one is being answered


class Owner(Protocol):
    """What a connection needs of its server."""

    @property
    def draining(self) -> bool: ...
    def admits(self, transport: asyncio.Transport) -> bool: ...
    def opened(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection") -> None: ...
    def answer(self, request: Request) -> Response | asyncio.Future[Response]: ...
    def outcome(self, future: asyncio.Future[Response]) -> Response: ...
    def unsendable(self, error: ValueError) -> Response: ...


class _TooLargeError(Exception):
    """More than any honest peer sends; `status` is the answer to it."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Connection(asyncio.Protocol):
    """The parser's callbacks (`on_...`) run inside `data_received`."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._method = ""
        """Of the request that begins, when llhttp does not know it."""
        self._target = b""
        self._headers: dict[str, tuple[str, ...]] = {}
        self._head_bytes = 0
        self._body = bytearray()
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._answering = False
        self.receiving_since: float | None = None
        """Loop time when the request that is still incomplete began."""

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by closing now."""
        return self.receiving_since is None and not self._answering and not self._waiting

    def close(self) -> None:
        """Closes after what is already written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # stream sockets have no other kind
        self._transport = transport
        self._owner.opened(self)
        if not self._owner.admits(transport):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._transport = None
        self._waiting.clear()
        self._owner.closed(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, _TooLargeError) else 400)

    def _feed(self, data: bytes) -> None:
        if self.receiving_since is None:
            data = self._with_parsed_method(data)
        while data:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # `Upgrade:` and CONNECT are questions about a request like any other: HTTP goes on behind them.
                self._parser = httptools.HttpRequestParser(self)
                data = data[upgrade.args[0] :]
            else:
                return

    def _with_parsed_method(self, data: bytes) -> bytes:
        """Returns the request with a method that llhttp knows, and remembers its own: any token may be one."""
        method = data[: data.find(b" ")]
        if method in PARSED_METHODS or not TOKEN.fullmatch(method):
            return data
        self._method = method.decode("ascii")
        return b"POST" + data[len(method) :]

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = {}
        self._head_bytes = 0
        self._body = bytearray()
        self.receiving_since = asyncio.get_running_loop().time()

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        key = name.decode("latin-1").lower()
        self._headers[key] = (*self._headers.get(key, ()), value.decode("latin-1"))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _TooLargeError(431)

    def on_body(self, part: bytes) -> None:
        self._body += part
        if len(self._body) > MAX_BODY_BYTES:
            raise _TooLargeError(413)

    def on_message_complete(self) -> None:
        self.receiving_since = None
        method, self._method = self._method or self._parser.get_method().decode("ascii"), ""
        request = Request(method, self._target.decode("latin-1"), self._headers, bytes(self._body))
        self._waiting.append((request, self._parser.should_keep_alive()))
        if not self._answering:
            self._answer_waiting()
        elif len(self._waiting) >= MAX_WAITING and self._transport is not None:
            self._transport.pause_reading()

    def _answer_waiting(self) -> None:
        while self._waiting and self._transport is not None and not self._transport.is_closing():
            request, keep_alive = self._waiting.popleft()
            outcome = self._owner.answer(request)
            if isinstance(outcome, asyncio.Future):
                self._answering = True
                outcome.add_done_callback(partial(self._answered, request.method, keep_alive))
                return
            self._write(outcome, method=request.method, keep_alive=keep_alive)

    def _answered(self, method: str, keep_alive: bool, future: asyncio.Future[Response]) -> None:
        self._answering = False
        response = self._owner.outcome(future)
        if self._transport is None:
            return
        self._write(response, method=method, keep_alive=keep_alive)
        self._answer_waiting()
        if not self._answering and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _write(self, response: Response, *, method: str, keep_alive: bool) -> None:
        if self._transport is None:
            return
        close = self._owner.draining or not keep_alive
        with_body = method != "HEAD"
        try:
            data = encode(response, with_body=with_body, close=close)
        except ValueError as error:
            data = encode(self._owner.unsendable(error), with_body=with_body, close=close)
        self._transport.write(data)
        if close:
            self._transport.close()

    def _refuse(self, status: int) -> None:
        # A 4xx, never a 5xx: Envoy takes a 5xx for a failure of the service and may let the request pass.
        self.receiving_since = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(Response(status), with_body=True, close=True))
            self._transport.close()
