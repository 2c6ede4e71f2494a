"""Calls to messages and back, over real gRPC: what each kind of method sends, and how errors look to a client."""

# ruff: noqa: ANN401 - messages are of types that are made here, and stubs of none

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import pytest
from fastforward_grpc import GrpcAdapter, GrpcServer
from fastforward_pipeline import Reason
from fastforward_pipeline.compiled.schema import compile_schema
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.message import LISTENED_TO, Answered, Failed, refuse
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.grpc_schemas import descriptors, messages
from support.messages import reply

DOCUMENT = descriptors()
TYPES = messages(DOCUMENT)
Code = grpc.StatusCode
Outcome = Answered | Failed
ENTRY = (("x-ff-entry", "p1"), ("x-ff-host", "api.example.com"), ("x-ff-edge", "shop/public"))


async def events(*found: bytes) -> AsyncIterator[envelope_pb2.Envelope]:
    for body in found:
        yield reply(body)


@dataclass
class Stages:
    """Takes each message; answers what the test says."""

    answer: Callable[[envelope_pb2.Envelope], Outcome] = lambda _: Answered(reply(b'{"order": "7", "unknown": 1}'))
    messages: list[envelope_pb2.Envelope] = field(default_factory=list)
    heard: tuple[bytes, ...] = ()
    work_s: float = 0.0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Outcome:
        self.messages.append(envelope)
        self.begun.set()
        try:
            await asyncio.sleep(self.work_s)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return self.answer(envelope)

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        self.messages.append(envelope)
        return events(*self.heard)


@dataclass
class Client:
    """What a test calls with."""

    channel: grpc.aio.Channel

    def call(self, method: str, kind: str = "unary_unary", **options: Any) -> Any:
        takes = "Which" if method in {"Get", "List", "Listen"} else "Change" if method == "Amend" else "Order"
        made = getattr(self.channel, kind)(
            f"/shop.v1.Orders/{method}",
            request_serializer=TYPES[takes].SerializeToString,
            response_deserializer=TYPES["Placed"].FromString,
        )
        return lambda request: made(request, **{"metadata": ENTRY, "timeout": 10, **options})


@asynccontextmanager
async def serving(stages: Stages, schema: bytes = DOCUMENT) -> AsyncGenerator[Client]:
    version = snapshot_pb2.SchemaVersion(name="v1", document=schema)
    wire = snapshot_pb2.Schema(format=snapshot_pb2.SCHEMA_FORMAT_PROTOBUF, versions=[version])
    found = compile_schema("shop/orders", wire)
    ref = snapshot_pb2.SchemaVersionRef(schema="shop/orders", version="v1")
    dispatch = snapshot_pb2.AdapterDispatch(schema=ref)
    adapter = GrpcAdapter(
        stages,
        {"p1": dispatch}.get,
        {"shop/orders": found}.get,
        clock=lambda: 1000.0,
        make_id=lambda: f"m-{len(stages.messages) + 1}",
    )
    server = GrpcServer(adapter)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{server.path}") as channel:
            yield Client(channel)
    finally:
        await server.stop(1.0)


def made(kind: str, /, **fields: Any) -> Any:
    return TYPES[kind](**fields)


def sent(stages: Stages) -> list[tuple[str, str, Any]]:
    return [
        (each.header.source.method, each.header.source.target, json.loads(each.payload.body or b"null"))
        for each in stages.messages
    ]


def failed(code: int = error_pb2.CODE_FAILED_PRECONDITION, **fields: Any) -> Failed:
    return Failed(error_pb2.Error(code=error_pb2.Code.ValueType(code), **fields))


async def error_of(call: Any) -> tuple[grpc.aio.AioRpcError, dict[str, Any]]:
    """The error of a call, and its details by type."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    found: dict[str, Any] = {}
    for name, value in caught.value.trailing_metadata():
        if name == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert (status.code, status.message) == (caught.value.code().value[0], caught.value.details())
            for detail in status.details:
                kind = detail.type_url.rpartition(".")[2]
                found[kind] = getattr(error_details_pb2, kind).FromString(detail.value)
    return caught.value, found


async def test_a_call_is_the_operation_that_its_annotation_says() -> None:
    stages = Stages()
    async with serving(stages) as client:
        answer = await client.call("Place")(made("Order", sku="abc", quantity=2))
        assert (answer.order, answer.note) == (7, "")
        await client.call("Get")(made("Which", id="a b", tags=["x", "y"], nested={"sku": "s&t"}))
        await client.call("Plain")(made("Order", sku="p"))
    assert sent(stages) == [
        ("POST", "/orders", {"sku": "abc", "quantity": 2}),
        ("GET", "/orders/a%20b?tags=x&tags=y&nested.sku=s%26t", None),
        ("POST", "/shop.v1.Orders/Plain", {"sku": "p"}),
    ]


async def test_body_and_response_body_name_one_field() -> None:
    stages = Stages(lambda _: Answered(reply(b'"noted"')))
    async with serving(stages) as client:
        answer = await client.call("Amend")(made("Change", name="shops/7", order={"sku": "x"}))
    assert sent(stages) == [("PATCH", "/shops/7/orders", {"sku": "x"})]
    assert answer.note == "noted"


@pytest.mark.parametrize("value", ["", ".", "..", "..;x", "a/b", "..\\admin", "a\n", "a\x7f"])
async def test_a_field_leads_to_no_other_path(value: str) -> None:
    stages = Stages()
    async with serving(stages) as client:
        error, details = await error_of(client.call("Get")(made("Which", id=value)))
    assert error.code() is Code.INVALID_ARGUMENT
    assert [each.field for each in details["BadRequest"].field_violations] == ["id"]
    assert stages.messages == []


@pytest.mark.parametrize("value", ["other/7", "shops/../7", "shops/..", "shops/..;x", "shops/", "shops/..\\7"])
async def test_a_field_keeps_its_template(value: str) -> None:
    async with serving(Stages()) as client:
        error, _ = await error_of(client.call("Amend")(made("Change", name=value)))
    assert error.code() is Code.INVALID_ARGUMENT


async def test_a_message_says_what_the_call_said() -> None:
    stages = Stages()
    metadata = (
        *ENTRY,
        ("x-api-key", "k"),
        ("idempotency-key", "once"),
        ("trace-bin", b"\x00"),
        ("x-ff-plan", "forged"),
    )
    async with serving(stages) as client:
        await client.call("Place", metadata=metadata, timeout=3)(made("Order"))
    [message] = stages.messages
    header, source = message.header, message.header.source
    assert (header.id, header.idempotency_key, source.host, source.edge) == (
        "m-1",
        "once",
        "api.example.com",
        "shop/public",
    )
    assert source.protocol == envelope_pb2.PROTOCOL_GRPC
    names = {each.name: each.value for each in source.fields}
    assert names["x-api-key"] == "k"
    assert not any(name.startswith(("x-ff-", "grpc-")) or name.endswith("-bin") for name in names)
    assert 1001 <= header.deadline.ToSeconds() <= 1003
    assert message.payload.media_type == "application/json"


async def test_errors_are_told_with_details() -> None:
    violations = [error_pb2.FieldViolation(pointer="/orderLines/0/sku", description="Sold out.", rule="stock")]
    error = failed(reason="dispatch/stock", title="Not enough", violations=violations, message_id="m-1")
    error.error.retry_after.FromSeconds(3)
    async with serving(Stages(lambda _: error)) as client:
        told, details = await error_of(client.call("Place")(made("Order")))
    assert (told.code(), told.details()) == (Code.FAILED_PRECONDITION, "Not enough")
    [violation] = details["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("order_lines[0].sku", "Sold out.")
    info = details["ErrorInfo"]
    assert (info.reason, info.domain, info.metadata["messageId"]) == (
        "dispatch/stock",
        "gateway.fastforward.dev",
        "m-1",
    )
    assert details["RetryInfo"].retry_delay.seconds == 3


async def test_what_a_stage_refuses_is_told_in_grpcs_words() -> None:
    def answer(envelope: envelope_pb2.Envelope) -> Failed:
        return refuse(envelope, Refusal(reason=Reason.EXCEEDED), headers=(("retry-after", "9"),))

    async with serving(Stages(answer)) as client:
        told, details = await error_of(client.call("Place")(made("Order")))
    assert (told.code(), details["ErrorInfo"].reason) == (Code.RESOURCE_EXHAUSTED, "ratelimit/exceeded")
    assert details["RetryInfo"].retry_delay.seconds == 9
    assert ("retry-after", "9") in list(told.trailing_metadata())


@pytest.mark.parametrize("code", [0, 99])
async def test_an_error_never_looks_like_success(code: int) -> None:
    async with serving(Stages(lambda _: failed(code, title="?"))) as client:
        told, _ = await error_of(client.call("Place")(made("Order")))
    assert told.code() is Code.INTERNAL


async def test_a_list_is_a_stream_of_replies() -> None:
    stages = Stages(lambda _: Answered(reply(b'[{"order": 1}, {"order": 2}]')))
    async with serving(stages) as client:
        assert [each.order async for each in client.call("List", "unary_stream")(made("Which"))] == [1, 2]
        error, _ = await error_of(client.call("Place")(made("Order")))
        assert error.code() is Code.INTERNAL


async def test_a_stream_of_requests_is_one_message() -> None:
    stages = Stages()
    async with serving(stages) as client:
        requests = [made("Order", sku="a"), made("Order", sku="b")]
        assert (await client.call("PlaceAll", "stream_unary")(requests)).order == 7
        await client.call("PlaceAll", "stream_unary")([])
    assert sent(stages) == [("POST", "/batches", [{"sku": "a"}, {"sku": "b"}]), ("POST", "/batches", [])]


async def test_a_conversation_is_a_message_for_each_request() -> None:
    stages = Stages(lambda envelope: Answered(reply(json.dumps({"note": envelope.header.idempotency_key}).encode())))
    metadata = (*ENTRY, ("idempotency-key", "k"))
    async with serving(stages) as client:
        call = client.call("Converse", "stream_stream", metadata=metadata)(None)
        for expected in ("k", "k/2"):
            await call.write(made("Order", sku="a"))
            assert (await call.read()).note == expected
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
    assert len(stages.messages) == 2


async def test_what_nobody_takes_is_listened_to_and_the_end_is_told() -> None:
    stages = Stages(lambda envelope: refuse(envelope, LISTENED_TO), heard=(b'{"order": 1}', b'{"order": 2}'))
    async with serving(stages) as client:
        call = client.call("Listen", "unary_stream")(made("Which"))
        assert [(await call.read()).order for _ in range(2)] == [1, 2]
        assert await call.code() is Code.RESOURCE_EXHAUSTED


async def test_a_client_that_goes_away_ends_the_work() -> None:
    stages = Stages(work_s=30)
    async with serving(stages) as client:
        call = client.call("Place")(made("Order"))
        async with asyncio.timeout(10):
            await stages.begun.wait()
            call.cancel()
            await stages.cancelled.wait()


async def test_a_deadline_is_kept() -> None:
    async with serving(Stages(work_s=30)) as client:
        error, _ = await error_of(client.call("Place", timeout=0.2)(made("Order")))
    assert error.code() is Code.DEADLINE_EXCEEDED


async def test_too_much_is_refused_also_when_it_comes_compressed() -> None:
    stages = Stages()
    big = made("Order", blob=bytes(4 << 20))
    async with serving(stages) as client:
        for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
            error, _ = await error_of(client.call("Place", compression=compression)(big))
            assert error.code() is Code.RESOURCE_EXHAUSTED
        # In JSON it is a third larger.
        error, details = await error_of(client.call("Place")(made("Order", blob=bytes(7 << 19))))
        assert (error.code(), details["ErrorInfo"].reason) == (Code.RESOURCE_EXHAUSTED, "admission/body-too-large")
        many = [made("Order", blob=bytes(3 << 20))] * 2
        error, _ = await error_of(client.call("PlaceAll", "stream_unary")(many))
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert stages.messages == []
        await client.call("Place", compression=grpc.Compression.Gzip)(made("Order", blob=bytes(1 << 20)))
    assert len(stages.messages) == 1


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xff"])
async def test_garbage_is_refused(raw: bytes) -> None:
    async with serving(Stages()) as client:
        error, details = await error_of(client.channel.unary_unary("/shop.v1.Orders/Place")(raw, metadata=ENTRY))
    assert (error.code(), details["ErrorInfo"].reason) == (Code.INVALID_ARGUMENT, "normalization/content-malformed")


@pytest.mark.parametrize("path", ["/shop.v1.Orders/None", "/shop.v1.Orders/Unfillable", "/other.Service/Place"])
async def test_what_the_schema_does_not_serve_is_unimplemented(path: str) -> None:
    async with serving(Stages()) as client:
        error, _ = await error_of(client.channel.unary_unary(path)(b"", metadata=ENTRY))
    assert error.code() is Code.UNIMPLEMENTED


async def test_a_rule_or_descriptors_that_are_not_there_are_told() -> None:
    async with serving(Stages()) as client:
        error, _ = await error_of(client.call("Place", metadata=())(made("Order")))
        assert error.code() is Code.UNAVAILABLE
    async with serving(Stages(), schema=b"no descriptors") as client:
        error, _ = await error_of(client.call("Place")(made("Order")))
        assert error.code() is Code.INTERNAL


@pytest.mark.parametrize("body", [b"[]", b"7", b'{"order": "many"}', b'{"order": 1e99}'])
async def test_a_reply_that_is_no_such_message_is_the_targets_fault(body: bytes) -> None:
    async with serving(Stages(lambda _: Answered(reply(body)))) as client:
        error, details = await error_of(client.call("Place")(made("Order")))
    assert (error.code(), details["ErrorInfo"].reason) == (Code.INTERNAL, "normalization/reply-malformed")


async def test_json_may_have_parameters() -> None:
    async with serving(Stages(lambda _: Answered(reply(b'{"order": 7}', "application/json; v=1")))) as client:
        assert (await client.call("Place")(made("Order"))).order == 7


async def test_a_reply_says_more_in_metadata() -> None:
    answered = Answered(reply(b"{}"), (("x-ratelimit-remaining", "1"), ("x-name", "Zo\u00eb")))
    answered.reply.header.completion.fields.add(name="location", value="/orders/7")
    answered.reply.header.transaction.repeated = True
    async with serving(Stages(lambda _: answered)) as client:
        call = client.call("Place")(made("Order"))
        await call
        metadata = dict(await call.initial_metadata())
    wanted = {"location": "/orders/7", "idempotency-replayed": "true", "x-ratelimit-remaining": "1"}
    assert wanted.items() <= metadata.items()
    assert "x-name" not in metadata


async def test_a_fault_of_ours_tells_nothing() -> None:
    def broken(_: envelope_pb2.Envelope) -> Outcome:
        raise RuntimeError("secret")

    async with serving(Stages(broken)) as client:
        error, _ = await error_of(client.call("Place")(made("Order")))
    assert error.code() is Code.INTERNAL
    assert "secret" not in str(error.details())


async def test_health_is_told_for_each_service() -> None:
    async with serving(Stages()) as client:
        health = health_pb2_grpc.HealthStub(client.channel)
        for name in ("", "shop.v1.Orders"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), metadata=ENTRY)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        error, _ = await error_of(health.Check(health_pb2.HealthCheckRequest(service="other"), metadata=ENTRY))
        assert error.code() is Code.NOT_FOUND
        call = health.Watch(health_pb2.HealthCheckRequest(service="other"), metadata=ENTRY)
        assert (await call.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        call.cancel()


async def test_reflection_tells_of_the_rules_own_schema_alone() -> None:
    async with serving(Stages()) as client:
        stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="shop.v1.Orders"),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="fastforward.message.v1.Envelope"),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health"),
        ]
        answers = [each async for each in stub.ServerReflectionInfo(iter(asked), metadata=ENTRY)]
    names = {each.name for each in answers[0].list_services_response.service}
    assert names == {
        "shop.v1.Orders",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert answers[1].file_descriptor_response.file_descriptor_proto
    assert answers[3].file_descriptor_response.file_descriptor_proto
    assert answers[2].WhichOneof("message_response") == "error_response"
