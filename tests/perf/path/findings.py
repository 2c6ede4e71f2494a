"""What the request path benchmark promises, and what it makes of what was measured.

In: Found. Out: figures, tables, pictures. Called by request_path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

from perf.harness.benchmark import Bar, Chart, Goal, Table
from perf.harness.pairs import difference, ratio
from perf.path.subjects import SUBJECTS

FEATURES, FLAT = "features", "flat"
HTTP2 = ("bare", "native", "hop", "traefik")
GROUPS: Mapping[tuple[str, ...], Sequence[str]] = {
    ("native", "native-jwt"): ("bare", "by-hand", "native", "by-hand-jwt", "native-jwt", "traefik"),
    ("hop",): ("bare", "hop", "hop-redis"),
}
"""Whose latencies are compared, at half of what the slowest of the former took in the closed loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One closed loop."""

    rate: float
    """Requests a second."""
    used_us: Mapping[str, float]
    """Processor time a request, by process."""
    hops: float
    """Requests to the decision service, a request."""

    @property
    def cpu_us(self) -> float:
        """Of all processes that a request passes, but the upstream."""
        return sum(self.used_us.values())


Runs = dict[str, list[Run]]


@dataclass(slots=True)
class Found:
    """All that was measured: by subject, a value a round."""

    http1: Runs = field(default_factory=dict)
    http2: Runs = field(default_factory=dict)
    latencies: dict[str, dict[str, list[dict[str, float]]]] = field(default_factory=dict)
    """By the first name of the group; microseconds."""
    rates: dict[str, float] = field(default_factory=dict)
    """By the first name of the group: requests a second of the open loop."""
    alone: Runs = field(default_factory=dict)
    flat: dict[str, Runs] = field(default_factory=dict)
    """By size; subjects are the first route and the last."""


_FEATURES = (
    "The features themselves cost: written by hand they reach less than that as well. Beside them a request passes "
    "filters that other routes may need, and its host's table is found by headers that are set first. Tried: a trace "
    "context without Lua (done: 5 us a request less), Retry-After without an expression (done: 8 us less), leaving out "
    "filters that no route of a host wants (2 to 3 us, for 0.75 KiB a table and filter), plain routes instead of a "
    "tree, one table instead of scopes (nothing that can be told apart). ADR 22 counts the instructions: bare Envoy's "
    "160 thousand a request become 199 by hand and 273 here, of which 30 are the features themselves."
)
_HOP = (
    "Asking costs Envoy itself 60 us, even when another Envoy answers at once, more than all else that it does; the "
    "decision takes some 100 us of Python. Tried: fewer headers each way, no retries, no clearing of the route "
    "(nothing that can be told apart), a Unix socket, a protocol of our own instead of ASGI (done, ADR 8)."
)
_BESIDE = (
    "Load, proxy and upstream share two cores, and each wake-up of a virtual processor takes tens of microseconds: "
    "bare Envoy's own times differ by more than this from run to run. Most of the rest is what the features and the "
    "trace context take, seen through queues."
)
GOALS = {
    "native": Goal(
        what="native path (header work, admission, limit), of bare Envoy's requests/s",
        bound=92,
        unit="%",
        least=True,
        why=_FEATURES,
    ),
    "native-jwt": Goal(
        what="native path with RS256 JWT, of bare Envoy's requests/s", bound=85, unit="%", least=True, why=_FEATURES
    ),
    "native-hand": Goal(what="native path, of the same written by hand", bound=99, unit="%", least=True, why=_FEATURES),
    "native-jwt-hand": Goal(
        what="native path with JWT, of the same written by hand", bound=99, unit="%", least=True, why=_FEATURES
    ),
    "native-p50": Goal(what="native path, added p50 at half load", bound=50, unit="us", why=_BESIDE),
    "native-p99": Goal(what="native path, added p99 at half load", bound=250, unit="us", why=_BESIDE),
    "native-jwt-p50": Goal(what="native path with JWT, added p50 at half load", bound=50, unit="us", why=_BESIDE),
    "native-jwt-p99": Goal(what="native path with JWT, added p99 at half load", bound=250, unit="us", why=_BESIDE),
    "native-hops": Goal(what="decisions a request where native suffices", bound=0, unit=""),
    "hop": Goal(
        what="decision hop (API key, tenant, roles, exact limit), of bare Envoy's requests/s",
        bound=45,
        unit="%",
        least=True,
        why=_HOP,
    ),
    "hop-p50": Goal(what="decision hop, added p50 at half load", bound=700, unit="us", why=_HOP),
    "hop-hops": Goal(what="decisions a request where one is needed", bound=1, unit=""),
    "flat-hosts": Goal(what="requests/s of route 100,000, of those of route 1", bound=95, unit="%", least=True),
    "flat-paths": Goal(
        what="requests/s of path 10,000 of one host, of those of path 1", bound=95, unit="%", least=True
    ),
}


def figures(found: Found) -> dict[str, float]:
    """Of the goals that were measured."""
    made = {**_shares(found.http1), **_delays(found.latencies)}
    for name in ("native", "hop"):
        if name in found.http1:
            # Requests on their way when a loop ends have been decided, but not counted: some in ten thousand.
            made[f"{name}-hops"] = round(max(run.hops for run in found.http1[name]), 1)
    for size, goal in (("100,000 hosts", "flat-hosts"), ("10,000 paths", "flat-paths")):
        if size in found.flat:
            made[goal] = share(found.flat[size], "last", "first")
    return made


def _shares(runs: Runs) -> dict[str, float]:
    compared = {
        "native": ("native", "bare"),
        "native-jwt": ("native-jwt", "bare"),
        "hop": ("hop", "bare"),
        "native-hand": ("native", "by-hand"),
        "native-jwt-hand": ("native-jwt", "by-hand-jwt"),
    }
    return {goal: share(runs, of, to) for goal, (of, to) in compared.items() if of in runs and to in runs}


def _delays(latencies: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> dict[str, float]:
    made = {
        f"{name}-{percentile}": added(group, name, percentile)
        for group in latencies.values()
        for name in group
        if name != "bare"
        for percentile in ("p50", "p99")
    }
    return {name: figure for name, figure in made.items() if name in GOALS}


def share(runs: Runs, of: str, to: str) -> float:
    """Requests/s of one subject, as per cent of another's."""
    rates = {name: [run.rate for run in made] for name, made in runs.items()}
    return round(100 * ratio(rates, of, to), 1)


def added(group: Mapping[str, Sequence[Mapping[str, float]]], name: str, percentile: str) -> float:
    """What a percentile exceeds bare Envoy's by, microseconds."""
    figures = {each: [seen[percentile] for seen in rounds] for each, rounds in group.items()}
    return round(difference(figures, name, "bare"), 1)


def tables(found: Found) -> list[Table]:
    """For people."""
    made = [
        _throughput("HTTP/1.1: 32 connections, as fast as answers come", found.http1, SUBJECTS),
        _throughput("HTTP/2: 4 connections with 8 streams each", found.http2, SUBJECTS),
    ]
    for name, group in found.latencies.items():
        rows = [
            [
                SUBJECTS[each],
                *(median(seen[kind] for seen in rounds) for kind in ("p50", "p90", "p99")),
                *(("", "") if each == "bare" else (added(group, each, "p50"), added(group, each, "p99"))),
            ]
            for each, rounds in group.items()
        ]
        title = f"Latency at {found.rates[name]:,.0f} requests/s, an open loop, us"
        made.append(Table(title=title, columns=["", "p50", "p90", "p99", "added p50", "added p99"], rows=rows))
    if found.alone:
        made.append(_throughput("FastForward with one feature at a time", found.alone, {}))
    if found.flat:
        made.append(_flat(found.flat))
    return [table for table in made if table.rows]


def _throughput(title: str, runs: Runs, labels: Mapping[str, str]) -> Table:
    rows = [
        [
            labels.get(name, name),
            round(median(run.rate for run in made)),
            share(runs, name, "bare"),
            round(median(run.cpu_us for run in made), 1),
            _parts(made),
            round(max(run.hops for run in made), 1),
        ]
        for name, made in runs.items()
    ]
    columns = ["", "requests/s", "% of bare", "CPU us a request", "of which", "decisions a request"]
    return Table(title=title, columns=columns, rows=rows)


def _parts(runs: Sequence[Run]) -> str:
    names = runs[0].used_us
    return ", ".join(f"{name} {median(run.used_us[name] for run in runs):.0f}" for name in names if len(names) > 1)


def _flat(flat: Mapping[str, Runs]) -> Table:
    rows = [
        [
            size,
            *(round(median(run.rate for run in runs[end])) for end in ("first", "last")),
            share(runs, "last", "first"),
            *(round(median(run.cpu_us for run in runs[end]), 1) for end in ("first", "last")),
        ]
        for size, runs in flat.items()
    ]
    columns = ["", "first: requests/s", "last: requests/s", "%", "first: CPU us", "last: CPU us"]
    return Table(title="The first and the last route", columns=columns, rows=rows)


def charts(found: Found) -> list[Chart]:
    """Shares of what bare Envoy takes."""
    bars = [
        Bar(label=SUBJECTS[name].partition(":")[0] + f" ({name})", value=share(found.http1, name, "bare"))
        for name in found.http1
    ]
    return [Chart(name="request_path", title="Requests/s, of bare Envoy's", unit="%", bars=bars)]


def data(found: Found) -> dict[str, object]:
    """For programs."""
    return asdict(found)


ABOUT = """
Each proxy has one worker (Traefik: `GOMAXPROCS=1`) and passes requests on to the same upstream, an Envoy that answers
200 bytes; all run side by side and are loaded one at a time, in turns. *Bare* is an Envoy with one listener, one route
and nothing else. *Written by hand* is what somebody who knows Envoy would write for the same features: a path below a
prefix on one host, three changes of headers each way, a network that is refused, a token bucket, and where it says so
tokens signed with RS256, verified ones cached. Before it is measured, every subject must have refused what each of its
features refuses. Any request that fails while it is measured ends the benchmark.

CPU is what proxy, decision service and Redis use, by the kernel's count, without load generator and upstream. All of
them share the cores: a share of requests/s depends on how many cores there are, CPU does not. Decisions a request are
the proxy's own count of requests to the decision service. The decision service has one worker and listens on a Unix
socket. Without access log, unless it says so.

Latencies are of requests sent at times fixed beforehand, the same for all of a table, at half of what the slowest
FastForward of the table took; *added* is the median over the rounds of what a percentile exceeds bare Envoy's by.
"""
