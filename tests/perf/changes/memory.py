"""How much memory operator and Envoy take, by how many routes there are, and whether changes make it grow.

Run as `python -m perf memory`. The routes are in files, or in a real API server: `--against` picks `files` and `api`.
`--seconds` is how long routes are changed without a pause worth mentioning.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from perf import api_server, standalone
from perf.changes.changing import START_S, Client, Subject, running, start, until, until_settled
from perf.harness import usage
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell
from perf.standalone import Standalone

_MANY, _APART = 100_000, 300
"""From so many routes on they are in few large files, so many of them apart; no API server is asked to hold them."""
_WHOLE = 10_000
"""Routes, of most promises."""
_IDLE_S = 20.0
_QUIET, _QUIET_S = 0.03, 3.0
"""What share of a core the operator takes at most, over so many seconds, when it has done what there was to do."""
_PAUSE_S = 0.02
_SAMPLES = 10
"""While routes change."""
_SOURCES = ("files", "api")
_PROCESSES = (standalone.OPERATOR, standalone.ENVOY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """With so many routes, when everything is said and done."""

    routes: int
    pss_mib: Mapping[str, float]
    heap_mib: float
    """What Envoy says that it has allocated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """Nothing to do, and then changes."""

    routes: int
    idle: Mapping[str, float]
    """Share of a core, %."""
    changes: int
    series: Sequence[tuple[float, Mapping[str, float]]]
    """Seconds since the first change, and MiB: before it, while routes change, and at last when all is quiet again."""

    def growth(self, process: str) -> float:
        """From before the first change to the end, %."""
        (_, first), (_, last) = self.series[0], self.series[-1]
        return round(100 * (last[process] / first[process] - 1), 1)


def measure(options: Options, tell: Tell) -> Outcome:
    """Each source at each size; changes at the largest size but _MANY, in files."""
    found: dict[str, Found] = {}
    churn: Churn | None = None
    churned = max((size for size in options.routes if size < _MANY), default=0)
    for routes in options.routes if options.wants("files") else ():
        seconds = options.seconds if routes == churned else 0.0
        label = f"{routes:,} routes, files"
        tell(f"{label}: starts")
        found[label], changed = asyncio.run(_from_files(routes, seconds, tell))
        churn = changed or churn
        tell(f"{label}: {dict(found[label].pss_mib)}")
    if options.wants("api") and churned:
        label = f"{churned:,} routes, api"
        tell(f"{label}: starts")
        found[label] = asyncio.run(_from_api(churned))
        tell(f"{label}: {dict(found[label].pss_mib)}")
    return _outcome(found, churn)


async def _from_files(routes: int, seconds: float, tell: Tell) -> tuple[Found, Churn | None]:
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        async with running(Path(name), "hosts", routes, _APART if routes >= _MANY else 0) as subject:
            found = await _when_quiet(subject.gateway, routes)
            return found, await _churn(subject, routes, seconds, tell) if seconds else None


async def _from_api(routes: int) -> Found:
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        async with api_server.setting(Path(name), "hosts", routes) as (_, kubectl, gateway, world):
            before = api_server.writes(kubectl)
            await start(gateway, Client(gateway.port), world.probes[-1])

            async def told() -> bool:
                return await asyncio.to_thread(api_server.writes, kubectl) - before >= routes

            await until(told, START_S, 2.0)
            return await _when_quiet(gateway, routes)


async def _when_quiet(gateway: Standalone, routes: int) -> Found:
    """What is taken when the operator has nothing more to do."""
    await until_settled(gateway)

    async def quiet() -> bool:
        return (await _shares(gateway, _QUIET_S))[standalone.OPERATOR] < 100 * _QUIET

    await until(quiet, START_S)
    heap_mib = int(json.loads(gateway.admin("/memory"))["allocated"]) / 2**20
    return Found(routes=routes, pss_mib=gateway.memory(), heap_mib=round(heap_mib, 1))


async def _shares(gateway: Standalone, seconds: float) -> dict[str, float]:
    """Of a core, % over some seconds."""
    before, began = {name: usage.processor_s([gateway.pid(name)]) for name in _PROCESSES}, time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - began
    return {
        name: round(100 * (usage.processor_s([gateway.pid(name)]) - each) / took, 2) for name, each in before.items()
    }


async def _churn(subject: Subject, routes: int, seconds: float, tell: Tell) -> Churn:
    idle = await _shares(subject.gateway, min(_IDLE_S, 2 * seconds))
    tell(f"idle: {idle} % of a core")
    began, changes = time.perf_counter(), 0
    series: list[tuple[float, Mapping[str, float]]] = [(0.0, subject.gateway.memory())]
    for sample in range(1, _SAMPLES + 1):
        while time.perf_counter() - began < seconds * sample / _SAMPLES:
            await subject.change()
            await asyncio.sleep(_PAUSE_S)
            changes += 1
        series.append((round(time.perf_counter() - began, 1), subject.gateway.memory()))
        tell(f"{changes} changes: {dict(series[-1][1])}")
    quiet = await _when_quiet(subject.gateway, routes)
    series.append((round(time.perf_counter() - began, 1), quiet.pss_mib))
    return Churn(routes=routes, idle=idle, changes=changes, series=series)


def _slope(less: Found, more: Found, process: str) -> float:
    """KiB a route."""
    return round(1024 * (more.pss_mib[process] - less.pss_mib[process]) / (more.routes - less.routes), 1)


def _outcome(found: Mapping[str, Found], churn: Churn | None) -> Outcome:
    tables = [
        Table(
            title="Memory when everything is served and nothing is to do (PSS), MiB",
            columns=["", "operator", "Envoy", "Envoy's own count of its heap"],
            rows=[
                [label, *(each.pss_mib[name] for name in _PROCESSES), each.heap_mib] for label, each in found.items()
            ],
        ),
        Table(title="From one size to the next, KiB a route", columns=["", "operator", "Envoy"], rows=_slopes(found)),
    ]
    if churn is not None:
        tables += [
            Table(
                title=f"While routes change, {churn.routes:,} routes, {churn.changes:,} changes in all (PSS), MiB",
                columns=["seconds", "operator", "Envoy"],
                rows=[[f"{at:g}", *(mib[name] for name in _PROCESSES)] for at, mib in churn.series],
            ),
            Table(
                title=f"With nothing to do, {churn.routes:,} routes, % of a core",
                columns=["", "operator", "Envoy"],
                rows=[["", *(churn.idle[name] for name in _PROCESSES)]],
            ),
        ]
    return Outcome(
        figures=_figures(found, churn),
        tables=tables,
        charts=[
            Chart(
                name="memory",
                title="Memory of operator and Envoy, PSS",
                unit="MiB",
                bars=[
                    Bar(label=f"{label}, {name}", value=each.pss_mib[name])
                    for label, each in found.items()
                    for name in _PROCESSES
                ],
            )
        ],
        data={**{label: asdict(each) for label, each in found.items()}, "churn": churn and asdict(churn)},
    )


def _slopes(found: Mapping[str, Found]) -> list[list[str | float]]:
    sizes = sorted((each for label, each in found.items() if label.endswith("files")), key=lambda each: each.routes)
    return [
        [f"{less.routes:,} to {more.routes:,} routes", *(_slope(less, more, name) for name in _PROCESSES)]
        for less, more in pairwise(sizes)
    ]


def _figures(found: Mapping[str, Found], churn: Churn | None) -> dict[str, float]:
    figures: dict[str, float] = {}
    few, whole, many = (found.get(f"{routes:,} routes, files") for routes in (100, _WHOLE, _MANY))
    for name in _PROCESSES:
        if few and whole:
            figures[f"{name}-slope"] = _slope(few, whole, name)
        if whole and many:
            figures[f"{name}-slope-many"] = _slope(whole, many, name)
    for source in _SOURCES:
        if each := found.get(f"{_WHOLE:,} routes, {source}"):
            figures[f"{source}-mib"] = each.pss_mib[standalone.OPERATOR]
    if churn is not None and churn.routes == _WHOLE:
        figures |= {f"{name}-growth": churn.growth(name) for name in _PROCESSES}
        figures["idle"] = churn.idle[standalone.OPERATOR]
    return figures


_SLOPES = {"slope": "between 100 and 10,000 routes", "slope-many": "between 10,000 and 100,000 routes"}
_GROWTH = (
    "Compiler and emitters by themselves keep the same size to the kilobyte over 60,000 changes; what the rest of the "
    "process gathers is small pieces between what was packed tightly at the start. Freed memory is given back in quiet "
    "times, and all threads take theirs from one place (ADR 21)."
)
_WHERE = {"files": "in files", "api": "in an API server"}
_WHY = {
    standalone.OPERATOR: "Objects kept as text, few members in tuples and resources kept as differences saved 13 KiB a "
    "route (ADR 21). The rest is many small values: cells of the compiler, what is said of each object, and for each "
    "route a scope for Envoy and three resources of the decision snapshot, which are made also for hosts that need no "
    "decision.",
    standalone.ENVOY: "Of 13 KiB of heap that a host of its own takes, 4 are five entries by which its table says what "
    "filters do not, so that nothing passes unjudged where a table says nothing.",
}
BENCHMARK = Benchmark(
    name="memory",
    title="Memory and idle load",
    about="""
Operator and Envoy over a host for each route, in files or in a real API server; 100,000 routes are in few large files
but for 300. Memory is the proportional set size of each process with its children, taken when Envoy has acknowledged
everything, all statuses are written, and the operator has used less than 3 % of a core for three seconds. Envoy has one
worker. What a route takes is the difference of two sizes, divided by the routes between them.

With 10,000 routes in files, both are watched for 20 seconds with nothing to do. Then routes are changed one after the
other, each seen in traffic before the next; growth is from before the first change to when all is quiet again. That
takes five minutes; thirty were promised: `python -m perf memory --seconds 1800` takes them.
""",
    goals={
        **{
            f"{process}-{name}": Goal(
                what=f"memory of {who} a route, {between}", bound=most, unit="KiB", why=_WHY[process]
            )
            for process, who, most in (
                (standalone.OPERATOR, "the operator", 12),
                (standalone.ENVOY, "Envoy", 8),
            )
            for name, between in _SLOPES.items()
        },
        **{
            f"{source}-mib": Goal(
                what=f"memory of the operator, 10,000 routes {where}",
                bound=250,
                unit="MiB",
                why=_WHY[standalone.OPERATOR],
            )
            for source, where in _WHERE.items()
        },
        f"{standalone.OPERATOR}-growth": Goal(
            what="growth of the operator while routes change", bound=5, unit="%", why=_GROWTH
        ),
        f"{standalone.ENVOY}-growth": Goal(what="growth of Envoy while routes change", bound=5, unit="%"),
        "idle": Goal(what="the operator with nothing to do, 10,000 routes", bound=2, unit="% of a core"),
    },
    measure=measure,
    full=Options(routes=(100, 1000, _WHOLE, _MANY), seconds=300),
    smoke=Options(routes=(20, 120), seconds=1, against=("files",)),
)
