"""Connections that stay as long as they would be let in again: over real sockets, silent ones too."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial

import pytest
import websockets
from fastforward_kit.http import Address, HttpServer, Request, Response, parse_address
from fastforward_kit.websocket import Admitted, Guard, Refused, Stands, WebSocket, accept

from support.eventually import eventually, meanwhile

NO = Refused(Response(403), "revoked")


async def listen(socket: WebSocket) -> None:
    while True:
        await socket.receive()


@dataclass
class World:
    """Whom it judges how; a test changes it."""

    now: float = 1000.0
    changes: int = 0
    guard: Guard = field(init=False)
    said: dict[str, Stands | Refused] = field(default_factory=dict)
    judged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.guard = Guard(clock=lambda: self.now)

    def judge(self, path: str) -> Stands | Refused:
        self.judged.append(path)
        return self.said.get(path, Stands("ann", math.inf))

    def handle(self, asked: Request) -> Response | asyncio.Future[Response]:
        stands = self.judge(asked.target)
        assert isinstance(stands, Stands)
        admitted = Admitted(asked, stands, partial(self.judge, asked.target))
        return self.guard.over(admitted, accept(asked, (), listen))

    def change(self, path: str, said: Stands | Refused) -> None:
        self.said[path] = said
        self.changes += 1


@dataclass
class Running:
    world: World
    address: Address

    @contextlib.asynccontextmanager
    async def connected(self, path: str = "/a") -> AsyncGenerator[websockets.ClientConnection]:
        async with websockets.connect(f"ws://{self.address}{path}") as client:
            yield client


@pytest.fixture
async def running() -> AsyncGenerator[Running]:
    world = World()
    server = HttpServer(world.handle)
    address = await server.listen(parse_address("127.0.0.1:0"))
    async with asyncio.timeout(30), meanwhile(world.guard.run(lambda: world.changes)):
        yield Running(world, address)
    await server.drain(linger_seconds=0, limit_seconds=1)


async def test_one_that_is_not_allowed_any_more_is_closed_though_it_is_silent(running: Running) -> None:
    async with running.connected("/a") as one, running.connected("/b") as other:
        await eventually(lambda: len(running.world.guard) == 2)
        began = time.monotonic()
        running.world.change("/a", NO)
        await one.wait_closed()
        assert time.monotonic() - began < 5
        assert (one.close_code, one.close_reason) == (1008, "not allowed any more")
        assert other.state is websockets.State.OPEN
        assert (len(running.world.guard), dict(running.world.guard.closed)) == (1, {"revoked": 1})


async def test_one_that_would_be_somebody_else_s_is_closed(running: Running) -> None:
    async with running.connected() as client:
        await eventually(lambda: len(running.world.guard))
        running.world.change("/a", Stands("bob", math.inf))
        await client.wait_closed()
        assert (client.close_code, dict(running.world.guard.closed)) == (1008, {"somebody else": 1})


async def test_one_whose_credentials_end_is_closed_then_without_any_change(running: Running) -> None:
    running.world.said["/a"] = Stands("ann", 1060.0)
    async with running.connected() as client:
        await eventually(lambda: len(running.world.guard))
        running.world.said["/a"] = NO
        await asyncio.sleep(1.2)
        assert (running.world.judged, client.state) == (["/a"], websockets.State.OPEN)
        running.world.now = 1060.0
        await client.wait_closed()
        assert client.close_code == 1008


async def test_one_that_stands_for_longer_by_now_stays(running: Running) -> None:
    running.world.said["/a"] = Stands("ann", 1060.0)
    async with running.connected() as client:
        await eventually(lambda: len(running.world.guard))
        running.world.said["/a"] = Stands("ann", 2000.0)
        running.world.now = 1060.0
        await eventually(lambda: len(running.world.judged) == 2)
        await asyncio.sleep(1.2)
        assert (len(running.world.judged), client.state) == (2, websockets.State.OPEN)


def fail() -> Stands:
    raise ValueError("a fault of ours")


async def test_one_that_can_not_be_judged_does_not_stay(running: Running) -> None:
    async with running.connected("/a") as one, running.connected("/b") as other:
        await eventually(lambda: len(running.world.guard) == 2)
        first = next(iter(running.world.guard._held.values()))
        first.again = fail
        running.world.changes += 1
        await one.wait_closed()
        assert (one.close_code, other.state) == (1008, websockets.State.OPEN)


async def test_one_that_is_gone_is_forgotten(running: Running) -> None:
    async with running.connected():
        await eventually(lambda: len(running.world.guard) == 1)
    await eventually(lambda: len(running.world.guard) == 0)
    running.world.changes += 1
    await asyncio.sleep(1.2)
    assert running.world.judged == ["/a"]


async def test_many_are_judged_in_turns_and_nobody_waits_for_it(running: Running) -> None:
    guard, judged, most = running.world.guard, 0, 0

    def slowly() -> Stands:
        nonlocal judged
        judged += 1
        end = time.thread_time() + 0.001  # twenty times what judging costs
        while time.thread_time() < end:
            pass
        return Stands("ann", math.inf)

    async with contextlib.AsyncExitStack() as clients:
        for _ in range(100):
            await clients.enter_async_context(running.connected())
        for held in guard._held.values():
            held.again = slowly
        running.world.changes += 1
        while judged < 100:
            before = judged
            await asyncio.sleep(0)
            most = max(most, judged - before)
    assert 0 < most < 5
