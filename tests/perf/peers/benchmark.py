"""FastForward beside other gateways. Run as `python -m perf peers`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import median

from perf.harness import report
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell
from perf.harness.pairs import ratio, take_turns

from .contour import CONTOUR
from .envoy_gateway import ENVOY_GATEWAY
from .fastforward import FASTFORWARD
from .peer import Peer
from .probe import Change, Run, run
from .traefik import TRAEFIK

_PEERS = {each.name: each for each in (FASTFORWARD, CONTOUR, ENVOY_GATEWAY, TRAEFIK)}
_OURS = FASTFORWARD.name
_SIZES = (100, 1000, 3000)
Runs = Mapping[str, Sequence[Run]]
"""The runs of each peer, one a round, over so many routes."""


def _times(changes: Iterable[Change], share: float) -> float:
    return report.percentile([each.ms for each in changes], share)


_RATIOS: Mapping[str, tuple[str, Callable[[Run], float]]] = {
    "create-p50": ("new route to traffic, p50", lambda found: _times(found.created, 0.5)),
    "create-p99": ("new route to traffic, p99", lambda found: _times(found.created, 0.99)),
    "change-p50": ("changed route to traffic, p50", lambda found: _times(found.changed, 0.5)),
    "change-p99": ("changed route to traffic, p99", lambda found: _times(found.changed, 0.99)),
    "memory": ("memory of both planes", lambda found: found.control_mib + found.envoy_mib),
}
_WHYS = {
    "memory": "The control plane is Python, whose interpreter and libraries are there before the first route: with a "
    "hundred of them 95 MiB, where Contour, in Go, takes 73. A further route takes some 24 KiB here and 19 there, and "
    "both Envoys are of one size. What a route takes was brought down by packing resources and sharing values.",
}
_COUNTS: Mapping[str, tuple[str, Callable[[Run], int]]] = {
    "lost": ("lost requests during changes", lambda found: found.lost),
    "early": ("changes said to be in force before they were", lambda found: found.early),
}


def measure(options: Options, tell: Tell) -> Outcome:
    """Each peer at each size, taking turns."""
    peers = [each for name, each in _PEERS.items() if options.wants(name)]
    versions = {each.name: each.version() for each in peers}
    tell(f"versions: {versions}")
    found = {routes: _measure(peers, routes, options, tell) for routes in options.routes}
    figures: dict[str, float] = {}
    for routes, runs in found.items():
        figures |= _figures(routes, runs)
    return Outcome(
        figures=figures,
        tables=[_traffic(found), _cost(found), _status(found)],
        charts=[
            _chart("peers_create", "From a new route to the first 200", found, lambda each: each.created),
            _chart("peers_change", "From a changed route to changed traffic", found, lambda each: each.changed),
        ],
        data={
            "versions": versions,
            "runs": {
                f"{routes:,} routes, {name}": [_kept(each) for each in rounds]
                for routes, runs in found.items()
                for name, rounds in runs.items()
            },
        },
    )


def _measure(peers: Sequence[Peer], routes: int, options: Options, tell: Tell) -> Runs:
    def once(name: str) -> Run:
        tell(f"{routes:,} routes, {name}: starts")
        return asyncio.run(run(_PEERS[name], routes, options.changes))

    return take_turns([each.name for each in peers], once, options.rounds)


def _figures(routes: int, runs: Runs) -> dict[str, float]:
    """How we are to the best of the others; nothing for sizes without a goal, and where nobody else was measured."""
    others = [name for name in runs if name != _OURS]
    if routes not in _SIZES or _OURS not in runs or not others:
        return {}
    figures: dict[str, float] = {}
    for name, (_, of) in _RATIOS.items():
        taken = {each: [of(found) for found in rounds] for each, rounds in runs.items()}
        figures[f"{routes}-{name}"] = round(max(ratio(taken, _OURS, other) for other in others), 3)
    for name, (_, count) in _COUNTS.items():
        sums = {each: sum(map(count, rounds)) for each, rounds in runs.items()}
        figures[f"{routes}-{name}"] = sums[_OURS] - min(sums[other] for other in others)
    return figures


def _all(rounds: Sequence[Run], of: Callable[[Run], Sequence[Change]]) -> list[Change]:
    return [change for found in rounds for change in of(found)]


def _rows(
    found: Mapping[int, Runs], cells: Callable[[Sequence[Run]], Sequence[str | float]]
) -> list[list[str | float]]:
    return [
        [f"{routes:,} routes, {name}", *cells(rounds)]
        for routes, runs in found.items()
        for name, rounds in runs.items()
    ]


def _traffic(found: Mapping[int, Runs]) -> Table:
    def cells(rounds: Sequence[Run]) -> list[str | float]:
        created, changed = _all(rounds, lambda each: each.created), _all(rounds, lambda each: each.changed)
        return [
            *(_times(changes, share) for changes in (created, changed) for share in (0.5, 0.99)),
            len(created) + len(changed),
            sum(each.lost for each in rounds),
            sum(sum((each.steady + each.switched).values()) for each in rounds),
        ]

    return Table(
        title="From a request to the API server to traffic, ms, and requests that were lost meanwhile",
        columns=["", "new: p50", "p99", "changed: p50", "p99", "changes", "lost", "of requests"],
        rows=_rows(found, cells),
    )


def _cost(found: Mapping[int, Runs]) -> Table:
    def cells(rounds: Sequence[Run]) -> list[str | float]:
        return [
            median(each.control_mib for each in rounds),
            median(each.envoy_mib for each in rounds),
            1e3 * median(each.control_cpu_s for each in rounds),
            1e3 * median(each.envoy_cpu_s for each in rounds),
        ]

    return Table(
        title="Memory (proportional set size), MiB, and processor time, ms a change; Traefik's is of both planes",
        columns=["", "control plane", "Envoy", "processor, control plane", "Envoy"],
        rows=_rows(found, cells),
    )


def _status(found: Mapping[int, Runs]) -> Table:
    def cells(rounds: Sequence[Run]) -> list[str | float]:
        changes = [change for found in rounds for change in (*found.created, *found.changed)]
        apart = [change.told_ms - change.ms for change in changes if change.told_ms is not None]
        return [
            sum(each.early for each in rounds),
            len(changes) - len(apart),
            median(apart) if apart else "none",
            median(each.serving_s for each in rounds),
            _settled([each.attached_s for each in rounds]),
            _settled([each.told_s for each in rounds]),
        ]

    return Table(
        title="What the status says: of single changes, and after all routes were created at once",
        columns=[
            "",
            "too early",
            "not within 2 s",
            "p50 after traffic, ms",
            "last one serves, s",
            "attachedRoutes right, s",
            "all have their status, s",
        ],
        rows=_rows(found, cells),
    )


def _settled(seconds: Sequence[float | None]) -> float | str:
    known = [each for each in seconds if each is not None]
    return median(known) if len(known) == len(seconds) else "not in 45 s"


def _chart(name: str, title: str, found: Mapping[int, Runs], of: Callable[[Run], Sequence[Change]]) -> Chart:
    return Chart(
        name=name,
        title=title,
        unit="ms",
        value="p50",
        tail="p99",
        bars=[
            Bar(
                label=f"{routes:,} routes, {peer}",
                value=_times(_all(rounds, of), 0.5),
                tail=_times(_all(rounds, of), 0.99),
            )
            for routes, runs in found.items()
            for peer, rounds in runs.items()
        ],
    )


def _kept(found: Run) -> dict[str, object]:
    changes = {
        name: report.summary([each.ms for each in made])
        for name, made in (("created", found.created), ("changed", found.changed))
    }
    # asdict makes other Counters out of Counters.
    answers = {"steady": dict(found.steady), "switched": dict(found.switched)}
    return asdict(found) | changes | answers | {"lost": found.lost, "early": found.early}


BENCHMARK = Benchmark(
    name="peers",
    title="Beside other gateways",
    about="""
Each gateway runs alone with an API server and etcd, over so many HTTPRoutes with a host each, in turns; the same
documents of Gateway API for all, and the same program that measures. Those that configure an Envoy are given the same
Envoy with one worker; Traefik serves by itself. Each has the configuration that its documentation recommends
(`tests/perf/peers`), nothing tuned; Traefik so takes no change for 2 s after another.

A **new** route is timed from before the POST to the first 200, asked for every millisecond over a kept-alive
connection; a **changed** one, led from one Service to another, from before the PATCH to the first answer from there.
Random pauses of up to half a second, the same for all, are between changes. Meanwhile two clients ask the other routes
steadily. **Lost** are all answers but 200 to those, and to the route that is being led elsewhere. A change was said to
be in force **too early** when a request was not answered so that was sent after the API server had told us of the
status: Programmed where an implementation says that of routes, Accepted with ResolvedRefs elsewhere. By the letter of
the API, Accepted promises no traffic, but nothing else tells a user of these when it has come.

Figures are ours to those of the best of the others, in the median over the rounds; counts are the difference.
""",
    goals={
        **{
            f"{routes}-{name}": Goal(
                what=f"{what}, {routes:,} routes, ours to the best peer's", bound=1, unit="", why=_WHYS.get(name, "")
            )
            for routes in _SIZES
            for name, (what, _) in _RATIOS.items()
        },
        **{
            f"{routes}-{name}": Goal(
                what=f"{what}, {routes:,} routes, ours more than the best peer's", bound=0, unit=""
            )
            for routes in _SIZES
            for name, (what, _) in _COUNTS.items()
        },
    },
    measure=measure,
    full=Options(routes=_SIZES, changes=12, rounds=2),
    smoke=Options(routes=(20,), changes=1, rounds=1, against=(_OURS, TRAEFIK.name)),
    apart=True,
    of_clusters=True,
)
