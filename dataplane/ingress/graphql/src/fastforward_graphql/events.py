"""Results as server-sent events: the distinct connections mode of
https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md.

In: results as they come. Out: bytes. Called by the adapter. A connection on which nothing happens is kept alive by
comments, so that one whose client is gone is noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from .answer import write
from .execution import Result

QUIET_S = 12.0
_ALIVE, _COMPLETE = b":\n\n", b"event: complete\ndata:\n\n"


async def write_events(results: AsyncGenerator[Result], *, quiet_s: float = QUIET_S) -> AsyncGenerator[bytes]:
    """Yields an event for each result, and one for their end. Whoever stops closes the results."""
    waiting: asyncio.Future[Result] | None = None
    try:
        yield _ALIVE
        while True:
            waiting = waiting or asyncio.ensure_future(_next(results))
            await asyncio.wait((waiting,), timeout=quiet_s)
            if not waiting.done():
                yield _ALIVE
                continue
            try:
                result = waiting.result()
            except StopAsyncIteration:
                break
            waiting = None
            yield b"event: next\ndata: " + write(result.body) + b"\n\n"
        yield _COMPLETE
    finally:
        await _end(waiting, results)


async def _next(results: AsyncIterator[Result]) -> Result:
    return await anext(results)


async def _end(waiting: asyncio.Future[Result] | None, results: AsyncGenerator[Result]) -> None:
    if waiting is not None:
        waiting.cancel()
        await asyncio.wait((waiting,))
    await results.aclose()
