"""What every outbox promises: the same tests for the one in this process and for PostgreSQL.

The clock: the outbox in this process has one that a test moves; PostgreSQL has its own, so there a test waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from fastforward_entrypoint.messages.database import make_pool
from fastforward_entrypoint.messages.hooks import (
    Dead,
    Delivered,
    Delivery,
    InProcessOutbox,
    Later,
    Letter,
    Outbox,
    Wish,
)
from fastforward_entrypoint.messages.hooks.postgresql import PostgresqlOutbox
from fastforward_pipeline.effects import Unavailable

from support.postgresql import PostgresqlServer, running_postgresql

HOOK, OTHER = "shop/warehouse", "shop/mail"


def letter(event: str = "e", body: bytes = b"{}", *, known: bool = False) -> Letter:
    return Letter(event, body, known)


@dataclass
class Keeping:
    """An outbox under test; `advance` lets seconds pass for it."""

    outbox: Outbox
    advance: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def keep(self, *events: str, hook: str = HOOK, known: bool = False) -> None:
        for event in events:
            assert not await self.outbox.keep(letter(event, known=known), [hook])

    async def claim(self, hook: str = HOOK, most: int = 10, lease_s: float = 60.0) -> Sequence[Delivery]:
        claimed = await self.outbox.claim([Wish(hook, most, lease_s)])
        assert not isinstance(claimed, Unavailable)
        return claimed

    async def events(self, hook: str = HOOK, most: int = 10, lease_s: float = 60.0) -> list[str]:
        return sorted(each.event for each in await self.claim(hook, most, lease_s))


@pytest.fixture(scope="module")
def postgresql() -> Generator[PostgresqlServer]:
    with running_postgresql() as server:
        yield server


@asynccontextmanager
async def postgresql_outbox(
    server: PostgresqlServer, deadline: float = 5.0, waiting: int = 100
) -> AsyncGenerator[tuple[PostgresqlOutbox, list[str]]]:
    dropped: list[str] = []
    pool = make_pool(server.url, username="ff", password=server.password, deadline=deadline)
    outbox = PostgresqlOutbox(
        pool, deadline=deadline, dropped=lambda hook, many: dropped.extend([hook] * many), waiting=waiting
    )
    running = asyncio.create_task(outbox.run())
    await until(lambda: is_there(outbox))
    with server.connect() as connection:
        connection.execute("TRUNCATE ff_outbox")
    yield outbox, dropped
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await outbox.close() == 0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - it is tried
            await asyncio.sleep(0.02)


async def is_there(outbox: Outbox) -> bool:
    return not isinstance(await outbox.claim([Wish("no/body", 1, 1.0)]), Unavailable)


@pytest.fixture(params=["in process", "postgresql"])
async def keeping(request: pytest.FixtureRequest, postgresql: PostgresqlServer) -> AsyncGenerator[Keeping]:
    if request.param == "in process":
        now = [1000.0]

        async def advance(seconds: float) -> None:
            now[0] += seconds

        yield Keeping(InProcessOutbox(clock=lambda: now[0]), advance)
    else:
        async with postgresql_outbox(postgresql) as (outbox, _):
            yield Keeping(outbox)


async def test_what_is_kept_is_due_at_once_for_each_hook(keeping: Keeping) -> None:
    assert await keeping.outbox.keep(letter("a", b'{"a": 1}'), [HOOK, OTHER]) in ([], ())
    assert await keeping.claim() == [Delivery("a", HOOK, b'{"a": 1}', 0)]
    assert await keeping.claim(OTHER) == [Delivery("a", OTHER, b'{"a": 1}', 0)]
    assert await keeping.events("shop/nobody") == []


async def test_nobody_else_is_given_what_somebody_has_before_the_lease_is_over(keeping: Keeping) -> None:
    await keeping.keep("a")
    assert await keeping.events(lease_s=0.4) == ["a"]
    assert await keeping.events() == []
    await keeping.advance(0.5)
    assert await keeping.events() == ["a"]


async def test_as_many_as_are_wished_for_are_given_the_longest_due_first(keeping: Keeping) -> None:
    for event in "abcd":
        await keeping.keep(event)
        await keeping.advance(0.01)
    assert [await keeping.events(most=3), await keeping.events(most=3)] == [["a", "b", "c"], ["d"]]


async def test_of_many_who_ask_at_once_each_event_is_one_ones(keeping: Keeping) -> None:
    await keeping.keep(*map(str, range(40)))
    given = await asyncio.gather(*(keeping.events(most=7) for _ in range(10)))
    assert sorted(event for events in given for event in events) == sorted(map(str, range(40)))


@pytest.mark.parametrize("known", [True, False])
async def test_what_is_delivered_does_not_come_again(keeping: Keeping, known: bool) -> None:
    await keeping.keep("a", known=known)
    [delivery] = await keeping.claim(lease_s=0.2)
    await keeping.outbox.settle(delivery, Delivered())
    await keeping.advance(0.3)
    assert await keeping.events() == []


async def test_what_is_kept_twice_is_one(keeping: Keeping) -> None:
    await keeping.keep("a", "a")
    assert await keeping.events() == ["a"]
    await keeping.keep("a")
    assert await keeping.events() == []


async def test_what_is_to_come_later_comes_then_and_says_how_often_it_failed(keeping: Keeping) -> None:
    await keeping.keep("a")
    [delivery] = await keeping.claim()
    await keeping.outbox.settle(delivery, Later(0.4, 3, "the answer is 503"))
    assert await keeping.events() == []
    await keeping.advance(0.5)
    assert [each.tries for each in await keeping.claim()] == [3]


@pytest.mark.parametrize("kept", [0, 2])
async def test_a_dead_letter_does_not_come_again(keeping: Keeping, kept: int) -> None:
    await keeping.keep("a", "b")
    for delivery in await keeping.claim(lease_s=0.2):
        await keeping.outbox.settle(delivery, Dead(1, "the answer is 400", kept))
    await keeping.advance(0.3)
    assert await keeping.events() == []


async def test_who_comes_after_its_lease_changes_nothing_of_what_another_has_said(keeping: Keeping) -> None:
    await keeping.keep("a")
    [slow] = await keeping.claim(lease_s=0.2)
    await keeping.advance(0.3)
    [quick] = await keeping.claim()
    await keeping.outbox.settle(quick, Delivered())
    await keeping.outbox.settle(slow, Later(0.0, 1, "late"))
    assert await keeping.events() == []


class TestInProcess:
    """What the outbox in this process does when it is full, or ends."""

    async def test_there_is_no_room_for_more_until_something_goes(self) -> None:
        outbox = InProcessOutbox(capacity=3)
        assert await outbox.keep(letter("a"), [HOOK, OTHER]) == []
        assert await outbox.keep(letter("b"), [HOOK, OTHER]) == [OTHER]
        [delivery] = await outbox.claim([Wish(OTHER, 1, 60.0)])
        await outbox.settle(delivery, Delivered())
        assert await outbox.keep(letter("b"), [OTHER]) == []

    async def test_events_take_a_bounded_room(self) -> None:
        outbox = InProcessOutbox(max_bytes=10)
        assert await outbox.keep(letter("a", b"x" * 6), [HOOK]) == []
        assert await outbox.keep(letter("b", b"x" * 6), [HOOK]) == [HOOK]
        assert outbox.forget(HOOK) == 1
        assert await outbox.keep(letter("b", b"x" * 6), [HOOK]) == []

    async def test_it_says_how_many_it_takes_with_it(self) -> None:
        outbox = InProcessOutbox()
        await outbox.keep(letter("a"), [HOOK, OTHER])
        assert (outbox.forget("no/body"), await outbox.close()) == (0, 2)


class TestPostgresql:
    """What only an outbox on a disk has."""

    async def test_the_newest_dead_letters_are_rows_with_their_reason(self, postgresql: PostgresqlServer) -> None:
        async with postgresql_outbox(postgresql) as (outbox, _):
            keeping = Keeping(outbox)
            for event in "abcd":
                await keeping.keep(event)
                [delivery] = await keeping.claim()
                await outbox.settle(delivery, Dead(5, f"no {event}", 2))
            with postgresql.connect() as connection:
                rows = connection.execute("SELECT event, tries, why FROM ff_outbox WHERE state = 'dead'").fetchall()
                assert sorted(rows) == [("c", 5, "no c"), ("d", 5, "no d")]
                connection.execute("UPDATE ff_outbox SET state = 'waiting', tries = 0, due = now()")
            assert await keeping.events() == ["c", "d"]

    async def test_that_it_was_delivered_is_known_of_what_may_be_told_again(self, postgresql: PostgresqlServer) -> None:
        async with postgresql_outbox(postgresql) as (outbox, _):
            keeping = Keeping(outbox)
            await keeping.keep("a", known=True)
            await keeping.keep("b")
            for delivery in await keeping.claim():
                await outbox.settle(delivery, Delivered())
            await keeping.keep("a", "b")
            assert await keeping.events() == ["b"]

    async def test_what_is_over_goes_and_what_crowds_is_dropped_the_oldest_first(
        self, postgresql: PostgresqlServer
    ) -> None:
        async with postgresql_outbox(postgresql, waiting=3):
            pass
        with postgresql.connect() as connection:
            for event in range(5):
                connection.execute(
                    "INSERT INTO ff_outbox (event, hook, body, known, made) VALUES (%s, %s, '', false, now() - %s * "
                    "interval '1 minute')",
                    (str(event), HOOK, event),
                )
            for event, state, days in (("old", "waiting", 31), ("told", "delivered", 2), ("lately", "delivered", 0)):
                connection.execute(
                    "INSERT INTO ff_outbox (event, hook, body, known, state, made, due) VALUES (%s, %s, '', true, %s, "
                    "now() - %s * interval '1 day', now() - %s * interval '1 day')",
                    (event, OTHER, state, days, days),
                )
            dropped: list[str] = []
            pool = make_pool(postgresql.url, username="ff", password=postgresql.password, deadline=5.0)
            outbox = PostgresqlOutbox(
                pool, deadline=5.0, dropped=lambda hook, many: dropped.extend([hook] * many), waiting=3
            )
            running = asyncio.create_task(outbox.run())
            await until(lambda: _is(dropped, [HOOK] * 2))
            left = connection.execute("SELECT event FROM ff_outbox").fetchall()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await outbox.close()
        assert sorted(event for (event,) in left) == ["0", "1", "2", "lately"]

    async def test_one_that_is_frozen_is_given_up_in_time(self, postgresql: PostgresqlServer) -> None:
        async with postgresql_outbox(postgresql, deadline=0.3) as (outbox, _):
            postgresql.freeze()
            try:
                began = asyncio.get_running_loop().time()
                assert await outbox.keep(letter(), [HOOK]) == Unavailable()
                assert asyncio.get_running_loop().time() - began < 3.0
            finally:
                postgresql.thaw()
            await until(lambda: is_there(outbox))

    async def test_what_was_kept_is_there_after_a_crash(self, postgresql: PostgresqlServer) -> None:
        async with postgresql_outbox(postgresql) as (outbox, _):
            keeping = Keeping(outbox)
            await keeping.keep("a")
            postgresql.kill()
            await asyncio.to_thread(postgresql.start)
            await until(lambda: is_there(outbox))
            assert await keeping.events() == ["a"]


async def _is(found: list[str], expected: list[str]) -> bool:
    return found == expected
