"""What happens, as server-sent events. A refusal that ends them is an event of its own: their status is long told.

In: events as they come. Out: bytes. Called by adapter.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Self

from fastforward_kit.http import ALIVE, QUIET_S, kept_alive, write_event
from fastforward_pipeline.message import why_ended

from fastforward.message.v1 import envelope_pb2


class EventStream(AsyncIterator[bytes]):
    """Each event with its id, type and content. Whoever stops closes the events, before the first part as well: a
    generator alone closes nothing unless it has begun.
    """

    def __init__(self, events: AsyncIterator[envelope_pb2.Envelope], *, quiet_s: float = QUIET_S) -> None:
        self._events = events
        self._parts = _write(events, quiet_s)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._parts)

    async def aclose(self) -> None:
        """Ends both; may be called again."""
        try:
            await self._parts.aclose()
        finally:
            if (close := getattr(self._events, "aclose", None)) is not None:
                await close()


async def _write(events: AsyncIterator[envelope_pb2.Envelope], quiet_s: float) -> AsyncGenerator[bytes]:
    async with contextlib.aclosing(kept_alive(events, quiet_s=quiet_s)) as kept:
        async for event in kept:
            if event is None:
                yield ALIVE
            else:
                yield write_event(event.header.type, event.payload.body, event.header.id)
    refused = why_ended(events)
    if refused is not None:
        told = {"reason": refused.error.reason, "title": refused.error.title}
        yield write_event("refused", json.dumps(told, separators=(",", ":")).encode())
