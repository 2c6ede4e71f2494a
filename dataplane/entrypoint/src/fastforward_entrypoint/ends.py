"""The ends of requests: what answers cost is taken, and places are given back.

In: what proxies tell of requests that have ended (OTLP, one POST for each), and requests that go nowhere. Out: tokens
taken from the counters, and counts of that. Called by door, endpoint and the exchange of messages. Nobody waits for it:
what the counters can't take is counted, and lost, but for places: Redis is told of those when it answers again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping

import structlog
from fastforward_kit.http import Request, Response
from fastforward_kit.telemetry import Tally
from fastforward_pipeline.effects import Answer, TakeTokens, Verdict
from fastforward_pipeline.ends import Charge, End, give_back, read_ends, settle_ends
from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry

from fastforward.otlp.v1 import otlp_pb2
from fastforward_entrypoint.counters import CounterStore

log = structlog.get_logger(__name__)

ENDS = "x-ff-ends"
"""Header of what proxies tell of ends; clients can't write it."""
_TAKEN, _MALFORMED = Response(200), Response(400)
_INSIDE_STATUS = 200
"""Of messages, whose replies tell no cost."""


class Ends:
    """Made once in each process, and used on its event loop."""

    def __init__(self, counters: CounterStore, registry: CollectorRegistry) -> None:
        self._counters = counters
        self._units = Tally("fastforward_answer_units", "Units that answers have cost.", ("limit", "told"))
        self._lost = Tally("fastforward_ends_lost", "Requests whose ends were not counted.", ("why",))
        for collector in (self._units, self._lost):
            registry.register(collector)

    def handle(self, asked: Request) -> Response:
        """Takes what a proxy tells."""
        try:
            records = list(_read_records(asked.body))
        except (DecodeError, ValueError, TypeError) as error:
            self._lost.counts["malformed",] += 1
            log.warning("ends that nobody understands", why=str(error))
            return _MALFORMED
        for ends, status, told in records:
            self._settle(ends, status, told)
        return _TAKEN

    def end_inside(self, ends: Iterable[End]) -> None:
        """A message has ended."""
        self._settle(ends, _INSIDE_STATUS, {})

    def give_back(self, ends: Iterable[End]) -> None:
        """A request goes nowhere."""
        self._take(give_back(ends))

    def _settle(self, ends: Iterable[End], status: int, told: Mapping[str, float]) -> None:
        ends = tuple(ends)
        for end in ends:
            if isinstance(end, Charge):
                limit = end.bucket.key.partition("}")[0].removeprefix("{")
                known = "yes" if end.source in told else "no"
                self._units.counts[limit, known] += int(end.cost(status, told))
        self._take(settle_ends(ends, status, told))

    def _take(self, effect: TakeTokens) -> None:
        if not effect.buckets:
            return
        answer = self._counters.take(effect)
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(lambda done: self._taken(done.result()))
        else:
            self._taken(answer)

    def _taken(self, answer: Answer) -> None:
        if not isinstance(answer, Verdict):
            self._lost.counts["unavailable",] += 1


def _read_records(body: bytes) -> Iterator[tuple[tuple[End, ...], int, dict[str, float]]]:
    """Yields what is to be done, the status (0 for no answer), and the costs that were told."""
    for resource in otlp_pb2.ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                said = {each.key: each.value.string_value for each in record.attributes}
                yield read_ends(said.get("ends", "")), int(said.get("status", "0")), _read_costs(said.get("cost", ""))


def _read_costs(text: str) -> dict[str, float]:
    if not text.startswith("{"):
        return {}
    return {name: float(cost) for name, cost in json.loads(text).items()}
