"""What happens, as server-sent events. A refusal that ends them is an event of its own: their status is long told.

In: events as they come. Out: bytes. Called by adapter.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator

from fastforward_kit.http import ALIVE, QUIET_S, kept_alive, write_event
from fastforward_pipeline.message import why_ended

from fastforward.message.v1 import envelope_pb2


async def write_events(
    events: AsyncIterator[envelope_pb2.Envelope], *, quiet_s: float = QUIET_S
) -> AsyncGenerator[bytes]:
    """Yields each event with its id, type and content. Whoever stops closes the events."""
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
