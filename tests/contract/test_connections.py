"""What every registry of connections promises: the same tests for the one of this process, and for two processes that
reach each other over a real Redis. There each other connection is the other process's.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fastforward_entrypoint.messages.connections import EVERYBODY, Done, Elsewhere, LocalConnections, Whose
from fastforward_entrypoint.messages.connections.opening import RunningRegistry
from fastforward_entrypoint.messages.connections.redis import ANSWER_S, RedisConnections
from fastforward_entrypoint.messages.connections.wire import CHANNEL, EVENTS, PROCESSES
from fastforward_entrypoint.messages.events import Events, Happened
from fastforward_entrypoint.messages.once.redis import connect
from fastforward_websocket import Connected

from fastforward.peer.v1 import peer_pb2
from support.eventually import eventually, meanwhile
from support.happened import PLACED, happened, kind
from support.messages import reply
from support.redis import RedisServer, running_redis, swallowing

DEADLINE_S = 0.3


@dataclass
class Client:
    """A connection that takes everything in; `gone` for one that has just ended."""

    about: Connected
    frames: list[str] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    gone: bool = False

    def push(self, frame: str) -> bool:
        if not self.gone:
            self.frames.append(frame)
        return not self.gone

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


@dataclass
class Process:
    """One process of EntryPoint, as far as it has connections."""

    registry: RunningRegistry
    events: Events


@dataclass
class World:
    """The first process is asked; connections come to each in turn."""

    processes: list[Process]
    _since: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def registry(self) -> RunningRegistry:
        return self.processes[0].registry

    def connect(self, tenant: str = "acme", subject: str = "ann", *, process: int | None = None) -> Client:
        number = next(self._since)
        holder = self.processes[number % len(self.processes) if process is None else process].registry
        client = Client(
            Connected(id=holder.make_id(), tenant=tenant, subject=subject, host="example.com", since=float(number))
        )
        holder.add(client)
        return client


@asynccontextmanager
async def redis_processes(server: RedisServer, count: int = 2, deadline: float = 5.0) -> AsyncGenerator[World]:
    before = hearing(server)
    async with AsyncExitStack() as stack:
        processes = []
        for _ in range(count):
            events = Events()
            client = connect(server.url, username=None, password=None, deadline=deadline)
            registry = RedisConnections(LocalConnections(), events, client)
            stack.push_async_callback(registry.end)
            await stack.enter_async_context(meanwhile(registry.run()))
            processes.append(Process(registry, events))
        await eventually(lambda: hearing(server) == before + count)
        yield World(processes)


def hearing(server: RedisServer) -> int:
    """How many processes are there, and hear."""
    with server.client() as client:
        there = [name.decode() for name in client.zrange(PROCESSES, 0, -1)]
        return sum(heard > 0 for _, heard in client.pubsub_numsub(*(CHANNEL + name for name in there)))


@pytest.fixture(params=["in process", "redis"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[World]:
    if request.param == "in process":
        yield World([Process(LocalConnections(), Events())])
        return
    with running_redis(tmp_path) as server:
        async with redis_processes(server) as processes:
            yield processes


async def test_all_are_listed_the_oldest_first(world: World) -> None:
    clients = [world.connect() for _ in range(5)]
    listed = await world.registry.list(EVERYBODY, 100)
    assert (list(listed.connections), listed.total) == ([each.about for each in clients], 5)
    assert listed.elsewhere is Elsewhere.ANSWERED
    few = await world.registry.list(EVERYBODY, 3)
    assert (list(few.connections), few.total) == ([each.about for each in clients[:3]], 5)


async def test_ids_are_unlike_each_other(world: World) -> None:
    assert len({world.connect().about.id for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("whose", "reached"),
    [
        (EVERYBODY, [0, 1, 2, 3, 4, 5]),
        (Whose(tenant="acme"), [0, 1, 2]),
        (Whose(tenant=""), [5]),
        (Whose(tenant="acme", subject="ann"), [0, 1]),
        (Whose(tenant="globex", subject="ann"), [3]),
        (Whose(tenant="nobody"), []),
    ],
)
async def test_a_frame_reaches_those_it_is_for(world: World, whose: Whose, reached: list[int]) -> None:
    callers = [("acme", "ann"), ("acme", "ann"), ("acme", "bob"), ("globex", "ann"), ("globex", "eve"), ("", "")]
    clients = [world.connect(*caller) for caller in callers]
    assert await world.registry.push("f", whose) == Done(len(reached))
    assert [number for number, client in enumerate(clients) if client.frames == ["f"]] == reached
    assert (await world.registry.list(whose, 100)).total == len(reached)


async def test_one_is_reached_by_its_id_wherever_it_is(world: World) -> None:
    clients = [world.connect() for _ in range(4)]
    for client in clients:
        assert await world.registry.push("f", Whose(id=client.about.id)) == Done(1)
        assert (await world.registry.list(Whose(id=client.about.id), 9)).connections == (client.about,)
    assert [client.frames for client in clients] == [["f"]] * 4


@pytest.mark.parametrize("id_", ["", "nobody", "nobody.1", "0123456789abcdef.x"])
async def test_nobody_is_reached_by_an_id_that_nobody_has(world: World, id_: str) -> None:
    clients = [world.connect() for _ in range(2)]
    assert await world.registry.push("f", Whose(id=id_)) == Done(0)
    assert [client.frames for client in clients] == [[], []]


async def test_frames_come_in_order(world: World) -> None:
    clients = [world.connect() for _ in range(2)]
    for number in range(50):
        await world.registry.push(str(number), EVERYBODY)
    assert [client.frames for client in clients] == [[str(number) for number in range(50)]] * 2


async def test_one_that_has_just_ended_is_not_reached(world: World) -> None:
    for client in (world.connect(), world.connect()):
        client.gone = True
    assert await world.registry.push("f", EVERYBODY) == Done(0)


async def test_those_that_are_chosen_are_closed(world: World) -> None:
    ours, others = [world.connect("acme") for _ in range(3)], [world.connect("globex") for _ in range(3)]
    assert await world.registry.close(4001, "moved", Whose(tenant="acme")) == Done(3)
    assert [client.closed for client in ours + others] == [(4001, "moved")] * 3 + [None] * 3


async def test_what_is_removed_is_gone(world: World) -> None:
    client = world.connect()
    for process in world.processes:
        process.registry.remove(client.about.id)
        process.registry.remove(client.about.id)
    assert (await world.registry.list(EVERYBODY, 9)).total == 0


async def test_an_event_reaches_listeners_once_and_in_order(world: World) -> None:
    listeners = [process.events.listen(kind()) for process in world.processes]
    others = (kind(tenant="globex"), kind(namespace="evil"), kind(edge_namespace="evil"))
    foreign = [process.events.listen(each) for process in world.processes for each in others]
    for number in range(20):
        world.processes[0].events.publish(event(number))
    for listener in listeners:
        assert [(await anext(listener)).header.id for _ in range(20)] == [str(number) for number in range(20)]
    await asyncio.sleep(0.1)
    for listener in (*listeners, *foreign):
        listener.close()
        assert [each async for each in listener] == []


def copied(letter: peer_pb2.Letter) -> peer_pb2.Letter:
    made = peer_pb2.Letter()
    made.CopyFrom(letter)
    return made


def event(number: int) -> Happened:
    made = reply(type=PLACED, tenant="acme")
    made.header.id = str(number)
    return happened(made)


class TestOutages:
    """What becomes of it when others can't be reached: what is here is, and the rest is said."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Generator[RedisServer]:
        with running_redis(tmp_path) as running:
            yield running

    @pytest.mark.parametrize("frozen", [True, False])
    async def test_without_redis_those_of_this_process_are_reached(self, server: RedisServer, *, frozen: bool) -> None:
        async with redis_processes(server, deadline=DEADLINE_S) as world:
            here, there = world.connect(process=0), world.connect(process=1)
            server.freeze() if frozen else server.kill()
            began = time.monotonic()
            for whose, count in ((EVERYBODY, 1), (Whose(id=there.about.id), 0)):
                assert await world.registry.push("f", whose) == Done(count, Elsewhere.UNREACHABLE)
            assert await world.registry.push("f", Whose(id=here.about.id)) == Done(1)
            listed = await world.registry.list(EVERYBODY, 9)
            assert (listed.connections, listed.elsewhere) == ((here.about,), Elsewhere.UNREACHABLE)
            assert time.monotonic() - began < 10 * DEADLINE_S
            assert sum(world.registry.errors.values()) >= 3
            listener = world.processes[0].events.listen(kind())
            world.processes[0].events.publish(event(1))
            assert (await anext(listener)).header.id == "1"
            server.thaw() if frozen else await asyncio.to_thread(server.start)
            await until_pushed(world, 2)
            assert there.frames

    async def test_a_process_that_is_gone_is_not_waited_for(self, server: RedisServer) -> None:
        async with redis_processes(server, 1) as world:
            async with redis_processes(server, 2):
                pass
            began = time.monotonic()
            assert await world.registry.push("f", EVERYBODY) == Done(0)
            assert time.monotonic() - began < 0.9 * ANSWER_S

    async def test_a_process_that_was_killed_is_not_waited_for_and_told_of_while_its_lease_lasts(
        self, server: RedisServer
    ) -> None:
        async with redis_processes(server, 1) as world:
            with server.client() as client:
                client.zadd(PROCESSES, {"dead": 1e15})
            began = time.monotonic()
            assert await world.registry.push("f", EVERYBODY) == Done(0, Elsewhere.UNREACHABLE)
            assert await world.registry.push("f", Whose(id="dead.1")) == Done(0, Elsewhere.UNREACHABLE)
            assert time.monotonic() - began < 0.9 * ANSWER_S
            with server.client() as client:
                client.zadd(PROCESSES, {"dead": 1})
            assert await world.registry.push("f", EVERYBODY) == Done(0)

    async def test_one_that_does_not_answer_is_given_up_and_told_of(self, server: RedisServer) -> None:
        async with redis_processes(server, 1) as world:
            with server.client() as client, client.pubsub() as deaf:
                client.zadd(PROCESSES, {"busy": 1e15})
                deaf.subscribe(CHANNEL + "busy")
                here = world.connect()
                assert await world.registry.push("f", EVERYBODY) == Done(1, Elsewhere.LATE)
                assert here.frames == ["f"]

    async def test_garbage_harms_nobody(self, server: RedisServer) -> None:
        async with redis_processes(server) as world:
            world.connect(process=1)
            with server.client() as client:
                for channel in (EVENTS, *(CHANNEL + name.decode() for name in client.zrange(PROCESSES, 0, -1))):
                    client.publish(channel, b"\xff\xff\xff")
                    client.publish(channel, b"")
            await eventually(lambda: world.registry.errors.get("garbage"))
            assert await world.registry.push("f", EVERYBODY) == Done(1)

    async def test_an_event_that_does_not_say_whose_it_is_is_heard_by_nobody(self, server: RedisServer) -> None:
        """Processes of older releases tell such."""
        async with redis_processes(server, 1) as world:
            [process] = world.processes
            heard = [process.events.listen(each) for each in (kind(), kind(namespace="", edge_namespace=""))]
            whole = peer_pb2.Letter(sender="another", event=event(1).event, route="shop/orders", edge_namespace="shop")
            lacking = [copied(whole), copied(whole), copied(whole)]
            for letter in lacking[:2]:
                letter.route = ""
            for letter in lacking[1:]:
                letter.edge_namespace = ""
            with server.client() as client:
                for letter in (*lacking, whole):
                    client.publish(EVENTS, letter.SerializeToString())
            assert (await anext(heard[0])).header.id == "1"
            assert process.registry.errors["garbage"] == len(lacking)
            for listener in heard:
                listener.close()
                assert [each async for each in listener] == []

    async def test_one_whose_ear_is_cut_off_hears_again(self, server: RedisServer) -> None:
        async with redis_processes(server) as world:
            world.connect(process=1)
            with server.client() as client:
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await until_pushed(world, 1)


async def until_pushed(world: World, count: int) -> None:
    async with asyncio.timeout(20):
        while await world.registry.push("g", EVERYBODY) != Done(count):  # noqa: ASYNC110 - it is tried
            await asyncio.sleep(0.05)


async def test_it_ends_though_its_client_has_swallowed_that(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = asyncio.Event()
    client = connect("redis://127.0.0.1:1", username=None, password=None, deadline=5.0)
    monkeypatch.setattr(client, "evalsha", swallowing(reached))
    registry = RedisConnections(LocalConnections(), Events(), client)
    running = asyncio.create_task(registry.run())
    await reached.wait()
    running.cancel()
    await asyncio.wait([running], timeout=10)
    assert running.done()
