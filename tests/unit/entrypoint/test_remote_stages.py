"""Stages in workloads of their own: over real gRPC, by the same functions, and moved while messages are under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest
from fastforward_entrypoint.messages.exchange import Callees, MessageExchange
from fastforward_entrypoint.messages.internal import Internal
from fastforward_entrypoint.messages.stages import Context, GrpcStages, StageServer
from fastforward_entrypoint.messages.targets import GrpcTargets
from fastforward_kit.tls import NodeTls
from fastforward_pipeline import Reason, Snapshot
from fastforward_pipeline.message import TAKES, Answered, Failed, Seal

from fastforward.message.v1 import envelope_pb2, error_pb2, json_pb2, stage_pb2, stage_pb2_grpc
from fastforward.snapshot.v1 import snapshot_pb2
from support.certified import Authority
from support.decision_snapshots import NOW, host, plan, snapshot
from support.message_exchange import SEAL, Holder, entrypoint, exchange_of, upstream_at
from support.message_target import message_target
from support.messages import TARGET, envelope, new_seal, orders
from support.processes import free_ports

NORMALIZER = "shop/normalizer"


def elsewhere(here: Snapshot, *stages: str, timeout_ms: int = 2000, json: bool = False) -> Snapshot:
    """The same, with these stages in a workload of their own."""
    workload = snapshot_pb2.Workload(
        stages=stages, upstream=NORMALIZER, timeout_ms=timeout_ms, tries=1, concurrent=8, queue=8, json=json
    )
    resources = [
        snapshot_pb2.Resource(name=f"workload/{NORMALIZER}", workload=workload),
        snapshot_pb2.Resource(name=f"upstream/{NORMALIZER}", upstream=snapshot_pb2.Upstream()),
    ]
    return here.apply(resources)


class Watched(StageServer):
    """Counts what it is asked, and may be slow, or change what is none of its business."""

    def __init__(self, holder: Holder, tls: NodeTls | None, seal: Seal | None) -> None:
        super().__init__(holder, Internal("", tls).admit, lambda: float(NOW), seal=seal)
        self.asked: list[str] = []
        self.takes_s = 0.0
        self.meddles = False
        self.leaves = False
        self.says_nothing = False

    async def Process(  # noqa: N802 - the .proto names it
        self, request: stage_pb2.ProcessRequest, context: Context
    ) -> stage_pb2.ProcessResponse:
        self.asked.append(request.stage)
        if self.leaves:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "it ends")
        await asyncio.sleep(self.takes_s)
        if self.says_nothing:
            return stage_pb2.ProcessResponse()
        response = await super().Process(request, context)
        if self.meddles:
            response.envelope.header.tenant = "globex"
            response.envelope.header.identity.roles[:] = ["admin"]
        return response


@asynccontextmanager
async def workload(
    holder: Holder, port: int = 0, tls: NodeTls | None = None, seal: Seal | None = None
) -> AsyncGenerator[tuple[Watched, str]]:
    served, server = Watched(holder, tls, seal), grpc.aio.server()
    stage_pb2_grpc.add_StageServiceServicer_to_server(served, server)
    address = f"127.0.0.1:{port}"
    port = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls.grpc_server())
    await server.start()
    try:
        yield served, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def reason_of(outcome: Answered | Failed) -> str:
    assert isinstance(outcome, Failed)
    return outcome.error.reason


@pytest.mark.parametrize("stage", sorted(TAKES))
async def test_a_stage_does_the_same_elsewhere(stage: str) -> None:
    here = Holder(orders())
    there = Holder(elsewhere(here.current, stage))
    async with message_target() as target, workload(there) as (served, address):
        for holder in (here, there):
            async with entrypoint(target.address, holder=holder, others={NORMALIZER: address}) as exchange:
                assert isinstance(await exchange.exchange(envelope(b'{ "b":1, "a":2.0}')), Answered)
        assert served.asked == [stage]
        [inline, remote] = target.received
        for each in (inline, remote):
            assert SEAL.broken(each, NOW) == ""
            each.header.ClearField("authorization")
        assert remote == inline


async def test_a_stage_elsewhere_refuses_as_here() -> None:
    holder = Holder(elsewhere(orders(), "normalization"))
    async with (
        workload(holder) as (_, address),
        entrypoint("127.0.0.1:1", holder=holder, others={NORMALIZER: address}) as exchange,
    ):
        refused = await exchange.exchange(envelope(b'{"a":1,"a":2}'))
    assert reason_of(refused) == Reason.CONTENT_MALFORMED.value


async def test_a_stage_writes_its_own_part_and_no_other() -> None:
    holder = Holder(elsewhere(orders(), "normalization"))
    async with message_target() as target, workload(holder) as (served, address):
        served.meddles = True
        async with entrypoint(target.address, holder=holder, others={NORMALIZER: address}) as exchange:
            assert isinstance(await exchange.exchange(envelope()), Answered)
        [message] = target.received
        assert (message.header.tenant, list(message.header.identity.roles)) == ("acme", ["buyer"])


async def test_a_workload_that_only_says_how_calls_go_moves_no_stage() -> None:
    how = snapshot_pb2.Resource(name="workload/shop/orders", workload=snapshot_pb2.Workload(upstream=TARGET, json=True))
    holder = Holder(orders().apply([how]))
    async with message_target() as target, entrypoint(target.address, holder=holder) as exchange:
        assert isinstance(await exchange.exchange(envelope()), Answered)


async def test_a_stage_that_answers_nothing_ends_the_message_and_takes_no_content_away() -> None:
    holder = Holder(elsewhere(orders(), "normalization"))
    async with message_target() as target, workload(holder) as (served, address):
        served.says_nothing = True
        async with entrypoint(target.address, holder=holder, others={NORMALIZER: address}) as exchange:
            assert reason_of(await exchange.exchange(envelope())) == Reason.STAGE_MALFORMED.value
        assert target.received == []


@pytest.mark.parametrize(
    "request_",
    [
        stage_pb2.ProcessRequest(stage="routing"),
        stage_pb2.ProcessRequest(stage="routing", envelope=envelope(message_id="a b")),
        stage_pb2.ProcessRequest(envelope=envelope()),
    ],
    ids=["no message", "an id with a space", "no stage"],
)
async def test_what_breaks_the_rules_of_messages_is_asked_of_no_stage(request_: stage_pb2.ProcessRequest) -> None:
    async with workload(Holder(orders())) as (_, address), grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await stage_pb2_grpc.StageServiceStub(channel).Process(request_)
    assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def _changed(message: envelope_pb2.Envelope) -> envelope_pb2.Envelope:
    message.header.tenant = "globex"
    return message


def _stolen(message: envelope_pb2.Envelope) -> envelope_pb2.Envelope:
    message.header.id = "another"
    return message


def _unsigned(message: envelope_pb2.Envelope) -> envelope_pb2.Envelope:
    message.header.authorization = ""
    return message


def _of_another(message: envelope_pb2.Envelope) -> envelope_pb2.Envelope:
    message.header.authorization = new_seal().sign(message, "plan")
    return message


def _late(message: envelope_pb2.Envelope) -> envelope_pb2.Envelope:
    message.header.deadline.FromSeconds(NOW - 1)
    message.header.authorization = SEAL.sign(message, "plan")
    return message


@pytest.mark.parametrize("forge", [_changed, _stolen, _unsigned, _of_another, _late])
async def test_what_is_not_signed_or_was_changed_is_asked_of_no_stage_behind_authorization(
    forge: Callable[[envelope_pb2.Envelope], envelope_pb2.Envelope],
) -> None:
    holder = Holder(elsewhere(orders(), "routing"))
    async with (
        message_target() as target,
        workload(holder, seal=SEAL) as (served, address),
        entrypoint(target.address, holder=holder, others={NORMALIZER: address}) as exchange,
        grpc.aio.insecure_channel(address) as channel,
    ):
        assert isinstance(await exchange.exchange(envelope()), Answered)
        [message] = target.received
        request = stage_pb2.ProcessRequest(stage="routing", envelope=forge(message))
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await stage_pb2_grpc.StageServiceStub(channel).Process(request)
        assert told.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert served.asked == ["routing"] * 2


async def test_a_stage_that_is_not_to_be_had_ends_the_message_and_says_so_in_time() -> None:
    holder = Holder(elsewhere(orders(), "normalization", timeout_ms=200))
    [port] = free_ports(1)
    async with entrypoint("127.0.0.1:1", holder=holder, others={NORMALIZER: f"127.0.0.1:{port}"}) as exchange:
        dead = await exchange.exchange(envelope())
    async with entrypoint("127.0.0.1:1", holder=holder) as exchange:
        gone = await exchange.exchange(envelope())
    async with workload(holder) as (served, address):
        served.takes_s = 5.0
        async with entrypoint("127.0.0.1:1", holder=holder, others={NORMALIZER: address}) as exchange:
            began = asyncio.get_running_loop().time()
            slow = await exchange.exchange(envelope())
            assert asyncio.get_running_loop().time() - began < 4.0
    assert [reason_of(each) for each in (dead, gone)] == [Reason.UNREACHABLE.value] * 2
    assert isinstance(slow, Failed)
    assert (slow.error.reason, slow.error.code) == (Reason.OUT_OF_TIME.value, error_pb2.CODE_DEADLINE_EXCEEDED)


async def test_a_stage_that_stays_in_entrypoint_runs_nowhere_else() -> None:
    async with workload(Holder(orders())) as (_, address), grpc.aio.insecure_channel(address) as channel:
        stub = stage_pb2_grpc.StageServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await stub.Process(stage_pb2.ProcessRequest(stage="authorization", envelope=envelope()))
    assert told.value.code() is grpc.StatusCode.UNIMPLEMENTED


def in_pods(here: Snapshot, port: int) -> Snapshot:
    """The same, with pods that the operator runs."""
    place = snapshot_pb2.Upstream(dns_host="localhost", dns_port=port, proven=True)
    return here.apply([snapshot_pb2.Resource(name=f"upstream/{NORMALIZER}", upstream=place)])


@asynccontextmanager
async def with_certificate(
    holder: Holder, target: str, tls: NodeTls
) -> AsyncGenerator[tuple[MessageExchange, GrpcStages]]:
    """An EntryPoint that proves who it is to pods."""
    stages = GrpcStages(holder.current.upstreams.get, tls)
    targets = GrpcTargets(lambda _: upstream_at(target))
    yield exchange_of(holder, Callees(targets, stages)), stages
    await targets.lines.close()
    await stages.lines.close()


async def answered_there(exchange: MessageExchange, served: Watched) -> None:
    """Messages are answered all the time, and after some time the stage is asked for there."""
    served.asked.clear()
    async with asyncio.timeout(20):
        while not served.asked:
            assert isinstance(await exchange.exchange(envelope()), Answered)
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("json", [False, True], ids=["protobuf", "JSON"])
async def test_entrypoint_does_the_work_of_pods_until_they_are_there(tmp_path: Path, *, json: bool) -> None:
    authority, [port] = Authority(tmp_path), free_ports(1)
    holder = Holder(in_pods(elsewhere(orders(), "normalization", json=json), port))
    near, far = authority.node("workload", "near"), authority.node("workload", "far")
    async with message_target() as target, with_certificate(holder, target.address, near) as (exchange, stages):
        assert isinstance(await exchange.exchange(envelope()), Answered)
        async with workload(holder, port, far) as (served, _):
            await answered_there(exchange, served)
            assert [hop.note for hop in stages.lines] == ["JSON" if json else ""]
            [line] = stages.lines._lines.values()
            before = line.endpoints
            authority.fill("workload", "near")
            assert near.refresh()
            line.renew()
            await answered_there(exchange, served)
            assert not set(before) & set(line.endpoints)
            served.leaves = True
            await answered_there(exchange, served)
        assert isinstance(await exchange.exchange(envelope()), Answered)


async def test_entrypoint_does_the_work_of_pods_of_which_it_knows_no_place_yet() -> None:
    late = elsewhere(orders(), "normalization").apply([], [f"upstream/{NORMALIZER}"])
    async with message_target() as target, entrypoint(target.address, holder=Holder(late)) as exchange:
        assert isinstance(await exchange.exchange(envelope()), Answered)


@pytest.mark.parametrize(
    "behind", [Snapshot.empty(), snapshot(host(plan("returns", "/returns")))], ids=["nothing yet", "another rule"]
)
async def test_entrypoint_does_the_work_of_pods_that_do_not_know_its_rule(tmp_path: Path, behind: Snapshot) -> None:
    authority, [port] = Authority(tmp_path), free_ports(1)
    holder, there = Holder(in_pods(elsewhere(orders(), "normalization", "routing"), port)), Holder(behind)
    near, far = authority.node("workload", "near"), authority.node("workload", "far")
    async with (
        message_target() as target,
        with_certificate(holder, target.address, near) as (exchange, _),
        workload(there, port, far) as (served, _),
    ):
        await answered_there(exchange, served)
        assert set(served.asked) == {"normalization", "routing"}


async def test_pods_of_somebody_else_are_not_asked(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, [port] = Authority(tmp_path), free_ports(1)
    holder = Holder(in_pods(elsewhere(orders(), "normalization"), port))
    near, far = authority.node("workload", "near"), Authority(tmp_path / "other").node("workload", "far")
    async with (
        message_target() as target,
        with_certificate(holder, target.address, near) as (exchange, stages),
        workload(holder, port, far) as (served, _),
    ):
        for _ in range(20):
            assert isinstance(await exchange.exchange(envelope()), Answered)
            await asyncio.sleep(0.05)
        assert served.asked == []
        [line] = stages.lines._lines.values()
        assert line.endpoints, "they were found"


async def test_only_workloads_ask_for_stages_where_peers_prove_who_they_are(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with workload(Holder(orders()), tls=authority.node("workload")) as (_, address):
        target = address.replace("127.0.0.1", "localhost")
        async with grpc.aio.secure_channel(target, authority.node("edge").channel()) as channel:
            stub = stage_pb2_grpc.StageServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await stub.Process(stage_pb2.ProcessRequest(stage="routing"))
            with pytest.raises(grpc.aio.AioRpcError) as told_in_json:
                await stub.ProcessJson(stage_pb2.ProcessJsonRequest(request=json_pb2.Transcribed(json="{")))
    assert told.value.code() is told_in_json.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_stage_moves_there_and_back_under_load_and_no_message_is_lost() -> None:
    here = orders()
    there = elsewhere(here, *TAKES)
    holder = Holder(here)
    async with message_target() as target, workload(Holder(there)) as (served, address):
        async with entrypoint(target.address, holder=holder, others={NORMALIZER: address}) as exchange:

            async def send(number: int) -> Answered | Failed:
                return await exchange.exchange(envelope(message_id=f"m-{number}"))

            async def move() -> None:
                for number, each in enumerate((there, here) * 10, 1):
                    holder.current = each
                    # While messages are under way, however fast they are.
                    while len(target.received) < 3 * number:  # noqa: ASYNC110 - nobody else tells
                        await asyncio.sleep(0.001)

            moving = asyncio.create_task(move())
            sent = 0
            while not moving.done():
                outcomes = await asyncio.gather(*map(send, range(sent, sent + 8)))
                assert all(isinstance(each, Answered) for each in outcomes)
                sent += 8
            await moving
        assert len({message.header.id for message in target.received}) == len(target.received) == sent
        assert 0 < len(served.asked) < 2 * sent
        assert {tuple(each.header.routing.destinations) for each in target.received} == {(TARGET,)}
