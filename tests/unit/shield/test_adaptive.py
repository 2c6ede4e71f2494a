"""A limit that follows the callee, and what people are told of hops."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import pytest
from fastforward_shield import Adaptive, Breaker, Bulkhead, Hop, Policy, Retry
from fastforward_shield.metrics import HopCollector
from prometheus_client import CollectorRegistry

from support import virtual_time
from support.callee import BrokenError, Callee, judge

LIMITED = Policy(timeout_s=60, bulkhead=Bulkhead(concurrent=20, queue=1000, queue_s=60, adaptive=Adaptive(most=200)))


class Server:
    """Works at `at_once` requests, 0.1 s each; the others wait in its queue."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)

    async def __call__(self, _: object) -> None:
        async with self._places:
            await asyncio.sleep(0.1)


async def load(hop: Hop, server: Server, callers: int, seconds: float) -> None:
    ends = asyncio.get_running_loop().time() + seconds

    async def caller() -> None:
        while asyncio.get_running_loop().time() < ends:
            await hop.call(server)

    await asyncio.gather(*(caller() for _ in range(callers)))


@pytest.mark.parametrize(("at_once", "least", "most"), [(40, 38, 90), (8, 5, 26)])
def test_the_limit_settles_near_what_the_callee_can_do_at_once(at_once: int, least: int, most: int) -> None:
    async def work() -> int | None:
        hop = Hop("server", LIMITED, judge)
        await load(hop, Server(at_once), callers=4, seconds=2)
        await load(hop, Server(at_once), callers=150, seconds=30)
        return hop.state().limit

    limit = virtual_time.run(work)
    assert limit is not None
    assert least <= limit <= most


def test_calls_that_time_out_shrink_the_limit() -> None:
    async def work() -> tuple[int | None, int | None]:
        hop = Hop("server", Policy(timeout_s=1, bulkhead=LIMITED.bulkhead), judge)
        before = hop.state().limit
        await asyncio.gather(*(hop.call(Callee(takes_s=9)) for _ in range(10)), return_exceptions=True)
        return before, hop.state().limit

    before, after = virtual_time.run(work)
    assert before is not None
    assert after is not None
    assert after < before / 2


def test_everything_about_a_hop_is_a_metric() -> None:
    async def work() -> CollectorRegistry:
        policy = Policy(retry=Retry(tries=2, base_s=0), breaker=Breaker(failures=2), bulkhead=Bulkhead(concurrent=7))
        hop = Hop("target", policy, judge)
        registry = CollectorRegistry()
        registry.register(HopCollector([hop]))
        failing = Callee(ends=deque([BrokenError, BrokenError]))
        with pytest.raises(BrokenError):
            await hop.call(failing)
        return registry

    registry = virtual_time.run(work)

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"ff_hop_{name}", {"hop": "target"})

    assert [value(f"{name}_total") for name in ("calls", "failures", "tries", "retries", "opened")] == [1, 1, 2, 1, 1]
    assert (value("open"), value("limit"), value("in_flight")) == (1, 7, 0)


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        (Policy, {"timeout_s": 0}, "timeout_s"),
        (Retry, {"tries": 0}, "retry.tries"),
        (Retry, {"base_s": 2, "max_s": 1}, "retry.base_s"),
        (Breaker, {"failure_share": 1.5}, "breaker.failure_share"),
        (Breaker, {"open_s": 5, "max_open_s": 1}, "breaker.open_s"),
        (Bulkhead, {"concurrent": 0}, "bulkhead.concurrent"),
        (Bulkhead, {"concurrent": 5, "adaptive": Adaptive(least=6)}, "bulkhead.concurrent"),
        (Adaptive, {"least": 0}, "adaptive.least"),
    ],
)
def test_a_policy_that_makes_no_sense_names_the_field(
    kind: Callable[..., object], given: dict[str, object], field: str
) -> None:
    with pytest.raises(ValueError, match=field.replace(".", r"\.")):
        kind(**given)
