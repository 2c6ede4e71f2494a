"""Puts events into an outbox for all who have asked for them, before the caller is answered.

In: events, of the exchange. Out: nothing; the couriers deliver. With PostgreSQL an event is on its disk when `tell`
returns; where there is none, or it does not answer in time, events are kept in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog
from fastforward_kit.telemetry import Tally
from fastforward_pipeline import Snapshot
from fastforward_pipeline.effects import Unavailable
from fastforward_shield import Hop

from fastforward_entrypoint.endpoint import Current
from fastforward_entrypoint.messages.events import Happened

from .cloudevent import write_event
from .delivering import Courier, Sender
from .in_process import InProcessOutbox
from .port import Letter, Outbox

log = structlog.get_logger(__name__)

_LOOK_S = 0.5
_PATIENCE_S = 2.0


class RunningSender(Sender, Protocol):
    """A sender with connections."""

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        ...

    def forget(self, hook: str) -> None:
        """The hook is gone."""
        ...

    async def close(self) -> None:
        """Ends all connections."""
        ...


class Hooks:
    """Whoever is told by webhooks. `open_sender` is called when there is the first EventHook."""

    def __init__(
        self,
        snapshots: Current,
        open_sender: Callable[[], RunningSender],
        tally: Tally,
        open_outbox: Callable[[Callable[[str, int], None]], Outbox | None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`tally` has the labels hook and outcome; `open_outbox` is told whom to tell of dropped events."""
        self._snapshots = snapshots
        self._open_sender = open_sender
        self._tally = tally
        self._clock = clock
        self._sender: RunningSender | None = None
        self._memory = InProcessOutbox()
        self._durable = open_outbox(self._drop)
        self._couriers: list[Courier] = []
        self._names: frozenset[str] = frozenset()
        self._known: tuple[Snapshot | None, Mapping[tuple[str, str], Sequence[str]]] = (None, {})

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        return iter(self._sender or ())

    async def tell(self, happened: Happened) -> None:
        """Keeps the event for each hook that wants it. One without a hook costs one look."""
        hooks = self._find(happened)
        if not hooks or (happened.again and self._durable is None):
            return
        header = happened.event.header
        body = write_event(happened.event, happened.route, self._clock())
        letter = Letter(header.id, body, known=bool(header.transaction.id))
        if not await self._keep_durably(letter, hooks) and not happened.again:
            for hook in await self._memory.keep(letter, hooks):
                self._drop(hook, 1)
        for courier in self._couriers:
            courier.wake()

    async def _keep_durably(self, letter: Letter, hooks: Sequence[str]) -> bool:
        if self._durable is None:
            return False
        kept = not isinstance(await self._durable.keep(letter, hooks), Unavailable)
        if not kept:
            log.warning("an event is kept in this process alone", event_id=letter.event)
        return kept

    def _find(self, happened: Happened) -> Sequence[str]:
        snapshot = self._snapshots.current
        if not snapshot.eventhooks:
            return ()
        if self._known[0] is not snapshot:
            self._known = snapshot, _by_event(snapshot)
        return self._known[1].get((happened.route.partition("/")[0], happened.event.header.type), ())

    def _drop(self, hook: str, many: int) -> None:
        self._tally.counts[hook, "dropped"] += many
        log.warning("events are dropped", hook=hook, events=many)

    def _count(self, hook: str, outcome: str) -> None:
        self._tally.counts[hook, outcome] += 1

    async def run(self) -> None:
        """Delivers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            if self._durable is not None:
                tasks.create_task(self._durable.run())
            while not self._snapshots.current.eventhooks:  # noqa: ASYNC110 - snapshots come without a word
                await asyncio.sleep(_LOOK_S)
            # Its client takes a while to be read, in which others go on.
            sender = self._sender = await asyncio.to_thread(self._open_sender)
            for outbox in (self._memory, self._durable):
                if outbox is not None:
                    courier = Courier(outbox, self._snapshots, sender, self._count)
                    self._couriers.append(courier)
                    tasks.create_task(courier.run())
            while True:
                self._let_go(sender)
                await asyncio.sleep(_LOOK_S)

    def _let_go(self, sender: RunningSender) -> None:
        """Forgets hooks that are gone, and what is kept here for them."""
        names = frozenset(self._snapshots.current.eventhooks)
        for hook in self._names - names:
            sender.forget(hook)
            dropped = self._memory.forget(hook)
            if dropped:
                self._drop(hook, dropped)
        self._names = names

    async def close(self) -> None:
        """Lets deliveries come to their end for a while."""
        for courier in self._couriers:
            await courier.close(_PATIENCE_S)
        lost = await self._memory.close()
        if lost:
            log.warning("events are lost: they were kept in this process", events=lost)
        if self._durable is not None:
            await self._durable.close()
        if self._sender is not None:
            await self._sender.close()


def _by_event(snapshot: Snapshot) -> Mapping[tuple[str, str], Sequence[str]]:
    """Hooks by namespace and type."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, hook in sorted(snapshot.eventhooks.items()):
        for event in hook.events:
            found.setdefault((hook.namespace, event), []).append(name)
    return found
