"""What every counter store promises of what is owed, and of places for requests under way."""

import asyncio
from dataclasses import replace

from fastforward_entrypoint.counters.redis import RedisCounterStore
from fastforward_pipeline.effects import UNASKED, Bucket, GiveBack, Slots, TakeTokens, Unavailable, Verdict

from support.counting import HOUR_MS, Counting, bucket, redis_store, wait
from support.eventually import eventually
from support.redis import RedisServer

DEADLINE_SECONDS = 0.05


def owed(cost: float, of: Bucket) -> Bucket:
    """What an answer has cost."""
    return replace(of, cost=cost, least=UNASKED)


async def test_what_is_owed_is_taken_though_it_is_not_there(counting: Counting) -> None:
    asks = replace(bucket("a", burst=10, requests=10, window_ms=1000), cost=0.0)
    assert [await counting.levels(asks) for _ in range(3)] == [[(False, 10)]] * 3
    assert (await counting.levels(owed(14.5, asks)))[0][0] is False
    level = (await counting.verdict(asks)).levels[0]
    assert level.refused
    assert -4.5 <= level.tokens < 0
    await counting.advance(0.6)  # 5.5 tokens are missing to a whole one
    assert await counting.allowed(asks)


async def test_a_quota_may_be_overdrawn_as_well(counting: Counting) -> None:
    asks = replace(bucket("a", burst=5, requests=0, window_ms=60_000), cost=0.0)
    assert await counting.levels(owed(7, asks)) == [(False, -1)]
    assert (await counting.verdict(asks)).levels[0].refused
    assert await counting.levels(replace(asks, burst=9)) == [(False, 2)], "what is owed is owed to the next budget too"


def places(name: str, most: int, *, lease_ms: int = HOUR_MS, shadow: bool = False) -> Slots:
    return Slots(f"{{default/{name}}}d1@once", most, lease_ms, shadow)


async def test_there_are_so_many_places_until_one_is_given_back(counting: Counting) -> None:
    two = places("a", 2)
    first, second, third = [await counting.verdict(two) for _ in range(3)]
    assert [taken.levels[0].refused for taken in (first, second, third)] == [False, False, True]
    assert [taken.levels[0].tokens for taken in (first, second, third)] == [1, 0, 0]
    assert first.holder != second.holder
    back = GiveBack(two.key, first.holder)
    for _ in range(3):  # once is enough, and more does no harm
        assert await counting.levels(back) == [(False, 0)]
    assert [await counting.allowed(two) for _ in range(2)] == [True, False]


async def test_a_place_is_free_when_its_lease_is_over(counting: Counting) -> None:
    brief, long = places("a", 2, lease_ms=300), places("a", 2)
    assert [await counting.allowed(brief), await counting.allowed(long)] == [True, True]
    assert not await counting.allowed(brief)
    await counting.advance(0.4)
    assert [await counting.allowed(brief) for _ in range(2)] == [True, False]


async def test_places_and_tokens_are_taken_together_or_not_at_all(counting: Counting) -> None:
    one, few = places("a", 1), bucket("b", burst=5)
    assert await counting.levels(one, few) == [(False, 0), (False, 4)]
    assert await counting.levels(one, few) == [(True, 0), (False, 4)]
    empty = bucket("c", burst=1)
    assert await counting.levels(empty) == [(False, 0)]
    assert await counting.levels(places("d", 1), empty) == [(False, 1), (True, 0)]
    assert await counting.allowed(places("d", 1))


async def test_places_in_the_shadow_hinder_nobody(counting: Counting) -> None:
    watched = places("a", 1, shadow=True)
    assert [await counting.levels(watched, bucket("b")) for _ in range(2)] == [
        [(False, 0), (False, 2)],
        [(True, 0), (False, 1)],
    ]


async def test_many_at_once_get_no_more_places_than_there_are(counting: Counting) -> None:
    found = await asyncio.gather(*(counting.allowed(places("a", 7)) for _ in range(60)))
    assert sum(found) == 7


async def test_places_leave_redis_when_nobody_holds_them(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as store:
        taken = await wait(store, TakeTokens((places("a", 3), places("b", 3, lease_ms=50))))
        assert isinstance(taken, Verdict)
        with redis_server.client() as client:
            assert client.dbsize() == 2
            await wait(store, TakeTokens((GiveBack(places("a", 3).key, taken.holder),)))
            await eventually(lambda: client.dbsize() == 0)


async def test_no_two_services_take_a_place_by_the_same_name(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as one, redis_store(redis_server) as other:
        answers = [await wait(store, TakeTokens((places("a", 3),))) for store in (one, other)]
    assert len({answer.holder for answer in answers if isinstance(answer, Verdict)}) == 2


async def test_a_place_is_free_again_whose_request_was_told_too_late(redis_server: RedisServer) -> None:
    """The exchange ends well, but not in the time of the request."""
    async with redis_store(redis_server, DEADLINE_SECONDS, exchange=5.0) as store:
        assert await is_there(store, bucket("c"))
        redis_server.freeze()
        assert isinstance(await wait(store, TakeTokens((places("a", 1), bucket("b")))), Unavailable)
        redis_server.thaw()
        with redis_server.client() as client:
            await eventually(lambda: client.exists("ff:{default/b}d1") == 1)
            await eventually(lambda: client.exists("ff:" + places("a", 1).key) == 0)


async def test_a_place_is_free_again_whose_request_has_gone_meanwhile(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as store:
        assert await is_there(store, bucket("c"))
        redis_server.freeze()
        gone = asyncio.create_task(wait(store, TakeTokens((places("a", 1), bucket("b")))))
        await asyncio.sleep(0.1)
        gone.cancel()
        redis_server.thaw()
        with redis_server.client() as client:
            await eventually(lambda: client.exists("ff:{default/b}d1") == 1)
            await eventually(lambda: client.exists("ff:" + places("a", 1).key) == 0)


async def test_a_place_is_free_again_that_an_exchange_without_an_answer_may_have_taken(
    redis_server: RedisServer,
) -> None:
    async with redis_store(redis_server, DEADLINE_SECONDS) as store:
        assert await is_there(store, bucket("c"))
        redis_server.freeze()
        assert isinstance(await wait(store, TakeTokens((places("a", 1), bucket("b")))), Unavailable)
        redis_server.thaw()
        with redis_server.client() as client:
            await eventually(lambda: client.exists("ff:{default/b}d1") == 1)
            assert await is_there(store, bucket("c"))
            await eventually(lambda: client.exists("ff:" + places("a", 1).key) == 0)


async def test_places_that_could_not_be_given_back_are_when_redis_answers_again(redis_server: RedisServer) -> None:
    many = places("a", 300)
    async with redis_store(redis_server) as store:
        taken = await asyncio.gather(*(wait(store, TakeTokens((many,))) for _ in range(300)))
    async with redis_store(redis_server, DEADLINE_SECONDS) as store:
        assert await is_there(store, bucket("c"))
        redis_server.freeze()
        back = [TakeTokens((GiveBack(many.key, one.holder),)) for one in taken if isinstance(one, Verdict)]
        for some in (back[:100], back[100:200], back[200:]):  # in an exchange, behind it, or not even that
            assert set(map(type, await asyncio.gather(*(wait(store, one) for one in some)))) == {Unavailable}
        redis_server.thaw()
        assert await is_there(store, bucket("c"))
        with redis_server.client() as client:
            await eventually(lambda: client.exists("ff:" + many.key) == 0)


async def test_a_foreign_value_under_a_key_of_places_hinders_nobody_else(redis_server: RedisServer) -> None:
    strange, sound = places("a", 1), places("b", 1)
    with redis_server.client() as client:
        client.set("ff:" + strange.key, "x")
    async with redis_store(redis_server) as store:
        both = [wait(store, TakeTokens((one,))) for one in (sound, strange)]
        assert set(map(type, await asyncio.gather(*both))) == {Unavailable}
        for _ in range(3):
            assert await Counting(store, asyncio.sleep).allowed(bucket("c"))
        assert dict(store.errors) == {"refused": 1}
        assert await Counting(store, asyncio.sleep).allowed(sound), "it was taken before the script failed"


async def is_there(store: RedisCounterStore, asked: Bucket) -> bool:
    """Whether the store counts; waits until it does."""
    async with asyncio.timeout(10):
        while isinstance(await wait(store, TakeTokens((asked,))), Unavailable):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return True
