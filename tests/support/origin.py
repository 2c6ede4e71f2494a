"""Origin servers (RFC 9110, section 3.6) for tests: they record exactly what arrived, and answer as the test says.

In: a function from a request to a reply. Out: an `Origin` on a free port, whose `received` the test reads. Called by
feature and security tests through the gateway fixture. All origins of a process share one event loop in one thread, so
that a dozen of them cost nothing. HTTP/1.1 only; support.http2 has the one for HTTP/2.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
CALL_S = 10.0
TURNS = 5
"""Of the loop: from an accepted connection to the first line of what serves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it arrived: nothing is decoded, joined or lower-cased."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    """Number of the connection, from 0."""

    def values(self, name: str) -> list[str]:
        """Values of the header, one for each time it was sent."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The header's value; None when it is not there. Fails when it was sent more than once."""
        values = self.values(name)
        assert len(values) < 2, f"{name} arrived {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def names(self) -> set[str]:
        """Names of the headers, in lower case."""
        return {name.lower() for name, _ in self.headers}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an origin answers. `hang_up` closes the connection without an answer."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    chunked: bool = False
    """Whether the body's length is not announced."""
    hang_up: bool = False


Answer = Callable[[Received], Reply]


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="origins", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    def stop(self) -> None:
        """End the loop and what still runs in it."""
        self.call(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()


async def _settle() -> None:
    # asyncio closes no connection whose task is cancelled before it first ran, as one just accepted is.
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def _cancel_others() -> None:
    await _settle()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass(slots=True)
class Origin:
    """One server. Its answers carry its name in `x-origin`."""

    name: str
    loop: Loop
    answer: Answer = lambda _: Reply()
    port: int = 0
    tls: ssl.SSLContext | None = None
    """What it proves; None for clear text."""
    received: list[Received] = field(default_factory=list)
    under_way: int = 0
    """Requests that wait because of `held`."""
    _server: asyncio.Server | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _open: set[asyncio.Task[None]] = field(default_factory=set)
    _free: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def last(self) -> Received:
        """The latest request."""
        assert self.received, f"{self.name} has received nothing"
        return self.received[-1]

    def start(self) -> None:
        """Listen; on the same port as before when it has been stopped."""
        self._free.set()
        self.loop.call(self._start())

    def stop(self) -> None:
        """Stop listening and close every connection: new ones are refused."""
        self.loop.call(self._stop())

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """While the block runs, requests are received but not answered."""
        self.loop.call(self._hold(free=False))
        try:
            yield
        finally:
            self.loop.call(self._hold(free=True))

    async def _hold(self, *, free: bool) -> None:
        self._free.set() if free else self._free.clear()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            for listening in self._server.sockets:  # a server that closes forgets whom it has just accepted
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await _settle()
            self._server.close()
            self._server = None
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        number = next(self._numbers)
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # whoever was at the other end knows
        finally:
            self._open.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """One request and its answer; says whether the connection stays open."""
        request = await read_request(reader, number)
        self.received.append(request)
        if not self._free.is_set():
            self.under_way += 1
            await self._free.wait()
            self.under_way -= 1
        reply = self.answer(request)
        if reply.hang_up:
            return False
        writer.write(serialise(reply, self.name, with_body=request.method != "HEAD"))
        await writer.drain()
        return True


async def read_request(reader: asyncio.StreamReader, connection: int) -> Received:
    """Read one request. Raises EOFError when there is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = first.split(" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    fields = {name.lower(): value for name, value in headers}
    if fields.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    return Received(method=method, target=target, version=version, headers=headers, body=body, connection=connection)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return body


def serialise(reply: Reply, name: str, *, with_body: bool) -> bytes:
    """The bytes of an answer."""
    body = reply.body.encode()
    length = ("transfer-encoding", "chunked") if reply.chunked else ("content-length", str(len(body)))
    if reply.chunked:
        body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    headers: Iterable[tuple[str, str]] = (("x-origin", name), length, *reply.headers)
    lines = [f"HTTP/1.1 {reply.status} x", *(f"{key}: {value}" for key, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body if with_body else b"")
