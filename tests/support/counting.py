"""A counter store under test, in this process or in a real Redis. Called by the contract suites of counters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastforward_entrypoint.counters import CounterStore
from fastforward_entrypoint.counters.redis import RedisCounterStore, connect
from fastforward_pipeline.effects import Answer, Bucket, GiveBack, Slots, TakeTokens, Verdict

from support.redis import RedisServer

HOUR_MS = 3_600_000


@dataclass
class Counting:
    """A store under test; `advance` lets seconds pass for it."""

    store: CounterStore
    advance: Callable[[float], Awaitable[None]]

    async def take(self, *buckets: Bucket | Slots | GiveBack) -> Answer:
        answer = self.store.take(TakeTokens(buckets))
        return await answer if isinstance(answer, asyncio.Future) else answer

    async def levels(self, *buckets: Bucket | Slots | GiveBack) -> list[tuple[bool, int]]:
        """Whether each bucket refused, and its whole tokens."""
        return [(level.refused, int(level.tokens + 1e-6)) for level in (await self.verdict(*buckets)).levels]

    async def verdict(self, *buckets: Bucket | Slots | GiveBack) -> Verdict:
        answer = await self.take(*buckets)
        assert isinstance(answer, Verdict), answer
        return answer

    async def allowed(self, *buckets: Bucket | Slots) -> bool:
        return not any(refused for refused, _ in await self.levels(*buckets))


@asynccontextmanager
async def redis_store(
    server: RedisServer, deadline: float = 5.0, *, exchange: float | None = None
) -> AsyncGenerator[RedisCounterStore]:
    """Most tests leave a busy machine time to answer; those of the deadline set the real one, for exchanges as well."""
    client = connect(server.url, username=None, password=None, deadline=exchange or deadline)
    store = RedisCounterStore(client, deadline=deadline)
    running = asyncio.create_task(store.run())
    try:
        yield store
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


def bucket(name: str, *, burst: int = 3, requests: int = 1, window_ms: int = HOUR_MS, shadow: bool = False) -> Bucket:
    return Bucket(key=f"{{default/{name}}}d1", burst=burst, requests=requests, window_ms=window_ms, shadow=shadow)


async def wait(store: RedisCounterStore, effect: TakeTokens) -> Answer:
    answer = store.take(effect)
    return await answer if isinstance(answer, asyncio.Future) else answer
