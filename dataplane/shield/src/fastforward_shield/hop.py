"""A hop: one callee, and everything that surrounds each call to it. The order of the parts is the order of this file.

In: an operation that makes one try, the caller's deadline. Out: its result, its own last failure, or a HopError. Called
by whoever talks to another process. From the outside in:

1. deadline: the caller's or `timeout_s`, whichever is nearer; it bounds all that follows, waiting included
2. bulkhead: a call has one place, however many tries it makes, and keeps it during pauses
3. retry: as long as the failure allows it, the budget has some left and the pause ends before the deadline
4. hedge: a try that takes long gets a second one beside it
5. circuit breaker: asked before each try, told how each one ended
6. time-out of one try

What nothing happens to passes without a task or a timer of its own, but for the deadline's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from .breaker import CircuitBreaker, State
from .budget import RetryBudget
from .failure import CircuitOpenError, DeadlineExceededError, HopError, Meaning, SaturatedError, TryTimeoutError
from .gate import Gate
from .policy import Policy

Result = TypeVar("Result")
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Try:
    """One try of a call, as the operation sees it."""

    number: int
    """From 1; a hedge has the number of the try beside which it runs."""
    deadline: float
    """The event loop's time at which its answer comes too late; infinite for never."""

    def left_s(self) -> float:
        """Time that is left: what the callee is told, so that it works for nobody in vain."""
        return self.deadline - asyncio.get_running_loop().time()


Operation = Callable[[Try], Awaitable[Result]]


@dataclass(slots=True)
class Counts:
    """What has happened at a hop since it was made."""

    calls: int = 0
    failures: int = 0
    """Calls that ended without an answer of the callee."""
    tries: int = 0
    retries: int = 0
    hedges: int = 0
    out_of_time: int = 0
    saturated: int = 0
    short_circuited: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HopState:
    """A hop now, for people and metrics."""

    name: str
    note: str
    in_flight: int
    limit: int | None
    waiting: int
    breaker: State | None
    opened: int
    window_failures: int
    window_calls: int
    retries_left: float | None
    counts: Counts


class Hop:
    """Calls to one callee. Used in one event loop."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        judge: Callable[[Exception], Meaning],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`judge` says what an operation's failure means; `jitter` draws from [0, 1)."""
        now = asyncio.get_running_loop().time()
        self.name = name
        self.policy = policy
        self.note = ""
        """What people should know of how its calls are made."""
        self.counts = Counts()
        self._judge, self._jitter = judge, jitter
        self._gate = None if policy.bulkhead is None else Gate(policy.bulkhead)
        self._budget = None if policy.retry is None else RetryBudget(policy.retry, now)
        self._breaker = None if policy.breaker is None else CircuitBreaker(policy.breaker, now)

    async def call(self, operation: Operation[Result], *, deadline: float = _NEVER, repeatable: bool = True) -> Result:
        """One call. `deadline` is the event loop's time; `repeatable`: doing it twice is harmless."""
        time = asyncio.get_running_loop().time
        begun = time()
        if self.policy.timeout_s is not None:
            deadline = min(deadline, begun + self.policy.timeout_s)
        self.counts.calls += 1
        if deadline <= begun:
            raise self._out_of_time()
        gate = self._gate
        if gate is None:
            return await self._call(operation, deadline, repeatable=repeatable)
        if not gate.enter() and not await gate.wait(deadline):
            if time() >= deadline:
                raise self._out_of_time()
            self.counts.saturated += 1
            self.counts.failures += 1
            raise SaturatedError(self.name, f"{self.name} has {gate.in_flight} calls on their way, no more are allowed")
        entered, took_s = time(), None
        try:
            result = await self._call(operation, deadline, repeatable=repeatable)
            took_s = time() - entered
        except (DeadlineExceededError, TryTimeoutError):
            gate.back_off()
            raise
        finally:
            gate.leave(took_s)
        return result

    async def _call(self, operation: Operation[Result], deadline: float, *, repeatable: bool) -> Result:
        """The call with its retries."""
        if self._budget is not None:
            self._budget.deposit()
        number = 1
        while True:
            try:
                if repeatable and self.policy.hedge is not None:
                    return await self._hedged(operation, Try(number, deadline))
                return await self._try(operation, Try(number, deadline))
            except Exception as error:
                meaning = self._meaning(error)
                pause_s = self._pause_s(meaning, number, deadline, error, repeatable=repeatable)
                if pause_s is None:
                    self.counts.failures += meaning is not Meaning.ANSWERED
                    raise
                self.counts.retries += 1
            await asyncio.sleep(pause_s)
            number += 1

    def _meaning(self, error: Exception) -> Meaning:
        if isinstance(error, TryTimeoutError):
            return Meaning.FAILED
        return Meaning.FAILED if isinstance(error, HopError) else self._judge(error)

    def _pause_s(
        self, meaning: Meaning, number: int, deadline: float, error: Exception, *, repeatable: bool
    ) -> float | None:
        """How long to wait before the next try; None when there is none."""
        retry, budget = self.policy.retry, self._budget
        if retry is None or budget is None or number >= retry.tries or meaning is Meaning.ANSWERED:
            return None
        if isinstance(error, (DeadlineExceededError, CircuitOpenError)) or (
            meaning is Meaning.FAILED and not repeatable
        ):
            return None
        pause_s = retry.pause_s(number, self._jitter())
        now = asyncio.get_running_loop().time()
        return pause_s if now + pause_s < deadline and budget.withdraw(now) else None

    async def _hedged(self, operation: Operation[Result], attempt: Try) -> Result:
        """The first good answer of a try and, when it takes long, of a second one."""
        hedge = self.policy.hedge
        assert hedge is not None  # noqa: S101 - asked by the caller
        tries = {asyncio.ensure_future(self._try(operation, attempt))}
        try:
            done, pending = await asyncio.wait(tries, timeout=hedge.after_s)
            if not done and self._may_hedge():
                self.counts.hedges += 1
                tries.add(asyncio.ensure_future(self._try(operation, attempt)))
                pending = tries
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if any(each.exception() is None for each in done):
                    break
            best = next((each for each in done if each.exception() is None), next(iter(done)))
            return best.result()
        finally:
            for each in tries:
                each.cancel()
            await asyncio.gather(*tries, return_exceptions=True)

    def _may_hedge(self) -> bool:
        return self._budget is None or self._budget.withdraw(asyncio.get_running_loop().time())

    async def _try(self, operation: Operation[Result], attempt: Try) -> Result:
        """One try, within its time."""
        time = asyncio.get_running_loop().time
        breaker, epoch = self._breaker, 0
        if breaker is not None:
            admitted = breaker.admit(now := time())
            if admitted is None:
                self.counts.short_circuited += 1
                raise CircuitOpenError(self.name, f"{self.name} failed too often of late", breaker.wait_s(now))
            epoch = admitted
        self.counts.tries += 1
        told = False
        try:
            result = await self._in_time(operation, attempt)
            told = True
            if breaker is not None:
                breaker.succeed(epoch, time())
        except Exception as error:
            told = True
            if breaker is not None:
                answered = self._meaning(error) is Meaning.ANSWERED
                (breaker.succeed if answered else breaker.fail)(epoch, time())
            raise
        finally:
            if not told and breaker is not None:
                breaker.forget(epoch)
        return result

    async def _in_time(self, operation: Operation[Result], attempt: Try) -> Result:
        """The operation, until the nearer of both times."""
        limit_s = self.policy.try_timeout_s
        until = attempt.deadline
        if limit_s is not None:
            until = min(until, asyncio.get_running_loop().time() + limit_s)
        if until == _NEVER:
            return await operation(attempt)
        scope = asyncio.timeout_at(until)
        try:
            async with scope:
                return await operation(attempt if until == attempt.deadline else Try(attempt.number, until))
        except TimeoutError:
            if not scope.expired():
                raise  # the operation's own
            if until == attempt.deadline:
                raise self._out_of_time() from None
            raise TryTimeoutError(self.name, f"{self.name} did not answer a try in {limit_s:g} s") from None

    def _out_of_time(self) -> DeadlineExceededError:
        self.counts.out_of_time += 1
        return DeadlineExceededError(self.name, f"{self.name} did not answer before the deadline")

    def state(self) -> HopState:
        """The hop now."""
        gate, breaker = self._gate, self._breaker
        return HopState(
            name=self.name,
            note=self.note,
            in_flight=0 if gate is None else gate.in_flight,
            limit=None if gate is None else gate.limit,
            waiting=0 if gate is None else gate.waiting,
            breaker=None if breaker is None else breaker.state,
            opened=0 if breaker is None else breaker.opened,
            window_failures=0 if breaker is None else breaker.failures,
            window_calls=0 if breaker is None else breaker.calls,
            retries_left=None if self._budget is None else self._budget.left,
            counts=self.counts,
        )
