"""Messages are counted, logged, remembered and told of to collectors: with their stages, and without their content."""

# ruff: noqa: ANN401 - fields of messages are handed on as they are

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import pytest
from fastforward_entrypoint.measures import MOST_TYPES, MessageMeasures
from fastforward_entrypoint.messages.exchange import MessageExchange
from fastforward_entrypoint.messages.inquiries import Inquiries
from fastforward_entrypoint.messages.internal import Internal
from fastforward_entrypoint.messages.memory import Memory
from fastforward_entrypoint.messages.stages import StageServer
from fastforward_entrypoint.messages.tracing import Tracer
from fastforward_entrypoint.messages.watch import Watch
from fastforward_kit.otlp import SpanExporter
from fastforward_kit.telemetry import Tally, exposition
from fastforward_pipeline.message import DISPATCH, IN, INBOUND, OUT, OUTBOUND, Answered, Failed
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from fastforward.inspection.v1 import inspection_pb2
from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2, stage_pb2_grpc
from fastforward.snapshot.v1 import snapshot_pb2
from support.collector import Collector, Span, running_collector
from support.decision_snapshots import NOW
from support.eventually import eventually
from support.message_exchange import SEAL, Holder, entrypoint
from support.message_target import Handler, MessageTarget, agree, message_target
from support.messages import SECRET, TARGET, TYPE, envelope, orders, reply

CLIENT_TRACE, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01"
BEGUN_BY_PROXY = "00-0000017641600001234567890a1b2c3d-0a1b2c3d12345678-00"
PLACES = [*((IN, stage.name) for stage in INBOUND), (IN, DISPATCH), *((OUT, stage.name) for stage in OUTBOUND)]
NORMALIZER = "shop/normalizer"
PRIVATE = "Please leave it with the neighbours."


@dataclass
class Scene:
    """An exchange with all that watches it."""

    exchange: MessageExchange
    target: MessageTarget
    registry: CollectorRegistry
    memory: Memory
    inquiries: Inquiries = field(init=False)

    def __post_init__(self) -> None:
        self.inquiries = Inquiries(self.memory, ())

    def metrics(self) -> str:
        return exposition(self.registry).decode()

    def asked(self, id_: str) -> list[inspection_pb2.Way]:
        return list(self.inquiries.answer(inspection_pb2.Inquiry(id=id_)).ways)


@asynccontextmanager
async def watched(
    handler: Handler = agree, *, tracer: Tracer | None = None, remembered: int = 10, **more: Any
) -> AsyncGenerator[Scene]:
    registry, memory = CollectorRegistry(), Memory(remembered)
    watch = Watch(MessageMeasures(registry), memory, tracer)
    async with message_target(handler) as target, entrypoint(target.address, watch=watch, **more) as exchange:
        yield Scene(exchange, target, registry, memory)


def traced(traceparent: str, tracestate: str = "", **more: Any) -> envelope_pb2.Envelope:
    made = envelope(**more)
    made.header.trace.traceparent, made.header.trace.tracestate = traceparent, tracestate
    made.header.source.request_id = "r-1"
    return made


class TestMetrics:
    async def test_messages_are_counted_by_type_verdict_and_reason_and_by_where_they_ended(self) -> None:
        async with watched() as scene:
            await scene.exchange.exchange(envelope(once="k"))
            await scene.exchange.exchange(envelope(once="k"))
            await scene.exchange.exchange(envelope(key=""))
            text = scene.metrics()
        for line in (
            f'fastforward_messages_total{{reason="",type="{TYPE}",verdict="answered"}} 1.0',
            f'fastforward_messages_total{{reason="",type="{TYPE}",verdict="repeated"}} 1.0',
            f'fastforward_messages_total{{reason="authentication/key-missing",type="{TYPE}",verdict="refused"}} 1.0',
            'fastforward_message_ends_total{direction="in",stage="authentication",verdict="refused"} 1.0',
            'fastforward_message_ends_total{direction="out",stage="egress",verdict="answered"} 1.0',
            "fastforward_message_seconds_count 3.0",
        ):
            assert line in text

    async def test_each_stage_has_a_histogram(self) -> None:
        async with watched() as scene:
            await scene.exchange.exchange(envelope())
            text = scene.metrics()
        for direction, stage in PLACES:
            name = f'{{direction="{direction}",elsewhere="",stage="{stage}"}}'
            assert f"fastforward_message_stage_seconds_count{name} 1.0" in text

    async def test_whatever_targets_say_is_one_reason(self) -> None:
        words = iter(range(3))

        async def refuse(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            error = error_pb2.Error(code=error_pb2.CODE_INTERNAL, reason=f"stock/{next(words)}")
            return dispatch_pb2.HandleResponse(error=error)

        async with watched(refuse) as scene:
            for _ in range(3):
                await scene.exchange.exchange(envelope())
            assert f'{{reason="target",type="{TYPE}",verdict="failed"}} 3.0' in scene.metrics()

    async def test_types_beyond_a_number_are_not_told_apart(self) -> None:
        async with watched() as scene:
            measures = MessageMeasures(registry := CollectorRegistry())
            await scene.exchange.exchange(envelope())
            [record] = scene.memory.find(envelope().header.id)
            for number in range(MOST_TYPES + 50):
                measures.ended(record._replace(type=f"t{number}"), "")
        lines = [line for line in exposition(registry).decode().splitlines() if "fastforward_messages_total{" in line]
        assert len(lines) == MOST_TYPES + 1
        assert 'fastforward_messages_total{reason="",type="other",verdict="answered"} 50.0' in lines


class TestLog:
    async def test_a_message_that_fails_is_one_line_with_its_stages(self) -> None:
        async with watched() as scene:
            message = traced(SAMPLED, key="")
            with capture_logs() as lines:
                await scene.exchange.exchange(message)
        [line] = lines
        assert (line["event"], line["log_level"], line["verdict"]) == ("message ended", "info", "refused")
        assert (line["message"], line["request"], line["trace"]) == (message.header.id, "r-1", CLIENT_TRACE)
        assert (line["type"], line["reason"]) == (TYPE, "authentication/key-missing")
        assert line["object"] == "AuthPolicy shop/members"
        assert list(line["stages"]) == ["in ingress", "in admission", "in authentication"]
        assert line["ms"] >= sum(line["stages"].values()) - 0.01

    async def test_what_is_answered_is_no_line_unless_it_is_asked_for(self) -> None:
        async with watched() as scene:
            with capture_logs() as lines:
                await scene.exchange.exchange(envelope())
        assert lines == []

    async def test_what_a_reply_broke_its_schema_by_is_told_without_the_value(self) -> None:
        message = snapshot_pb2.MessageDispatch(type=TYPE, upstream=TARGET)
        message.reply.schema, message.reply.version = "shop/receipt", "1"
        document = b'{"type": "object", "properties": {"order": {"maximum": 5}}, "required": ["paid"]}'
        made = snapshot_pb2.Schema(
            format=snapshot_pb2.SCHEMA_FORMAT_JSON_SCHEMA,
            versions=[snapshot_pb2.SchemaVersion(name="1", document=document)],
        )
        known = orders(message=message).apply([snapshot_pb2.Resource(name="schema/shop/receipt", schema=made)])

        async def handle(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            return dispatch_pb2.HandleResponse(reply=reply(b'{"order": 777123}'))

        async with watched(handle, holder=Holder(known)) as scene:
            with capture_logs() as lines:
                outcome = await scene.exchange.exchange(envelope())
        assert isinstance(outcome, Failed)
        [line] = lines
        assert (line["reason"], line["object"]) == ("normalization/reply-malformed", "Schema shop/receipt")
        assert "/order: it breaks `maximum`" in line["detail"]
        assert "paid" in line["detail"]
        assert "777123" not in str(line)
        assert list(line["stages"])[-1] == "out normalization"


class TestMemory:
    async def test_a_message_is_found_by_its_id_by_its_request_and_by_its_trace(self) -> None:
        async with watched() as scene:
            for number in range(3):
                await scene.exchange.exchange(traced(SAMPLED, message_id=f"m-{number}"))
            await scene.exchange.exchange(envelope(message_id="another"))
            assert [way.id for way in scene.asked("m-1")] == ["m-1"]
            assert [way.id for way in scene.asked("r-1")] == ["m-0", "m-1", "m-2"]
            assert [way.id for way in scene.asked(CLIENT_TRACE)] == ["m-0", "m-1", "m-2"]
            assert scene.asked("nobody") == scene.asked("") == []

    async def test_it_tells_the_way_through_all_stages_with_times(self) -> None:
        async with watched() as scene:
            await scene.exchange.exchange(envelope())
            [way] = scene.asked(envelope().header.id)
        assert (way.type, way.tenant, way.protocol, way.method) == (TYPE, "acme", "REST", "POST")
        assert (way.edge, way.route, way.delivery, list(way.destinations)) == (
            "shop/public",
            "shop/orders",
            "CALL",
            [TARGET],
        )
        assert (way.verdict, way.reason) == ("answered", "")
        assert [(step.direction, step.stage) for step in way.steps] == PLACES
        assert all(step.ms >= 0 for step in way.steps)
        ends = [step.at_ms + step.ms for step in way.steps]
        assert ends[:-1] == pytest.approx([step.at_ms for step in way.steps[1:]], abs=0.001)
        assert ends[-1] == pytest.approx(way.ms, abs=0.001)

    async def test_what_is_told_of_events_is_no_part_of_the_last_stage(self) -> None:
        message = snapshot_pb2.MessageDispatch(type=TYPE, upstream=TARGET, event="shop.orders.placed")
        async with watched(message=message) as scene:
            await scene.exchange.exchange(envelope())
            [way] = scene.asked(envelope().header.id)
        assert [(step.direction, step.stage) for step in way.steps[-2:]] == [(OUT, "egress"), (OUT, "events")]

    async def test_the_oldest_is_forgotten(self) -> None:
        async with watched(remembered=2) as scene:
            for number in range(3):
                await scene.exchange.exchange(envelope(message_id=f"m-{number}"))
            assert [len(scene.asked(f"m-{number}")) for number in range(3)] == [0, 1, 1]

    async def test_nothing_of_the_content_and_nothing_that_proves_who_sent_it_is_kept(self) -> None:
        body = b'{"note": "%s"}' % PRIVATE.encode()
        async with watched() as scene:
            await scene.exchange.exchange(envelope(body, authorization="Bearer abc.def.ghi"))
            await scene.exchange.exchange(envelope(body, key=f"ffk_ANN_{'x' * 43}"))
            kept = repr(list(scene.memory._records))
        assert kept.count("Record(") == 2
        for secret in (PRIVATE, SECRET, "abc.def.ghi", "x" * 43):
            assert secret not in kept

    async def test_who_leaves_is_told_with_how_far_he_came(self) -> None:
        async def slow(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            await asyncio.sleep(5)
            return dispatch_pb2.HandleResponse(reply=reply())

        async with watched(slow) as scene:
            call = asyncio.ensure_future(scene.exchange.exchange(envelope()))
            await eventually(lambda: scene.target.received)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            [way] = scene.asked(envelope().header.id)
        assert (way.verdict, way.steps[-1].stage) == ("abandoned", "dispatch")

    async def test_who_listens_is_told_apart_from_who_was_answered(self) -> None:
        async with watched() as scene:
            listener = await scene.exchange.listen(envelope())
            [way] = scene.asked(envelope().header.id)
        assert not isinstance(listener, Failed)
        assert way.verdict == "listening"
        assert "tracking" not in [step.stage for step in way.steps]


class TestTraces:
    @pytest.fixture
    def collector(self) -> Generator[Collector]:
        with running_collector() as running:
            yield running

    async def run(self, collector: Collector, *messages: envelope_pb2.Envelope, share: float = 1.0) -> MessageTarget:
        exporter = SpanExporter(collector.endpoint, {"service.name": "trial"}, Tally("spans", "Spans.", ("outcome",)))
        async with watched(tracer=Tracer(exporter, share)) as scene:
            for message in messages:
                assert isinstance(await scene.exchange.exchange(message), Answered)
        await exporter.close()
        return scene.target

    async def test_a_message_is_a_span_of_its_callers_and_its_stages_are_spans_below_it(
        self, collector: Collector
    ) -> None:
        target = await self.run(collector, traced(SAMPLED, "vendor=1"))
        whole, *stages = collector.spans
        assert (whole.name, whole.kind, whole.trace_id, whole.parent_id) == (TYPE, "SERVER", CLIENT_TRACE, CLIENT_SPAN)
        assert whole.attributes["ff.tenant"] == "acme"
        assert [each.name for each in stages] == [f"{direction} {stage}" for direction, stage in PLACES]
        assert {(each.trace_id, each.parent_id) for each in stages} == {(CLIENT_TRACE, whole.span_id)}
        assert len({each.span_id for each in collector.spans}) == len(collector.spans)
        assert all(whole.start_ns <= each.start_ns <= each.end_ns <= whole.end_ns for each in stages)
        [dispatch] = [each for each in stages if each.kind == "CLIENT"]
        assert dispatch.name == "in dispatch"
        told = f"00-{CLIENT_TRACE}-{dispatch.span_id}-01"
        assert target.metadata[0]["traceparent"] == told
        assert target.metadata[0]["tracestate"] == "vendor=1"
        assert target.received[0].header.trace.traceparent == told
        assert SEAL.broken(target.received[0], NOW) == ""

    async def test_who_did_not_sample_his_trace_is_not_told_of(self, collector: Collector) -> None:
        context = f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-00"
        target = await self.run(collector, traced(context))
        assert collector.spans == []
        assert target.metadata[0]["traceparent"] == context

    @pytest.mark.parametrize(("share", "told"), [(1.0, True), (0.0, False), (0.03, False), (0.04, True)])
    async def test_of_traces_that_the_proxy_began_a_share_is_told(
        self, collector: Collector, share: float, *, told: bool
    ) -> None:
        """The trace's last eight digits are 0a1b2c3d: 3.95 % of the way."""
        await self.run(collector, traced(BEGUN_BY_PROXY), share=share)
        assert bool(collector.spans) == told
        assert {each.trace_id for each in collector.spans} <= {BEGUN_BY_PROXY[3:35]}

    async def test_a_message_without_a_trace_begins_one(self, collector: Collector) -> None:
        target = await self.run(collector, envelope())
        whole: Span = collector.spans[0]
        assert whole.parent_id == ""
        assert target.metadata[0]["traceparent"].startswith(f"00-{whole.trace_id}-")

    async def test_a_stage_elsewhere_is_a_span_below_the_call_to_it(self, collector: Collector) -> None:
        exporter = SpanExporter(collector.endpoint, {}, Tally("spans", "Spans.", ("outcome",)))
        registry = CollectorRegistry()
        far = Watch(MessageMeasures(registry), Memory(0), Tracer(exporter))
        workload = snapshot_pb2.Workload(
            stages=["normalization"], upstream=NORMALIZER, timeout_ms=2000, tries=1, concurrent=8, queue=8
        )
        resources = [
            snapshot_pb2.Resource(name=f"workload/{NORMALIZER}", workload=workload),
            snapshot_pb2.Resource(name=f"upstream/{NORMALIZER}", upstream=snapshot_pb2.Upstream()),
        ]
        holder = Holder(orders().apply(resources))
        server = grpc.aio.server()
        stage_pb2_grpc.add_StageServiceServicer_to_server(
            StageServer(holder, Internal("", None).admit, lambda: float(NOW), far), server
        )
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            elsewhere = {NORMALIZER: address}
            async with watched(tracer=Tracer(exporter), holder=holder, others=elsewhere) as scene:
                await scene.exchange.exchange(traced(SAMPLED))
                [way] = scene.asked(envelope().header.id)
        finally:
            await server.stop(None)
        await exporter.close()
        [call] = [each for each in collector.spans if each.name == "in normalization"]
        [served] = [each for each in collector.spans if each.name == "normalization"]
        assert (call.kind, served.kind) == ("CLIENT", "SERVER")
        assert (served.trace_id, served.parent_id) == (CLIENT_TRACE, call.span_id)
        assert call.attributes == {"ff.elsewhere": NORMALIZER}
        assert [step.elsewhere for step in way.steps if step.stage == "normalization"] == [NORMALIZER, ""]
        name = '{direction="in",elsewhere="",stage="normalization"}'
        assert f"fastforward_message_stage_seconds_count{name} 1.0" in exposition(registry).decode()

    async def test_what_fails_says_so(self, collector: Collector) -> None:
        exporter = SpanExporter(collector.endpoint, {}, Tally("spans", "Spans.", ("outcome",)))
        watch = Watch(MessageMeasures(CollectorRegistry()), Memory(0), Tracer(exporter))
        async with entrypoint("", watch=watch) as exchange:
            assert isinstance(await exchange.exchange(traced(SAMPLED)), Failed)
        await exporter.close()
        assert collector.spans[0].failed
        assert collector.spans[0].attributes["ff.reason"] == "dispatch/unreachable"

    async def test_without_a_collector_the_callers_context_is_passed_on(self) -> None:
        async with watched() as scene:
            await scene.exchange.exchange(traced(SAMPLED, "vendor=\xe9"))
            await scene.exchange.exchange(traced("garbage"))
        assert scene.target.metadata[0]["traceparent"] == SAMPLED
        assert "tracestate" not in scene.target.metadata[0]
        assert "traceparent" not in scene.target.metadata[1]
