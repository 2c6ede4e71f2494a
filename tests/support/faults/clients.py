"""Clients of a Service that ask without a pause, over new connections and over kept ones, and tell how requests fail.

In: an address, a host. Out: a `Clients`, which counts answers and keeps failures with their time and kind. Called by
tests of failures of pods. A kept connection that the other side has closed before anything was sent on it is opened
again, as every client does; whatever else goes wrong is a failed request, and nothing is tried twice.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

Over = Literal["new", "kept"]

REFUSED = "connection refused"
"""Nothing was sent."""
BROKEN = "broken off"
"""The connection ended before the answer did."""
SILENT = "no answer"
PATIENCE_S = 5.0
"""For so long a client waits for a connection, and for an answer."""
PAUSE_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed."""

    began: float
    kind: str
    over: Over
    path: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.over} connection)"


class RequestError(Exception):
    """The text is the kind."""


@dataclass(slots=True)
class Line:
    """One client's connection."""

    address: str
    port: int
    host: str
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str) -> tuple[int, str]:
        """Status and body. Raises RequestError."""
        reader, writer = await self._open()
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(f"GET {path} HTTP/1.1\r\nhost: {self.host}\r\n\r\n".encode())
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
        except TimeoutError:
            self.close()
            raise RequestError(SILENT) from None
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            raise RequestError(BROKEN) from None
        if fields.get("connection") == "close":
            self.close()
        return int(head.split(" ")[1]), body.decode()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None:
            reader, _ = self._streams
            if reader.exception() is None and not reader.at_eof():
                return self._streams
            self.close()
        try:
            async with asyncio.timeout(PATIENCE_S):
                self._streams = await asyncio.open_connection(self.address, self.port)
        except (ConnectionRefusedError, ConnectionResetError):
            raise RequestError(REFUSED) from None
        except TimeoutError:
            raise RequestError(f"no connection in {PATIENCE_S:g} s") from None
        except OSError as error:
            # While a pod's process comes back the kernel may say this as well.
            told = REFUSED if error.errno == errno.EHOSTUNREACH else f"no connection: {os.strerror(error.errno or 0)}"
            raise RequestError(told) from None
        return self._streams

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.transport.abort()


@dataclass(slots=True)
class Clients:
    """All of a test."""

    address: str
    port: int
    host: str
    answered: Counter[str] = field(default_factory=Counter)
    """Right answers, by whether the connection was new or kept."""
    failures: list[Failure] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.answered.total() + len(self.failures)

    def failed(self, since: int = 0) -> dict[str, int]:
        """How many of each kind, of the failures from this one on."""
        return dict(Counter(map(str, self.failures[since:])))

    async def ask_on(self, path: str, body: str, over: Over) -> None:
        """One client, until cancelled."""
        line = Line(self.address, self.port, self.host)
        try:
            while True:
                began = time.monotonic()
                try:
                    status, found = await line.ask(path)
                    if (status, found) != (200, body):
                        raise RequestError(f"answered {status}")
                    self.answered[over] += 1
                except RequestError as error:
                    self.failures.append(Failure(began=began, kind=str(error), over=over, path=path))
                if over == "new":
                    line.close()
                await asyncio.sleep(PAUSE_S)
        finally:
            line.close()


@asynccontextmanager
async def clients(
    address: str, port: int, host: str, *asked: tuple[str, str], new: int = 2, kept: int = 4
) -> AsyncGenerator[Clients]:
    """For each path and its body so many clients of either kind, while the block runs."""
    made = Clients(address, port, host)
    kinds: tuple[tuple[Over, int], ...] = (("new", new), ("kept", kept))
    tasks = [
        asyncio.create_task(made.ask_on(path, body, over))
        for path, body in asked
        for over, count in kinds
        for _ in range(count)
    ]
    try:
        yield made
        ended = [task for task in tasks if task.done()]
        assert not ended, ended
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def slow_origin(address: str, seconds: float, body: str) -> AsyncGenerator[int]:
    """A server that takes its time for every answer; its port. There is always a request under way to it."""
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(seconds)
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # whoever was at the other end knows
        finally:
            served.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, address, 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tuple(served):
            task.cancel()
        await asyncio.gather(*served)
