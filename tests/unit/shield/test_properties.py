"""What holds for every policy and every callee, found by Hypothesis in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastforward_shield import Adaptive, Breaker, Bulkhead, Hedge, Hop, HopError, Policy, Retry, State
from hypothesis import given, settings
from hypothesis import strategies as st

from support import virtual_time
from support.callee import BrokenError, BusyError, RefusedError, judge
from support.virtual_time import now

SHORT = st.floats(0.01, 5.0)
FAILURES = (BrokenError, BusyError, RefusedError)


@dataclass(frozen=True)
class Turn:
    """How the callee takes one try."""

    takes_s: float
    end: type[Exception] | None


@dataclass(frozen=True)
class Caller:
    """When a call is made, by when it is to end, when its caller goes away."""

    at: float
    deadline_s: float | None
    leaves_s: float | None
    repeatable: bool


TURNS = st.lists(st.builds(Turn, takes_s=st.floats(0, 8), end=st.sampled_from((None, *FAILURES))), min_size=1)
CALLERS = st.lists(
    st.builds(
        Caller,
        at=st.floats(0, 20),
        deadline_s=st.none() | SHORT,
        leaves_s=st.none() | SHORT,
        repeatable=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
ADAPTIVES = st.none() | st.just(Adaptive(least=1, most=8))
POLICIES = st.builds(
    Policy,
    timeout_s=st.none() | SHORT,
    try_timeout_s=st.none() | SHORT,
    bulkhead=st.none()
    | st.builds(Bulkhead, concurrent=st.integers(1, 4), queue=st.integers(0, 4), queue_s=SHORT, adaptive=ADAPTIVES),
    retry=st.none()
    | st.builds(
        Retry, tries=st.integers(1, 5), base_s=st.floats(0, 1), budget_share=st.floats(0, 1), budget_per_s=SHORT
    ),
    hedge=st.none() | st.builds(Hedge, after_s=SHORT),
    breaker=st.none() | st.builds(Breaker, failures=st.integers(1, 5), open_s=SHORT, probes=st.integers(1, 3)),
)


class World:
    """Callers, one hop, one callee, and what was seen of them."""

    def __init__(self, policy: Policy, turns: list[Turn], jitter: float) -> None:
        self.hop = Hop("callee", policy, judge, jitter=lambda: jitter)
        self.policy, self._turns = policy, turns
        self.tries = self.busy = self.busiest = 0
        self.late: list[Caller] = []
        self.strange: list[BaseException] = []

    async def callee(self, _: object) -> int:
        turn = self._turns[self.tries % len(self._turns)]
        self.tries += 1
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(turn.takes_s)
        finally:
            self.busy -= 1
        if turn.end is not None:
            raise turn.end
        return self.tries

    async def caller(self, caller: Caller) -> None:
        await asyncio.sleep(caller.at)
        begun = now()
        deadline = float("inf") if caller.deadline_s is None else begun + caller.deadline_s
        call = asyncio.ensure_future(self.hop.call(self.callee, deadline=deadline, repeatable=caller.repeatable))
        await asyncio.wait([call], timeout=caller.leaves_s)
        if not call.done():
            call.cancel()
        try:
            await call
        except (*FAILURES, HopError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - whatever else there is, is what we look for
            self.strange.append(error)
        latest = min(deadline, begun + (self.policy.timeout_s or float("inf")))
        # looptime counts in millionths of a second, and rounds each of several waits.
        if now() > latest + 1e-5:
            self.late.append(caller)


async def play(policy: Policy, turns: list[Turn], callers: list[Caller], jitter: float) -> World:
    world = World(policy, turns, jitter)
    await asyncio.gather(*map(world.caller, callers))
    return world


@settings(deadline=None, max_examples=300)
@given(policy=POLICIES, turns=TURNS, callers=CALLERS, jitter=st.floats(0, 0.999))
def test_whatever_happens_callers_are_told_in_time_and_nothing_is_left_behind(
    policy: Policy, turns: list[Turn], callers: list[Caller], jitter: float
) -> None:
    world = virtual_time.run(lambda: play(policy, turns, callers, jitter))
    state = world.hop.state()
    assert world.strange == []
    assert world.late == []
    assert (world.busy, state.in_flight, state.waiting) == (0, 0, 0)
    assert state.counts.calls == len(callers)
    assert state.counts.tries == world.tries


@settings(deadline=None, max_examples=200)
@given(policy=POLICIES, turns=TURNS, callers=CALLERS, jitter=st.floats(0, 0.999))
def test_a_bulkhead_is_never_overfull_and_retries_never_exceed_their_tries(
    policy: Policy, turns: list[Turn], callers: list[Caller], jitter: float
) -> None:
    world = virtual_time.run(lambda: play(policy, turns, callers, jitter))
    beside = 1 if policy.hedge is None else 2
    if policy.bulkhead is not None:
        most = policy.bulkhead.concurrent if policy.bulkhead.adaptive is None else policy.bulkhead.adaptive.most
        assert world.busiest <= most * beside
    tries = 1 if policy.retry is None else policy.retry.tries
    assert world.tries <= len(callers) * tries * beside


@settings(deadline=None, max_examples=200)
@given(policy=POLICIES, turns=TURNS, callers=CALLERS)
def test_a_breaker_always_lets_somebody_find_out_again(
    policy: Policy, turns: list[Turn], callers: list[Caller]
) -> None:
    async def work() -> None:
        world = await play(policy, turns, callers, 0.5)
        if policy.breaker is None:
            return
        for _ in range(policy.breaker.probes + 1):
            await asyncio.sleep(policy.breaker.max_open_s)
            world._turns = [Turn(takes_s=0, end=None)]
            await world.hop.call(world.callee)
        assert world.hop.state().breaker is State.CLOSED

    virtual_time.run(work)
