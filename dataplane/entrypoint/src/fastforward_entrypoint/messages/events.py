"""What has happened, told to whoever is to know it: here, to those who listen in this process, and handed on to others.

In: events, of the exchange and of other processes. Out: those of one type and tenant, to each listener, in order.
Called by exchange, for adapters. Nobody waits for a listener: one that does not keep up loses its place, and is told so
by the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, Self

from fastforward.message.v1 import envelope_pb2

QUEUED = 1000
"""Events that a listener may be behind."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, and the Route (NAMESPACE/NAME) whose rule tells it."""

    event: envelope_pb2.Envelope
    route: str
    again: bool = False
    """Whether it was told before, unless whoever was to tell it died: its message was repeated."""


class EventSink(Protocol):
    """Whoever is told of events."""

    async def tell(self, happened: Happened) -> None:
        """Takes one. The caller of the message waits for this, and for nothing that comes of it."""
        ...


class Listener(AsyncIterator[envelope_pb2.Envelope]):
    """Events as they come, until `close`, or until there are too many."""

    def __init__(self, events: Events, kind: tuple[str, str]) -> None:
        self._events = events
        self._kind = kind
        self._queue: asyncio.Queue[envelope_pb2.Envelope | None] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> envelope_pb2.Envelope:
        event = await self._queue.get()
        if event is None:
            raise StopAsyncIteration
        return event

    def hear(self, event: envelope_pb2.Envelope) -> None:
        """Takes an event, unless it is too far behind."""
        if self._queue.qsize() < QUEUED:
            self._queue.put_nowait(event)
        else:
            self.close()

    def close(self) -> None:
        """Ends it, after what is queued; may be called again."""
        if self._events.forget(self._kind, self):
            self._queue.put_nowait(None)

    async def aclose(self) -> None:
        """Ends it, as an asynchronous generator is ended."""
        self.close()


class Events:
    """Who listens, by type and tenant."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, str], dict[Listener, None]] = {}
        self.hand_on: Callable[[envelope_pb2.Envelope], None] | None = None
        """Tells other processes, if there can be any."""

    async def tell(self, happened: Happened) -> None:
        """See the port."""
        if not happened.again:
            self.publish(happened.event)

    def publish(self, event: envelope_pb2.Envelope) -> None:
        """Tells everybody, everywhere."""
        self.hear(event)
        if self.hand_on is not None:
            self.hand_on(event)

    def hear(self, event: envelope_pb2.Envelope) -> None:
        """Tells everybody who listens here for its type, of its own tenant alone."""
        for listener in list(self._listeners.get((event.header.type, event.header.tenant), ())):
            listener.hear(event)

    def listen(self, type_: str, tenant: str) -> Listener:
        """Returns the events from now on."""
        listener = Listener(self, (type_, tenant))
        self._listeners.setdefault((type_, tenant), {})[listener] = None
        return listener

    def forget(self, kind: tuple[str, str], listener: Listener) -> bool:
        """Whether it was there."""
        there = self._listeners.get(kind, {})
        found = listener in there
        there.pop(listener, None)
        if not there:
            self._listeners.pop(kind, None)
        return found
