"""Commands by RabbitMQ: taken when a majority of its queue's nodes has written them down (publisher confirms).

In: commands. Out: that they are taken, and replies to those whose callers wait. Called by exchange. One connection, and
one channel on it: replies come to the channel that has asked (direct reply-to), and to nobody when that is gone.
A command that may have been sent is never sent again: there is no telling whether it has been taken.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import DeliveryError, PublishError
from fastforward_kit.commands import REMAKE_PAUSE_S, Broker, declare, name_queue
from fastforward_kit.commands.broker import LOST, ask, own, until_lost
from fastforward_kit.commands.consumer import WAITS_UNTIL
from fastforward_pipeline.reason import Reason
from fastforward_shield import Breaker, Bulkhead, DeadlineExceededError, Hop, Meaning, Policy, Retry, Try
from google.protobuf.message import DecodeError

from fastforward.message.v1 import dispatch_pb2, envelope_pb2

from .port import NotTakenError, UncertainError

log = structlog.get_logger(__name__)

_REPLY_TO = "amq.rabbitmq.reply-to"
CONTENT_TYPE = "application/x-protobuf; type=fastforward.message.v1.Envelope"
_REFUSED_PAUSES_S = (0.1, 0.4, 0.0)
"""After each refusal: a queue is full, or somebody else has just made it, and RabbitMQ is not done with that yet."""
Response = dispatch_pb2.HandleResponse


def make_policy(deadline_s: float) -> Policy:
    """Returns how the hop behaves; a command is taken within `deadline_s`, or never known to be."""
    return Policy(
        timeout_s=deadline_s,
        bulkhead=Bulkhead(concurrent=256, queue=256, queue_s=min(0.5, deadline_s)),
        retry=Retry(tries=3),
        breaker=Breaker(),
    )


class _AwayError(Exception):
    """There is no connection now, or no queue: nothing was sent, or it came back."""


class _FullError(Exception):
    """RabbitMQ refuses the command: its queue has as many as it may have."""


def _judge(error: Exception) -> Meaning:
    if isinstance(error, _FullError):
        return Meaning.ANSWERED
    return Meaning.AGAIN if isinstance(error, _AwayError) else Meaning.FAILED


@dataclass(slots=True)
class _Line:
    """A channel, as long as it lives."""

    connection: AbstractConnection
    channel: AbstractChannel
    declared: set[str] = field(default_factory=set)
    missing: dict[str, float] = field(default_factory=dict)
    """Queues that were deleted, and until when they are not made again."""


@dataclass(slots=True)
class _Sending:
    """A command on its way."""

    message: Message
    queue: str
    sent: bool = False
    """Whether RabbitMQ may have it."""


class RabbitCommands:
    """See the port. Used in one event loop; `clock` tells Unix time."""

    def __init__(self, broker: Broker, policy: Policy, clock: Callable[[], float] = time.time) -> None:
        self._broker = broker
        self._hop = Hop("rabbitmq", policy, _judge)
        self._clock = clock
        self._line: _Line | None = None
        self._declaring = asyncio.Lock()
        self._waiting: dict[str, asyncio.Future[Response | None]] = {}

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hop."""
        return iter((self._hop,))

    async def run(self) -> None:
        """Keeps a connection, until cancelled."""
        await self._broker.keep_using(self._use)

    async def send(
        self, destination: str, envelope: envelope_pb2.Envelope, *, deadline: float, wait_until: float
    ) -> Response | None:
        """See the port."""
        loop = asyncio.get_running_loop()
        if wait_until <= loop.time():
            await self._send(destination, _make(envelope), deadline)
            return None
        number = secrets.token_hex(16)
        message = _make(envelope)
        message.reply_to, message.correlation_id = _REPLY_TO, number
        waits_until = self._clock() + wait_until - loop.time()
        message.headers[WAITS_UNTIL] = int(waits_until * 1000)
        reply = self._waiting[number] = loop.create_future()
        try:
            await self._send(destination, message, deadline)
            await asyncio.wait({reply}, timeout=wait_until - loop.time())
            return reply.result() if reply.done() else None
        finally:
            del self._waiting[number]

    async def _send(self, destination: str, message: Message, deadline: float) -> None:
        sending = _Sending(message, name_queue(destination))
        try:
            await self._hop.call(partial(self._publish, sending), deadline=deadline, repeatable=False)
        except _FullError as error:
            raise NotTakenError(Reason.OVERLOADED, str(error)) from error
        except (*LOST, _AwayError, DeadlineExceededError) as error:
            if sending.sent:
                log.warning("whether a command was taken is not known", queue=sending.queue, id=message.message_id)
                raise UncertainError(repr(error)) from error
            if isinstance(error, DeadlineExceededError):
                raise
            log.warning("a command was not taken", queue=sending.queue, id=message.message_id, why=repr(error))
            raise NotTakenError(Reason.COMMANDS_UNAVAILABLE, repr(error)) from error

    async def _publish(self, sending: _Sending, _: Try) -> None:
        """Returns when RabbitMQ has confirmed it. The hop ends the wait."""
        queue = sending.queue
        refusal: Exception = _FullError(f"{queue} takes no more")
        for pause_s in _REFUSED_PAUSES_S:
            line = await self._find_line(queue)
            sending.sent = True
            try:
                await own(line.channel.default_exchange.publish(sending.message, queue, mandatory=True))
            except PublishError:
                # Somebody has deleted the queue: it came back.
                sending.sent = False
                line.declared.discard(queue)
                line.missing.setdefault(queue, asyncio.get_running_loop().time() + REMAKE_PAUSE_S)
                refusal = _AwayError(f"{queue} is deleted again and again")
            except DeliveryError:
                sending.sent = False
                await asyncio.sleep(pause_s)
            else:
                return
        raise refusal

    async def _find_line(self, queue: str) -> _Line:
        """Returns the channel that is there now; its queue is made when nobody has yet."""
        line = self._line
        if line is None or line.channel.is_closed:
            raise _AwayError("there is no connection to RabbitMQ")
        if queue not in line.declared:
            await asyncio.sleep(line.missing.get(queue, 0.0) - asyncio.get_running_loop().time())
            async with self._declaring:
                if queue not in line.declared:
                    await _make_queue(line.connection, queue)
                    line.declared.add(queue)
                    line.missing.pop(queue, None)
        return line

    async def _use(self, connection: AbstractConnection) -> None:
        channel = await ask(connection.channel(publisher_confirms=True, on_return_raises=True))
        replies = await ask(channel.get_queue(_REPLY_TO, ensure=False))
        await ask(replies.consume(self._hear, no_ack=True))
        self._line = _Line(connection, channel)
        try:
            await until_lost(channel.closed())
        finally:
            self._line = None
            # No reply finds its way back any more.
            for reply in self._waiting.values():
                if not reply.done():
                    reply.set_result(None)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        """One whose number nobody waits for is too late."""
        try:
            response = Response.FromString(message.body)
        except DecodeError:
            # Neither a reply nor an error: whoever called is told so.
            response = Response()
        reply = self._waiting.get(message.correlation_id or "")
        if reply is not None and not reply.done():
            reply.set_result(response)
        elif response.HasField("error"):
            error = response.error
            log.warning(
                "an error of a command came too late", id=message.message_id, reason=error.reason, why=error.title
            )


async def _make_queue(connection: AbstractConnection, queue: str) -> None:
    """On a channel of its own: RabbitMQ closes the one on which a queue turns out to be there in another form."""
    try:
        channel = await ask(connection.channel())
        await ask(declare(channel, queue))
        await ask(channel.close())
    except LOST as error:
        raise _AwayError(f"{queue} can't be made: {error!r}") from error


def _make(envelope: envelope_pb2.Envelope) -> Message:
    header = envelope.header
    return Message(
        envelope.SerializeToString(),
        headers={"traceparent": header.trace.traceparent} if header.trace.traceparent else {},
        content_type=CONTENT_TYPE,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=header.id,
        type=header.type,
    )
