"""Trace contexts are read as W3C has them, and spans reach a real collector, which reads them by its own types."""

from __future__ import annotations

import pytest
from fastforward_kit import otlp
from fastforward_kit.otlp import SpanExporter
from fastforward_kit.spans import Span
from fastforward_kit.telemetry import Tally
from fastforward_kit.traceparent import Parent, new_span_id, new_trace_id, parse_traceparent, write_traceparent

from fastforward.otlp.v1 import otlp_pb2
from support.collector import Collector, running_collector
from support.eventually import eventually, meanwhile
from support.processes import free_ports

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-ff", True),
        (f"cc-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes", True),
    ],
)
def test_a_trace_context_says_who_called(text: str, *, sampled: bool) -> None:
    assert parse_traceparent(text) == Parent(TRACE, SPAN, sampled=sampled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        f"00-{TRACE}-{SPAN}",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}0-{SPAN}-01",
    ],
)
def test_what_is_no_trace_context_counts_for_nothing(text: str) -> None:
    assert parse_traceparent(text) is None


def test_what_is_written_can_be_read() -> None:
    trace, span = new_trace_id(), new_span_id()
    assert parse_traceparent(write_traceparent(trace, span, sampled=True)) == Parent(trace, span, sampled=True)
    assert parse_traceparent(write_traceparent(trace, span, sampled=False)) == Parent(trace, span, sampled=False)


def span(name: str = "shop.orders.place", failure: str = "") -> Span:
    kind = otlp_pb2.SPAN_KIND_CLIENT
    attributes = {"ff.tenant": "acme", "ff.rule": ""}
    return Span(name, TRACE, SPAN, "b" * 16, kind, 1_000_000_001, 1_000_000_777, attributes, failure)


def exporter(collector: Collector) -> tuple[SpanExporter, Tally]:
    outcomes = Tally("spans", "Spans.", ("outcome",))
    return SpanExporter(collector.endpoint + "/", {"service.name": "trial"}, outcomes), outcomes


async def test_a_collector_reads_all_that_a_span_says() -> None:
    with running_collector() as collector:
        told, outcomes = exporter(collector)
        told.offer(lambda: [span(), span("broken", failure="dispatch/unreachable")])
        await told.close()
    first, second = collector.spans
    assert (first.name, first.trace_id, first.span_id, first.parent_id) == ("shop.orders.place", TRACE, SPAN, "b" * 16)
    assert (first.kind, first.start_ns, first.end_ns, first.failed) == ("CLIENT", 1_000_000_001, 1_000_000_777, False)
    assert (first.attributes, first.resource) == ({"ff.tenant": "acme"}, {"service.name": "trial"})
    assert (second.name, second.failed) == ("broken", True)
    assert outcomes.counts == {("told",): 2}


async def test_spans_wait_for_a_collector_that_is_away_and_reach_it_once() -> None:
    [port] = free_ports(1)
    told, outcomes = exporter(Collector(port))
    told.offer(lambda: [span("before")])
    await told.close()
    with running_collector(port) as collector:
        collector.status = 503
        told.offer(lambda: [span("meanwhile")])
        await told.close()
        assert (collector.spans, collector.requests) == ([], 1)
        collector.status = 200
        await told.close()
        await told.close()
    assert [each.name for each in collector.spans] == ["before", "meanwhile"]
    assert outcomes.counts == {("told",): 2}


async def test_what_a_collector_refuses_is_given_up() -> None:
    with running_collector() as collector:
        collector.status = 400
        told, outcomes = exporter(collector)
        told.offer(lambda: [span()])
        await told.close()
        collector.status = 200
        await told.close()
    assert (collector.spans, outcomes.counts) == ([], {("refused",): 1})


async def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MOST_WAITING", 3)
    with running_collector() as collector:
        told, outcomes = exporter(collector)
        for number in range(5):
            told.offer(lambda name=str(number): [span(name)])
        await told.close()
    assert [each.name for each in collector.spans] == ["0", "1", "2"]
    assert outcomes.counts == {("dropped",): 2, ("told",): 3}


async def test_spans_are_told_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "PERIOD_S", 0.01)
    with running_collector() as collector:
        told, _ = exporter(collector)
        told.offer(lambda: [span()])
        async with meanwhile(told.run()):
            await eventually(lambda: len(collector.spans) == 1)
