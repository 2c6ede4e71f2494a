"""EntryPoint is killed before an event is delivered that was kept, and before that of a handled message is kept."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import EDGE, HOST, host, plan
from support.entrypoint import Answer, Connection, EntryPoint, running_entrypoint
from support.eventually import eventually
from support.message_target import MessageTarget, message_target
from support.postgresql import PostgresqlServer, running_postgresql
from support.snapshot_server import SnapshotServer
from support.webhooks import NAME, PLACED, Receiver, receiving, wire_hook

UPSTREAM = "shop/orders"
WAITING = """SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO ff_outbox%' AND pid <> pg_backend_pid()"""
END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fastforward-entrypoint'"


@pytest.fixture(scope="module")
def server() -> Generator[PostgresqlServer]:
    with running_postgresql() as running:
        yield running


@pytest.fixture
def postgresql(server: PostgresqlServer) -> PostgresqlServer:
    """One that remembers nothing."""
    with server.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS ff_once, ff_outbox")
    return server


def world(target: str, port: int) -> list[pb.Resource]:
    message = pb.MessageDispatch(type="shop.orders.place", upstream=UPSTREAM, event=PLACED)
    at, _, number = target.rpartition(":")
    upstream = pb.Upstream(endpoints=[pb.Endpoint(address=at, port=int(number))])
    hook = wire_hook(port, timeout_ms=500, tries=20, first_wait_ms=50)
    resources = [
        *host(plan("orders", "/orders", message=message)),
        pb.Resource(name=f"upstream/{UPSTREAM}", upstream=upstream),
        pb.Resource(name=f"eventhook/{NAME}", eventhook=hook),
    ]
    for resource in resources:
        resource.version = "1"
    return resources


@asynccontextmanager
async def handling(folder: Path, **settings: str) -> AsyncGenerator[tuple[EntryPoint, MessageTarget, Receiver]]:
    """EntryPoint, what takes messages, and what takes webhooks."""
    operator = f"unix:{folder}/operator.sock"
    async with (
        message_target() as target,
        receiving() as receiver,
        SnapshotServer(world(target.address, receiver.port)).serving(operator),
    ):
        with running_entrypoint(folder, operator, **settings) as service:
            await service.ready()
            yield service, target, receiver


def stored_in(server: PostgresqlServer, folder: Path, deadline: str = "5") -> dict[str, str]:
    """Settings."""
    (folder / "password").write_text(server.password)
    return {
        "POSTGRESQL_URL": server.url,
        "POSTGRESQL_USERNAME": "ff",
        "POSTGRESQL_PASSWORD_FILE": str(folder / "password"),
        "POSTGRESQL_DEADLINE_SECONDS": deadline,
    }


async def place(service: EntryPoint, key: str = "") -> Answer:
    """One order."""
    headers = {"x-ff-entry": "orders", "x-ff-edge": EDGE, "x-ff-address": "192.0.2.1"}
    if key:
        headers["idempotency-key"] = key
    connection = Connection(service.socket)
    try:
        return await connection.ask("/orders", method="POST", host=HOST, headers=headers)
    finally:
        connection.close()


async def warmed_up(service: EntryPoint, receiver: Receiver) -> None:
    """Returns when everything has worked once."""
    async with asyncio.timeout(30):
        while (await place(service, "first")).status != 200:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.05)
    await eventually(lambda: receiver.received)
    receiver.received.clear()


async def kill(service: EntryPoint) -> None:
    service.signal(signal.SIGKILL)
    await service.ended()


async def test_an_event_that_was_kept_when_the_caller_was_answered_arrives_after_the_restart(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    async with handling(tmp_path, **stored_in(postgresql, tmp_path)) as (service, target, receiver):
        await warmed_up(service, receiver)
        await receiver.stop()
        assert (await place(service, "second")).status == 200
        await kill(service)
        await receiver.start()
        service.start()
        await service.ready()
        await eventually(lambda: receiver.received)
        assert len(target.received) == 2
        assert receiver.received[0].event["causationid"] == target.received[1].header.id
        receiver.received[0].verify()


async def test_an_event_that_was_not_kept_when_its_message_had_been_handled_is_told_by_the_repetition(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    async with handling(tmp_path, **stored_in(postgresql, tmp_path)) as (service, target, receiver):
        await warmed_up(service, receiver)
        with postgresql.connect() as connection, postgresql.connect() as other:
            with connection.transaction():
                connection.execute("LOCK TABLE ff_outbox IN ACCESS EXCLUSIVE MODE")
                asking = asyncio.create_task(place(service, "third"))
                await eventually(lambda: other.execute(WAITING).fetchone() == (1,))
                await kill(service)
                other.execute(END)
            with pytest.raises((OSError, EOFError)):
                await asking
            found = other.execute("SELECT count(*) FROM ff_outbox WHERE state = 'waiting'").fetchone()
            assert found == (0,)
        service.start()
        await service.ready()
        answers = [await place(service, "third") for _ in range(3)]
        assert [(each.status, each.headers.get("idempotency-replayed")) for each in answers] == [(200, "true")] * 3
        await eventually(lambda: receiver.received)
        assert len(target.received) == 2
        # What comes after it comes alone: no repetition told it again.
        assert (await place(service, "fourth")).status == 200
        await eventually(lambda: len(receiver.received) == 2)
        causes = [posted.event["causationid"] for posted in receiver.received]
        assert causes == [message.header.id for message in target.received[1:]]


async def test_an_event_that_postgresql_does_not_take_in_time_is_delivered_all_the_same(
    tmp_path: Path, postgresql: PostgresqlServer
) -> None:
    async with handling(tmp_path, **stored_in(postgresql, tmp_path, "0.5")) as (service, target, receiver):
        await warmed_up(service, receiver)
        postgresql.freeze()
        try:
            assert (await place(service)).status == 200
            await eventually(lambda: receiver.received)
        finally:
            postgresql.thaw()
        assert receiver.received[0].event["causationid"] == target.received[1].header.id


async def test_what_is_kept_in_the_process_alone_goes_with_it(tmp_path: Path) -> None:
    async with handling(tmp_path) as (service, target, receiver):
        await warmed_up(service, receiver)
        await receiver.stop()
        assert (await place(service, "second")).status == 200
        await kill(service)
        await receiver.start()
        service.start()
        await service.ready()
        assert (await place(service, "third")).status == 200
        await eventually(lambda: receiver.received)
        assert [each.event["causationid"] for each in receiver.received] == [target.received[2].header.id]
