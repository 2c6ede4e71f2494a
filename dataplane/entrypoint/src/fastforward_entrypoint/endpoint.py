"""The decision endpoint: drives `decide` for each request, answers the effects it yields, counts what came out.

In: HTTP requests of ext_authz. Out: answers, at once unless counters, a password, a service of others or an issuer have
to be waited for; then a future. Called by the HTTP server on the event loop. A request reads the current snapshot once.
"""

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

import structlog
from fastforward_kit.http import Request, Response
from fastforward_pipeline import (
    Answer,
    AskService,
    Decision,
    DrawBytes,
    Effect,
    Reason,
    RedeemCode,
    Snapshot,
    TakeTokens,
    Unavailable,
    decide,
)

from fastforward_entrypoint.answer import FAILED, NO_PLAN, TOO_LONG, UNJUDGED, answer_decision
from fastforward_entrypoint.ask import PLAN, parse_request
from fastforward_entrypoint.counters import CounterStore
from fastforward_entrypoint.counters.patience import take_patiently
from fastforward_entrypoint.ends import Ends
from fastforward_entrypoint.external import ServiceAsker
from fastforward_entrypoint.measures import Measures
from fastforward_entrypoint.oidc import TokenEndpoints
from fastforward_entrypoint.passwords import PasswordVerifier

log = structlog.get_logger(__name__)

Running = Generator[Effect, Answer, Decision]


class Current(Protocol):
    """Where the current snapshot is."""

    @property
    def current(self) -> Snapshot: ...


@dataclass(slots=True)
class _Question:
    """A request whose decision has begun."""

    running: Running
    content_type: str
    started: float
    redeemed: bool = False
    """Whether an issuer was asked: then somebody wants to know why a login has failed."""


class DecisionEndpoint:
    """`clock` tells Unix time."""

    def __init__(  # noqa: PLR0913 - whoever answers one kind of question each
        self,
        snapshots: Current,
        counters: CounterStore,
        measures: Measures,
        *,
        passwords: PasswordVerifier | None = None,
        services: ServiceAsker | None = None,
        issuers: TokenEndpoints | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._snapshots = snapshots
        self._counters = counters
        self._measures = measures
        self._passwords = passwords or PasswordVerifier()
        self._services = services
        self._issuers = issuers or TokenEndpoints()
        self.ends: Ends | None = None
        """Whoever gives places of refused requests back; without one, they are held until their lease is over."""
        self._clock = clock

    def __call__(self, asked: Request) -> Response | asyncio.Future[Response]:
        """Answers one request. One that can't be judged is refused: the server's 500 would let it pass by what fails
        open.
        """
        try:
            return self._begin(asked)
        except Exception as error:  # noqa: BLE001 - the defect is ours; nobody gains by it
            return self._give_up(error)

    def _give_up(self, error: BaseException) -> Response:
        """Refuses the request at which `error` was raised."""
        log.error("request not judged", exc_info=error)
        self._measures.failed(*UNJUDGED)
        return FAILED

    def _begin(self, asked: Request) -> Response | asyncio.Future[Response]:
        started = time.perf_counter()
        if PLAN not in asked.headers:
            self._measures.undecided()
            return NO_PLAN
        request = parse_request(asked, now=self._clock())
        question = _Question(decide(self._snapshots.current, request), asked.header("content-type"), started)
        outcome = self._advance(question, None)
        if isinstance(outcome, Response):
            return outcome
        promised: asyncio.Future[Response] = outcome.get_loop().create_future()
        outcome.add_done_callback(partial(self._resume, question, promised))
        return promised

    def _advance(self, question: _Question, answer: Answer | None) -> Response | asyncio.Future[Answer]:
        """Goes on until the decision, or until an answer has to be waited for."""
        while True:
            try:
                effect = next(question.running) if answer is None else question.running.send(answer)
            except StopIteration as end:
                return self._finish(question, end.value)
            question.redeemed |= isinstance(effect, RedeemCode)
            found = self._answer(effect)
            if isinstance(found, asyncio.Future):
                return found
            answer = found

    def _answer(self, effect: Effect) -> Answer | asyncio.Future[Answer]:
        if isinstance(effect, TakeTokens):
            return take_patiently(self._counters, effect)
        if isinstance(effect, AskService):
            asked = Unavailable() if self._services is None else self._services.ask(effect)
            return cast("Answer | asyncio.Future[Answer]", asked)
        if isinstance(effect, DrawBytes):
            return self._issuers.draw(effect)
        # Futures are read from only.
        found = self._issuers.redeem(effect) if isinstance(effect, RedeemCode) else self._passwords.verify(effect)
        return cast("Answer | asyncio.Future[Answer]", found)

    def _resume(
        self, question: _Question, promised: asyncio.Future[Response], answered: asyncio.Future[Answer]
    ) -> None:
        try:
            outcome = self._advance(question, answered.result())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as above; whoever was asked may have ended
            promised.set_result(self._give_up(error))
            return
        if isinstance(outcome, Response):
            promised.set_result(outcome)
        else:
            outcome.add_done_callback(partial(self._resume, question, promised))

    def _finish(self, question: _Question, decision: Decision) -> Response:
        if question.redeemed and decision.reason is Reason.LOGIN_FAILED and decision.refusal is not None:
            log.warning("login failed", policy=decision.refusal.object, why=decision.refusal.detail)
        self._measures.decided(decision, time.perf_counter() - question.started)
        response = answer_decision(decision, content_type=question.content_type)
        # An answer that grew too long lets nobody in either, and the proxy is not told what to give back.
        if decision.ends and (not decision.allowed or response is TOO_LONG) and self.ends is not None:
            self.ends.give_back(decision.ends)
        return response
