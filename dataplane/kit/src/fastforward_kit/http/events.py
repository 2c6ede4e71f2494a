"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): how one is written, and how a
connection on which nothing happens is kept alive, so that one whose client is gone is noticed.

In: whatever comes in time. Out: bytes for a StreamedResponse. Called by adapters.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

EVENT_STREAM = "text/event-stream"
ALIVE = b":\n\n"
"""A comment."""
QUIET_S = 12.0
_LINE_END = re.compile(rb"\r\n|\r|\n")
"""Each of them ends a line: content may not begin a field of its own."""
T = TypeVar("T")


def write_event(kind: str, data: bytes, event_id: str = "") -> bytes:
    """Returns one event. An id without text is left out: it would be written over the client's last one."""
    lines = [f"id: {event_id}".encode()] if event_id else []
    return b"\n".join((*lines, f"event: {kind}".encode(), *(b"data: " + line for line in _LINE_END.split(data)), b"\n"))


async def kept_alive(items: AsyncIterator[T], *, quiet_s: float = QUIET_S) -> AsyncGenerator[T | None]:
    """Yields what comes, and None at the beginning and whenever nothing has come for `quiet_s` seconds.

    Whoever stops closes the items.
    """
    waiting: asyncio.Future[T] | None = None
    try:
        yield None
        while True:
            waiting = waiting or asyncio.ensure_future(_next(items))
            await asyncio.wait((waiting,), timeout=quiet_s)
            if not waiting.done():
                yield None
                continue
            try:
                item = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield item
    finally:
        await _end(waiting, items)


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


async def _end(waiting: asyncio.Future[T] | None, items: AsyncIterator[T]) -> None:
    if waiting is not None:
        waiting.cancel()
        await asyncio.wait((waiting,))
    if (close := getattr(items, "aclose", None)) is not None:
        await close()
