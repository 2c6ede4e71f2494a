"""One connection: bytes in, requests to the handler in order, answers out.

llhttp (httptools) parses; this class only collects what the parser finds, so that a request costs no task and, when
the handler answers at once, no trip through the event loop. Called by asyncio; created by the server.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Protocol

import httptools

from fastforward_kit.http.message import (
    BODILESS,
    CHUNKED,
    UNFRAMED,
    Occupant,
    Request,
    Response,
    StreamedResponse,
    Takeover,
    encode,
)
from fastforward_kit.http.relay import Relay, hand_over
from fastforward_kit.http.stream import Stream, close_parts

MAX_HEAD_BYTES = 128 * 1024  # Envoy's own bound on request headers is 60 KiB unless raised to at most 96
PARSED_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE"))
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")  # RFC 9110, section 5.6.2
PREFACE = b"PRI * HTTP/2.0\r\n"  # what a connection in HTTP/2 begins with (RFC 9113, section 3.4)
MAX_BODY_BYTES = 4 * 1024 * 1024  # of what becomes a message; questions have none
MAX_WAITING = 16  # pipelined requests kept while one is being answered


class Owner(Protocol):
    """What a connection needs of its server."""

    @property
    def draining(self) -> bool: ...
    @property
    def http2(self) -> Callable[[], Occupant] | None: ...
    def admits(self, transport: asyncio.Transport) -> bool: ...
    def opened(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection") -> None: ...
    def answer(self, request: Request) -> Response | asyncio.Future[Response]: ...
    def outcome(self, future: asyncio.Future[Response]) -> Response: ...
    def spawn(self, work: Coroutine[None, None, None]) -> None: ...
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
        self._full = False
        """Whether the transport takes no more for now."""
        self._stream: Stream | None = None
        self._relay: Relay | None = None
        """Once another protocol has the connection."""
        self._held = b""
        """What came behind a request with `Upgrade` that is not answered yet: nobody knows what it is."""
        self._leaving = False
        self.receiving_since: float | None = None
        """Loop time when the request that is still incomplete began."""
        self._body_heard = 0.0
        """Loop time when the last part of its body came."""

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by closing now."""
        return self._relay is None and self.receiving_since is None and not self._answering and not self._waiting

    def lags(self, now: float, *, seconds: float, rate: float) -> bool:
        """Whether its request came to a standstill for so long, or has taken that much more than at this rate (bytes
        a second).
        """
        since = self.receiving_since
        if since is None:
            return False
        silent = now - max(since, self._body_heard)
        return silent > seconds or now - since > seconds + len(self._body) / rate

    def leave(self) -> None:
        """Closes it as soon as nothing is lost by that; asks what would go on for ever to end."""
        self._leaving = True
        if self._relay is not None:
            self._relay.leave()
        elif self._stream is not None:
            self._stream.leave()
        elif self.idle:
            self.close()

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
        if self._stream is not None:
            self._stream.stop()
        self._owner.closed(self)

    def pause_writing(self) -> None:
        self._full = True
        if self._stream is not None:
            self._stream.pause()

    def resume_writing(self) -> None:
        self._full = False
        if self._stream is not None:
            self._stream.resume()

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
                # `Upgrade:` and CONNECT are requests like any other: HTTP goes on behind them, unless the answer is
                # a takeover.
                self._parser = httptools.HttpRequestParser(self)
                data = self._behind_upgrade(data[upgrade.args[0] :])
            else:
                return

    def _behind_upgrade(self, data: bytes) -> bytes:
        """Returns what is HTTP for sure."""
        if self._answering and self._transport is not None:
            self._held = data
            self._transport.pause_reading()
            return b""
        if self._relay is not None:
            if data and self._transport is not None and not self._transport.is_closing():
                self._relay.data_received(data)
            return b""
        return data

    def _with_parsed_method(self, data: bytes) -> bytes:
        """Returns the request with a method that llhttp knows, and remembers its own: any token may be one."""
        end = data.find(b" ")
        method = data[:end]
        if method in PARSED_METHODS or end < 0 or not TOKEN.fullmatch(method):
            return data
        if data.startswith(PREFACE):
            self._begin_http2(data)
            return b""
        self._method = method.decode("ascii")
        return b"POST" + data[len(method) :]

    def _begin_http2(self, data: bytes) -> None:
        if self._owner.http2 is None or self._target:
            self._refuse(400)
        else:
            self._hand_over(self._owner.http2(), data)

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
        self._body_heard = asyncio.get_running_loop().time()
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
            if type(outcome) is Response:
                self._write(outcome, method=request.method, keep_alive=keep_alive)
                continue
            self._answering = True
            if isinstance(outcome, asyncio.Future):
                outcome.add_done_callback(partial(self._answered, request, keep_alive))
                return
            self._send(outcome, request, keep_alive=keep_alive)

    def _answered(self, request: Request, keep_alive: bool, future: asyncio.Future[Response]) -> None:
        self._send(self._owner.outcome(future), request, keep_alive=keep_alive)
        self._go_on()

    def _go_on(self) -> None:
        """Whatever has waited for an answer."""
        if not self._answering:
            self._answer_waiting()
        if self._transport is None or self._transport.is_closing() or self._relay is not None or self._waiting:
            return
        if self._answering and self._stream is None:
            return
        self._transport.resume_reading()
        held, self._held = self._held, b""
        if held:
            self.data_received(held)

    def _send(self, response: Response, request: Request, *, keep_alive: bool) -> None:
        """An answer of any kind; `_answering` stays true while it goes on."""
        self._answering = False
        if isinstance(response, StreamedResponse):
            self._begin_stream(response, request, keep_alive=keep_alive)
        elif not isinstance(response, Takeover):
            self._write(response, method=request.method, keep_alive=keep_alive)
        elif "upgrade" not in request.headers or "upgrade" not in request.header("connection").lower():
            refusal = self._owner.unsendable(ValueError("a takeover of a connection that is to stay with HTTP"))
            self._write(refusal, method=request.method, keep_alive=keep_alive)
        elif self._write_head(response, framing=UNFRAMED, close=False):
            held, self._held = self._held, b""
            self._hand_over(response.protocol(), held)

    def _begin_stream(self, response: StreamedResponse, request: Request, *, keep_alive: bool) -> None:
        close = self._owner.draining or not keep_alive
        begun = self._write_head(response, framing=CHUNKED, close=close)
        bodiless = request.method == "HEAD" or response.status in BODILESS
        if self._transport is None or not begun or bodiless:
            self._owner.spawn(close_parts(response.parts))
            if self._transport is not None and close:
                self._transport.close()
            return
        self._answering = True
        ended = partial(self._end_stream, keep_alive=not close)
        self._stream = Stream(self._transport, response, full=self._full, ended=ended)
        if self._leaving:
            self._stream.leave()

    def _end_stream(self, *, keep_alive: bool) -> None:
        self._stream = None
        self._answering = False
        if self._transport is not None and (self._owner.draining or not keep_alive):
            self._transport.close()
        self._go_on()

    def _hand_over(self, occupant: Occupant, early: bytes) -> None:
        if self._transport is None:
            return
        self._transport.resume_reading()
        self._relay = hand_over(self._transport, occupant, early, self.connection_lost)
        if self._leaving:
            self._relay.leave()

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

    def _write_head(self, response: Response, *, framing: str, close: bool) -> bool:
        """Whether that was sent, and not a refusal instead."""
        if self._transport is None:
            return False
        try:
            self._transport.write(encode(response, with_body=False, close=close, framing=framing))
        except ValueError as error:
            self._transport.write(encode(self._owner.unsendable(error), with_body=True, close=close))
            return False
        return True

    def _refuse(self, status: int) -> None:
        # A 4xx, never a 5xx: Envoy takes a 5xx for a failure of the service and may let the request pass.
        self.receiving_since = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(Response(status), with_body=True, close=True))
            self._transport.close()
