"""What every counter store promises: the same tests for the one in this process and for a real Redis.

The clock: the store in this process has one that a test moves; Redis has its own, so there a test waits, in short
windows.
"""

import asyncio
import struct
from dataclasses import replace

import pytest
from fastforward_entrypoint.counters import InProcessCounterStore
from fastforward_entrypoint.counters.redis import RedisCounterStore, connect
from fastforward_pipeline.effects import Bucket, TakeTokens, Unavailable, Verdict

from support.counting import HOUR_MS, Counting, bucket, redis_store, wait
from support.eventually import eventually
from support.redis import RedisServer, swallowing

DEADLINE_SECONDS = 0.05


async def test_a_bucket_begins_full_and_gives_what_it_holds(counting: Counting) -> None:
    seen = [await counting.levels(bucket("a")) for _ in range(5)]
    assert seen == [[(False, 2)], [(False, 1)], [(False, 0)], [(True, 0)], [(True, 0)]]


async def test_tokens_come_back_evenly(counting: Counting) -> None:
    slow = bucket("a", burst=2, requests=10, window_ms=6000)  # one in 600 ms
    assert [await counting.allowed(slow) for _ in range(3)] == [True, True, False]
    await counting.advance(0.75)
    assert [await counting.allowed(slow) for _ in range(2)] == [True, False]
    await counting.advance(1.35)
    assert [await counting.allowed(slow) for _ in range(3)] == [True, True, False]


async def test_a_bucket_never_holds_more_than_its_burst(counting: Counting) -> None:
    quick = bucket("a", burst=2, requests=1000, window_ms=1000)
    assert await counting.allowed(quick)
    await counting.advance(0.1)
    assert (await counting.levels(quick))[0] == (False, 1)


async def test_refused_requests_cost_nothing(counting: Counting) -> None:
    slow = bucket("a", burst=1, requests=1, window_ms=300)
    assert await counting.allowed(slow)
    for _ in range(20):
        assert not await counting.allowed(slow)
    await counting.advance(0.35)
    assert await counting.allowed(slow)


async def test_a_quota_gives_what_it_holds_and_nothing_comes_back(counting: Counting) -> None:
    quota, beside = bucket("a", burst=2, requests=0, window_ms=1500), bucket("beside")
    assert [await counting.levels(quota, beside) for _ in range(2)] == [
        [(False, 1), (False, 2)],
        [(False, 0), (False, 1)],
    ]
    await counting.advance(0.3)
    assert await counting.levels(quota, beside) == [(True, 0), (False, 1)]


async def test_several_buckets_give_all_or_nothing(counting: Counting) -> None:
    narrow, wide = bucket("narrow", burst=1), bucket("wide", burst=5)
    assert await counting.levels(narrow, wide) == [(False, 0), (False, 4)]
    for _ in range(10):
        assert await counting.levels(wide, narrow) == [(False, 4), (True, 0)]
    assert await counting.levels(wide) == [(False, 3)]


async def test_a_bucket_in_the_shadow_is_counted_and_refuses_nothing(counting: Counting) -> None:
    watched, real = bucket("watched", burst=1, shadow=True), bucket("real", burst=3)
    assert await counting.levels(watched, real) == [(False, 0), (False, 2)]
    assert await counting.levels(watched, real) == [(True, 0), (False, 1)]
    assert await counting.levels(watched, real) == [(True, 0), (False, 0)]
    assert await counting.levels(watched, real) == [(True, 0), (True, 0)]


async def test_a_request_that_is_refused_costs_the_buckets_in_the_shadow_nothing_either(counting: Counting) -> None:
    watched, empty = bucket("watched", burst=2, shadow=True), bucket("empty", burst=1)
    assert await counting.levels(empty) == [(False, 0)]
    assert await counting.levels(watched, empty) == [(False, 2), (True, 0)]


async def test_keys_count_apart(counting: Counting) -> None:
    assert [await counting.allowed(bucket(name, burst=1)) for name in ("a", "b", "a", "b")] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_request_without_buckets_is_no_exception(counting: Counting) -> None:
    assert await counting.levels() == []
    assert await counting.levels(bucket("a")) == [(False, 2)]


@pytest.mark.parametrize(
    ("requests", "window_ms", "burst"), [(1, 86_400_000, 1), (100_000, 1000, 100_000), (7, 3000, 50)]
)
async def test_slow_and_fast_budgets_are_both_exact(
    counting: Counting, requests: int, window_ms: int, burst: int
) -> None:
    any_budget = bucket("a", requests=requests, window_ms=window_ms, burst=burst)
    refused, left = (await counting.levels(any_budget))[0]
    assert (refused, left) == (False, burst - 1)


async def test_many_at_once_get_no_more_than_the_budget(counting: Counting) -> None:
    shared, own = bucket("shared", burst=150), [bucket(f"own-{number}", burst=5) for number in range(50)]

    async def ask(number: int) -> int:
        return sum([await counting.allowed(own[number], shared) for _ in range(10)])

    granted = await asyncio.gather(*(ask(number) for number in range(50)))
    assert sum(granted) == 150
    assert max(granted) <= 5


async def test_a_smaller_budget_applies_at_once(counting: Counting) -> None:
    assert await counting.levels(bucket("a", burst=100)) == [(False, 99)]
    assert await counting.levels(bucket("a", burst=2)) == [(False, 1)]


async def test_another_budget_of_a_quota_counts_at_once_and_what_is_used_stays_used(counting: Counting) -> None:
    def quota(burst: int) -> Bucket:
        return bucket("a", burst=burst, requests=0)

    used = [await counting.levels(quota(3)) for _ in range(4)]
    assert used == [[(False, 2)], [(False, 1)], [(False, 0)], [(True, 0)]]
    assert await counting.levels(quota(1000)) == [(False, 996)]
    assert await counting.levels(quota(6)) == [(False, 1)]
    assert not await counting.allowed(quota(2))
    assert await counting.levels(quota(6)) == [(False, 0)]


async def test_a_quota_that_was_only_asked_for_has_all_of_its_next_budget(counting: Counting) -> None:
    asks = replace(bucket("a", burst=5, requests=0), cost=0.0)
    assert await counting.levels(asks) == [(False, 5)]
    assert await counting.levels(replace(asks, burst=50)) == [(False, 50)]


def test_a_clock_that_goes_back_neither_grants_nor_blocks() -> None:
    now = 5000.0
    store = InProcessCounterStore(clock=lambda: now)
    slow = TakeTokens((bucket("a", burst=1, requests=1, window_ms=1000),))
    assert not store.take(slow).levels[0].refused
    now -= 300.0
    assert store.take(slow).levels[0].refused
    now += 300.0
    assert store.take(slow).levels[0].refused
    now += 1.0
    assert not store.take(slow).levels[0].refused


def test_a_process_forgets_the_longest_unused_buckets_first() -> None:
    store = InProcessCounterStore(capacity=1000, clock=lambda: 0.0)
    for number in range(5000):
        store.take(TakeTokens((bucket("kept", burst=10_000), bucket(f"passing-{number}"))))
    assert store.take(TakeTokens((bucket("kept", burst=10_000),))).levels[0].tokens == 4999.0
    assert store.take(TakeTokens((bucket("passing-0"),))).levels[0].tokens == 2.0


async def test_services_that_share_redis_share_the_budget(redis_server: RedisServer) -> None:
    shared = TakeTokens((bucket("a", burst=100),))
    async with redis_store(redis_server) as one, redis_store(redis_server) as other:
        answers = await asyncio.gather(*(wait(store, shared) for _ in range(100) for store in (one, other)))
    assert sum(isinstance(one, Verdict) and not one.levels[0].refused for one in answers) == 100


async def test_a_quota_outlasts_the_services_that_count_it_and_leaves_redis_after_its_period(
    redis_server: RedisServer,
) -> None:
    quota = bucket("a", burst=3, requests=0, window_ms=HOUR_MS)
    for left in (2, 1, 0):
        async with redis_store(redis_server) as store:
            assert await Counting(store, asyncio.sleep).levels(quota) == [(False, left)]
    with redis_server.client() as client:
        assert HOUR_MS - 60_000 < int(client.pttl("ff:used:{default/a}d1")) <= HOUR_MS


async def test_the_clocks_of_those_who_ask_redis_do_not_matter(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = TakeTokens((bucket("a", burst=1, requests=1, window_ms=300_000),))
    async with redis_store(redis_server) as store:
        assert isinstance(await wait(store, slow), Verdict)
        for skew in (-300.0, 300.0, 3600.0):
            monkeypatch.setattr("time.time", lambda skew=skew: 1_800_000_000.0 + skew)
            answer = await wait(store, slow)
            assert isinstance(answer, Verdict)
            assert answer.levels[0].refused


async def test_a_redis_whose_clock_goes_back_neither_grants_nor_blocks(redis_server: RedisServer) -> None:
    slow = bucket("a", burst=10, requests=10, window_ms=1000)
    with redis_server.client() as client:
        seconds, _ = client.time()
        ahead = (seconds + 300) * 1e6  # written before the clock was put back
        client.set("ff:{default/a}d1", struct.pack("<dd", 5.0, ahead))
        async with redis_store(redis_server) as store:
            assert await Counting(store, asyncio.sleep).levels(slow) == [(False, 4)]
        assert struct.unpack("<dd", client.get("ff:{default/a}d1")) == (4.0, ahead)


async def test_a_script_that_redis_has_forgotten_is_sent_again(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as store:
        counting = Counting(store, asyncio.sleep)
        assert await counting.levels(bucket("a")) == [(False, 2)]
        with redis_server.client() as client:
            client.script_flush()
        assert await counting.levels(bucket("a")) == [(False, 1)]
        assert not store.errors


async def test_a_flushed_redis_grants_one_burst_more_at_most(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as store:
        counting = Counting(store, asyncio.sleep)
        granted = sum([await counting.allowed(bucket("a", burst=50)) for _ in range(60)])
        with redis_server.client() as client:
            client.flushall()
        granted += sum([await counting.allowed(bucket("a", burst=50)) for _ in range(200)])
        assert granted == 100
        assert not store.errors


async def test_a_restarted_redis_is_found_again_without_a_lost_request(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as store:
        counting = Counting(store, asyncio.sleep)
        assert await counting.allowed(bucket("a"))
        redis_server.kill()
        redis_server.start()
        assert await counting.levels(bucket("a")) == [(False, 2)]
        assert not store.errors


async def test_a_frozen_redis_costs_the_deadline_at_first_and_then_nothing(redis_server: RedisServer) -> None:
    async with redis_store(redis_server, DEADLINE_SECONDS) as store:
        counting = Counting(store, asyncio.sleep)
        await eventually_counts(counting)
        redis_server.freeze()
        waits = []
        while not store.breaker.is_open:
            waits.append(await timed(counting))
        assert 3 <= len(waits) <= 8
        assert max(waits) < DEADLINE_SECONDS + 0.1
        assert isinstance(store.take(TakeTokens((bucket("a"),))), Unavailable), "not even a future"
        redis_server.thaw()
        await eventually(lambda: not store.breaker.is_open)
        await eventually_counts(counting)


async def eventually_counts(counting: Counting) -> None:
    async with asyncio.timeout(10):
        while isinstance(await counting.take(bucket("warm", burst=10_000)), Unavailable):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def timed(counting: Counting) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert isinstance(await counting.take(bucket("a")), Unavailable)
    return loop.time() - started


async def test_a_dead_redis_costs_nothing_and_is_used_again_when_it_is_back(redis_server: RedisServer) -> None:
    async with redis_store(redis_server, DEADLINE_SECONDS) as store:
        counting = Counting(store, asyncio.sleep)
        await eventually_counts(counting)
        redis_server.kill()
        assert isinstance(await counting.take(bucket("a")), Unavailable)
        await eventually(lambda: store.breaker.is_open)
        for _ in range(100):
            assert isinstance(store.take(TakeTokens((bucket("a"),))), Unavailable), "not even a future"
        redis_server.start()
        await eventually(lambda: not store.breaker.is_open)
        await eventually_counts(counting)


async def test_a_redis_that_is_not_there_yet_is_waited_for(redis_server: RedisServer) -> None:
    redis_server.kill()
    async with redis_store(redis_server, DEADLINE_SECONDS) as store:
        counting = Counting(store, asyncio.sleep)
        assert isinstance(await counting.take(bucket("a")), Unavailable)
        redis_server.start()
        await eventually(lambda: not store.breaker.is_open)
        await eventually_counts(counting)


async def test_whoever_gives_up_disturbs_nobody(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as store:
        asking = [asyncio.create_task(wait(store, TakeTokens((bucket(f"k{number}"),)))) for number in range(200)]
        await asyncio.sleep(0)
        for task in asking[::2]:
            task.cancel()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
        assert [answer for answer in answers[1::2] if not isinstance(answer, Verdict)] == []
        assert await Counting(store, asyncio.sleep).levels(bucket("k1")) == [(False, 1)]


async def test_a_foreign_value_under_a_key_is_an_outage_not_a_crash(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.hset("ff:{default/a}d1", "x", "y")
    async with redis_store(redis_server) as store:
        assert isinstance(await wait(store, TakeTokens((bucket("a"),))), Unavailable)
        assert dict(store.errors) == {"refused": 1}
        assert isinstance(await wait(store, TakeTokens((bucket("b"),))), Verdict)


@pytest.mark.parametrize("asks", ["evalsha", "ping"])
async def test_a_store_ends_though_its_client_has_swallowed_that(asks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()

    async def lose(*_: object) -> bytes:
        raise ConnectionRefusedError

    client = connect("redis://127.0.0.1:1", username=None, password=None, deadline=5.0)
    monkeypatch.setattr(client, "evalsha", lose)
    monkeypatch.setattr(client, asks, swallowing(reached))
    store = RedisCounterStore(client, deadline=5.0)
    running, asking = asyncio.create_task(store.run()), asyncio.create_task(wait(store, TakeTokens((bucket("a"),))))
    await reached.wait()
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.done()
    assert isinstance(await asking, Unavailable)


async def test_buckets_leave_redis_when_they_are_full_again(redis_server: RedisServer) -> None:
    async with redis_store(redis_server) as store:
        await wait(store, TakeTokens((bucket("a", burst=2, requests=100, window_ms=1000), bucket("b"))))
        with redis_server.client() as client:
            assert 3_590_000 < int(client.pttl("ff:{default/b}d1")) <= HOUR_MS + 1
            await eventually(lambda: client.dbsize() == 1)
