"""How long from a changed file to changed traffic, with many routes present.

usage: python -m perf.change_to_traffic --routes 10000 --changes 1000 [--shape hosts|tenants|both] [--out]

The clock starts before the new file is renamed into place and stops at the first answer with the new content, asked
for every millisecond over one keep-alive connection. Operator, xDS and Envoy are the real ones, each its own process.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path

from perf import report
from perf.change_worlds import SHAPES, HostsWorld, Probe, TenantsWorld, answer
from perf.command import Result, run
from perf.standalone import Standalone

_POLL_S = 0.001
_GIVE_UP_S = 20.0
_START_S = 120.0
World = HostsWorld | TenantsWorld


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def body(self, request: bytes) -> str:
        """The body of the answer; empty when the connection fails."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            return (await reader.readexactly(length)).decode()
        except (OSError, asyncio.IncompleteReadError):
            self._streams = None
            return ""


async def until_answers(client: Client, probe: Probe, generation: int, limit_s: float) -> None:
    """Ask until the route answers in this generation; TimeoutError after `limit_s`."""
    wanted = answer(probe, generation)
    async with asyncio.timeout(limit_s):
        while await client.body(probe.request) != wanted:  # noqa: ASYNC110 - Envoy raises no event of ours
            await asyncio.sleep(_POLL_S)


async def measure(shape: str, routes: int, changes: int) -> Result:
    """Start everything, then change one route after the other."""
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        source = {"FF_DIRECTORIES": str(folder / "resources")}
        async with Standalone(folder / "state", source) as gateway:
            world = SHAPES[shape](folder / "resources", routes, gateway.port)
            began = time.perf_counter()
            gateway.start_operator()
            gateway.start_envoy()
            client = Client(gateway.port)
            await until_answers(client, world.probes[-1], 0, _START_S)
            start_s = time.perf_counter() - began
            samples = [await _change(world, client, random.choice(world.probes), n) for n in range(1, changes + 1)]
            return Result(
                shape=shape,
                routes=routes,
                start_s=round(start_s, 2),
                change_ms=report.summary(samples),
                pss_mib=gateway.memory(),
            )


async def _change(world: World, client: Client, probe: Probe, generation: int) -> float:
    beside = probe.file.with_name(f".{probe.file.name}")
    beside.write_text(world.route(probe, generation))
    began = time.perf_counter()
    beside.rename(probe.file)
    await until_answers(client, probe, generation, _GIVE_UP_S)
    return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    run(measure, name="change_to_traffic", title="From a changed file to changed traffic", description=__doc__)
