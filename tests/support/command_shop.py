"""A gateway whose rule sends commands to a real RabbitMQ. In: the server. Out: a Shop. Called by tests of commands."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastforward_entrypoint.messages.commands.rabbitmq import RabbitCommands, make_policy
from fastforward_entrypoint.messages.exchange import MessageExchange
from fastforward_pipeline.message import Answered, Failed

from fastforward.message.v1 import error_pb2
from fastforward.snapshot.v1 import snapshot_pb2 as pb

from .eventually import eventually, meanwhile
from .message_exchange import entrypoint
from .messages import envelope
from .rabbitmq import RabbitServer

DEADLINE_S = 2.0
_numbers = itertools.count()
_ids = itertools.count()


@dataclass
class Shop:
    """A gateway whose rule sends commands, and what has become of those that were sent."""

    exchange: MessageExchange
    commands: RabbitCommands
    server: RabbitServer
    type: str
    ids: list[str] = field(default_factory=list)

    @property
    def destination(self) -> str:
        return f"shop/{self.type}"

    async def lose_connection(self) -> None:
        """And with it all replies that are to come."""
        line = self.commands._line
        assert line is not None
        await line.connection.close()

    async def order(self, once: str = "", prefer: str = "", **content: object) -> Answered | Failed:
        """One command."""
        id_ = f"m-{next(_ids)}"
        self.ids.append(id_)
        body = json.dumps(content).encode()
        return await self.exchange.exchange(envelope(body, message_id=id_, once=once, prefer=prefer))


@asynccontextmanager
async def shop(server: RabbitServer, clock: Callable[[], float] = time.time) -> AsyncGenerator[Shop]:
    commands = RabbitCommands(server.broker, make_policy(DEADLINE_S), clock)
    type_ = f"shop.orders.ship-{next(_numbers)}"
    message = pb.MessageDispatch(type=type_, delivery=pb.MESSAGE_DELIVERY_COMMAND)
    async with meanwhile(commands.run()), entrypoint("", message=message, commands=commands) as exchange:
        await eventually(lambda: commands._line is not None, claim="RabbitMQ is there")
        yield Shop(exchange, commands, server, type_)


def status(outcome: Answered | Failed) -> tuple[int, str]:
    """The status, and the id that is told."""
    assert isinstance(outcome, Answered), outcome
    told = json.loads(outcome.reply.payload.body)
    return outcome.reply.header.completion.status, told.get("messageId", "")


def error_of(outcome: Answered | Failed) -> error_pb2.Error:
    assert isinstance(outcome, Failed)
    return outcome.error
