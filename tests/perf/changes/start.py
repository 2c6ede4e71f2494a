"""How long from the start of the processes until everything is served, and what a restart costs.

Run as `python -m perf start`. The routes are in files, or in a real API server; `--against` picks `files` and `api`.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from perf import api_server
from perf.changes.changing import START_S, Client, Start, running, start, until_settled
from perf.changes.restarts import Product, Restart, restart_twice
from perf.changes.worlds import Probe, put
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell

_MANY, _APART = 100_000, 300
"""From so many routes on they are in few large files, so many of them apart; no API server is asked to hold them."""
_SECOND = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of one subject."""

    start: Start
    last_s: float
    """To the first answer of the last route, from when the operator spoke."""
    parse_compile_s: float
    """From the first resource seen until all are published, without the next."""
    emit_s: float
    restart: Restart
    pss_mib: Mapping[str, float]


@contextlib.asynccontextmanager
async def _from_files(folder: Path, routes: int) -> AsyncGenerator[Product]:
    async with running(folder, "hosts", routes, _APART if routes >= _MANY else 0) as subject:

        async def write(probe: Probe, generation: int) -> None:
            put(probe.file, subject.world.route(probe, generation))

        yield Product(gateway=subject.gateway, world=subject.world, start=subject.start, write=write)


@contextlib.asynccontextmanager
async def _from_api(folder: Path, routes: int) -> AsyncGenerator[Product]:
    async with api_server.setting(folder, "hosts", routes) as (api, kubectl, gateway, world):
        before = api_server.writes(kubectl)
        started = await start(gateway, Client(gateway.port), world.probes[-1])
        await until_settled(gateway)
        yield Product(
            gateway=gateway,
            world=world,
            start=started,
            write=lambda probe, generation: api_server.patch(api, world, probe, generation),
            statuses=lambda: api_server.writes(kubectl) - before,
        )


_SOURCES = {"files": _from_files, "api": _from_api}


def measure(options: Options, tell: Tell) -> Outcome:
    """Each source at each size."""
    found: dict[str, Found] = {}
    for source in filter(options.wants, _SOURCES):
        for routes in options.routes:
            if source == "files" or routes < _MANY:
                label = f"{routes:,} routes, {source}"
                tell(f"{label}: starts")
                found[label] = asyncio.run(_measure(source, routes, tell))
                tell(f"{label}: {found[label]}")
    return _outcome(found)


async def _measure(source: str, routes: int, tell: Tell) -> Found:
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        async with _SOURCES[source](Path(name), routes) as product:
            tell(f"serves: {product.start}")
            metrics = product.gateway.metrics()
            emit_s = sum(metrics[f'ff_stage_seconds_sum{{stage="{stage}"}}'] for stage in ("emit", "publish"))
            published_s = metrics['ff_change_seconds_sum{stage="published"}']
            await _until_told(product, routes)
            memory = product.gateway.memory()
            tell("restarts")
            return Found(
                start=product.start,
                last_s=round(product.start.serves_s - product.start.speaks_s, 2),
                parse_compile_s=round(published_s - emit_s, 2),
                emit_s=round(emit_s, 2),
                restart=await restart_twice(product),
                pss_mib=memory,
            )


async def _until_told(product: Product, routes: int) -> None:
    """Until an API server has a status of every route: a restart has none to write then."""
    async with asyncio.timeout(START_S + routes / 50):
        while product.statuses is not None and product.statuses() < routes:  # noqa: ASYNC110 - as it is asked for
            await asyncio.sleep(_SECOND)
    await asyncio.sleep(_SECOND)


def _outcome(found: Mapping[str, Found]) -> Outcome:
    return Outcome(
        figures=_figures(found),
        tables=[
            Table(
                title="From the start of the processes, s",
                columns=["", "speaks", "serves the last route", "between", "read, parse, compile", "emit"],
                rows=[
                    [label, each.start.speaks_s, each.start.serves_s, each.last_s, each.parse_compile_s, each.emit_s]
                    for label, each in found.items()
                ],
            ),
            Table(
                title="Restarts of the operator under an Envoy that goes on",
                columns=[
                    *("", "sent again", "changed by Envoy", "statuses written", "requests", "failed"),
                    *("change while it was away, s", "slowest change after, s"),
                ],
                rows=[[label, *_row(each.restart)] for label, each in found.items()],
            ),
        ],
        charts=[
            Chart(
                name="start",
                title="From the operator's first word to the answer of the last route",
                unit="s",
                goal=5,
                bars=[Bar(label=label, value=each.last_s) for label, each in found.items()],
            )
        ],
        data={label: asdict(each) for label, each in found.items()},
    )


def _row(each: Restart) -> list[str | float]:
    statuses = "" if each.statuses is None else each.statuses
    return [each.resent, each.taken, statuses, each.asked, each.failed, each.missed_s, each.change_s]


def _figures(found: Mapping[str, Found]) -> dict[str, float]:
    """Those of restarts are the worst of all subjects."""
    figures: dict[str, float] = {}
    for source in _SOURCES:
        if each := found.get(f"10,000 routes, {source}"):
            figures |= {f"{source}-last": each.last_s, f"{source}-compile": each.parse_compile_s}
            figures[f"{source}-change"] = each.restart.change_s
    restarts = [each.restart for each in found.values()]
    if restarts:
        figures["resent"] = max(max(each.resent, each.taken) for each in restarts)
        figures["failed"] = sum(each.failed for each in restarts)
    statuses = [each.statuses for each in restarts if each.statuses is not None]
    if statuses:
        figures["statuses"] = max(statuses)
    return figures


_WHY = (
    "All of it is Python on one core: of 10,000 files reading, parsing, validating take 1.9 s, compiling 1.6, making "
    "Envoy's resources 0.8 and those of decision services 0.6, alone on the machine; then Envoy takes two seconds to "
    "take them in. Tried: events of the C parser instead of its constructors, the collector off while a large step is "
    "compiled, one serialisation for what many tables share (all done). Not tried: a second process that parses; "
    "resources of decision services only for hosts that ask for decisions."
)
_WHERE = {"files": "in files", "api": "in an API server"}
BENCHMARK = Benchmark(
    name="start",
    title="Start and restart",
    about="""
Operator and Envoy start over routes that are there, a host for each: in files (a file a Route; 100,000 routes in few
large files but for 300), or in a real API server (etcd, kube-apiserver, `--unsafe-no-fsync`, on the same machine).
The operator *speaks* when its API first answers: the interpreter is up and everything is imported, but no resource
has been read. From then to the first correct answer of the last route is what is promised; reading files, and listing
the API server, are in it, although the promise begins when the list has returned. *Read, parse, compile* is from the
first resource that the operator saw until all were published, less what it spent on making Envoy's resources and
handing them over (`ff_change_seconds`, `ff_stage_seconds`): the remaining pages of an API server's list are in it.

Then the operator is stopped and started again, twice, while Envoy goes on and is asked 200 times a second, at most,
for routes that do not change. The first time nothing has changed: what was sent again is the operator's count of
resources sent on Envoy's new stream (`/v1/proxies`, `told`), and Envoy's own of what it changed (`listener_added`,
`_modified`, `_removed`, the same of clusters, `config_reload` of scoped routes), three seconds after all was
acknowledged; statuses are counted by the API server. The second time a route changes while the operator is away; and
50 change one after the other from the moment it says that it is ready, the slowest of which is told.
""",
    goals={
        **{
            f"{source}-{name}": Goal(what=f"{what}, 10,000 routes {where}", bound=most, unit="s", why=_WHY)
            for source, where in _WHERE.items()
            for name, what, most in (
                ("last", "start: last route serves", 5),
                ("compile", "start: parse and compile", 2),
                ("change", "slowest change at once after a restart", 1),
            )
        },
        "resent": Goal(what="restart: resources sent again to a connected Envoy", bound=0, unit=""),
        "statuses": Goal(what="restart: statuses written", bound=0, unit=""),
        "failed": Goal(what="restart: failed requests", bound=0, unit=""),
    },
    measure=measure,
    full=Options(routes=(10_000, 100_000)),
    smoke=Options(routes=(120,), against=("files",)),
)
