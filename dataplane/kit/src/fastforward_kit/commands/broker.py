"""A connection to RabbitMQ that is always made again: with the password that its file holds then.

In: where RabbitMQ is, and what to do with a connection. Out: nothing; it ends with its task. Called by EntryPoint and
by consumers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Never, TypeVar

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError
from yarl import URL

from fastforward_kit.backoff import Backoff

log = structlog.get_logger(__name__)

CONNECT_S = 5.0
ANSWER_S = 3.0
"""A RabbitMQ that does not answer a question as long is asked again, on a new connection: some questions are lost."""
HEARTBEAT_S = 10
"""A RabbitMQ that says nothing for three times as long is given up."""
_CLOSE_S = 2.0
LOST = (AMQPError, OSError, EOFError, RuntimeError)
"""What the client raises when the connection, or a channel on it, is gone."""

T = TypeVar("T")
Use = Callable[[AbstractConnection], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where RabbitMQ is: `amqp://HOST:PORT/VHOST`, or `amqps://`.

    With that, `?cafile=` names its authorities, and `&certfile=` and `&keyfile=` the certificate to show: files that
    are read again for each connection.
    """

    url: str
    username: str | None = None
    password_file: Path | None = None

    async def keep_using(self, use: Use) -> Never:
        """Calls `use` with one connection after the other, until cancelled. It returns, or raises, to have the next."""
        backoff = Backoff(first=0.1, longest=2.0)
        while True:
            try:
                connection = await self._connect()
                try:
                    log.info("rabbitmq is there", url=self.url)
                    backoff.reset()
                    await use(connection)
                finally:
                    await hang_up(connection)
            except (*LOST, ValueError) as error:
                log.warning("rabbitmq is not there", url=self.url, why=repr(error))
            await asyncio.sleep(backoff.next_wait())

    async def _connect(self) -> AbstractConnection:
        url = URL(self.url)
        url = url.update_query({"heartbeat": str(HEARTBEAT_S), **url.query})
        if self.username is not None:
            url = url.with_user(self.username)
        if self.password_file is not None:
            url = url.with_password(self.password_file.read_text(encoding="utf-8").strip())
        async with asyncio.timeout(CONNECT_S):
            return await aio_pika.connect(url)


async def hang_up(line: AbstractConnection | AbstractChannel) -> None:
    """Says goodbye, unless that takes too long: then it is gone anyway."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await own(line.close())
    except LOST:
        return


async def ask(question: Awaitable[T]) -> T:
    """Returns the answer, or raises one of LOST."""
    async with asyncio.timeout(ANSWER_S):
        return await own(question)


async def own(question: Awaitable[T]) -> T:
    """The same without a time limit. What the client cancels because its line is gone, is lost, not cancelled."""
    try:
        return await question
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the connection was closed meanwhile") from None


async def until_lost(closing: Awaitable[object]) -> None:
    """Waits until a connection or channel is gone, and raises what it says."""
    await own(closing)
    raise ConnectionError("the connection was closed")
