"""What every store of idempotency keys promises: the same tests for the one in this process, Redis and PostgreSQL.

The clock: the store in this process has one that a test moves; the others have their own, so there a test waits.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastforward_entrypoint.messages.database import make_pool
from fastforward_entrypoint.messages.once import InProcessOnceStore, Settling
from fastforward_entrypoint.messages.once.postgresql import PostgresqlOnceStore
from fastforward_entrypoint.messages.once.redis import RedisOnceStore, connect
from fastforward_entrypoint.messages.remembering import RunningOnceStore
from fastforward_pipeline.effects import Unavailable
from fastforward_pipeline.message import Begin, Beginning, Claim, Finish

from support.postgresql import PostgresqlServer, running_postgresql
from support.redis import RedisServer, running_redis

DAY_S = 86_400.0
DEADLINE_S = 0.3
FIRST = Beginning(first=True)
_tokens = map(str, itertools.count())


def claim(key: str = "k", print_: str = "p") -> Claim:
    return Claim(key, print_, next(_tokens))


@dataclass
class Remembering:
    """A store under test; `advance` lets seconds pass for it."""

    store: RunningOnceStore
    advance: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def begin(self, made: Claim, lease_s: float = 60.0) -> Beginning | Unavailable:
        return await self.store.begin(Begin(made, lease_s))

    async def finish(self, made: Claim, result: bytes | None, keep_s: float = DAY_S) -> bool | Unavailable:
        return await self.store.finish(Finish(made, result, keep_s))


@pytest.fixture(scope="module")
def postgresql() -> Generator[PostgresqlServer]:
    with running_postgresql() as server:
        yield server


@asynccontextmanager
async def redis_store(server: RedisServer, deadline: float = 5.0) -> AsyncGenerator[RedisOnceStore]:
    store = RedisOnceStore(connect(server.url, username=None, password=None, deadline=deadline), deadline=deadline)
    yield store
    await store.close()


@asynccontextmanager
async def postgresql_store(server: PostgresqlServer, deadline: float = 5.0) -> AsyncGenerator[PostgresqlOnceStore]:
    pool = make_pool(server.url, username="ff", password=server.password, deadline=deadline)
    store = PostgresqlOnceStore(pool, deadline=deadline)
    running = asyncio.create_task(store.run())
    await _until(lambda: _ready(store))
    yield store
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - it is tried
            await asyncio.sleep(0.02)


async def _ready(store: RunningOnceStore) -> bool:
    return await store.begin(Begin(claim(f"ready-{next(_tokens)}"), 1)) == FIRST


@pytest.fixture(params=["in process", "redis", "postgresql"])
async def remembering(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql: PostgresqlServer
) -> AsyncGenerator[Remembering]:
    match request.param:
        case "in process":
            now = [1000.0]

            async def advance(seconds: float) -> None:
                now[0] += seconds

            yield Remembering(InProcessOnceStore(clock=lambda: now[0]), advance)
        case "redis":
            with running_redis(tmp_path) as server:
                async with redis_store(server) as store:
                    yield Remembering(store)
        case _:
            async with postgresql_store(postgresql) as store:
                with postgresql.connect() as connection:
                    connection.execute("TRUNCATE ff_once")
                yield Remembering(store)


async def test_a_new_key_is_first_and_then_known(remembering: Remembering) -> None:
    assert await remembering.begin(claim()) == FIRST
    assert await remembering.begin(claim(print_="q")) == Beginning(first=False, print="p")
    assert await remembering.begin(claim("other")) == FIRST


async def test_of_many_at_once_one_is_first(remembering: Remembering) -> None:
    known = await asyncio.gather(*(remembering.begin(claim()) for _ in range(50)))
    assert sorted(isinstance(each, Beginning) and each.first for each in known) == [False] * 49 + [True]
    assert known.count(Beginning(first=False, print="p")) == 49


async def test_a_result_is_told_again(remembering: Remembering) -> None:
    made = claim()
    await remembering.begin(made)
    assert await remembering.finish(made, bytes(range(256)) * 4096) is True
    known = await remembering.begin(claim())
    assert known == Beginning(first=False, print="p", result=bytes(range(256)) * 4096)


async def test_a_result_outlives_the_lease_but_not_its_day(remembering: Remembering) -> None:
    made = claim()
    await remembering.begin(made, 0.2)
    await remembering.finish(made, b"r", 0.6)
    await remembering.advance(0.3)
    assert await remembering.begin(claim()) == Beginning(first=False, print="p", result=b"r")
    await remembering.advance(0.4)
    assert await remembering.begin(claim()) == FIRST


async def test_what_is_forgotten_is_new_again(remembering: Remembering) -> None:
    made = claim()
    await remembering.begin(made)
    assert await remembering.finish(made, None) is True
    assert await remembering.begin(claim()) == FIRST


async def test_one_that_died_leaves_its_key_free_when_its_lease_is_over(remembering: Remembering) -> None:
    await remembering.begin(claim(), 0.3)
    assert await remembering.begin(claim()) == Beginning(first=False, print="p")
    await remembering.advance(0.4)
    assert await remembering.begin(claim()) == FIRST


@pytest.mark.parametrize("late", [b"late", None], ids=["result", "failure"])
@pytest.mark.parametrize("finished", [True, False], ids=["finished", "begun"])
async def test_one_that_comes_late_changes_nothing_of_the_seconds(
    remembering: Remembering, late: bytes | None, finished: bool
) -> None:
    slow, second = claim(), claim()
    await remembering.begin(slow, 0.2)
    await remembering.advance(0.3)
    assert await remembering.begin(second) == FIRST
    if finished:
        await remembering.finish(second, b"second")
    assert await remembering.finish(slow, late) is False
    assert await remembering.begin(claim()) == Beginning(first=False, print="p", result=b"second" if finished else None)


async def test_a_late_result_is_kept_when_nobody_came_after(remembering: Remembering) -> None:
    slow = claim()
    await remembering.begin(slow, 0.2)
    await remembering.advance(0.3)
    assert await remembering.finish(slow, b"late") is True
    assert await remembering.begin(claim()) == Beginning(first=False, print="p", result=b"late")


async def test_a_question_whose_answer_was_lost_may_be_asked_again(remembering: Remembering) -> None:
    made = claim()
    assert [await remembering.begin(made) for _ in range(2)] == [FIRST, FIRST]
    assert [await remembering.finish(made, b"r") for _ in range(2)] == [True, True]


class TestOutages:
    """What a store does when there is nobody to ask."""

    @pytest.fixture(params=["redis", "postgresql"])
    async def away(
        self, request: pytest.FixtureRequest, tmp_path: Path, postgresql: PostgresqlServer
    ) -> AsyncGenerator[tuple[Remembering, RedisServer | PostgresqlServer]]:
        if request.param == "redis":
            with running_redis(tmp_path) as server:
                async with redis_store(server, DEADLINE_S) as store:
                    yield Remembering(store), server
            return
        async with postgresql_store(postgresql, DEADLINE_S) as store:
            with postgresql.connect() as connection:
                connection.execute("TRUNCATE ff_once")
            yield Remembering(store), postgresql

    async def test_one_that_is_frozen_is_given_up_in_time_and_asked_again_when_it_is_back(
        self, away: tuple[Remembering, RedisServer | PostgresqlServer]
    ) -> None:
        remembering, server = away
        made = claim()
        await remembering.begin(made)
        server.freeze()
        try:
            began = asyncio.get_running_loop().time()
            known = await asyncio.gather(*(remembering.begin(claim(f"k{n}")) for n in range(30)))
            assert known == [Unavailable()] * 30
            assert asyncio.get_running_loop().time() - began < 10 * DEADLINE_S
        finally:
            server.thaw()
        await _until(lambda: _ready(remembering.store))
        assert await remembering.finish(made, b"r") is True

    async def test_one_that_died_is_used_again_when_it_is_back(
        self, away: tuple[Remembering, RedisServer | PostgresqlServer]
    ) -> None:
        remembering, server = away
        await asyncio.gather(*(remembering.begin(claim(f"k{n}")) for n in range(30)))
        server.kill()
        for _ in range(5):
            assert await remembering.begin(claim()) == Unavailable()
        await asyncio.to_thread(server.start)
        await _until(lambda: _ready(remembering.store))

    async def test_a_result_is_told_to_a_store_that_was_away(
        self, away: tuple[Remembering, RedisServer | PostgresqlServer]
    ) -> None:
        remembering, server = away
        settling, made = Settling(remembering.store), claim()
        await remembering.begin(made)
        server.freeze()
        try:
            await settling.finish(Finish(made, b"r", DAY_S))
        finally:
            server.thaw()

        async def kept() -> bool:
            return await remembering.begin(claim()) == Beginning(first=False, print="p", result=b"r")

        await _until(kept)
        await settling.close()


class TestBounds:
    """What the store in this process does when it is full."""

    async def test_the_oldest_results_go_first_and_what_is_being_handled_never(self) -> None:
        remembering = Remembering(InProcessOnceStore(capacity=3))
        made = [claim(f"k{n}") for n in range(3)]
        for each in made:
            await remembering.begin(each)
        assert await remembering.begin(claim("k3")) == Unavailable()
        await remembering.finish(made[1], b"r")
        assert await remembering.begin(claim("k3")) == FIRST
        assert await remembering.begin(claim("k0")) == Beginning(first=False, print="p")

    async def test_results_take_a_bounded_room(self) -> None:
        remembering = Remembering(InProcessOnceStore(max_bytes=10))
        for name in ("a", "b"):
            made = claim(name)
            await remembering.begin(made)
            await remembering.finish(made, b"x" * 6)
        assert await remembering.begin(claim("b")) == Beginning(first=False, print="p", result=b"x" * 6)
        assert await remembering.begin(claim("a")) == FIRST
