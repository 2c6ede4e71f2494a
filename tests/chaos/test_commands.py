"""EntryPoint, RabbitMQ, the consumer: whichever is killed while commands are under way, what was accepted is handled.

Clients send one command after the other, each with a key, and the same again until they know what became of it. What
EntryPoint has accepted must be handled; and whatever the answer was, no command may be handled twice, but for the one
that a consumer had when it was killed, which RabbitMQ delivers again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.command_consumer import BEGUN, DONE, ConsumerProcess, consumer_process
from support.decision_snapshots import EDGE, HOST, host, plan
from support.entrypoint import Connection, EntryPoint, running_entrypoint
from support.eventually import eventually
from support.postgresql import PostgresqlServer, running_postgresql
from support.rabbitmq import RabbitServer, running_rabbitmq
from support.snapshot_server import SnapshotServer

CLIENTS = 4
ENOUGH = 100
PAUSE_S = 0.02
SETTLE_S = 3.0
"""A RabbitMQ of one node that is killed sooner after it has made a queue may not find it again (seen with 3.10)."""
_types = itertools.count()
UNKNOWN = {"tracking/outcome-unknown", "tracking/in-progress"}
"""Nobody will say what became of it: it is not sent again."""
AGAIN = {"dispatch/unavailable", "dispatch/unconfirmed", "dispatch/overloaded", "tracking/store-unavailable"}


@pytest.fixture(scope="module")
def rabbitmq() -> Generator[RabbitServer]:
    with running_rabbitmq() as server:
        yield server


@pytest.fixture(scope="module")
def postgresql() -> Generator[PostgresqlServer]:
    with running_postgresql() as server:
        yield server


@dataclass
class Sales:
    """What the clients know."""

    service: EntryPoint
    server: RabbitServer
    consumer: ConsumerProcess
    accepted: dict[str, str] = field(default_factory=dict)
    """Message ids by key."""
    given_up: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    """Other than 202: reasons, and connections that broke."""
    ending: bool = False

    async def sell(self, client: int) -> None:
        connection = Connection(self.service.socket)
        with contextlib.closing(connection):
            for number in itertools.count():
                if self.ending:
                    return
                await self._order(connection, f"{client}-{number}")
                await asyncio.sleep(PAUSE_S)

    async def _order(self, connection: Connection, key: str) -> None:
        headers = {
            "x-ff-entry": "orders",
            "x-ff-edge": EDGE,
            "x-ff-address": "192.0.2.1",
            "idempotency-key": key,
        }
        while key not in self.accepted and key not in self.given_up:
            try:
                answer = await connection.ask("/orders", method="POST", host=HOST, headers=headers)
            except (OSError, EOFError):
                self.answers["broken"] += 1
                await asyncio.sleep(PAUSE_S)
                continue
            if answer.status == 202:
                self.accepted[key] = json.loads(answer.body)["messageId"]
                continue
            told = answer.problem
            reason = f"{told['stage']}/{told['reason']}"
            self.answers[reason] += 1
            if reason not in AGAIN:
                self.given_up.add(key)
            await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def selling(tmp_path: Path, rabbitmq: RabbitServer, postgresql: PostgresqlServer) -> AsyncGenerator[Sales]:
    type_ = f"shop.orders.ship-{next(_types)}"
    operator, key = f"unix:{tmp_path}/operator.sock", OKPKey.generate_key("Ed25519", auto_kid=True)
    message = pb.MessageDispatch(type=type_, delivery=pb.MESSAGE_DELIVERY_COMMAND)
    resources = host(plan("orders", "/orders", message=message))
    for resource in resources:
        resource.version = "1"
    (tmp_path / "key.json").write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / "password").write_text(postgresql.password)
    with postgresql.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS ff_once, ff_outbox")
    settings = {
        "RABBITMQ_URL": rabbitmq.url,
        "RABBITMQ_USERNAME": "ff",
        "RABBITMQ_PASSWORD_FILE": str(rabbitmq.password_file),
        "RABBITMQ_DEADLINE_SECONDS": "2",
        "SEAL_KEY_FILE": str(tmp_path / "key.json"),
        "POSTGRESQL_URL": postgresql.url,
        "POSTGRESQL_USERNAME": "ff",
        "POSTGRESQL_PASSWORD_FILE": str(tmp_path / "password"),
        "POSTGRESQL_DEADLINE_SECONDS": "5",
    }
    async with SnapshotServer(resources).serving(operator):
        with (
            consumer_process(rabbitmq, f"shop/{type_}", key.as_dict(private=False), tmp_path) as consumer,
            running_entrypoint(tmp_path, operator, **settings) as service,
        ):
            await service.ready()
            yield Sales(service, rabbitmq, consumer)


async def _under_load(sales: Sales, fault: Callable[[], Awaitable[None]]) -> None:
    """Returns when all that was accepted is handled, and commands have been accepted before and after the fault."""
    clients = [asyncio.ensure_future(sales.sell(number)) for number in range(CLIENTS)]
    try:
        await eventually(lambda: len(sales.accepted) > ENOUGH, seconds=60)
        await asyncio.sleep(SETTLE_S)
        sales.answers.clear()
        await fault()
        before = len(sales.accepted)
        await eventually(lambda: len(sales.accepted) > before + ENOUGH, seconds=60)
    finally:
        sales.ending = True
        async with asyncio.timeout(30):
            await asyncio.gather(*clients)
    await eventually(lambda: set(sales.accepted.values()) <= set(sales.consumer.ids(DONE)), seconds=60)
    handled = {key: id_ for id_, key in sales.consumer.known(DONE)}
    assert {key: handled[key] for key in sales.accepted} == sales.accepted
    assert set(sales.answers) <= {"broken", *UNKNOWN, *AGAIN}


def _repeated(sales: Sales) -> int:
    """How many were begun again, whatever their ids."""
    return sum(count - 1 for count in Counter(key for _, key in sales.consumer.known(BEGUN)).values())


async def test_entrypoint_killed_loses_nothing_that_it_has_accepted_and_sends_nothing_twice(
    tmp_path: Path, rabbitmq: RabbitServer, postgresql: PostgresqlServer
) -> None:
    async with selling(tmp_path, rabbitmq, postgresql) as sales:

        async def fault() -> None:
            for _ in range(2):
                accepted = len(sales.accepted)
                sales.service.signal(signal.SIGKILL)
                await sales.service.ended()
                sales.service.start()
                await sales.service.ready()
                await eventually(lambda accepted=accepted: len(sales.accepted) > accepted + ENOUGH // 4, seconds=60)

        await _under_load(sales, fault)
        assert sales.answers["broken"]
        assert _repeated(sales) == 0


async def test_rabbitmq_killed_loses_nothing_that_was_accepted_and_repeats_nothing(
    tmp_path: Path, rabbitmq: RabbitServer, postgresql: PostgresqlServer
) -> None:
    async with selling(tmp_path, rabbitmq, postgresql) as sales:

        async def fault() -> None:
            rabbitmq.kill()
            await eventually(lambda: sales.answers["dispatch/unavailable"])
            await asyncio.to_thread(rabbitmq.start)

        await _under_load(sales, fault)
        assert _repeated(sales) == 0


async def test_a_consumer_killed_repeats_no_more_than_it_had(
    tmp_path: Path, rabbitmq: RabbitServer, postgresql: PostgresqlServer
) -> None:
    async with selling(tmp_path, rabbitmq, postgresql) as sales:

        async def fault() -> None:
            for _ in range(3):
                done = len(sales.consumer.ids(DONE))
                sales.consumer.kill()
                sales.consumer.start()
                await eventually(lambda done=done: len(sales.consumer.ids(DONE)) > done + ENOUGH // 4, seconds=60)

        await _under_load(sales, fault)
        # Whoever sends commands notices nothing.
        assert not sales.answers
        assert _repeated(sales) <= 3
