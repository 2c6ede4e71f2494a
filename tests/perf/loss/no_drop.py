"""Whether changes lose requests. Run as `python -m perf no_drop`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict

from perf.harness.benchmark import Benchmark, Goal, Options, Outcome, Table, Tell
from perf.loss.bulk import bulk
from perf.loss.checked_load import Expected, Target, checked_load
from perf.loss.faults import FAULTS
from perf.loss.kinds import LANES, Kind
from perf.loss.network import possible
from perf.loss.world import FLAGS, Result, World, begin_log, neighbour, result, world

_CHANGE_S = 30.0
_EDIT_S = 0.02
"""Between two edits of a change that takes two."""


async def change(running: World, kind: Kind, changes: int) -> Result:
    """One after the other, as fast as the operator says that all proxies have the last one."""
    expected = Expected(kind.answers)
    place = running.place(kind)
    changed = Target(hosts=kind.hosts, expected=expected, places=lambda: [place], tls=kind.tls, over=kind.over)
    steps = -(-changes // LANES)
    begin_log(running.log)
    async with (
        checked_load(changed, neighbour(running)) as tally,
        bulk(running.gateway.port, kind.hosts[0]) as asked,
    ):
        began = time.perf_counter()
        for version in range(1, steps + 1):
            expected.wanted = version
            before = await asyncio.to_thread(running.sent) if kind.sends else {}
            for files in kind.steps(version):
                running.folder.write(files)
                await asyncio.sleep(_EDIT_S)
            await running.told.until(lambda version=version: kind.told(running.told, version), _CHANGE_S)
            if kind.sends:
                await _until_acknowledged(running, {type_: before[type_] + more for type_, more in kind.sends.items()})
            expected.settled = version if kind.exact else version - 1
        seconds = time.perf_counter() - began
    return result(kind.what, steps * LANES, seconds, tally, asked, running.log)


async def _until_acknowledged(running: World, wanted: Mapping[str, int]) -> None:
    async with asyncio.timeout(_CHANGE_S):
        while True:
            sent = await asyncio.to_thread(running.sent)
            if all(sent[type_] >= count for type_, count in wanted.items()):
                return
            await asyncio.sleep(_EDIT_S)


async def _measure(routes: int, options: Options, tell: Tell) -> dict[str, Result]:
    found: dict[str, Result] = {}

    def keep(name: str, one: Result) -> None:
        found[f"{routes:,} routes, {name}"] = one
        tell(f"{routes:,} routes, {name}: {one.changes} in {one.seconds} s, lost {one.losses}, flags {one.flags}")

    tell(f"{routes:,} routes: starts")
    async with world(routes) as running:
        for name, kind in running.kinds.items():
            if options.wants(name) and name not in FAULTS:
                keep(name, await change(running, kind, options.changes))
        for name, fault in FAULTS.items():
            if options.wants(name) and (name != "envoy" or possible()):
                keep(name, await fault(running, options.changes))
    return found


def measure(options: Options, tell: Tell) -> Outcome:
    """Every kind of change at each size."""
    found: dict[str, Result] = {}
    for routes in options.routes:
        found |= asyncio.run(_measure(routes, options, tell))
    figures = {}
    for size in (10, 10_000):
        of = [each for label, each in found.items() if label.startswith(f"{size:,} routes,")]
        if of:
            figures |= {
                f"lost-{size}": sum(each.lost for each in of),
                f"flags-{size}": sum(each.flagged for each in of),
            }
    return Outcome(
        figures=figures,
        tables=[
            Table(
                title="Requests while things change",
                columns=["", "changes", "seconds", "requests", "lost", " ".join(FLAGS)],
                rows=[[f"{label.rpartition(',')[0]}: {each.what}", *each.counts] for label, each in found.items()],
            )
        ],
        charts=[],
        data={label: asdict(each) for label, each in found.items()},
    )


BENCHMARK = Benchmark(
    name="no_drop",
    title="Requests lost by changes",
    about="""
Each kind of change is made again and again, as fast as the operator says that it is Programmed, four objects at a time,
while clients ask the routes that change, and a neighbour that does not: HTTP/1.1 over kept and over new connections,
HTTP/2, gRPC, and WebSockets, some of which must live from the first change to the last. Every answer is judged: it is
lost when the connection breaks, when the status is not 200, and when it is of another route, or of a version older than
the one that was Programmed when it was asked for. Nothing is tried twice. h2load asks for more over HTTP/1.1 and 2; of
those only the status is looked at. Flags are those of Envoy's access log: NC (no cluster), UH (no healthy upstream),
UF (no connection to it), NR (no route). Envoy has two threads.

Where the certificate changes, clients speak TLS, and new connections must be shown the newest one or the one before.
The operator is killed once in fifty changes of the other kinds, and an Envoy comes and goes once in a hundred, for an
operator takes seconds to start; one route is edited meanwhile. The second Envoy has a network of its own: it is asked
as soon as it says that it is ready; once it drains no new connections go there, as a Service does it, while those that
are there go on until Envoy sends them away.
""",
    goals={
        f"{name}-{size}": Goal(what=f"{what}, {size:,} routes", bound=0, unit="")
        for size in (10, 10_000)
        for name, what in (("lost", "requests lost by changes"), ("flags", "requests flagged NC, UH, UF or NR"))
    },
    measure=measure,
    full=Options(routes=(10, 10_000), changes=1000),
    smoke=Options(routes=(10,), changes=8, against=("swap", "filter")),
)
