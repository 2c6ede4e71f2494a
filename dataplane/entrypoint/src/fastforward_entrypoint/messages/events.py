"""What has happened, told to whoever is to know it: here, to those who listen in this process, and handed on to others.

In: events, of the exchange and of other processes. Out: those of one kind, to each listener, in order.
Called by exchange, for adapters. Nobody waits for a listener: one that does not keep up loses its place, and is told so
by the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from fastforward.message.v1 import envelope_pb2

QUEUED = 1000
"""Events that a listener may be behind."""


class Kind(NamedTuple):
    """Which events. Anybody may use any type, and any name of a tenant, in a namespace of his own: these are others."""

    namespace: str
    """Of the Routes that tell them, and of those by which they are listened to."""
    edge_namespace: str
    """Of the Edge, and so of the tenant."""
    type: str
    tenant: str


def make_kind(route: str, edge_namespace: str, type_: str, tenant: str) -> Kind:
    """Returns the kind that a rule of this Route (NAMESPACE/NAME) tells, or has listeners for."""
    return Kind(route.partition("/")[0], edge_namespace, type_, tenant)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, the Route (NAMESPACE/NAME) whose rule tells it, and the namespace of the Edge its message came by."""

    event: envelope_pb2.Envelope
    route: str
    edge_namespace: str
    again: bool = False
    """Whether it was told before, unless whoever was to tell it died: its message was repeated."""

    @property
    def kind(self) -> Kind:
        """Which it is."""
        return make_kind(self.route, self.edge_namespace, self.event.header.type, self.event.header.tenant)


class EventSink(Protocol):
    """Whoever is told of events."""

    async def tell(self, happened: Happened) -> None:
        """Takes one. The caller of the message waits for this, and for nothing that comes of it."""
        ...


class Listener(AsyncIterator[envelope_pb2.Envelope]):
    """Events as they come, until `close`, or until there are too many."""

    def __init__(self, events: Events, kind: Kind) -> None:
        self._events = events
        self.kind = kind
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
        if self._events.forget(self.kind, self):
            self._queue.put_nowait(None)

    async def aclose(self) -> None:
        """Ends it, as an asynchronous generator is ended."""
        self.close()


class Events:
    """Who listens, by kind."""

    def __init__(self) -> None:
        self._listeners: dict[Kind, dict[Listener, None]] = {}
        self.hand_on: Callable[[Happened], None] | None = None
        """Tells other processes, if there can be any."""

    async def tell(self, happened: Happened) -> None:
        """See the port."""
        if not happened.again:
            self.publish(happened)

    def publish(self, happened: Happened) -> None:
        """Tells everybody, everywhere."""
        self.hear(happened)
        if self.hand_on is not None:
            self.hand_on(happened)

    def hear(self, happened: Happened) -> None:
        """Tells everybody who listens here for its kind."""
        for listener in list(self._listeners.get(happened.kind, ())):
            listener.hear(happened.event)

    def listen(self, kind: Kind) -> Listener:
        """Returns the events from now on."""
        listener = Listener(self, kind)
        self._listeners.setdefault(kind, {})[listener] = None
        return listener

    def forget(self, kind: Kind, listener: Listener) -> bool:
        """Whether it was there."""
        there = self._listeners.get(kind, {})
        found = listener in there
        there.pop(listener, None)
        if not there:
            self._listeners.pop(kind, None)
        return found
