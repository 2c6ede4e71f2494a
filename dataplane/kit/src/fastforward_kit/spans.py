"""Spans, and how OpenTelemetry's collectors are told of them (https://opentelemetry.io/docs/specs/otlp/).

In: parts of traces that have ended. Out: the message that OTLP has for them. Made by workloads, sent by otlp.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fastforward.otlp.v1 import otlp_pb2

_SCOPE = "fastforward"


class Span(NamedTuple):
    """One part of a trace, ended. Ids are hexadecimal digits."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first of its trace."""
    kind: otlp_pb2.SpanKind.ValueType
    start_ns: int
    """Unix time."""
    end_ns: int
    attributes: Mapping[str, str]
    """Empty ones are left out."""
    failure: str = ""
    """Why it failed; empty when it did not."""


def encode_spans(spans: Iterable[Span], resource: Mapping[str, str]) -> otlp_pb2.ExportTraceServiceRequest:
    """Returns what a collector is told; `resource` says by whom."""
    scope = otlp_pb2.ScopeSpans(
        scope=otlp_pb2.InstrumentationScope(name=_SCOPE), spans=[_encode(span) for span in spans]
    )
    told = otlp_pb2.ResourceSpans(resource=otlp_pb2.Resource(attributes=_pairs(resource)), scope_spans=[scope])
    return otlp_pb2.ExportTraceServiceRequest(resource_spans=[told])


def _encode(span: Span) -> otlp_pb2.Span:
    made = otlp_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        name=span.name,
        kind=span.kind,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_pairs(span.attributes),
    )
    if span.failure:
        made.status.code, made.status.message = otlp_pb2.STATUS_CODE_ERROR, span.failure
    return made


def _pairs(attributes: Mapping[str, str]) -> list[otlp_pb2.KeyValue]:
    return [
        otlp_pb2.KeyValue(key=key, value=otlp_pb2.AnyValue(string_value=value))
        for key, value in attributes.items()
        if value
    ]
