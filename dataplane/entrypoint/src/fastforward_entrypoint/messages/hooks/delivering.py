"""Takes events out of an outbox and brings them to their receivers, many at once, and says there how it went.

In: an outbox. Out: deliveries, and what is counted of them. Called by telling. A slow receiver keeps up nobody but
itself: each hook has its own share of deliveries that are under way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

import structlog
from fastforward_kit.lifecycle import let_end
from fastforward_pipeline.compiled.eventhook import EventHook
from fastforward_pipeline.effects import Unavailable

from fastforward_entrypoint.endpoint import Current

from .port import UNDER_WAY, Dead, Delivered, Delivery, Later, Outbox, Outcome, Wish

log = structlog.get_logger(__name__)

POLL_S = 1.0
"""How often an outbox is looked at in which others put events, too."""
_GRACE_S = 5.0


class Sender(Protocol):
    """Whoever makes a try."""

    async def send(self, hook: EventHook, delivery: Delivery) -> Outcome:
        """Says what becomes of the event."""
        ...


class Courier:
    """For one outbox. `count` is told of each event's hook and outcome."""

    def __init__(
        self,
        outbox: Outbox,
        snapshots: Current,
        sender: Sender,
        count: Callable[[str, str], None],
    ) -> None:
        self._outbox = outbox
        self._snapshots = snapshots
        self._sender = sender
        self._count = count
        self._awake = asyncio.Event()
        self._under_way: Counter[str] = Counter()
        self._resting: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """There is something in the outbox."""
        self._awake.set()

    async def run(self) -> None:
        """Delivers, until cancelled."""
        while True:
            self._awake.clear()
            wishes = list(self._wishes())
            claimed = await self._outbox.claim(wishes) if wishes else ()
            for delivery in () if isinstance(claimed, Unavailable) else claimed:
                self._under_way[delivery.hook] += 1
                task = asyncio.ensure_future(self._deliver(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._awake.wait()

    def _wishes(self) -> Iterator[Wish]:
        now = asyncio.get_running_loop().time()
        for hook in self._snapshots.current.eventhooks.values():
            room = UNDER_WAY - self._under_way[hook.name]
            if hook.ready and room > 0 and self._resting.get(hook.name, 0.0) <= now:
                yield Wish(hook.name, room, hook.timeout_s + _GRACE_S)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            hook = self._snapshots.current.eventhooks.get(delivery.hook)
            if hook is not None and hook.ready:
                outcome = await self._send(hook, delivery)
                self._tell(delivery, outcome)
                await self._outbox.settle(delivery, outcome)
        finally:
            self._leave(delivery.hook)

    async def _send(self, hook: EventHook, delivery: Delivery) -> Outcome:
        try:
            return await self._sender.send(hook, delivery)
        except Exception as error:
            # The defect is ours, and yet a try: an event that no failure counts against would be sent for ever.
            log.exception("a webhook was not sent", hook=delivery.hook, event_id=delivery.event)
            tries, why = delivery.tries + 1, f"{type(error).__name__}: {error}"
            return (
                Dead(tries, why, hook.dead_letters) if tries >= hook.tries else Later(hook.longest_wait_s, tries, why)
            )

    def _leave(self, hook: str) -> None:
        self._under_way[hook] -= 1
        if self._under_way[hook] == UNDER_WAY // 2:
            # There was less room before than there may be events; with half of it free, few questions take many.
            self.wake()
        elif not self._under_way[hook]:
            del self._under_way[hook]

    def _tell(self, delivery: Delivery, outcome: Outcome) -> None:
        match outcome:
            case Delivered():
                self._count(delivery.hook, "delivered")
            case Later(wait_s=wait_s, tries=tries, why=why):
                loop = asyncio.get_running_loop()
                loop.call_later(wait_s, self.wake)
                if tries == delivery.tries:
                    # Nothing was sent, and no other would be: they stay where they are meanwhile.
                    self._resting[delivery.hook] = loop.time() + wait_s
                else:
                    self._count(delivery.hook, "failed")
                    log.info("a webhook failed", hook=delivery.hook, event_id=delivery.event, tries=tries, why=why)
            case Dead(tries=tries, why=why):
                self._count(delivery.hook, "dead")
                log.warning("a webhook is given up", hook=delivery.hook, event_id=delivery.event, tries=tries, why=why)

    async def close(self, patience_s: float) -> None:
        """Lets what is under way come to its end; what does not in time comes again."""
        await let_end(self._tasks, patience_s)
