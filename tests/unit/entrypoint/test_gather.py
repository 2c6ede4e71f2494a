"""A message to several real targets at once: what comes of it when some are slow, gone, or say no."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from fastforward_entrypoint.messages.exchange import MessageExchange
from fastforward_pipeline import Reason
from fastforward_pipeline.message import Answered, Failed

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.decision_snapshots import NOW
from support.message_exchange import SEAL, entrypoint
from support.message_target import Handler, MessageTarget, message_target
from support.messages import TYPE, envelope, reply
from support.processes import free_ports

STOCK, PRICE = "shop/stock", "shop/price"


def says(body: bytes, after_s: float = 0.0) -> Handler:
    async def handle(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        await asyncio.sleep(after_s)
        return dispatch_pb2.HandleResponse(reply=reply(body))

    return handle


async def refuses(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
    error = error_pb2.Error(code=error_pb2.CODE_NOT_FOUND, reason="shop/no-book", title="No such book")
    return dispatch_pb2.HandleResponse(error=error)


@asynccontextmanager
async def asking(
    stock: Handler, price: Handler | None, *, require: int = 1, deadline_ms: int = 0
) -> AsyncGenerator[tuple[MessageExchange, list[MessageTarget]]]:
    """An exchange that asks both; None is a target that is not there."""
    [nowhere] = free_ports(1)
    parts = [
        snapshot_pb2.GatherPart(upstream=STOCK, member="stock"),
        snapshot_pb2.GatherPart(upstream=PRICE, member="price"),
    ]
    gather = snapshot_pb2.Gather(parts=parts, require=require, deadline_ms=deadline_ms)
    message = snapshot_pb2.MessageDispatch(type=TYPE, gather=gather)
    async with AsyncExitStack() as stack:
        targets = [await stack.enter_async_context(message_target(each)) for each in (stock, price) if each is not None]
        addresses = [each.address for each in targets]
        if price is None:
            addresses.append(f"127.0.0.1:{nowhere}")
        others = dict(zip((STOCK, PRICE), addresses, strict=True))
        exchange = await stack.enter_async_context(entrypoint("", message=message, others=others))
        yield exchange, targets


def content_of(outcome: Answered | Failed) -> object:
    assert isinstance(outcome, Answered)
    return json.loads(outcome.reply.payload.body)


def told(outcome: Answered | Failed) -> dict[str, str]:
    assert isinstance(outcome, Answered)
    return {each.name: each.value for each in outcome.reply.header.completion.fields}


async def test_all_are_asked_at_once_and_their_answers_are_one_reply() -> None:
    async with asking(says(b'{"left":3}', 0.2), says(b"7", 0.2), require=2) as (exchange, targets):
        began = asyncio.get_running_loop().time()
        outcome = await exchange.exchange(envelope())
        took_s = asyncio.get_running_loop().time() - began
    assert content_of(outcome) == {"stock": {"left": 3}, "price": 7}
    assert took_s < 0.38
    for target, upstream in zip(targets, (STOCK, PRICE), strict=True):
        [message] = target.received
        assert (list(message.header.routing.destinations), message.header.routing.delivery) == (
            [upstream],
            envelope_pb2.DELIVERY_SCATTER,
        )
        assert SEAL.broken(message, NOW) == ""


async def test_the_groups_deadline_ends_the_wait_for_a_slow_one() -> None:
    async with asking(says(b"3"), says(b"7", 30), deadline_ms=300) as (exchange, targets):
        outcome = await exchange.exchange(envelope())
    assert content_of(outcome) == {"stock": 3}
    assert told(outcome) == {"x-ff-completed": "false", "x-ff-failed": '"price";reason="dispatch/out-of-time"'}
    assert targets[1].left_s[0] <= 0.3


async def test_the_messages_deadline_is_never_exceeded() -> None:
    async with asking(says(b"3"), says(b"7", 30), deadline_ms=20_000) as (exchange, _):
        message = envelope()
        message.header.deadline.FromMilliseconds(NOW * 1000 + 300)
        began = asyncio.get_running_loop().time()
        assert content_of(await exchange.exchange(message)) == {"stock": 3}
        assert asyncio.get_running_loop().time() - began < 5


async def test_one_that_is_gone_and_one_that_refuses_are_told_apart() -> None:
    async with asking(refuses, None) as (exchange, _):
        outcome = await exchange.exchange(envelope())
    assert isinstance(outcome, Failed)
    assert outcome.error.reason == Reason.INCOMPLETE
    assert [(each.pointer, each.rule) for each in outcome.error.violations] == [
        ("/stock", "shop/no-book"),
        ("/price", "dispatch/unreachable"),
    ]


async def test_the_whole_is_handled_once_and_told_again() -> None:
    async with asking(says(b"3"), None) as (exchange, targets):
        first, again = [await exchange.exchange(envelope(once="k")) for _ in range(2)]
    assert content_of(first) == content_of(again) == {"stock": 3}
    assert told(first) == told(again)
    assert isinstance(again, Answered)
    assert again.reply.header.transaction.repeated
    assert [each.header.idempotency_key for each in targets[0].received] == ["k/stock"]


async def test_what_came_to_nothing_is_sent_again_only_to_whom_it_did_not_reach() -> None:
    answers = iter((dispatch_pb2.HandleResponse(error=error_pb2.Error(code=error_pb2.CODE_ABORTED)),))

    async def second_time(_: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        return next(answers, dispatch_pb2.HandleResponse(reply=reply(b"7")))

    async with asking(says(b"3"), second_time, require=2) as (exchange, targets):
        first, again = [await exchange.exchange(envelope(once="k")) for _ in range(2)]
    assert isinstance(first, Failed)
    assert first.error.reason == Reason.INCOMPLETE
    assert content_of(again) == {"stock": 3, "price": 7}
    assert [len(target.received) for target in targets] == [1, 2]


async def test_a_part_that_may_have_been_handled_is_not_asked_again() -> None:
    async with asking(says(b"3"), says(b"7", 30), require=2, deadline_ms=300) as (exchange, targets):
        first, again = [await exchange.exchange(envelope(once="k")) for _ in range(2)]
    assert [isinstance(each, Failed) and each.error.violations[0].rule for each in (first, again)] == [
        "dispatch/out-of-time",
        "tracking/outcome-unknown",
    ]
    assert [len(target.received) for target in targets] == [1, 1]
