"""Endpoints of an Upstream, over real gRPC: which is asked, and what becomes of those that are dead, bad, or gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import grpc.aio
import pytest
from fastforward_entrypoint.messages.lines import UnconnectedError
from fastforward_entrypoint.messages.once import Fate
from fastforward_entrypoint.messages.targets import GrpcTargets
from fastforward_pipeline.compiled.upstream import Outliers, Upstream
from fastforward_shield import DeadlineExceededError, Policy, Retry

from fastforward.message.v1 import dispatch_pb2, envelope_pb2
from support.message_exchange import upstream_at
from support.message_target import Handler, MessageTarget, agree, message_target
from support.messages import TARGET, envelope, reply
from support.processes import free_ports

ONCE = Policy(timeout_s=5.0)
"""Without retries."""


class Calls:
    """Targets under test; `upstream` is what the snapshot says now."""

    def __init__(self, upstream: Upstream | None, policy: Policy = ONCE) -> None:
        self.upstream = upstream
        self.targets = GrpcTargets(lambda _: self.upstream, policy)

    async def send(self, message: envelope_pb2.Envelope | None = None, *, within_s: float = 5.0) -> None:
        deadline = asyncio.get_running_loop().time() + within_s
        await self.targets.call(TARGET, message or envelope(), deadline)


@asynccontextmanager
async def calling(
    *handlers: Handler,
    dead: int = 0,
    call_policy: Policy = ONCE,
    **said: Any,  # noqa: ANN401 - of an Upstream, handed on
) -> AsyncGenerator[tuple[Calls, list[MessageTarget]]]:
    """Calls to a target for each handler, and to as many ports at which nobody listens."""
    async with AsyncExitStack() as stack:
        targets = [await stack.enter_async_context(message_target(each)) for each in handlers]
        gone = [f"127.0.0.1:{port}" for port in free_ports(dead)] if dead else []
        calls = Calls(upstream_at(*(each.address for each in targets), *gone, **said), call_policy)
        stack.push_async_callback(calls.targets.lines.close)
        yield calls, targets


def counts(targets: list[MessageTarget]) -> list[int]:
    return [len(each.received) for each in targets]


async def fails(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
    raise RuntimeError("broken on purpose")


async def test_each_endpoint_gets_its_share() -> None:
    async with calling(agree, agree, agree) as (calls, targets):
        for _ in range(30):
            await calls.send()
    assert counts(targets) == [10, 10, 10]


async def test_a_dead_endpoint_costs_nobody_an_answer() -> None:
    async with calling(agree, agree, dead=1) as (calls, targets):
        for _ in range(30):
            await calls.send()
    assert sum(counts(targets)) == 30
    assert min(counts(targets)) >= 10


async def test_where_nobody_is_nothing_is_sent_and_that_is_said_at_once() -> None:
    async with calling(dead=2) as (calls, _):
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnconnectedError):
            await calls.send()
        assert asyncio.get_running_loop().time() - began < 2


async def test_one_that_does_not_speak_is_waited_for_no_longer_than_the_deadline_and_was_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        calls = Calls(upstream_at(f"127.0.0.1:{mute.getsockname()[1]}"))
        fate = Fate()
        deadline = asyncio.get_running_loop().time() + 0.2
        with pytest.raises((DeadlineExceededError, UnconnectedError)):
            await calls.targets.call(TARGET, envelope(), deadline, fate)
        assert not fate.doubtful
        await calls.targets.lines.close()


async def test_an_endpoint_that_comes_back_is_asked_again() -> None:
    [port] = free_ports(1)
    async with calling(agree) as (calls, targets):
        assert calls.upstream is not None
        calls.upstream = upstream_at(targets[0].address, f"127.0.0.1:{port}")
        for _ in range(4):
            await calls.send()
        async with message_target(port=port) as back, asyncio.timeout(20):
            while not back.received:
                await calls.send()
                await asyncio.sleep(0.02)


async def test_an_endpoint_that_is_taken_out_gets_nothing_new_and_ends_what_it_has() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        begun.set()
        await may_end.wait()
        return dispatch_pb2.HandleResponse(reply=reply())

    async with calling(slow) as (calls, targets), message_target() as other:
        held = asyncio.ensure_future(calls.send())
        await begun.wait()
        calls.upstream = upstream_at(other.address)
        calls.targets.lines.let_go()
        for _ in range(10):
            await calls.send()
        may_end.set()
        await held
    assert (counts(targets), len(other.received)) == ([1], 10)


async def test_an_endpoint_that_stays_keeps_its_connection() -> None:
    async with calling(agree, agree) as (calls, targets):
        for _ in range(4):
            await calls.send()
        line = calls.targets.lines.to(TARGET, ONCE)
        before = {each.address: each.stub for each in line.endpoints}
        calls.upstream = upstream_at(targets[0].address)
        line = calls.targets.lines.to(TARGET, ONCE)
        assert [before[each.address] is each.stub for each in line.endpoints] == [True]


class TestOutliers:
    RULE = Outliers(errors=3, ejection_s=0.5, most=0.5)

    async def test_one_that_answers_badly_is_left_alone_for_a_while(self) -> None:
        async with calling(fails, agree, outliers=self.RULE) as (calls, targets):
            for _ in range(40):
                with suppress(grpc.aio.AioRpcError):
                    await calls.send()
            assert counts(targets) == [3, 37]
            await asyncio.sleep(0.6)
            for _ in range(4):
                with suppress(grpc.aio.AioRpcError):
                    await calls.send()
            assert counts(targets) == [5, 39]

    async def test_the_others_are_kept_when_too_many_would_be_out(self) -> None:
        rule = Outliers(errors=1, ejection_s=30, most=0.5)
        async with calling(fails, fails, outliers=rule) as (calls, targets):
            for _ in range(20):
                with pytest.raises(grpc.aio.AioRpcError):
                    await calls.send()
            assert sorted(counts(targets)) == [1, 19]

    async def test_without_a_rule_nobody_is_left_alone(self) -> None:
        async with calling(fails, agree) as (calls, targets):
            for _ in range(20):
                with suppress(grpc.aio.AioRpcError):
                    await calls.send()
            assert counts(targets) == [10, 10]


async def test_a_name_is_looked_up_and_each_address_is_an_endpoint() -> None:
    async with message_target() as target:
        port = int(target.address.rpartition(":")[2])
        calls = Calls(Upstream(name=TARGET, dns=("localhost", port)))
        for _ in range(3):
            await calls.send()
        assert len(target.received) == 3
        calls.upstream = Upstream(name=TARGET, dns=("no..name", port))
        with pytest.raises(UnconnectedError):
            await calls.send()
        await calls.targets.lines.close()


async def test_messages_with_one_key_go_to_one_endpoint() -> None:
    async with calling(agree, agree, agree, policy="ring hash", hash_on="header:x-cart") as (calls, targets):
        for number in range(30):
            await calls.send(envelope(x_cart="7", message_id=f"m-{number}"))
        assert sorted(counts(targets)) == [0, 0, 30]


async def test_a_call_with_retries_tries_another_endpoint() -> None:
    patient = Policy(timeout_s=5.0, retry=Retry(tries=2, budget_per_s=100.0))
    async with calling(fails, agree, call_policy=patient) as (calls, targets):
        for number in range(10):
            await calls.send(envelope(once=f"k-{number}"))
    assert counts(targets)[1] == 10
