"""The adapter: one request, one message, one answer.

In: requests that Envoy hands on, whose `x-ff-...` headers are Envoy's own. Out: answers. Called by the HTTP server of
EntryPoint, in whose process the adapter runs.
"""

import asyncio
from collections.abc import Callable

from fastforward_kit.http import Request, Response
from fastforward_pipeline.message import Exchange, Failed, Intake, Operation

from fastforward.message.v1 import envelope_pb2

from .answer import make_answer, make_problem


class RestAdapter:
    """`clock` tells Unix time, `make_id` makes the id of a message."""

    def __init__(self, exchange: Exchange, clock: Callable[[], float], make_id: Callable[[], str]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._make_id = make_id

    def __call__(self, asked: Request) -> asyncio.Future[Response]:
        """Answers one request, in time of its own."""
        intake = Intake(protocol=envelope_pb2.PROTOCOL_REST, headers=asked.headers, host=asked.header("host"))
        operation = Operation(
            method=asked.method,
            target=asked.target,
            body=asked.body,
            media_type=asked.header("content-type"),
            idempotency_key=asked.header("idempotency-key"),
        )
        envelope = intake.whole(operation, message_id=self._make_id(), now=self._clock())
        return asyncio.ensure_future(self._answer(envelope))

    async def _answer(self, envelope: envelope_pb2.Envelope) -> Response:
        outcome = await self._exchange.exchange(envelope)
        return make_problem(outcome, envelope) if isinstance(outcome, Failed) else make_answer(outcome, envelope)
