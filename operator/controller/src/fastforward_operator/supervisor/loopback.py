"""Small requests to our own children, over loopback or a Unix socket.

In: an address and a path. Out: status and body, or lines as they come. Called by readiness, feed and envoy. HTTP/1.0 by
hand, because importing a client library takes longer than everything else that the supervisor does before it starts
its children.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

Address = tuple[str, int] | Path
"""Host and port, or a Unix socket."""

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
    """One request; raises OSError when nobody answers, or not in HTTP."""
    async with _sent(address, target, method) as (status, reader):
        return Answer(status=status, body=await reader.read())


async def stream_lines(address: Address, target: str) -> AsyncIterator[str]:
    """The lines of an endless answer; ends with the connection."""
    async with _sent(address, target, "GET") as (_, reader):
        while line := await reader.readline():
            yield line.decode().rstrip("\r\n")


@asynccontextmanager
async def _sent(address: Address, target: str, method: str) -> AsyncGenerator[tuple[int, asyncio.StreamReader]]:
    """A request sent, with its status and headers read."""
    reader, writer = await _connect(address)
    try:
        writer.write(f"{method} {target} HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        words = (await reader.readline()).split()
        if len(words) < 2 or not words[1].isdigit():
            raise ConnectionError("The answer is not HTTP.")
        while (await reader.readline()).strip():
            pass
        yield int(words[1]), reader
    finally:
        writer.close()


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, Path):
        return await asyncio.open_unix_connection(str(address), limit=_LINE_LIMIT)
    return await asyncio.open_connection(*address, limit=_LINE_LIMIT)
