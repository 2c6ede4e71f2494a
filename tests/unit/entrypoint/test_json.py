"""Calls in JSON, for people who look at what travels: switched while messages are under way, and none is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio
import pytest
from fastforward_entrypoint.messages.internal import Internal
from fastforward_entrypoint.messages.speech import JSON, NOT_SERVED
from fastforward_entrypoint.messages.stages import Context, StageServer
from fastforward_entrypoint.messages.targets import POLICY, GrpcTargets
from fastforward_pipeline import Snapshot
from fastforward_pipeline.compiled.workload import Workload
from fastforward_pipeline.message import Answered, Failed
from fastforward_shield import HopError

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2, json_pb2, stage_pb2, stage_pb2_grpc
from fastforward.snapshot.v1 import snapshot_pb2
from support.decision_snapshots import NOW
from support.message_exchange import SEAL, Holder, entrypoint, upstream_at
from support.message_target import Handler, MessageTarget, agree, message_target
from support.messages import TARGET, envelope, orders, reply

NORMALIZER = "shop/normalizer"
NEVER = float("inf")


@dataclass
class Switch:
    """What a Workload says of a target, as it is now."""

    json: bool = True
    tries: int = 0

    def __call__(self, upstream: str) -> Workload | None:
        assert upstream == TARGET
        return Workload(
            name="shop/orders",
            stages=(),
            upstream=TARGET,
            timeout_s=5.0 if self.tries else 0.0,
            tries=self.tries,
            concurrent=2 if self.tries else 0,
            queue=0,
            json=self.json,
        )


@dataclass
class Calls:
    """The way to a target, and the target."""

    target: MessageTarget
    targets: GrpcTargets
    switch: Switch = field(default_factory=Switch)

    async def call(self, message: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        return await self.targets.call(TARGET, message, NEVER)

    @property
    def note(self) -> str:
        [hop] = self.targets.lines
        return hop.state().note


@asynccontextmanager
async def calling(handler: Handler = agree) -> AsyncGenerator[Calls]:
    switch = Switch()
    async with message_target(handler) as target:
        targets = GrpcTargets({TARGET: upstream_at(target.address)}.get, POLICY, switch)
        yield Calls(target, targets, switch)
        await targets.lines.close()


async def test_a_target_is_told_the_same_in_json_and_people_can_read_it() -> None:
    async with calling() as calls:
        in_json = await calls.call(envelope())
        calls.switch.json = False
        in_protobuf = await calls.call(envelope())
        assert calls.note == ""
    assert in_json == in_protobuf == dispatch_pb2.HandleResponse(reply=reply())
    assert calls.target.received == [envelope(), envelope()]
    [said] = calls.target.said
    assert json.loads(said.json)["envelope"]["header"]["source"]["method"] == "POST"
    assert said.content == '{"sku": "abc", "quantity": 2}'


async def test_a_target_that_serves_no_json_is_called_as_ever_and_people_are_told() -> None:
    async with calling() as calls:
        calls.target.knows_json = False
        assert (await calls.call(envelope())).HasField("reply")
        assert calls.note == NOT_SERVED
        assert len(calls.target.received) == 1
        calls.target.knows_json = True
        await calls.call(envelope())
        assert calls.note == JSON


async def test_what_json_cannot_say_reaches_the_target_all_the_same() -> None:
    newer = envelope()
    newer.header.MergeFromString(b"\xfa\x7f\x03new")
    async with calling() as calls:
        await calls.call(newer)
        assert [each.SerializeToString() for each in calls.target.received] == [newer.SerializeToString()]


async def test_an_answer_that_is_no_message_is_none() -> None:
    async with calling() as calls:
        calls.target.garbage = "{"
        assert (await calls.call(envelope())).WhichOneof("outcome") is None


async def test_a_targets_error_is_the_same_in_json() -> None:
    async def refuse(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        return dispatch_pb2.HandleResponse(error=error_pb2.Error(code=error_pb2.CODE_ABORTED, reason="orders/gone"))

    async with calling(refuse) as calls:
        assert (await calls.call(envelope())).error.reason == "orders/gone"


async def test_the_switch_is_thrown_under_load_and_no_message_is_lost_or_doubled() -> None:
    sent = [f"m-{number}" for number in range(120)]
    async with calling() as calls, asyncio.TaskGroup() as under_way:
        for number, name in enumerate(sent):
            if number % 6 == 0:
                calls.switch.json = not calls.switch.json
                await asyncio.sleep(0.01)
            under_way.create_task(_is_answered(calls, name))
    assert sorted(each.header.id for each in calls.target.received) == sorted(sent)
    assert 0 < len(calls.target.said) < len(sent)


async def _is_answered(calls: Calls, message_id: str) -> None:
    assert (await calls.call(envelope(message_id=message_id))).HasField("reply")


async def test_how_calls_of_a_target_go_is_what_its_workload_says() -> None:
    free = asyncio.Event()

    async def wait(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        await free.wait()
        return dispatch_pb2.HandleResponse(reply=reply())

    async with calling(wait) as calls:
        calls.switch.tries = 1
        two = [asyncio.create_task(calls.call(envelope())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(HopError):
            await calls.call(envelope())
        free.set()
        assert all(each.HasField("reply") for each in await asyncio.gather(*two))


def elsewhere(snapshot: Snapshot, *, json: bool) -> Snapshot:
    workload = snapshot_pb2.Workload(
        stages=["normalization", "routing"],
        upstream=NORMALIZER,
        timeout_ms=2000,
        tries=1,
        concurrent=64,
        queue=64,
        json=json,
    )
    resources = [
        snapshot_pb2.Resource(name=f"workload/{NORMALIZER}", workload=workload),
        snapshot_pb2.Resource(name=f"upstream/{NORMALIZER}", upstream=snapshot_pb2.Upstream()),
    ]
    return snapshot.apply(resources)


class Noting(StageServer):
    """Keeps what it is asked in JSON."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(holder, Internal("", None).admit, lambda: float(NOW))
        self.said: list[json_pb2.Transcribed] = []

    async def ProcessJson(  # noqa: N802 - the .proto names it
        self, request: stage_pb2.ProcessJsonRequest, context: Context
    ) -> stage_pb2.ProcessJsonResponse:
        self.said.append(request.request)
        return await super().ProcessJson(request, context)


@asynccontextmanager
async def stages(holder: Holder) -> AsyncGenerator[tuple[Noting, str]]:
    served, server = Noting(holder), grpc.aio.server()
    stage_pb2_grpc.add_StageServiceServicer_to_server(served, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield served, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_stages_elsewhere_do_the_same_in_json_and_are_switched_under_load() -> None:
    forms = [elsewhere(orders(), json=json) for json in (False, True)]
    holder = Holder(forms[0])
    async with (
        message_target() as target,
        stages(Holder(forms[0])) as (served, address),
        entrypoint(target.address, holder=holder, others={NORMALIZER: address}) as exchange,
    ):
        for number in range(20):
            under_way = []
            for snapshot in forms:
                holder.current = snapshot
                asked = [
                    envelope(b'{ "b":1, "a":2.0}', message_id=f"m-{number}-{snapshot is forms[0]}-{n}")
                    for n in range(3)
                ]
                under_way += [asyncio.create_task(exchange.exchange(each)) for each in asked]
                await asyncio.sleep(0)
            assert all(isinstance(each, Answered) for each in await asyncio.gather(*under_way))
    assert len({each.header.id for each in target.received}) == len(target.received) == 120
    assert {each.payload.body for each in target.received} == {b'{"a":2,"b":1}'}
    assert all(SEAL.broken(each, NOW) == "" for each in target.received)
    assert 0 < len(served.said) < 240


async def test_a_stage_refuses_the_same_in_json() -> None:
    holder = Holder(elsewhere(orders(), json=True))
    async with (
        stages(holder) as (served, address),
        entrypoint("127.0.0.1:1", holder=holder, others={NORMALIZER: address}) as exchange,
    ):
        refused = await exchange.exchange(envelope(b'{"a":1,"a":2}'))
    assert isinstance(refused, Failed)
    assert refused.error.reason == "normalization/content-malformed"
    assert len(served.said) == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (json_pb2.Transcribed(json='{"stage": "routing", "later": 1}'), grpc.StatusCode.UNIMPLEMENTED),
        (json_pb2.Transcribed(json="{"), grpc.StatusCode.UNIMPLEMENTED),
        (json_pb2.Transcribed(json='{"stage": "routing"}'), grpc.StatusCode.INVALID_ARGUMENT),
        (json_pb2.Transcribed(), grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=["a field of a later release", "no JSON", "no message", "nothing"],
)
async def test_what_a_stage_does_not_understand_it_asks_for_in_protobuf(
    said: json_pb2.Transcribed, code: grpc.StatusCode
) -> None:
    async with stages(Holder(orders())) as (_, address), grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await stage_pb2_grpc.StageServiceStub(channel).ProcessJson(stage_pb2.ProcessJsonRequest(request=said))
    assert told.value.code() is code
