"""Traces across hops (W3C trace context): a message and its stages as spans, and what callees are told of their caller.

In: the trace context of a message. Out: spans for an exporter, and metadata for calls. Called by watch, which sees each
message begin and end, and by whoever calls others. Whether a trace is told of, its caller decides; of traces that the
proxy has begun, a share is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastforward_kit import spans
from fastforward_kit.traceparent import Parent, new_span_id, new_trace_id, parse_traceparent, write_traceparent

from fastforward.message.v1 import envelope_pb2
from fastforward.otlp.v1 import otlp_pb2

from .way import Record, Span, Way

if TYPE_CHECKING:
    from fastforward_kit.otlp import SpanExporter

Metadata = tuple[tuple[str, str], ...]
_LONGEST_STATE = 512
_ALL = 1 << 32


class Tracer:
    """Tells of messages. `share`, from 0 to 1: of the traces that the proxy has begun."""

    def __init__(self, exporter: SpanExporter, share: float = 1.0) -> None:
        self._exporter = exporter
        self._below = int(share * _ALL)

    def begin(self, trace: envelope_pb2.TraceContext) -> Span | None:
        """Returns the span of a message, and writes it where callees look; None when nobody wants to know of it."""
        parent = parse_traceparent(trace.traceparent)
        if parent is None:
            parent = Parent(new_trace_id(), "", sampled=self._below > 0)
            trace.tracestate = ""
        if not (parent.sampled or (is_begun_by_proxy(parent) and int(parent.trace_id[-8:], 16) < self._below)):
            return None
        span = Span(parent.trace_id, new_span_id(), parent.span_id)
        trace.traceparent = write_traceparent(span.trace_id, span.id, sampled=True)
        return span

    def end(self, way: Way, record: Record) -> None:
        """Tells of a message that has ended: its spans are made later, beside the event loop."""
        if way.span is not None:
            span, calls = way.span, way.calls
            self._exporter.offer(lambda: _spans(span, calls, record))

    def served(self, trace: envelope_pb2.TraceContext, stage: str, times_ns: tuple[int, int], failure: str) -> None:
        """Tells of one stage that ran here for another EntryPoint."""
        parent = parse_traceparent(trace.traceparent)
        if parent is not None and parent.sampled:
            kind, own = otlp_pb2.SPAN_KIND_SERVER, new_span_id()
            span = spans.Span(stage, parent.trace_id, own, parent.span_id, kind, *times_ns, {}, failure)
            self._exporter.offer(lambda: (span,))


def is_begun_by_proxy(parent: Parent) -> bool:
    """Whether the proxy made it up, for want of another one: then nobody has decided whether to tell of it."""
    return parent.trace_id.startswith("00000") and parent.trace_id[-8:] == parent.span_id[:8]


def call_metadata(trace: envelope_pb2.TraceContext) -> Metadata | None:
    """Returns what a call over gRPC tells of its trace; nothing that gRPC would not take."""
    if parse_traceparent(trace.traceparent) is None:
        return None
    state = trace.tracestate
    if state and len(state) <= _LONGEST_STATE and state.isascii() and state.isprintable():
        return (("traceparent", trace.traceparent), ("tracestate", state))
    return (("traceparent", trace.traceparent),)


def _spans(span: Span, calls: dict[int, str], record: Record) -> Sequence[spans.Span]:
    """The message, and below it its stages."""
    began_ns = record.began_ns
    made = [
        spans.Span(
            record.type or "message",
            span.trace_id,
            span.id,
            span.parent_id,
            otlp_pb2.SPAN_KIND_SERVER,
            began_ns,
            began_ns + int(record.took_s * 1e9),
            _attributes(record),
            record.reason if record.verdict == "failed" else "",
        )
    ]
    for number, step in enumerate(record.steps()):
        called = calls.get(number, "")
        start_ns = began_ns + int(step.at_s * 1e9)
        made.append(
            spans.Span(
                f"{step.direction} {step.stage}",
                span.trace_id,
                called or new_span_id(),
                span.id,
                otlp_pb2.SPAN_KIND_CLIENT if called else otlp_pb2.SPAN_KIND_INTERNAL,
                start_ns,
                start_ns + int(step.took_s * 1e9),
                {"ff.elsewhere": step.elsewhere},
                "",
            )
        )
    return made


def _attributes(record: Record) -> dict[str, str]:
    return {
        "ff.message.id": record.id,
        "ff.message.type": record.type,
        "ff.tenant": record.tenant,
        "ff.protocol": record.protocol,
        "ff.route": record.route,
        "ff.rule": record.rule,
        "ff.destinations": ",".join(record.destinations),
        "ff.request.id": record.request_id,
        "ff.verdict": record.verdict,
        "ff.reason": record.reason,
    }
