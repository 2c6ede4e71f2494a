"""How long from a changed file to changed traffic. Run as `python -m perf change_to_traffic`."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path

from perf.change_worlds import SHAPES, HostsWorld, Probe, TenantsWorld, answer
from perf.harness import report
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell
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


def measure(options: Options, tell: Tell) -> Outcome:
    """Each shape at each size."""
    samples: dict[str, list[float]] = {}
    data: dict[str, object] = {}
    for routes in options.routes:
        for shape in filter(options.wants, SHAPES):
            label = f"{routes:,} routes, {shape}"
            tell(f"{label}: starts")
            start_s, memory, samples[label] = asyncio.run(_changes(shape, routes, options.changes))
            data[label] = {"start_s": start_s, "pss_mib": memory, "change_ms": report.summary(samples[label])}
            tell(f"{label}: {data[label]}")
    told = {label: report.summary(each) for label, each in samples.items()}
    return Outcome(
        figures={
            f"{shape}-{name}": told[label][name]
            for shape in SHAPES
            if (label := f"10,000 routes, {shape}") in told
            for name in ("p50", "p99")
        },
        tables=[
            Table(
                title="From a changed file to the first answer with the new content, ms",
                columns=["", "p50", "p90", "p99", "slowest", "changes"],
                rows=[[label, *each.values()] for label, each in told.items()],
            )
        ],
        charts=[
            Chart(
                name="change_to_traffic",
                title="From a changed file to changed traffic",
                unit="ms",
                value="p50",
                tail="p99",
                goal=60,
                bars=[Bar(label=label, value=each["p50"], tail=each["p99"]) for label, each in told.items()],
            )
        ],
        data=data,
    )


async def _changes(shape: str, routes: int, changes: int) -> tuple[float, dict[str, float], list[float]]:
    """Seconds until the last route answered, MiB of the processes, milliseconds of each change."""
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        async with Standalone(folder / "state", {"FF_DIRECTORIES": str(folder / "resources")}) as gateway:
            world = SHAPES[shape](folder / "resources", routes, gateway.port)
            began = time.perf_counter()
            gateway.start_operator()
            gateway.start_envoy()
            client = Client(gateway.port)
            await until_answers(client, world.probes[-1], 0, _START_S)
            start_s = round(time.perf_counter() - began, 2)
            chance = random.Random(0)
            chosen = [chance.choice(world.probes) for _ in range(changes)]
            samples = [await _change(world, client, probe, number) for number, probe in enumerate(chosen, 1)]
            return start_s, gateway.memory(), samples


async def _change(world: World, client: Client, probe: Probe, generation: int) -> float:
    beside = probe.file.with_name(f".{probe.file.name}")
    beside.write_text(world.route(probe, generation))
    began = time.perf_counter()
    beside.rename(probe.file)
    await until_answers(client, probe, generation, _GIVE_UP_S)
    return (time.perf_counter() - began) * 1e3


BENCHMARK = Benchmark(
    name="change_to_traffic",
    title="From a changed file to changed traffic",
    about="""
The operator and Envoy run as processes of their own over the routes; one route after the other is changed. The clock
starts before the new file is renamed into place and stops at the first answer with the new content, asked for every
millisecond over one kept-alive connection. Two shapes: a host for each route, and one host shared by 1,000 tenants of
ten routes each, who prove their tenant by token. The first changes come at once after the start, while the statuses of
all routes are still being judged: they are the slowest.
""",
    goals={
        f"{shape}-{name}": Goal(what=f"changed file to traffic, 10,000 routes, {shape}, {name}", bound=most, unit="ms")
        for shape in SHAPES
        for name, most in (("p50", 15), ("p99", 60))
    },
    measure=measure,
    full=Options(routes=(10_000,)),
    smoke=Options(routes=(20,), changes=5),
)
