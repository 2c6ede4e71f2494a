"""Whether statuses are true. Run as `python -m perf truth`."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from perf import truth_faults
from perf.change_worlds import HostsWorld
from perf.harness import report
from perf.harness.benchmark import Benchmark, Goal, Options, Outcome, Table, Tell
from perf.ready import until_ready
from perf.standalone import Standalone
from perf.told import Told, told
from perf.truth_world import ENVOYS, THREADS, Change, Witness, lines

AT_ONCE = 10
"""Routes that change at the same time."""
CHANGES_A_FAULT = 100
"""A refusal is made once in so many changes."""
FREEZES = 5
_START_S = 180.0
_LOG = ("--component-log-level", "config:warning")
"""Has Envoy write what it refuses."""


@dataclass(slots=True)
class Result:
    """One source of resources."""

    changes: int = 0
    seconds: float = 0.0
    lies: list[str] = field(default_factory=list)
    late_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Files, an operator that serves them, three Envoys, and a witness."""

    gateway: Standalone
    world: HostsWorld
    said: Told
    witness: Witness

    async def write(self, change: Change) -> None:
        """Put a version of a route in place."""
        self.replace(change, self.world.route(change.probe, change.version))

    @staticmethod
    def replace(change: Change, text: str) -> None:
        """Put any text in place."""
        file = change.probe.file
        beside = file.with_name(f".{file.name}")
        beside.write_text(text)
        beside.rename(file)


@asynccontextmanager
async def scene(routes: int, program: str = "fastforward_operator") -> AsyncGenerator[Scene]:
    """All routes programmed everywhere."""
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        with Standalone(folder / "state", {"FF_DIRECTORIES": str(folder / "resources")}) as gateway:
            world = HostsWorld(folder / "resources", routes, gateway.port)
            gateway.start_operator(program=program)
            for envoy in ENVOYS:
                gateway.start_envoy(name=envoy, workers=THREADS, options=_LOG)
            await asyncio.to_thread(until_ready, gateway)
            witness = Witness((), ())
            async with told(gateway.api_port, witness.hear) as said:
                names = [f"r{probe.number}" for probe in world.probes]
                await said.until(lambda: all(said.programmed("Route", name) for name in names), _START_S)
                await said.until_counted("Route", names, len(ENVOYS), _START_S)
                witness.judges, witness.askers = await lines(gateway, world.probes[0])
                yield Scene(gateway=gateway, world=world, said=said, witness=witness)


async def changes_of(
    witness: Witness, world: HostsWorld, count: int, write: Callable[[Change], Awaitable[None]]
) -> Result:
    """Batches of routes that change at once, one after the other."""
    chance, versions, late = random.Random(0), dict.fromkeys(range(len(world.probes)), 0), []
    began = time.perf_counter()
    batches = -(-count // AT_ONCE)
    for _ in range(batches):
        changes = []
        for probe in chance.sample(world.probes, AT_ONCE):
            versions[probe.number] += 1
            changes.append(Change(probe, versions[probe.number]))
        await witness.watch(changes, write)
        late += [change.late_ms for change in changes]
    return Result(
        changes=batches * AT_ONCE,
        seconds=round(time.perf_counter() - began, 1),
        lies=witness.lies[:20],
        late_ms=report.summary(late),
    )


async def _files(routes: int, options: Options, tell: Tell) -> tuple[Result, truth_faults.Frozen]:
    async with scene(routes) as running:
        tell(f"{routes:,} routes: served by three Envoys")
        result = await changes_of(running.witness, running.world, options.changes, running.write)
        tell(f"files: {result}")
        frozen = await truth_faults.freeze(running, min(FREEZES, max(1, options.changes // CHANGES_A_FAULT)))
        tell(f"frozen: {frozen}")
        return result, frozen


async def _refusals(options: Options) -> truth_faults.Refused:
    async with scene(AT_ONCE, "support.refusing") as running:
        return await truth_faults.refuse(running, max(2, options.changes // CHANGES_A_FAULT))


def measure(options: Options, tell: Tell) -> Outcome:
    """Files, then what is said while something is wrong."""
    (routes,) = options.routes
    files, frozen = asyncio.run(_files(routes, options, tell))
    refused = asyncio.run(_refusals(options))
    tell(f"refused: {refused}")
    return Outcome(
        figures={
            "lies": len(files.lies),
            "late-p99": files.late_ms["p99"],
            "refused": len(refused.wrong),
            "frozen": len(frozen.wrong),
        },
        tables=[
            Table(
                title="From the last Envoy's first right answer until Programmed, ms",
                columns=["", "p50", "p90", "p99", "slowest", "changes", "said too early"],
                rows=[["files", *files.late_ms.values(), len(files.lies)]],
            ),
            Table(
                title="While something is wrong",
                columns=["", "times", "told wrongly", "median", "slowest"],
                rows=[
                    ["refused by Envoy; told, ms", refused.refusals, len(refused.wrong), *_spread(refused.told_ms)],
                    ["frozen; told without it, s", frozen.freezes, len(frozen.wrong), *_spread(frozen.given_up_s)],
                    ["let go; counted again, s", frozen.freezes, len(frozen.wrong), *_spread(frozen.back_s)],
                ],
            ),
        ],
        charts=[],
        data={"files": asdict(files), "refused": asdict(refused), "frozen": asdict(frozen)},
    )


def _spread(samples: list[float]) -> tuple[float, float]:
    return (report.percentile(samples, 0.5), max(samples)) if samples else (0.0, 0.0)


BENCHMARK = Benchmark(
    name="truth",
    title="Whether statuses are true",
    about="""
Three Envoys with two threads each, asked thread by thread. Ten routes change at once, batch after batch, and the
operator's events are followed. Whenever one says that a route is Programmed in its newest version, every thread of each
Envoy is asked for that route at once, over connections that are kept for this: one old answer is a lie. All threads are
also asked all the time, so that it is known when the last of them first answered rightly; the time from when that
request was sent until Programmed was heard is how late it comes.

Then one Envoy is stopped where it stands (SIGSTOP) and a route is changed: Programmed must not be said while it counts,
and must be true of the two others once it does not; when it is let go and counts again, it must have the change. Last,
an operator whose emitter breaks some routes has Envoys refuse them: the status must say so in Envoy's own words, which
are looked up in its log, while the last good version is served and neighbours change.
""",
    goals={
        "lies": Goal(what="Programmed said before every Envoy had it", bound=0, unit=""),
        "late-p99": Goal(what="Programmed after the last Envoy's first right answer, p99", bound=100, unit="ms"),
        "refused": Goal(what="refusals by Envoy told wrongly or not at all", bound=0, unit=""),
        "frozen": Goal(what="statuses that were wrong because of a frozen Envoy", bound=0, unit=""),
    },
    measure=measure,
    full=Options(routes=(1000,), changes=10_000),
    smoke=Options(routes=(10,), changes=20),
)
