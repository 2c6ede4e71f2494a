"""Messages through all stages to a real gRPC target and back, and what callers are told when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from fastforward_entrypoint.messages.exchange import MessageExchange
from fastforward_entrypoint.messages.targets import GrpcTargets
from fastforward_pipeline import Reason
from fastforward_pipeline.message import Answered, Failed

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2
from support.decision_snapshots import NOW
from support.message_exchange import SEAL, entrypoint, upstream_at
from support.message_target import Handler, MessageTarget, agree, message_target
from support.messages import TARGET, TYPE, envelope, reply
from support.processes import free_ports


@asynccontextmanager
async def running(handler: Handler = agree) -> AsyncGenerator[tuple[MessageExchange, MessageTarget]]:
    async with message_target(handler) as target, entrypoint(target.address) as exchange:
        yield exchange, target


def completion(status: int = 200, **fields: str) -> envelope_pb2.Completion:
    named = [envelope_pb2.Field(name=name, value=value) for name, value in fields.items()]
    return envelope_pb2.Completion(status=status, fields=named)


def error_of(outcome: Answered | Failed) -> error_pb2.Error:
    assert isinstance(outcome, Failed)
    return outcome.error


async def test_a_message_reaches_its_target_signed_and_its_reply_comes_back() -> None:
    async with running() as (exchange, target):
        outcome = await exchange.exchange(envelope())
    [received] = target.received
    assert (received.header.type, received.header.tenant) == (TYPE, "acme")
    assert SEAL.broken(received, NOW) == ""
    assert 0 < target.left_s[0] <= 15
    assert isinstance(outcome, Answered)
    header = outcome.reply.header
    assert (header.causation_id, header.kind) == (received.header.id, envelope_pb2.KIND_REPLY)
    assert outcome.reply.payload.body == b'{"order":7}'
    assert not header.authorization
    assert not header.HasField("routing")


async def test_what_a_stage_refuses_the_target_never_sees() -> None:
    async with running() as (exchange, target):
        assert error_of(await exchange.exchange(envelope(key=""))).reason == Reason.KEY_MISSING
    assert target.received == []


async def test_the_targets_own_error_is_the_callers() -> None:
    async def refuse(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        violation = error_pb2.FieldViolation(pointer="/quantity", description="There are 1.", rule="stock")
        error = error_pb2.Error(code=error_pb2.CODE_FAILED_PRECONDITION, title="Not enough", violations=[violation])
        return dispatch_pb2.HandleResponse(error=error)

    async with running(refuse) as (exchange, _):
        error = error_of(await exchange.exchange(envelope()))
    assert (error.code, error.violations[0].pointer) == (error_pb2.CODE_FAILED_PRECONDITION, "/quantity")
    assert error.message_id == envelope().header.id


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (dispatch_pb2.HandleResponse(), Reason.REPLY_MALFORMED),
        (dispatch_pb2.HandleResponse(reply=reply(b"{")), Reason.REPLY_MALFORMED),
        (dispatch_pb2.HandleResponse(reply=reply(tenant="other")), Reason.REPLY_OF_ANOTHER),
        (dispatch_pb2.HandleResponse(reply=reply(completion=completion(101))), Reason.REPLY_MALFORMED),
        (dispatch_pb2.HandleResponse(reply=reply(completion=completion(a="b\r\nc: d"))), Reason.REPLY_MALFORMED),
    ],
    ids=["nothing", "garbage", "another", "an interim status", "a line break"],
)
async def test_an_answer_that_is_wrong_no_caller_sees(answer: dispatch_pb2.HandleResponse, reason: Reason) -> None:
    async def handle(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        return answer

    async with running(handle) as (exchange, _):
        assert error_of(await exchange.exchange(envelope())).reason == reason


async def test_what_only_the_gateway_says_of_an_answer_no_target_says() -> None:
    told = {"Content-Length": "3", "transfer-encoding": "chunked", "X-FF-Message-Id": "m", "Location": "/orders/7"}

    async def handle(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        return dispatch_pb2.HandleResponse(reply=reply(completion=completion(201, **told)))

    async with running(handle) as (exchange, _):
        outcome = await exchange.exchange(envelope())
    assert isinstance(outcome, Answered)
    assert [(each.name, each.value) for each in outcome.reply.header.completion.fields] == [("location", "/orders/7")]


async def test_a_target_that_hangs_is_given_up_at_the_deadline() -> None:
    async def hang(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        await asyncio.sleep(60)
        return dispatch_pb2.HandleResponse()

    async with running(hang) as (exchange, _):
        message = envelope()
        message.header.deadline.FromMilliseconds(NOW * 1000 + 200)
        assert error_of(await exchange.exchange(message)).reason == Reason.OUT_OF_TIME


async def test_a_target_that_is_not_there_is_told_quickly_and_reached_when_it_is_back() -> None:
    [port] = free_ports(1)
    async with entrypoint(f"127.0.0.1:{port}") as exchange:
        message = envelope()
        message.header.deadline.FromMilliseconds(NOW * 1000 + 3000)
        error = error_of(await exchange.exchange(message))
        assert (error.reason, error.code) == (Reason.UNREACHABLE, error_pb2.CODE_UNAVAILABLE)
        async with message_target(port=port):
            async with asyncio.timeout(20):
                while isinstance(await exchange.exchange(envelope()), Failed):  # noqa: ASYNC110 - it is tried
                    await asyncio.sleep(0.1)


async def test_an_upstream_that_is_gone_is_let_go() -> None:
    async with message_target() as target:
        known = {TARGET: upstream_at(target.address)}
        targets = GrpcTargets(known.get)
        await targets.call(TARGET, envelope(), asyncio.get_running_loop().time() + 5)
        targets.lines.let_go()
        assert [hop.name for hop in targets.lines] == [TARGET]
        known.clear()
        targets.lines.let_go()
        assert list(targets.lines) == []
        with pytest.raises(KeyError):
            await targets.call(TARGET, envelope(), asyncio.get_running_loop().time() + 5)
        await targets.lines.close()


class TestOnce:
    async def test_the_same_message_is_handled_once_and_its_result_told_again(self) -> None:
        async with running() as (exchange, target):
            first = await exchange.exchange(envelope(once="k"))
            again = await exchange.exchange(envelope(once="k", message_id="another"))
        assert len(target.received) == 1
        assert isinstance(first, Answered)
        assert isinstance(again, Answered)
        assert first.reply.payload == again.reply.payload
        assert not first.reply.header.transaction.repeated
        assert again.reply.header.transaction.repeated
        assert again.reply.header.causation_id == "another"

    async def test_of_many_at_once_one_is_handled(self) -> None:
        async def slow(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            await asyncio.sleep(0.1)
            return dispatch_pb2.HandleResponse(reply=reply())

        async with running(slow) as (exchange, target):
            outcomes = await asyncio.gather(*(exchange.exchange(envelope(once="k")) for _ in range(20)))
        assert len(target.received) == 1
        assert sum(isinstance(each, Answered) for each in outcomes) == 1
        assert {each.error.reason for each in outcomes if isinstance(each, Failed)} == {Reason.IN_PROGRESS}

    async def test_what_failed_may_be_sent_again(self) -> None:
        answers = iter(
            (
                dispatch_pb2.HandleResponse(error=error_pb2.Error(code=error_pb2.CODE_INTERNAL, title="Broken")),
                dispatch_pb2.HandleResponse(reply=reply()),
            )
        )

        async def handle(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            return next(answers)

        async with running(handle) as (exchange, _):
            assert isinstance(await exchange.exchange(envelope(once="k")), Failed)
            assert isinstance(await exchange.exchange(envelope(once="k")), Answered)

    async def test_a_caller_that_was_cut_off_is_told_the_result_when_it_comes_again(self) -> None:
        async def slow(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            await asyncio.sleep(0.3)
            return dispatch_pb2.HandleResponse(reply=reply())

        async with running(slow) as (exchange, target):
            call = asyncio.ensure_future(exchange.exchange(envelope(once="k")))
            await asyncio.sleep(0.1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            async with asyncio.timeout(10):
                while isinstance(again := await exchange.exchange(envelope(once="k")), Failed):
                    assert again.error.reason == Reason.IN_PROGRESS
                    await asyncio.sleep(0.05)
        assert again.reply.header.transaction.repeated
        assert len(target.received) == 1

    async def test_what_may_have_been_handled_when_its_time_was_over_is_not_handled_again(self) -> None:
        async def slow(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            await asyncio.sleep(0.5)
            return dispatch_pb2.HandleResponse(reply=reply())

        async with running(slow) as (exchange, target):
            message = envelope(once="k")
            message.header.deadline.FromMilliseconds(NOW * 1000 + 200)
            assert error_of(await exchange.exchange(message)).reason == Reason.OUT_OF_TIME
            again = error_of(await exchange.exchange(envelope(once="k")))
        assert (again.reason, again.code) == (Reason.OUTCOME_UNKNOWN, error_pb2.CODE_ABORTED)
        assert len(target.received) == 1

    @pytest.mark.parametrize("once", ["", "k"])
    async def test_a_target_that_dies_over_a_message_leaves_nobody_in_doubt_that_there_is_doubt(
        self, once: str
    ) -> None:
        begun = asyncio.Event()

        async def hang(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
            begun.set()
            await asyncio.sleep(60)
            return dispatch_pb2.HandleResponse()

        [port] = free_ports(1)
        async with entrypoint(f"127.0.0.1:{port}") as exchange:
            async with message_target(hang, port) as target:
                call = asyncio.ensure_future(exchange.exchange(envelope(once=once)))
                await begun.wait()
            error = error_of(await call)
            async with message_target(port=port) as back:
                again = await exchange.exchange(envelope(once=once)) if once else None
        assert error.reason == Reason.UNREACHABLE
        assert len(target.received) == 1
        assert back.received == []
        assert again is None or error_of(again).reason == Reason.OUTCOME_UNKNOWN

    async def test_what_was_never_sent_leaves_its_key_free(self) -> None:
        [port] = free_ports(1)
        async with entrypoint(f"127.0.0.1:{port}") as exchange:
            assert error_of(await exchange.exchange(envelope(once="k"))).reason == Reason.UNREACHABLE
            async with message_target(port=port) as target, asyncio.timeout(20):
                while isinstance(again := await exchange.exchange(envelope(once="k")), Failed):
                    assert again.error.reason == Reason.UNREACHABLE
                    await asyncio.sleep(0.1)
        assert len(target.received) == 1
