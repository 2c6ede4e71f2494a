"""What a caller of a hop may rely on, in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import pytest
from fastforward_shield import (
    Breaker,
    Bulkhead,
    CircuitOpenError,
    DeadlineExceededError,
    Hedge,
    Hop,
    Policy,
    Retry,
    SaturatedError,
    State,
    TryTimeoutError,
)

from support import virtual_time
from support.callee import BrokenError, BusyError, Callee, RefusedError, judge
from support.virtual_time import now

BARE = Policy(timeout_s=None)
EAGER = Retry(tries=3, base_s=1.0, max_s=10.0, budget_share=1.0)


def hop(policy: Policy, jitter: float = 1.0) -> Hop:
    return Hop("callee", policy, judge, jitter=lambda: jitter)


def ending(*ends: type[Exception] | None, takes_s: float = 0.0) -> Callee:
    return Callee(takes_s=takes_s, ends=deque(ends))


def test_what_the_callee_answers_is_the_result() -> None:
    async def work() -> None:
        assert await hop(BARE).call(ending()) == 1

    virtual_time.run(work)


def test_a_failure_without_retries_is_the_callers() -> None:
    async def work() -> None:
        callee = ending(BusyError)
        with pytest.raises(BusyError):
            await hop(BARE).call(callee)
        assert len(callee.tries) == 1

    virtual_time.run(work)


class TestDeadline:
    def test_a_callee_that_takes_too_long_is_left_at_the_deadline(self) -> None:
        async def work() -> None:
            callee = ending(takes_s=60)
            with pytest.raises(DeadlineExceededError, match="callee"):
                await hop(Policy(timeout_s=2)).call(callee)
            assert (now(), callee.abandoned) == (2, 1)

        virtual_time.run(work)

    @pytest.mark.parametrize(("deadline", "ends_at"), [(1.5, 1.5), (5.0, 2.0)])
    def test_the_nearer_of_both_deadlines_counts(self, deadline: float, ends_at: float) -> None:
        async def work() -> None:
            with pytest.raises(DeadlineExceededError):
                await hop(Policy(timeout_s=2)).call(ending(takes_s=60), deadline=deadline)
            assert now() == ends_at

        virtual_time.run(work)

    def test_a_deadline_that_has_passed_sends_nothing(self) -> None:
        async def work() -> None:
            callee = ending()
            await asyncio.sleep(1)
            with pytest.raises(DeadlineExceededError):
                await hop(BARE).call(callee, deadline=1.0)
            assert callee.tries == []

        virtual_time.run(work)

    def test_the_callee_is_told_what_is_left(self) -> None:
        async def work() -> None:
            callee = ending(BusyError)
            await hop(Policy(timeout_s=10, retry=EAGER, try_timeout_s=4)).call(callee)
            assert [each.deadline for each in callee.tries] == [4, 5]

        virtual_time.run(work)

    def test_time_out_errors_of_the_callee_are_its_own(self) -> None:
        async def work() -> None:
            with pytest.raises(TimeoutError) as caught:
                await hop(Policy(timeout_s=10)).call(ending(TimeoutError))
            assert not isinstance(caught.value, DeadlineExceededError)

        virtual_time.run(work)


class TestRetry:
    def test_what_failed_before_it_did_anything_is_tried_again(self) -> None:
        async def work() -> None:
            callee = ending(BusyError, BusyError)
            assert await hop(Policy(retry=EAGER)).call(callee, repeatable=False) == 3
            assert callee.times == [0, 1, 3]
            assert [each.number for each in callee.tries] == [1, 2, 3]

        virtual_time.run(work)

    @pytest.mark.parametrize(("repeatable", "tries"), [(True, 2), (False, 1)])
    def test_what_may_be_half_done_is_tried_again_only_if_it_may_be_done_twice(
        self, repeatable: bool, tries: int
    ) -> None:
        async def work() -> None:
            callee = ending(BrokenError)
            try:
                await hop(Policy(retry=EAGER)).call(callee, repeatable=repeatable)
            except BrokenError:
                assert not repeatable
            assert len(callee.tries) == tries

        virtual_time.run(work)

    def test_an_answer_is_not_asked_for_again(self) -> None:
        async def work() -> None:
            callee = ending(RefusedError)
            each = hop(Policy(retry=EAGER))
            with pytest.raises(RefusedError):
                await each.call(callee)
            assert (len(callee.tries), each.counts.failures) == (1, 0)

        virtual_time.run(work)

    def test_after_the_last_try_its_failure_is_the_callers(self) -> None:
        async def work() -> None:
            with pytest.raises(BrokenError):
                await hop(Policy(retry=EAGER)).call(ending(BusyError, BusyError, BrokenError))

        virtual_time.run(work)

    def test_no_pause_goes_beyond_the_deadline(self) -> None:
        async def work() -> None:
            with pytest.raises(BusyError):
                await hop(Policy(timeout_s=2.5, retry=EAGER)).call(ending(BusyError, BusyError, BusyError))
            assert now() == 1

        virtual_time.run(work)

    def test_a_try_that_hangs_is_given_up_and_followed_by_another(self) -> None:
        async def work() -> None:
            callee = ending(takes_s=60)
            policy = Policy(timeout_s=30, retry=Retry(tries=2, base_s=1), try_timeout_s=5)
            with pytest.raises(TryTimeoutError, match="5 s"):
                await hop(policy).call(callee)
            assert (callee.times, callee.abandoned) == ([0, 6], 2)

        virtual_time.run(work)

    def test_when_everything_fails_the_budget_bounds_the_tries(self) -> None:
        async def work() -> None:
            each = hop(Policy(retry=Retry(tries=5, base_s=0, budget_share=0.2, budget_per_s=0)))
            callee = Callee(ends=deque([BusyError] * 10_000))
            for _ in range(1000):
                with pytest.raises(BusyError):
                    await each.call(callee)
            assert len(callee.tries) <= 1000 * 1.2 + 1

        virtual_time.run(work)


class TestBulkhead:
    async def _many(self, each: Hop, callee: Callee, calls: int) -> Sequence[object]:
        return await asyncio.gather(*(each.call(callee) for _ in range(calls)), return_exceptions=True)

    def test_no_more_calls_are_on_their_way_than_allowed(self) -> None:
        async def work() -> None:
            callee, each = ending(takes_s=1), hop(Policy(bulkhead=Bulkhead(concurrent=3, queue=4, queue_s=9)))
            outcomes = await self._many(each, callee, 10)
            assert (callee.busiest, len(callee.tries), now()) == (3, 7, 3)
            refused = [outcome for outcome in outcomes if isinstance(outcome, SaturatedError)]
            assert len(refused) == each.counts.saturated == 3

        virtual_time.run(work)

    def test_who_waits_too_long_is_refused(self) -> None:
        async def work() -> None:
            each = hop(Policy(bulkhead=Bulkhead(concurrent=1, queue=5, queue_s=1.5)))
            outcomes = await self._many(each, ending(takes_s=1), 4)
            assert [isinstance(outcome, SaturatedError) for outcome in outcomes] == [False, False, True, True]
            assert (each.state().in_flight, each.state().waiting) == (0, 0)

        virtual_time.run(work)

    def test_a_deadline_in_the_queue_is_a_deadline(self) -> None:
        async def work() -> None:
            each = hop(Policy(timeout_s=0.5, bulkhead=Bulkhead(concurrent=1, queue=5, queue_s=9)))
            outcomes = await self._many(each, ending(takes_s=9), 2)
            assert all(isinstance(outcome, DeadlineExceededError) for outcome in outcomes)
            assert each.state().in_flight == 0

        virtual_time.run(work)


class TestHedge:
    def test_a_slow_try_gets_a_second_one_and_the_first_answer_counts(self) -> None:
        async def work() -> None:
            slow_once = iter((60.0, 0.1))
            begun: list[float] = []

            async def operate(_: object) -> float:
                begun.append(now())
                takes_s = next(slow_once)
                await asyncio.sleep(takes_s)
                return takes_s

            each = hop(Policy(hedge=Hedge(after_s=2)))
            assert await each.call(operate) == 0.1
            assert (begun, each.counts.hedges) == ([0, 2], 1)
            assert now() == pytest.approx(2.1)

        virtual_time.run(work)

    def test_what_may_not_be_done_twice_is_not_hedged(self) -> None:
        async def work() -> None:
            callee = ending(takes_s=5)
            assert await hop(Policy(hedge=Hedge(after_s=2))).call(callee, repeatable=False) == 1
            assert len(callee.tries) == 1

        virtual_time.run(work)

    def test_a_quick_failure_is_not_waited_for(self) -> None:
        async def work() -> None:
            with pytest.raises(BrokenError):
                await hop(Policy(hedge=Hedge(after_s=2))).call(ending(BrokenError))
            assert now() == 0

        virtual_time.run(work)

    def test_both_are_abandoned_with_the_caller(self) -> None:
        async def work() -> None:
            callee = ending(takes_s=60)
            call = asyncio.ensure_future(hop(Policy(hedge=Hedge(after_s=2))).call(callee))
            await asyncio.sleep(3)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (callee.abandoned, callee.busy) == (2, 0)

        virtual_time.run(work)


class TestBreaker:
    POLICY = Policy(breaker=Breaker(failures=3, failure_share=None, window_s=10, open_s=5, max_open_s=12))

    async def _fail(self, each: Hop, times: int) -> None:
        for _ in range(times):
            with pytest.raises(BrokenError):
                await each.call(ending(BrokenError))

    def test_a_callee_that_fails_too_often_is_left_alone_and_the_caller_told_how_long(self) -> None:
        async def work() -> None:
            each, callee = hop(self.POLICY), ending()
            await self._fail(each, 3)
            await asyncio.sleep(1)
            with pytest.raises(CircuitOpenError) as caught:
                await each.call(callee)
            assert (caught.value.retry_after_s, callee.tries) == (4, [])

        virtual_time.run(work)

    def test_answers_that_refuse_are_no_failures(self) -> None:
        async def work() -> None:
            each = hop(self.POLICY)
            for _ in range(10):
                with pytest.raises(RefusedError):
                    await each.call(ending(RefusedError))
            assert each.state().breaker is State.CLOSED

        virtual_time.run(work)

    def test_a_good_probe_closes_it_and_a_bad_one_keeps_it_open_for_twice_as_long(self) -> None:
        async def work() -> None:
            each = hop(self.POLICY)
            await self._fail(each, 3)
            for open_s in (5, 10, 12, 12):
                await asyncio.sleep(open_s - 0.001)
                with pytest.raises(CircuitOpenError):
                    await each.call(ending())
                await asyncio.sleep(0.001)
                await self._fail(each, 1)
            await asyncio.sleep(12)
            await each.call(ending())
            assert each.state().breaker is State.CLOSED
            await self._fail(each, 3)
            await asyncio.sleep(5)
            assert await each.call(ending()) == 1

        virtual_time.run(work)

    def test_no_more_probes_run_at_once_than_allowed(self) -> None:
        async def work() -> None:
            each, callee = hop(self.POLICY), ending(takes_s=1)
            await self._fail(each, 3)
            await asyncio.sleep(5)
            outcomes = await asyncio.gather(*(each.call(callee) for _ in range(5)), return_exceptions=True)
            assert sum(isinstance(outcome, CircuitOpenError) for outcome in outcomes) == 4

        virtual_time.run(work)

    def test_a_probe_whose_caller_goes_away_makes_room_for_the_next(self) -> None:
        async def work() -> None:
            each = hop(self.POLICY)
            await self._fail(each, 3)
            await asyncio.sleep(5)
            probe = asyncio.ensure_future(each.call(ending(takes_s=60)))
            await asyncio.sleep(1)
            probe.cancel()
            await asyncio.gather(probe, return_exceptions=True)
            assert await each.call(ending()) == 1

        virtual_time.run(work)

    def test_failures_are_forgotten_after_the_window(self) -> None:
        async def work() -> None:
            each = hop(self.POLICY)
            for _ in range(10):
                await self._fail(each, 2)
                await asyncio.sleep(11)
            assert each.state().breaker is State.CLOSED

        virtual_time.run(work)

    def test_what_began_before_it_opened_says_nothing_afterwards(self) -> None:
        async def work() -> None:
            each = hop(self.POLICY)
            late = [asyncio.ensure_future(each.call(ending(BrokenError, takes_s=7))) for _ in range(3)]
            await asyncio.sleep(1)
            await self._fail(each, 3)
            await asyncio.gather(*late, return_exceptions=True)
            assert await each.call(ending()) == 1
            assert each.state().breaker is State.CLOSED

        virtual_time.run(work)

    def test_an_open_breaker_is_not_tried_again(self) -> None:
        async def work() -> None:
            each = hop(Policy(breaker=self.POLICY.breaker, retry=EAGER))
            with pytest.raises(BrokenError):
                await each.call(ending(BrokenError, BrokenError, BrokenError))
            before = now()
            with pytest.raises(CircuitOpenError):
                await each.call(ending())
            assert now() == before

        virtual_time.run(work)


def test_a_share_of_failures_opens_a_breaker_only_when_there_were_enough_calls() -> None:
    async def work() -> None:
        each = hop(Policy(breaker=Breaker(failure_share=0.5, least_calls=10)))
        for end in [BrokenError, None] * 4 + [BrokenError]:
            await asyncio.gather(each.call(ending(end)), return_exceptions=True)
        assert each.state().breaker is State.CLOSED
        await asyncio.gather(each.call(ending(BrokenError)), return_exceptions=True)
        assert each.state().breaker is State.OPEN

    virtual_time.run(work)
