"""The counter stores that the suites of counters are for.

The clock: the store in this process has one that a test moves; Redis has its own, so there a test waits, in short
windows.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from fastforward_entrypoint.counters import InProcessCounterStore

from support.counting import Counting, redis_store
from support.redis import running_redis


@pytest.fixture
def redis_server(tmp_path: Path) -> "object":
    with running_redis(tmp_path) as server:
        yield server


@pytest.fixture(params=["in process", "redis"])
async def counting(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Counting]:
    if request.param == "in process":
        now = [1000.0]

        async def advance(seconds: float) -> None:
            now[0] += seconds

        yield Counting(InProcessCounterStore(clock=lambda: now[0]), advance)
        return
    with running_redis(tmp_path) as server:
        async with redis_store(server) as store:
            yield Counting(store, asyncio.sleep)
