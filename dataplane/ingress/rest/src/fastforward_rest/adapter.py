"""The adapter: one request, one message, one answer.

In: requests that Envoy hands on, whose `x-ff-...` headers are Envoy's own. Out: answers. Called by the HTTP server of
EntryPoint, in whose process the adapter runs.
"""

import asyncio
from collections.abc import Callable

from fastforward_kit.http import EVENT_STREAM, Request, Response, StreamedResponse
from fastforward_pipeline.message import LISTENED_TO, Exchange, Failed, Intake, Operation, make_error
from fastforward_pipeline.reason import Reason

from fastforward.message.v1 import envelope_pb2, error_pb2

from .answer import make_answer, make_problem, prefers
from .events import EventStream
from .lines import LineError, are_lines, list_of

_JSON = "application/json"


class RestAdapter:
    """`clock` tells Unix time, `make_id` makes the id of a message."""

    def __init__(self, exchange: Exchange, clock: Callable[[], float], make_id: Callable[[], str]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._make_id = make_id

    def __call__(self, asked: Request) -> asyncio.Future[Response]:
        """Answers one request, in time of its own."""
        body, media_type, fault = asked.body, asked.header("content-type"), None
        if are_lines(media_type):
            try:
                body, media_type = list_of(body), _JSON
            except LineError as error:
                fault = error
        intake = Intake(protocol=envelope_pb2.PROTOCOL_REST, headers=asked.headers, host=asked.header("host"))
        operation = Operation(
            method=asked.method,
            target=asked.target,
            body=body,
            media_type=media_type,
            idempotency_key=asked.header("idempotency-key"),
        )
        envelope = intake.whole(operation, message_id=self._make_id(), now=self._clock())
        return asyncio.ensure_future(self._answer(envelope, fault))

    async def _answer(self, envelope: envelope_pb2.Envelope, fault: LineError | None) -> Response:
        if fault is not None:
            return make_problem(_malformed(envelope, fault), envelope)
        listens = envelope.header.source.method == "GET" and prefers(envelope.header.source, EVENT_STREAM, _JSON)
        begun = envelope_pb2.Envelope()
        if listens:
            # The stages take from a message what nobody behind them may see.
            begun.CopyFrom(envelope)
        outcome = await self._exchange.exchange(envelope)
        if listens and isinstance(outcome, Failed) and outcome.refusal == LISTENED_TO:
            return await self._listen(begun)
        return make_problem(outcome, envelope) if isinstance(outcome, Failed) else make_answer(outcome, envelope)

    async def _listen(self, envelope: envelope_pb2.Envelope) -> Response:
        events = await self._exchange.listen(envelope)
        if isinstance(events, Failed):
            return make_problem(events, envelope)
        headers = (("content-type", EVENT_STREAM), ("cache-control", "no-store"))
        return StreamedResponse(200, headers, parts=EventStream(events))


def _malformed(envelope: envelope_pb2.Envelope, fault: LineError) -> Failed:
    violation = error_pb2.FieldViolation(pointer=f"/{fault.place}", description=str(fault), rule="json")
    return Failed(make_error(envelope, Reason.CONTENT_MALFORMED, violations=[violation]))
