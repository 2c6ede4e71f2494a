"""Small requests to our own children, over loopback or a Unix socket.

In: an address and a path. Out: status and body, or lines as they come. Called by readiness, feed and envoy. It is the
standard library's client in a thread: importing a better one takes longer than all that the supervisor does before it
starts its children.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

Address = tuple[str, int] | Path
"""Host and port, or a Unix socket."""

TIMEOUT_S = 2.0
_LINE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


def split_url(url: str) -> tuple[tuple[str, int], str]:
    """Address and request target of an http URL."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    return (parts.hostname or "127.0.0.1", parts.port or 80), target


async def ask(address: Address, target: str, *, method: str = "GET") -> Answer:
    """One request; raises OSError when nobody answers in time, or not in HTTP."""
    return await asyncio.to_thread(_ask, address, target, method)


def _ask(address: Address, target: str, method: str) -> Answer:
    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT_S)
    try:
        connection.sock = _connect(address)
        connection.request(method, target)
        response = connection.getresponse()
        return Answer(status=response.status, body=response.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"The answer is not HTTP: {error}") from None
    finally:
        connection.close()


def _connect(address: Address) -> socket.socket:
    if not isinstance(address, Path):
        return socket.create_connection(address, TIMEOUT_S)
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(TIMEOUT_S)
    try:
        connected.connect(str(address))
    except OSError:
        connected.close()
        raise
    return connected


@asynccontextmanager
async def streaming(address: tuple[str, int], target: str) -> AsyncGenerator[AsyncIterator[str]]:
    """An endless answer that has begun: its lines, until the connection ends. HTTP/1.0, so that it comes unchunked."""
    reader, writer = await asyncio.open_connection(*address, limit=_LINE_LIMIT)
    try:
        writer.write(f"GET {target} HTTP/1.0\r\nhost: localhost\r\n\r\n".encode())
        await writer.drain()
        while (await reader.readline()).strip():
            pass
        yield _lines(reader)
    finally:
        writer.close()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    while line := await reader.readline():
        yield line.decode().rstrip("\r\n")
