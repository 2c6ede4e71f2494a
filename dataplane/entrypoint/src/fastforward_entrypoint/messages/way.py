"""A message's way through the stages, as it is noted: which stage began when; afterwards, how it ended.

In: each stage as it begins. Out: a Record, which holds nothing of the content and nothing that proves who sent it. Made
by watch for each message; a stage costs it less than a microsecond.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from fastforward_kit.traceparent import new_span_id, write_traceparent
from fastforward_pipeline.message import DISPATCH

from fastforward.message.v1 import envelope_pb2

PROTOCOLS = {value: name.removeprefix("PROTOCOL_") for name, value in envelope_pb2.Protocol.items() if value}
DELIVERIES = {value: name.removeprefix("DELIVERY_") for name, value in envelope_pb2.Delivery.items() if value}
Place = tuple[str, str, str]
"""Direction, stage, and the Upstream that runs it; that is empty for EntryPoint itself."""
_HERE: dict[tuple[str, str], Place] = {}
"""Of the stages that run here: one tuple each, however many messages are remembered."""


class Span(NamedTuple):
    """The span of a message."""

    trace_id: str
    id: str
    parent_id: str

    def tell_callee(self, trace: envelope_pb2.TraceContext) -> str:
        """Writes a new span, by which somebody is called, into what that one is told; returns its id."""
        made = new_span_id()
        trace.traceparent = write_traceparent(self.trace_id, made, sampled=True)
        return made


class Step(NamedTuple):
    """One stage of one message."""

    direction: str
    stage: str
    elsewhere: str
    at_s: float
    """Since the message began."""
    took_s: float


class Way:
    """While the message is under way."""

    __slots__ = ("_times", "began", "began_ns", "calls", "envelope", "places", "span")

    def __init__(self, envelope: envelope_pb2.Envelope, span: Span | None) -> None:
        """`span` is the message's own, where it is told of."""
        self.envelope = envelope
        self.span = span
        self.began_ns = time.time_ns()
        """Unix time."""
        self.began = time.perf_counter()
        self.places: list[Place] = []
        self.calls: dict[int, str] = {}
        """Ids of the spans by which others were called, by number of the step."""
        self._times: list[float] = []

    def enter(self, direction: str, stage: str, elsewhere: str = "") -> None:
        """See fastforward_pipeline.message.Recorder. Whoever is called next learns the span that calls it."""
        if self.span is not None and (elsewhere or stage == DISPATCH):
            self.calls[len(self.places)] = self.span.tell_callee(self.envelope.header.trace)
        if elsewhere:
            place = (direction, stage, elsewhere)
        else:
            place = _HERE.get((direction, stage)) or _HERE.setdefault((direction, stage), (direction, stage, ""))
        self.places.append(place)
        self._times.append(time.perf_counter())

    def times(self) -> tuple[array[float], float]:
        """When each step began, and now: seconds since the message began."""
        now = time.perf_counter()
        return array("d", [at - self.began for at in self._times]), now - self.began


class Record(NamedTuple):
    """A message that has ended."""

    id: str
    type: str
    tenant: str
    protocol: str
    method: str
    edge: str
    route: str
    rule: str
    delivery: str
    destinations: tuple[str, ...]
    request_id: str
    trace_id: str
    began_ns: int
    took_s: float
    verdict: str
    reason: str
    object: str
    detail: str
    places: tuple[Place, ...]
    times: array[float]

    def steps(self) -> Iterator[Step]:
        """Each step, with the time until the next one began."""
        if not self.places:
            return
        ends = (*self.times[1:], self.took_s)
        for place, at, end in zip(self.places, self.times, ends, strict=True):
            yield Step(*place, at, end - at)
