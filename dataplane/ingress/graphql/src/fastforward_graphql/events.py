"""Results as server-sent events: the distinct connections mode of
https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverSSE.md.

In: results as they come. Out: bytes. Called by the adapter.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from fastforward_kit.http import ALIVE, QUIET_S, kept_alive, write_event

from .answer import write
from .execution import Result


async def write_events(results: AsyncGenerator[Result], *, quiet_s: float = QUIET_S) -> AsyncGenerator[bytes]:
    """Yields an event for each result, and one for their end. Whoever stops closes the results."""
    async with contextlib.aclosing(kept_alive(results, quiet_s=quiet_s)) as kept:
        async for result in kept:
            yield ALIVE if result is None else write_event("next", write(result.body))
    yield b"event: complete\ndata:\n\n"
