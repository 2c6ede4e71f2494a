"""Whoever can write into a queue of commands still has nothing handled that the gateway did not authorize."""

from __future__ import annotations

import itertools
from collections.abc import Generator

import pytest
from aio_pika import DeliveryMode, Message
from fastforward_kit.commands import consumer as consumers
from fastforward_kit.commands import declare, name_queue
from fastforward_pipeline.message import Seal

from fastforward.message.v1 import envelope_pb2
from support.command_consumer import consuming
from support.eventually import eventually
from support.message_exchange import SEAL
from support.messages import envelope, new_seal
from support.rabbitmq import RabbitServer, running_rabbitmq

_types = itertools.count()
LAST = "last"


@pytest.fixture(scope="module")
def rabbitmq() -> Generator[RabbitServer]:
    with running_rabbitmq() as server:
        yield server


def command(
    type_: str, name: str, seal: Seal = SEAL, kind: envelope_pb2.Kind.ValueType = envelope_pb2.KIND_COMMAND
) -> bytes:
    """As EntryPoint makes it; its id is its name."""
    made = envelope(b"{}", message_id=name)
    made.header.type, made.header.kind = type_, kind
    made.header.ClearField("deadline")
    made.header.authorization = seal.sign(made, "plan")
    return made.SerializeToString()


def changed(body: bytes) -> bytes:
    """Other content than was signed."""
    made = envelope_pb2.Envelope.FromString(body)
    made.payload.body = b'{"sku":"gold"}'
    return made.SerializeToString()


def unsigned(body: bytes) -> bytes:
    made = envelope_pb2.Envelope.FromString(body)
    made.header.ClearField("authorization")
    return made.SerializeToString()


async def handled(server: RabbitServer) -> set[str]:
    """Which forgeries the handler was given."""
    type_ = f"shop.orders.ship-{next(_types)}"
    forged = [
        changed(command(type_, "changed")),
        unsigned(command(type_, "unsigned")),
        command(type_, "by-another", new_seal()),
        command("shop.orders.refund", "another-type"),
        command(type_, "no-command", kind=envelope_pb2.KIND_REQUEST),
    ]
    destination = f"shop/{type_}"
    async with server.channel() as channel:
        await declare(channel, name_queue(destination))
        for body in (*forged, command(type_, LAST)):
            message = Message(body, delivery_mode=DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, name_queue(destination))
    async with consuming(server, destination, SEAL) as workload:
        await eventually(lambda: LAST in workload.done)
    return {each.header.id for each in workload.received} - {LAST}


async def test_no_forgery_is_handled_and_what_was_authorized_is(rabbitmq: RabbitServer) -> None:
    assert await handled(rabbitmq) == set()


async def test_the_check_sees_a_consumer_that_does_not_verify(
    rabbitmq: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Seal, "broken", lambda *_: "")
    assert await handled(rabbitmq) == {"changed", "unsigned", "by-another"}


async def test_the_check_sees_a_consumer_that_does_not_look_for_what_it_was_authorized(
    rabbitmq: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(self: consumers.Consumer, message: consumers.AbstractIncomingMessage) -> envelope_pb2.Envelope:
        made = envelope_pb2.Envelope.FromString(message.body)
        if self._broken(made, self._clock()):
            raise consumers._Unfit("forged", "")
        return made

    monkeypatch.setattr(consumers.Consumer, "_open", trusting)
    assert await handled(rabbitmq) == {"another-type", "no-command"}
