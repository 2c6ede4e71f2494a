"""One connection: messages in, messages out, and an end that says why.

In: bytes of a connection that HTTP has handed over. Out: the same in whole messages, for the one coroutine that serves
it. Called by asyncio, and by whoever serves. Frames are the business of `websockets`, without its I/O; here is what
that leaves open: whole messages, who waits for whom, and how long.
"""

from __future__ import annotations

import asyncio
import codecs
import io
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import structlog
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from fastforward_kit.http import Occupant

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 2.0
"""For the client to answer a close, before the connection is cut."""
_REASON_BYTES = 123
_BEAT, _SLOW, _CUT = "beat", "slow", "cut"
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one client may cost."""

    message_bytes: int = 1024 * 1024
    """Of one message: a larger one ends the connection with 1009."""
    messages: int = 16
    """Received, and not yet taken; then nothing more is read."""
    waiting_bytes: int = 4 * 1024 * 1024
    """Sent without waiting for room, and not yet taken by the client: with more, it is too slow: closed with 1008."""
    slow_seconds: float = 10.0
    """How long it may take nothing while something waits; then the same."""
    ping_seconds: float = 20.0
    """Silence after which it is asked whether it is there."""
    pong_seconds: float = 20.0
    """Silence after that: it is gone, and closed with 1011."""


class ClosedError(Exception):
    """Nothing more comes, or goes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.reason = reason


Serve: TypeAlias = "Callable[[WebSocket], Awaitable[None]]"
"""Serves one connection: when it returns, the connection is closed, with 1000, or with 1001 when it had to leave."""


class _Wire(ServerProtocol):
    """A close ends a message that is under way, as any moment may be the last (RFC 6455, section 5.4)."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class WebSocket(Occupant):
    """`subprotocol` is what was agreed on; empty for none."""

    def __init__(self, serve: Serve, bounds: Bounds, *, subprotocol: str = "") -> None:
        self.subprotocol = subprotocol
        self._serve = serve
        self._bounds = bounds
        self._wire = _Wire(state=State.OPEN, max_size=bounds.message_bytes)
        self._transport: asyncio.Transport | None = None
        self._inbox: deque[str | bytes] = deque()
        self._parts = io.BytesIO()
        self._decoder: codecs.IncrementalDecoder | None = None
        """While the parts of a text arrive."""
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sent = self._taken = 0
        """Bytes: how many were sent, and how many of them the client had taken when that was last looked at."""
        self._lost = asyncio.Event()
        self._told: Callable[[], object] | None = None
        self._leaving = False
        self._heard = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None

    async def receive(self) -> str | bytes:
        """Returns the next message. Raises ClosedError when none comes any more, or when the server drains: what is
        under way may then still be sent.
        """
        while True:
            if self._leaving or (self._wire.state is not State.OPEN and not self._inbox):
                raise self._ended()
            if self._inbox:
                message = self._inbox.popleft()
                self._read_or_wait()
                return message
            self._changed.clear()
            await self._changed.wait()

    async def send(self, message: str | bytes) -> None:
        """Waits for room first: those who wait send one after another. Raises ClosedError."""
        while not self._room.is_set():
            await self._room.wait()
        self._send(message)

    def post(self, message: str | bytes) -> None:
        """Sends without waiting for room: a client that does not keep up is closed. Raises ClosedError."""
        self._send(message)
        if self._transport is not None and self._transport.get_write_buffer_size() > self._bounds.waiting_bytes:
            self._fail(CloseCode.POLICY_VIOLATION, "too slow")

    def _send(self, message: str | bytes) -> None:
        if self._wire.state is not State.OPEN or self._transport is None:
            raise self._ended()
        if isinstance(message, str):
            self._wire.send_text(message.encode())
        else:
            self._wire.send_binary(message)
        self._flush()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Ends it, and waits for the client to agree; may be called again."""
        self.end(code, reason)
        await self._lost.wait()

    def end(self, code: int, reason: str) -> None:
        """The same, without waiting."""
        self._close(code, reason)
        self._changed.set()

    def when_lost(self, told: Callable[[], object]) -> None:
        """Has `told` called once the connection is gone."""
        self._told = told

    def leave(self) -> None:
        """The server drains: nothing more is received."""
        self._leaving = True
        self._changed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # stream sockets have no other kind
        self._transport = transport
        self._heard = asyncio.get_running_loop().time()
        self._after(_BEAT, self._bounds.ping_seconds, self._beat)
        self._task = asyncio.ensure_future(self._run())

    def data_received(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        self._wire.receive_data(data)
        for frame in self._wire.events_received():
            if isinstance(frame, Frame) and frame.opcode in _DATA:
                self._take(frame)
        self._flush()
        self._read_or_wait()
        self._changed.set()

    def eof_received(self) -> None:
        self._wire.receive_eof()
        self._changed.set()

    def pause_writing(self) -> None:
        self._room.clear()
        self._read_or_wait()
        self._taken = self._taken_now()
        self._after(_SLOW, self._bounds.slow_seconds, self._look_whether_slow)

    def resume_writing(self) -> None:
        self._room.set()
        timer = self._timers.pop(_SLOW, None)
        if timer is not None:
            timer.cancel()
        self._read_or_wait()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._transport = None
        if self._wire.state is not State.CLOSED:
            self._wire.receive_eof()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._room.set()
        self._changed.set()
        self._lost.set()
        if self._told is not None:
            self._told()

    async def _run(self) -> None:
        try:
            await self._serve(self)
        except ClosedError:
            pass
        except Exception:  # one connection must not end the others
            log.exception("connection failed")
            self._close(CloseCode.INTERNAL_ERROR, "")
        code = CloseCode.GOING_AWAY if self._leaving else CloseCode.NORMAL_CLOSURE
        self._close(code, "going away" if self._leaving else "")
        await self._lost.wait()

    def _take(self, frame: Frame) -> None:
        """A frame of a message, which ends with it, or goes on."""
        if self._wire.state is not State.OPEN and self._wire.close_sent is not None and not self._wire.close_rcvd:
            return  # we have closed: what the client still says is not heard
        if frame.opcode is Opcode.TEXT:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            if self._decoder is not None:
                self._decoder.decode(bytes(frame.data), frame.fin)  # as early as it can be known
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "text is UTF-8")
            return
        self._parts.write(frame.data)
        if frame.fin:
            whole = self._parts.getvalue()
            self._inbox.append(whole if self._decoder is None else whole.decode())
            self._parts = io.BytesIO()
            self._decoder = None

    def _close(self, code: int, reason: str) -> None:
        if self._wire.state is State.OPEN:
            self._wire.send_close(code, _shortened(reason))
            self._flush()

    def _fail(self, code: CloseCode, reason: str) -> None:
        if self._wire.state is State.OPEN:
            self._wire.fail(code, reason)
            self._flush()
            self._changed.set()

    def _flush(self) -> None:
        """Sends what the wire has; once it is to end, that is bounded."""
        for data in self._wire.data_to_send():
            if self._transport is None or self._transport.is_closing():
                break
            if data:
                self._sent += len(data)
                self._transport.write(data)
            elif self._transport.can_write_eof() and self._wire.close_rcvd is None:
                # Not closed yet: with bytes of the client unread, the system would take back what it has not sent.
                self._transport.write_eof()
            else:
                self._transport.close()
        if self._wire.close_expected():
            self._after(_CUT, CLOSE_SECONDS, self._cut)

    def _read_or_wait(self) -> None:
        """Reads no faster than messages are taken and pongs leave."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._wire.state is State.OPEN and (len(self._inbox) >= self._bounds.messages or not self._room.is_set()):
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _beat(self) -> None:
        """Asks a silent client whether it is there."""
        bounds, silent = self._bounds, asyncio.get_running_loop().time() - self._heard
        reading = self._transport is not None and self._transport.is_reading()
        if self._wire.state is not State.OPEN:
            return
        if reading and silent >= bounds.ping_seconds + bounds.pong_seconds:
            self._fail(CloseCode.INTERNAL_ERROR, "no pong")
        elif reading and silent >= bounds.ping_seconds:
            self._wire.send_ping(b"")
            self._flush()
            self._after(_BEAT, bounds.pong_seconds, self._beat)
        else:
            self._after(_BEAT, max(bounds.ping_seconds - silent, bounds.ping_seconds / 4), self._beat)

    def _look_whether_slow(self) -> None:
        """There is still no room, which a client that takes something all the time may need long to make."""
        before, self._taken = self._taken, self._taken_now()
        if self._taken > before:
            self._after(_SLOW, self._bounds.slow_seconds, self._look_whether_slow)
        else:
            self._fail(CloseCode.POLICY_VIOLATION, "too slow")

    def _taken_now(self) -> int:
        return self._sent - (0 if self._transport is None else self._transport.get_write_buffer_size())

    def _cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _after(self, name: str, seconds: float, do: Callable[[], None]) -> None:
        """Once; a timer of that name that runs already stays as it is."""
        if name not in self._timers:
            self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._due, name, do)

    def _due(self, name: str, do: Callable[[], None]) -> None:
        del self._timers[name]
        do()

    def _ended(self) -> ClosedError:
        wire = self._wire
        if self._leaving and wire.state is State.OPEN:
            return ClosedError(CloseCode.GOING_AWAY, "going away")
        ours = wire.close_sent is not None and wire.close_rcvd_then_sent is not True
        said = wire.close_sent if ours else wire.close_rcvd
        return ClosedError(CloseCode.ABNORMAL_CLOSURE, "") if said is None else ClosedError(said.code, said.reason)


def _shortened(reason: str) -> str:
    """As long as a close frame has room for."""
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")
