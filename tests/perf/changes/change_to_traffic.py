"""How long from a changed file to changed traffic. Run as `python -m perf change_to_traffic`.

Three parts: routes at several sizes, which take turns; routes while other things change all the time; and changes of
other things than routes. `--against` picks shapes (hosts, tenants), `churn` and `kinds`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean

from perf.changes import other_kinds
from perf.changes.changing import Subject, running
from perf.changes.stages import COLUMNS, Stages, stages
from perf.changes.worlds import SHAPES, Probe, World, put
from perf.harness import report
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell
from perf.harness.pairs import ratio, take_turns

_MANY, _APART = 100_000, 300
"""From so many routes on: one shape, few large files, and so many routes in files of their own, each changed once."""
_CHURN_ROUTES = 5000
_ROUTE_EVERY_S, _ENDPOINT_EVERY_S = 1.0, 2.0
_PAUSE_S = 0.03
"""Between changes under churn, so that they see enough of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of one subject."""

    change_ms: Mapping[str, float]
    start_s: float
    stages: Stages
    pss_mib: Mapping[str, float]


def measure(options: Options, tell: Tell) -> Outcome:
    """The parts, one after the other."""
    routes: dict[str, Found] = {}
    ratios: dict[str, float] = {}
    kinds: dict[str, dict[str, float]] = {}
    with asyncio.Runner() as runner:
        for shape in filter(options.wants, SHAPES):
            for sizes in _together(shape, options.routes):
                found, medians = _take_turns(runner, shape, sizes, options, tell)
                routes |= {_label(shape, size): each for size, each in found.items()}
                if {"100", "10000"} <= medians.keys():
                    ratios[shape] = round(ratio(medians, "10000", "100"), 2)
        if options.wants("churn"):
            routes[f"{_churn_routes(options):,} routes, under churn"] = runner.run(_under_churn(options, tell))
        if options.wants("kinds"):
            kinds = runner.run(_of_kinds(options, tell))
    return _outcome(routes, ratios, kinds)


def _label(shape: str, size: int) -> str:
    return f"{size:,} routes, {shape}"


def _together(shape: str, sizes: Sequence[int]) -> list[list[int]]:
    """Sizes that run side by side, the smallest first; the largest by themselves."""
    few = sorted(size for size in sizes if size < _MANY)
    many = [[size] for size in sizes if size >= _MANY and shape == "hosts"]
    return [each for each in (few, *many) if each]


def _take_turns(
    runner: asyncio.Runner, shape: str, sizes: Sequence[int], options: Options, tell: Tell
) -> tuple[dict[int, Found], dict[str, list[float]]]:
    """What each size did, and the median of each of its rounds."""
    subjects: dict[str, Subject] = {}
    samples: dict[str, list[float]] = {str(size): [] for size in sizes}
    stack = contextlib.AsyncExitStack()
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as folder:
        try:
            for size in sizes:
                tell(f"{_label(shape, size)}: starts")
                apart = _APART if size >= _MANY else 0
                context = running(Path(folder) / str(size), shape, size, apart)
                subjects[str(size)] = runner.run(stack.enter_async_context(context))
            before = {size: each.gateway.metrics() for size, each in subjects.items()}
            changes = min(options.changes, _APART) if sizes[0] >= _MANY else options.changes

            def block(size: str) -> float:
                taken = runner.run(subjects[size].changes(max(1, changes // options.rounds)))
                samples[size] += taken
                return report.percentile(taken, 0.5)

            # The largest first: it has just started, and statuses of all its routes are still being judged.
            medians = take_turns([str(size) for size in reversed(sizes)], block, options.rounds)
            found = {size: _found(subjects[str(size)], samples[str(size)], before[str(size)]) for size in sizes}
        finally:
            runner.run(stack.aclose())
    for size, each in found.items():
        tell(f"{_label(shape, size)}: {dict(each.change_ms)}")
    return found, medians


def _found(subject: Subject, samples: Sequence[float], before: Mapping[str, float]) -> Found:
    return Found(
        change_ms=report.summary(samples),
        start_s=subject.start.serves_s,
        stages=stages(before, subject.gateway.metrics(), mean(samples)),
        pss_mib=subject.gateway.memory(),
    )


def _churn_routes(options: Options) -> int:
    return min(_CHURN_ROUTES, max(options.routes))


async def _under_churn(options: Options, tell: Tell) -> Found:
    """Changes of routes while other routes and the endpoints of an Upstream change all the time."""
    routes = _churn_routes(options)
    tell(f"{routes:,} routes, under churn: starts")
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        async with (
            other_kinds.kinds() as kinds,
            running(Path(name), "hosts", routes, more=kinds.write) as subject,
            asyncio.TaskGroup() as group,
        ):
            apart = list(subject.world.apart)
            random.Random(1).shuffle(apart)
            others, apart = apart[: len(apart) // 10], apart[len(apart) // 10 :]
            endpoint = next(kind for kind in kinds.all if kind.name == "endpoint")
            before = subject.gateway.metrics()
            churn = [
                group.create_task(_change_routes(subject.world, others)),
                group.create_task(_change_endpoints(endpoint, Path(name) / "resources")),
            ]
            samples = []
            for number in range(options.changes):
                samples.append(await subject.change(apart[number % len(apart)]))
                await asyncio.sleep(_PAUSE_S)
            found = _found(subject, samples, before)
            for task in churn:
                task.cancel()
    tell(f"{routes:,} routes, under churn: {dict(found.change_ms)}")
    return found


async def _change_routes(world: World, probes: Sequence[Probe]) -> None:
    for generation in count(1):
        await asyncio.sleep(_ROUTE_EVERY_S)
        probe = probes[generation % len(probes)]
        put(probe.file, world.route(probe, generation))


async def _change_endpoints(endpoint: other_kinds.Kind, folder: Path) -> None:
    for generation in count(1):
        await asyncio.sleep(_ENDPOINT_EVERY_S)
        endpoint.write(folder, generation)


async def _of_kinds(options: Options, tell: Tell) -> dict[str, dict[str, float]]:
    """Milliseconds of changes of each kind, beside as many routes as a size below the largest has."""
    routes = max([size for size in options.routes if size < _MANY], default=0)
    if not routes:
        return {}
    found = {}
    tell(f"{routes:,} routes, kinds: starts")
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        async with other_kinds.kinds() as kinds, running(Path(name), "hosts", routes, 1, kinds.write):

            async def write(kind: other_kinds.Kind, generation: int) -> None:
                kind.write(Path(name) / "resources", generation)

            for kind in kinds.all:
                samples = await kind.changes(options.changes, write)
                found[f"{routes:,} routes, {kind.name}"] = report.summary(samples)
                tell(f"{kind.name}: {report.summary(samples)}")
    return found


def _outcome(
    routes: Mapping[str, Found], ratios: Mapping[str, float], kinds: Mapping[str, Mapping[str, float]]
) -> Outcome:
    columns = ["", "p50", "p90", "p99", "slowest", "changes"]
    bars = {**{label: each.change_ms for label, each in routes.items()}, **kinds}
    tables = [
        Table(
            title="From a changed file to the first answer with the new content, ms",
            columns=columns,
            rows=[[label, *each.change_ms.values()] for label, each in routes.items()],
        ),
        Table(
            title="From other changed files to the first answer that shows it, ms",
            columns=columns,
            rows=[[label, *each.values()] for label, each in kinds.items()],
        ),
        Table(
            title="Where the time goes, mean ms",
            columns=["", *COLUMNS],
            rows=[[label, *each.stages] for label, each in routes.items()],
        ),
    ]
    return Outcome(
        figures=_figures(routes, ratios, kinds),
        tables=[table for table in tables if table.rows],
        charts=[
            Chart(
                name="change_to_traffic",
                title="From a changed file to changed traffic",
                unit="ms",
                value="p50",
                tail="p99",
                goal=60,
                bars=[Bar(label=label, value=each["p50"], tail=each["p99"]) for label, each in bars.items()],
            )
        ],
        data={
            **{
                label: {
                    "change_ms": each.change_ms,
                    "start_s": each.start_s,
                    "stages_ms": each.stages._asdict(),
                    "pss_mib": each.pss_mib,
                }
                for label, each in routes.items()
            },
            **{label: {"change_ms": each} for label, each in kinds.items()},
        },
    )


def _figures(
    routes: Mapping[str, Found], ratios: Mapping[str, float], kinds: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    named = {
        **{shape: _label(shape, 10_000) for shape in SHAPES},
        "many": _label("hosts", _MANY),
        "churn": f"{_CHURN_ROUTES:,} routes, under churn",
        **{kind: f"10,000 routes, {kind}" for kind in other_kinds.NAMES},
    }
    percentiles = {**{label: each.change_ms for label, each in routes.items()}, **kinds}
    return {
        f"{name}-{share}": percentiles[label][share]
        for name, label in named.items()
        if label in percentiles
        for share in ("p50", "p99")
    } | {f"{shape}-ratio": figure for shape, figure in ratios.items()}


_PROMISED = {
    **{shape: (f"changed file to traffic, 10,000 routes, {shape}", 15, 60) for shape in SHAPES},
    "many": ("changed file to traffic, 100,000 routes, hosts", 20, 100),
    "churn": ("changed file to traffic, 5,000 routes, under churn", 15, 60),
    **{kind: (f"changed {kind} to traffic, 10,000 routes", 15, 60) for kind in other_kinds.NAMES},
}
_WHY = {
    "many-p50": "Envoy copies a map of all scopes with each one that changes: to apply a change takes it four times as "
    "long as at 10,000 routes. Short names of scopes halved that (ADR 21); Envoy itself would have to change for more.",
}
BENCHMARK = Benchmark(
    name="change_to_traffic",
    title="From a changed file to changed traffic",
    about="""
The operator and Envoy run as processes of their own over the routes; one route after the other is changed. The clock
starts before the new file is written and renamed into place, and stops at the first answer with the new content,
asked for every millisecond over one kept-alive connection. Two shapes: a host for each route, and one host shared by
1,000 tenants of ten routes each, who prove their tenant by token. Sizes up to 10,000 routes run side by side and take
turns, a file for each route. 100,000 routes are in few large files, but for 300 that are changed. The first changes
come as soon as Envoy has acknowledged everything, while the statuses of all routes are still being judged.

*Under churn* another route changes every second and the endpoint of an Upstream every two seconds, all the time. The
other kinds of change are seen by a new TLS handshake, one every 5 ms, that shows the new certificate; by an answer
that names the new budget of a RateLimit; by an AuthPolicy that lets a caller without a token in, or no more; by an
answer of the other endpoint of an Upstream.

Where the time goes is the operator's own measurement (`ff_stage_seconds`, `ff_change_seconds`), as means. The last
column is the rest of what was seen from outside: before the operator noticed the file, and from the acknowledgement
to the first answer. An answer may come before the acknowledgement, so it may be less than nothing.
""",
    goals={
        **{
            f"{name}-{share}": Goal(what=f"{what}, {share}", bound=most, unit="ms", why=_WHY.get(f"{name}-{share}", ""))
            for name, (what, *bounds) in _PROMISED.items()
            for share, most in zip(("p50", "p99"), bounds, strict=True)
        },
        **{
            f"{shape}-ratio": Goal(what=f"change at 10,000 routes to one at 100, {shape}, p50", bound=1.3, unit="x")
            for shape in SHAPES
        },
    },
    measure=measure,
    full=Options(routes=(100, 1000, 10_000, 100_000)),
    smoke=Options(routes=(20,), changes=5, rounds=1),
)
