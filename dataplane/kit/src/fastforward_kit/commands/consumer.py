"""The consumer of one type of command: one at a time, in order, acknowledged when it has been handled.

In: a Broker, NAMESPACE/TYPE, the workload's handler, and how authorizations are verified. Out: replies to whoever waits
for one. Run by workloads, beside whatever else they serve. A handler is the one that a call would have:
`fastforward.message.v1.MessageService.Handle`.

Delivered at least once: a command whose consumer dies while it handles it, or before RabbitMQ knows that it has, comes
again. This process remembers what it has handled, but not beyond its end: a handler keeps the message id, or what
`once_key` says, with what it writes, in the same transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq import Channel, spec
from google.protobuf.message import DecodeError

from fastforward.message.v1 import dispatch_pb2, envelope_pb2
from fastforward_kit.backoff import Backoff

from .broker import LOST, Broker, ask, hang_up, until_lost
from .queue import DELIVERIES, REMAKE_PAUSE_S, dead_letters_of, declare, name_queue

log = structlog.get_logger(__name__)

Handler = Callable[[envelope_pb2.Envelope], Awaitable[dispatch_pb2.HandleResponse]]
Broken = Callable[[envelope_pb2.Envelope, float], str]
"""What is wrong with a message's authorization at that Unix time; empty when nothing is."""

REASON, DETAIL = "x-ff-reason", "x-ff-detail"
"""Headers of what was left aside: `forged`, `malformed`, `failed`, `refused`, and a sentence."""
WAITS_UNTIL = "x-ff-waits-until"
"""Header of a command whose caller waits: until when, in milliseconds of Unix time."""
DOUBT_S = 0.5
"""Of a wait, the end in which its caller may have gone before it hears: clocks differ, and replies take their time."""
REMEMBERED = 1000
LOOK_S = 5.0
"""How often a consumer looks whether it still is one."""
IDLE_S = 30.0
"""One to which nothing has come as long begins anew: whoever deletes a queue and makes it again at once may leave it a
consumer to whom RabbitMQ delivers nothing, and nothing shows that."""
_LONGEST_PAUSE_S = 5.0


def once_key(envelope: envelope_pb2.Envelope) -> str:
    """Returns what is the same for the same command, however often it was sent and delivered."""
    header, identity, source = envelope.header, envelope.header.identity, envelope.header.source
    if not header.idempotency_key:
        return header.id
    # Whose it is, as the gateway's own memory of keys has it; then what it is.
    caller = (header.tenant, identity.provider, identity.subject, "" if identity.subject else identity.api_key_id)
    parts = (*caller, header.type, source.method, source.host, source.target, header.idempotency_key)
    return sha256(repr(parts).encode() + envelope.payload.body).hexdigest()


@dataclass(frozen=True, slots=True)
class _Delivery:
    message: AbstractIncomingMessage
    channel: AbstractChannel
    connection: AbstractConnection


@dataclass(frozen=True, slots=True)
class _Unfit(Exception):  # noqa: N818 - it is no error of ours
    """A command that nobody may handle."""

    reason: str
    detail: str


class Consumer:
    """Handles commands. With `concurrent` above 1 as many at once, and in no order."""

    def __init__(
        self,
        broker: Broker,
        destination: str,
        handler: Handler,
        broken: Broken,
        *,
        concurrent: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._broker = broker
        self._queue = name_queue(destination)
        self._type = destination.partition("/")[2]
        self._handler = handler
        self._broken = broken
        self._concurrent = concurrent
        self._clock = clock
        self._inbox: asyncio.Queue[_Delivery] = asyncio.Queue()
        self._come = self._busy = 0
        self._handled: OrderedDict[str, asyncio.Task[dispatch_pb2.HandleResponse]] = OrderedDict()

    async def run(self) -> None:
        """Until cancelled. What is being handled then is delivered again, to whoever consumes next."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._concurrent):
                tasks.create_task(self._work())
            tasks.create_task(self._broker.keep_using(self._consume))

    async def _consume(self, connection: AbstractConnection) -> None:
        channel = await ask(connection.channel(publisher_confirms=True, on_return_raises=True))
        # No more than are handled at once: of those delivered when a consumer dies, RabbitMQ counts each as tried.
        await ask(channel.set_qos(prefetch_count=self._concurrent))
        queue = await ask(declare(channel, self._queue))
        lost = asyncio.ensure_future(until_lost(channel.closed()))
        cancelled = asyncio.Event()
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lambda _: cancelled.set())
        told = asyncio.ensure_future(cancelled.wait())

        async def take(message: AbstractIncomingMessage) -> None:
            self._come += 1
            self._inbox.put_nowait(_Delivery(message, channel, connection))

        try:
            await ask(queue.consume(take))
            await self._stay(channel, {lost, told})
            if told.done():
                await asyncio.sleep(REMAKE_PAUSE_S)
        finally:
            told.cancel()
            lost.cancel()
        if lost.done():
            await lost

    async def _stay(self, channel: AbstractChannel, ends: set[asyncio.Future[Any]]) -> None:
        """Returns when one of the ends has come, when this is no consumer any more, or might have ceased to be one."""
        loop = asyncio.get_running_loop()
        come, since = self._come, loop.time()
        while not (await asyncio.wait(ends, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            if come != self._come or self._busy:
                come, since = self._come, loop.time()
            elif loop.time() - since >= IDLE_S:
                return
            # RabbitMQ does not always tell that a queue was deleted: what is made again has no consumer.
            looked_at = await ask(declare(channel, self._queue))
            if looked_at.declaration_result.consumer_count == 0:
                return

    async def _work(self) -> None:
        while True:
            delivery = await self._inbox.get()
            self._busy += 1
            try:
                await self._take(delivery)
            except LOST as error:
                log.warning("a command is not settled", queue=self._queue, why=repr(error))
                # It was not acknowledged, so it comes again: but not to the one who has it already.
                await hang_up(delivery.channel)
            finally:
                self._busy -= 1

    async def _take(self, delivery: _Delivery) -> None:
        if delivery.channel.is_closed:
            return
        try:
            envelope = self._open(delivery.message)
            response = await self._handle(envelope, _deliveries_before(delivery.message))
        except _Unfit as unfit:
            await self._set_aside(delivery, unfit)
        else:
            await self._answer(delivery, response)
        await ask(delivery.message.ack())

    def _open(self, message: AbstractIncomingMessage) -> envelope_pb2.Envelope:
        try:
            envelope = envelope_pb2.Envelope.FromString(message.body)
        except DecodeError as error:
            raise _Unfit("malformed", "It is no envelope.") from error
        broken = self._broken(envelope, self._clock())
        if broken:
            raise _Unfit("forged", broken)
        header = envelope.header
        if header.kind != envelope_pb2.KIND_COMMAND or header.type != self._type:
            # Signed, but for another purpose.
            raise _Unfit("forged", f"it was authorized as {header.type or 'nothing'}, not as this command")
        return envelope

    async def _handle(self, envelope: envelope_pb2.Envelope, before: int) -> dispatch_pb2.HandleResponse:
        """Tries again here, and not by way of RabbitMQ: what comes after it must not come before it."""
        backoff = Backoff(first=0.1, longest=_LONGEST_PAUSE_S)
        for left in range(DELIVERIES - before - 1, -1, -1):
            try:
                return await self._handle_once(envelope)
            except Exception as error:
                log.warning("a command failed", queue=self._queue, id=envelope.header.id, why=repr(error), left=left)
                if left <= 0:
                    raise _Unfit("failed", repr(error)) from error
            await asyncio.sleep(backoff.next_wait())
        raise _Unfit("failed", "its consumers died")

    async def _handle_once(self, envelope: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        """One that comes again because its acknowledgement was lost is not handled again, but told the same."""
        id_ = envelope.header.id
        task = self._handled.get(id_)
        if task is None:
            task = self._handled[id_] = asyncio.ensure_future(self._respond(envelope))
            if len(self._handled) > REMEMBERED:
                self._handled.popitem(last=False)
        try:
            return await task
        except BaseException:
            self._handled.pop(id_, None)
            raise

    async def _respond(self, envelope: envelope_pb2.Envelope) -> dispatch_pb2.HandleResponse:
        return await self._handler(envelope)

    async def _answer(self, delivery: _Delivery, response: dispatch_pb2.HandleResponse) -> None:
        """Tells whoever waits. An error that nobody may have heard is left aside, so that it is not lost."""
        message = delivery.message
        left_s = _number(message.headers.get(WAITS_UNTIL)) / 1000 - self._clock()
        reply_to = message.reply_to if left_s > 0 else None
        if reply_to is not None:
            body, number = response.SerializeToString(), message.correlation_id
            reply = Message(body, correlation_id=number, message_id=message.message_id)
            exchange = delivery.channel.default_exchange
            # A caller that has gone meanwhile is no reason to handle the command again.
            await ask(exchange.publish(reply, reply_to, mandatory=False))
        if not response.HasField("error"):
            return
        if reply_to is None or left_s < DOUBT_S or not await _is_there(delivery.connection, reply_to):
            error = response.error
            await self._set_aside(delivery, _Unfit("refused", f"{error.reason} {error.title}".strip()))

    async def _set_aside(self, delivery: _Delivery, unfit: _Unfit) -> None:
        """Keeps it for people. Acknowledged only afterwards: one that dies in between leaves two rather than none."""
        log.error("a command is left aside", queue=self._queue, reason=unfit.reason, why=unfit.detail)
        message = delivery.message
        kept = Message(
            message.body,
            headers={**message.headers, REASON: unfit.reason, DETAIL: unfit.detail[:500]},
            content_type=message.content_type,
            message_id=message.message_id,
            type=message.type,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        exchange = delivery.channel.default_exchange
        await ask(exchange.publish(kept, dead_letters_of(self._queue), mandatory=True))


class _LookFor(spec.Queue.Declare):
    """The client's own check of names knows none of those that RabbitMQ makes up: they may have `=` or `+`."""

    def validate(self) -> None:
        """Leaves it to RabbitMQ."""


async def _is_there(connection: AbstractConnection, reply_to: str) -> bool:
    """Whether whoever asked still hears, and so has heard what it was told before.

    RabbitMQ returns nothing that was sent to whom is gone. Asked for, it is not found, which ends the channel.
    """
    channel = await ask(connection.channel())
    try:
        underlay = cast("Channel", await channel.get_underlay_channel())
        await ask(underlay.rpc(_LookFor(queue=reply_to, passive=True)))
    except ChannelNotFoundEntity:
        return False
    finally:
        await hang_up(channel)
    return True


def _deliveries_before(message: AbstractIncomingMessage) -> int:
    """How often RabbitMQ has delivered it to a consumer that did not settle it."""
    return _number(message.headers.get("x-delivery-count"))


def _number(told: object) -> int:
    return told if isinstance(told, int) else 0
