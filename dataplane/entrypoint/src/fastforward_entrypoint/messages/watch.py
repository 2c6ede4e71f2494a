"""Sees each message begin and end: counts it, logs it, remembers it, and tells of it to whoever follows traces.

In: messages, and what came of them. Out: metrics, a line in the log, a record, spans. Called by exchange. All of it
takes some ten microseconds a message, and nothing waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import structlog
from fastforward_pipeline.message import Answered, Failed, Passage, error_status, known_reason
from prometheus_client import CollectorRegistry

from fastforward.message.v1 import envelope_pb2, stage_pb2
from fastforward_entrypoint.measures import MessageMeasures

from .memory import Memory
from .tracing import Tracer
from .way import DELIVERIES, PROTOCOLS, Record, Way

log = structlog.get_logger(__name__)
_level = logging.getLogger(__name__)

ANSWERED, REPEATED, REFUSED, FAILED = "answered", "repeated", "refused", "failed"
LISTENING, ABANDONED = "listening", "abandoned"
_MOST_WORDS = 300
_TRACE_ID = slice(3, 35)


class Watch:
    """One a process. `tracer` is None where nobody follows traces."""

    def __init__(self, measures: MessageMeasures, memory: Memory, tracer: Tracer | None = None) -> None:
        self._measures = measures
        self._memory = memory
        self._tracer = tracer

    def begin(self, envelope: envelope_pb2.Envelope) -> Way:
        """Returns what notes the message's way."""
        return Way(envelope, None if self._tracer is None else self._tracer.begin(envelope.header.trace))

    def end(self, passage: Passage, outcome: object) -> None:
        """Takes note of how it ended: Answered, Failed, somebody who listens, or None for what was cut off."""
        way = passage.recorder
        if not isinstance(way, Way):
            return
        record = _record(way, passage, outcome)
        self._measures.ended(record, _counted_reason(outcome))
        self._memory.keep(record)
        if self._tracer is not None:
            self._tracer.end(way, record)
        if record.verdict in (REFUSED, FAILED, ABANDONED):
            log.info("message ended", **_told(record))
        elif _level.isEnabledFor(logging.DEBUG):
            log.debug("message ended", **_told(record))

    def served(self, request: stage_pb2.ProcessRequest, began_ns: int, outcome: object) -> None:
        """Takes note of one stage that ran here for another EntryPoint. `began_ns` is Unix time."""
        ended_ns = time.time_ns()
        self._measures.served(request.stage, (ended_ns - began_ns) / 1e9)
        if self._tracer is not None:
            failure = outcome.error.reason if isinstance(outcome, Failed) else ""
            self._tracer.served(request.envelope.header.trace, request.stage, (began_ns, ended_ns), failure)


def unwatched() -> Watch:
    """Returns a watch whose account nobody reads."""
    return Watch(MessageMeasures(CollectorRegistry()), Memory(0))


def _record(way: Way, passage: Passage, outcome: object) -> Record:
    header, plan = way.envelope.header, passage.exchange.governing()
    source, routing = header.source, header.routing
    times, took_s = way.times()
    failed = outcome if isinstance(outcome, Failed) else None
    refusal = None if failed is None else failed.refusal
    return Record(
        id=header.id,
        type=header.type or ("" if plan is None else plan.wire.message.type),
        tenant=header.tenant,
        protocol=PROTOCOLS.get(source.protocol, ""),
        method=source.method,
        edge=source.edge,
        route="" if plan is None else plan.route,
        rule="" if plan is None else plan.rule,
        delivery=DELIVERIES.get(routing.delivery, ""),
        destinations=tuple(routing.destinations),
        request_id=source.request_id,
        trace_id=header.trace.traceparent[_TRACE_ID],
        began_ns=way.began_ns,
        took_s=took_s,
        verdict=_verdict(outcome),
        reason="" if failed is None else failed.error.reason[:_MOST_WORDS],
        object="" if refusal is None else refusal.object,
        detail="" if refusal is None else refusal.detail[:_MOST_WORDS],
        places=tuple(way.places),
        times=times,
    )


def _verdict(outcome: object) -> str:
    match outcome:
        case Failed(error=error):
            return REFUSED if error_status(error) < 500 else FAILED
        case Answered(reply=reply):
            return REPEATED if reply.header.transaction.repeated else ANSWERED
        case None:
            return ABANDONED
        case _:
            return LISTENING


def _counted_reason(outcome: object) -> str:
    """As a label: what a target says in words of its own is one reason, however many words there are."""
    if not isinstance(outcome, Failed):
        return ""
    known = known_reason(outcome.error)
    return "target" if known is None else known.value


def _told(record: Record) -> Mapping[str, Any]:
    """As a line of the log. Milliseconds by stage, as they came."""
    told: dict[str, Any] = {
        "message": record.id,
        "type": record.type,
        "tenant": record.tenant,
        "request": record.request_id,
        "trace": record.trace_id,
        "way": record.delivery.lower(),
        "destinations": record.destinations,
        "verdict": record.verdict,
        "reason": record.reason,
        "object": record.object,
        "detail": record.detail,
    }
    stages = {f"{step.direction} {step.stage}": round(step.took_s * 1e3, 3) for step in record.steps()}
    return {
        **{name: value for name, value in told.items() if value},
        "ms": round(record.took_s * 1e3, 3),
        "stages": stages,
    }
