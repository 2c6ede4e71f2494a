"""Changing one route after the other of a running product, and seeing when traffic follows.

In: a shape of routes, a size. Out: a `Subject`, whose changes take milliseconds. Called by the benchmarks that change
files. The clock starts before the new file is written and renamed into place, and stops at the first answer with the
new content.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from perf.changes.worlds import SHAPES, Probe, World, answer, put
from perf.standalone import Standalone

POLL_S = 0.001
GIVE_UP_S = 20.0
START_S = 600.0


class Answer(NamedTuple):
    """What came back; a status of 0 when the connection failed."""

    status: int = 0
    head: str = ""
    """In lower case."""
    body: str = ""


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Answer:
        """The answer to a whole HTTP/1.1 request."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            return Answer(int(head.split()[1]), head, (await reader.readexactly(length)).decode())
        except (OSError, asyncio.IncompleteReadError):
            self._streams = None
            return Answer()

    async def body(self, request: bytes) -> str:
        """The body of the answer; empty when the connection fails."""
        return (await self.ask(request)).body


async def until(seen: Callable[[], Awaitable[bool]], limit_s: float, poll_s: float = POLL_S) -> None:
    """Ask until it is so; TimeoutError after `limit_s`."""
    async with asyncio.timeout(limit_s):
        while not await seen():  # noqa: ASYNC110 - Envoy raises no event of ours
            await asyncio.sleep(poll_s)


async def until_answers(client: Client, probe: Probe, generation: int, limit_s: float) -> None:
    """Ask until the route answers in this generation; TimeoutError after `limit_s`."""
    wanted = answer(probe, generation)

    async def seen() -> bool:
        return await client.body(probe.request) == wanted

    await until(seen, limit_s)


async def until_settled(gateway: Standalone, limit_s: float = START_S) -> None:
    """Until every proxy has acknowledged all there is."""

    async def seen() -> bool:
        return await asyncio.to_thread(gateway.settled)

    await until(seen, limit_s, 0.05)


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the processes."""

    speaks_s: float
    """To the operator's first answer to anybody: the interpreter is up, all is imported, nothing is read."""
    serves_s: float
    """To the first answer of the last route."""


async def start(gateway: Standalone, client: Client, last: Probe) -> Start:
    """Operator and Envoy, until the last route answers."""
    began = time.perf_counter()
    gateway.start_operator()
    gateway.start_envoy()
    await until_speaks(gateway)
    speaks_s = time.perf_counter() - began
    await until_answers(client, last, 0, START_S)
    return Start(round(speaks_s, 2), round(time.perf_counter() - began, 2))


async def until_speaks(gateway: Standalone, path: str = "/healthz") -> None:
    """Until the operator answers 200 there."""

    async def seen() -> bool:
        return await asyncio.to_thread(gateway.speaks, path)

    await until(seen, START_S, 0.01)


@dataclass(slots=True)
class Subject:
    """The product over routes of one shape, operator and Envoy as processes of their own."""

    gateway: Standalone
    world: World
    client: Client
    start: Start
    _chance: random.Random = field(default_factory=lambda: random.Random(0))
    _generation: int = 0

    async def change(self, probe: Probe | None = None) -> float:
        """Change a route, any if none is named; milliseconds until it answers anew. Raises TimeoutError."""
        chosen = probe or self._chance.choice(self.world.apart)
        self._generation += 1
        text = self.world.route(chosen, self._generation)
        began = time.perf_counter()
        put(chosen.file, text)
        await until_answers(self.client, chosen, self._generation, GIVE_UP_S)
        return (time.perf_counter() - began) * 1e3

    async def changes(self, number: int) -> list[float]:
        """So many, one after the other."""
        return [await self.change() for _ in range(number)]


@contextlib.asynccontextmanager
async def running(
    folder: Path, shape: str, routes: int, apart: int = 0, more: Callable[[Path], None] = lambda _: None
) -> AsyncGenerator[Subject]:
    """Over files in `folder`, `apart` of the routes in files of their own. `more` writes further resources."""
    resources = folder / "resources"
    async with Standalone(folder / "state", {"FF_DIRECTORIES": str(resources)}) as gateway:
        world = SHAPES[shape](resources, routes, gateway.port, apart)
        more(resources)
        client = Client(gateway.port)
        started = await start(gateway, client, world.probes[-1])
        await until_settled(gateway)
        yield Subject(gateway, world, client, started)
