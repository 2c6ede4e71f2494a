"""Whether statuses are true. Run as `python -m perf truth`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from perf.changes.worlds import HostsWorld
from perf.harness import report
from perf.harness.benchmark import Benchmark, Goal, Options, Outcome, Table, Tell
from perf.ready import until_ready
from perf.standalone import Standalone
from perf.told import Told, told
from perf.truth import faults
from perf.truth.api import through_api
from perf.truth.world import AT_ONCE, ENVOYS, THREADS, Change, Result, Witness, changes_of, lines

CHANGES_A_FAULT = 100
"""A refusal is made once in so many changes."""
CHANGES_AN_API = 20
FREEZES = 5
_API = "api"
_START_S = 180.0
_LOG = ("--component-log-level", "config:warning")
"""Has Envoy write what it refuses."""


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


async def _files(routes: int, options: Options, tell: Tell) -> tuple[Result, faults.Frozen]:
    async with scene(routes) as running:
        tell(f"{routes:,} routes: served by three Envoys")
        result = await changes_of(running.witness, running.world, options.changes, running.write)
        tell(f"files: {result}")
        frozen = await faults.freeze(running, min(FREEZES, max(1, options.changes // CHANGES_A_FAULT)))
        tell(f"frozen: {frozen}")
        return result, frozen


async def _refusals(options: Options) -> faults.Refused:
    async with scene(AT_ONCE, "support.refusing") as running:
        return await faults.refuse(running, max(2, options.changes // CHANGES_A_FAULT))


def measure(options: Options, tell: Tell) -> Outcome:
    """Files, then what is said while something is wrong."""
    (routes,) = options.routes
    files, frozen = asyncio.run(_files(routes, options, tell))
    refused = asyncio.run(_refusals(options))
    tell(f"refused: {refused}")
    figures: dict[str, float] = {}
    rows = [["files", *files.late_ms.values(), len(files.lies)]]
    data: dict[str, object] = {}
    if options.wants(_API):
        api = asyncio.run(through_api(routes, max(AT_ONCE, options.changes // CHANGES_AN_API)))
        tell(f"API server: {api}")
        figures |= {"api-lies": len(api.lies), "api-late-p99": api.late_ms["p99"]}
        rows.append(["API server", *api.late_ms.values(), len(api.lies)])
        data[_API] = asdict(api)
    return Outcome(
        figures={
            "lies": len(files.lies),
            "late-p99": files.late_ms["p99"],
            "refused": len(refused.wrong),
            "frozen": len(frozen.wrong),
            **figures,
        },
        tables=[
            Table(
                title="From the last Envoy's first right answer until Programmed, ms",
                columns=["", "p50", "p90", "p99", "slowest", "changes", "said too early"],
                rows=rows,
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
        data={"files": asdict(files), "refused": asdict(refused), "frozen": asdict(frozen), **data},
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
also asked all the time, so that it is known when the last of them last answered as before; the time from then until
Programmed was heard is how late it comes, and a little more: ten routes are asked for in turn.

Then one Envoy is stopped where it stands (SIGSTOP) and a route is changed: Programmed must not be said while it counts,
and must be true of the two others once it does not; when it is let go and counts again, it must have the change. Last,
an operator whose emitter breaks some routes has Envoys refuse them: the status must say so in Envoy's own words, which
are looked up in its log, while the last good version is served and neighbours change.

With the resources in a real API server, statuses are read from a watch of it, and a twentieth as many changes are made.
""",
    goals={
        "lies": Goal(what="Programmed said before every Envoy had it", bound=0, unit=""),
        "late-p99": Goal(what="Programmed after the last Envoy's first right answer, p99", bound=100, unit="ms"),
        "api-lies": Goal(what="the same, read from the API server", bound=0, unit=""),
        "api-late-p99": Goal(what="the same delay until the API server tells it, p99", bound=500, unit="ms"),
        "refused": Goal(what="refusals by Envoy told wrongly or not at all", bound=0, unit=""),
        "frozen": Goal(what="statuses that were wrong because of a frozen Envoy", bound=0, unit=""),
    },
    measure=measure,
    full=Options(routes=(1000,), changes=10_000),
    smoke=Options(routes=(10,), changes=20, against=("files",)),
)
