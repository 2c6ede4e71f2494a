"""What becomes of claims: results that a store can't take are told to it again, until it takes them.

In: claims, and the calls that are made under them. Out: what the calls came to. Called by exchange and gather. A caller
has its answer whatever becomes of the store, and until the lease ends nobody else can begin: most outages leave no
trace.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from fastforward_kit.backoff import Backoff
from fastforward_kit.lifecycle import let_end
from fastforward_pipeline.effects import Unavailable
from fastforward_pipeline.message import ONCE_S, UNKNOWN, Claim, Failed, Finish

from .port import OnceStore

log = structlog.get_logger(__name__)

WAITING = 1000
"""Results that may wait, of a megabyte at most each."""
Result = TypeVar("Result")


@dataclass(slots=True)
class Fate:
    """What is known of a message that was sent."""

    doubtful: bool = False
    """It may have been handled, or be handled yet, though no answer came."""


class Settling:
    """Finishes claims. `patience_s` bounds for how long one is tried."""

    def __init__(self, store: OnceStore, *, patience_s: float = 120.0) -> None:
        self._store = store
        self._patience_s = patience_s
        self._waiting: set[asyncio.Future[Any]] = set()

    async def finish(self, asked: Finish) -> None:
        """Returns when the store has answered, or could not: then it is asked again beside. Survives the caller."""
        task = asyncio.ensure_future(self._store.finish(asked))
        self._keep(task)
        if isinstance(await asyncio.shield(task), Unavailable):
            if len(self._waiting) < WAITING:
                self._keep(asyncio.ensure_future(self._again(asked)))
            else:
                log.error("a result is not remembered", transaction=asked.claim.key[:32])

    async def handle(self, claim: Claim | None, call: Callable[[Fate], Awaitable[Result | Failed]]) -> Result | Failed:
        """Returns what the call comes to. If it fails, the claim is over: the same message may come again, unless it
        may have been handled.
        """
        fate, answered = Fate(), False
        try:
            result = await call(fate)
            answered = not isinstance(result, Failed)
        finally:
            if claim is not None and not answered:
                await self.finish(Finish(claim, UNKNOWN if fate.doubtful else None, ONCE_S))
        return result

    def _keep(self, task: asyncio.Future[Any]) -> None:
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _again(self, asked: Finish) -> None:
        backoff = Backoff(first=0.05, longest=2.0)
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    await asyncio.sleep(backoff.next_wait())
                    if not isinstance(await self._store.finish(asked), Unavailable):
                        return
        except TimeoutError:
            log.error("a result is not remembered", transaction=asked.claim.key[:32])

    async def close(self, *, patience_s: float = 2.0) -> None:
        """Gives what waits a last chance."""
        await let_end(self._waiting, patience_s)
