"""How many decisions a second the decision service makes. Run as `python -m perf decisions`.

`--routes` are sizes of the snapshot (decision_sizes), `--against` takes names of SERVICES.
"""

from __future__ import annotations

import asyncio
import http.client
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from perf.harness import usage
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell
from perf.harness.load import Ask, wrk
from perf.harness.pairs import take_turns
from perf.path.sizes import Size, SizedWorld, size_of
from perf.path.subjects import ask
from support.entrypoint import running_entrypoint
from support.processes import free_ports
from support.redis import RedisServer, running_redis
from support.snapshot_server import SnapshotServer

_START_S = 180.0
_CONNECTIONS = 32
_MOST_FAILED = 0.01
"""More than this share, and it is no measurement of decisions."""
SERVICES: Mapping[str, tuple[int, bool]] = {"process": (1, False), "redis": (1, True), "redis-2": (2, True)}
"""Workers, and whether Redis counts; in process only one worker can count exactly."""
_TITLES = {
    "process": "1 worker, counted in process",
    "redis": "1 worker, counted in Redis",
    "redis-2": "2 workers, counted in Redis",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """A decision service that serves."""

    port: int
    pid: int
    redis: int | None
    asks: list[Ask]

    def used_s(self) -> tuple[float, float]:
        """Processor time of its processes, and of its Redis."""
        return usage.processor_s([self.pid]), usage.processor_s([] if self.redis is None else [self.redis])


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One closed loop."""

    rate: float
    """Decisions a second."""
    cpu_us: float
    """Processor time a decision, of the service."""
    redis_us: float
    failed: int
    """Decisions that were no 200: Redis, or the machine, was away for longer than 0.4 s."""

    @property
    def a_core(self) -> float:
        """Decisions for each second of processor time that the service used."""
        return 1e6 / self.cpu_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One service with one snapshot."""

    service: str
    size: Size
    runs: list[Run]
    start_s: float
    memory_mib: float
    """After the runs, all its processes."""


def measure(options: Options, tell: Tell) -> Outcome:
    """All services at each size."""
    found = [each for routes in options.routes for each in asyncio.run(_measure(size_of(routes), options, tell))]
    return Outcome(
        figures={
            f"{each.service}-{each.size.routes}": round(median(run.a_core for run in each.runs))
            for each in found
            if f"{each.service}-{each.size.routes}" in GOALS
        },
        tables=[_table(found)],
        charts=[
            Chart(
                name="decisions",
                title="Decisions/s a core",
                unit="",
                goal=6000,
                bars=[
                    Bar(
                        label=f"{each.service}, {each.size.routes:,} routes",
                        value=round(median(run.a_core for run in each.runs)),
                    )
                    for each in found
                ],
            )
        ],
        data={f"{each.service}, {each.size.routes:,} routes": asdict(each) for each in found},
    )


async def _measure(size: Size, options: Options, tell: Tell) -> list[Found]:
    """The snapshot is served from here, the services and Redis are processes of their own."""
    world = SizedWorld(size)
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        operator = f"unix:{folder}/operator.sock"
        async with SnapshotServer(world.resources()).serving(operator):
            return await asyncio.to_thread(_measure_all, world, size, folder, operator, options, tell)


def _measure_all(
    world: SizedWorld, size: Size, folder: Path, operator: str, options: Options, tell: Tell
) -> list[Found]:
    with ExitStack() as running:
        services: dict[str, _Service] = {}
        starts: dict[str, float] = {}
        for name in filter(options.wants, SERVICES):
            began = time.perf_counter()
            services[name] = running.enter_context(_serving(name, folder / name, operator, world))
            starts[name] = round(time.perf_counter() - began, 1)
            tell(f"{size}: {name} serves after {starts[name]} s")

        def run(name: str) -> Run:
            made = _run(name, services[name], options.seconds)
            tell(f"{name}: {made.rate:,.0f} decisions/s, {made.cpu_us:.0f} us")
            return made

        runs = take_turns(list(services), run, options.rounds)
        return [
            Found(
                service=name,
                size=size,
                runs=runs[name],
                start_s=starts[name],
                memory_mib=usage.memory_mib([services[name].pid]),
            )
            for name in services
        ]


def _run(name: str, service: _Service, seconds: float) -> Run:
    before = service.used_s()
    seen = wrk(service.port, service.asks, max(1, round(seconds)), _CONNECTIONS)
    after = service.used_s()
    if seen.failed > seen.requests * _MOST_FAILED or not seen.requests:
        raise RuntimeError(f"{name}: {seen.failed} of {seen.requests} decisions failed")
    own, redis = ((late - early) / seen.requests * 1e6 for late, early in zip(after, before, strict=True))
    return Run(rate=seen.rate, cpu_us=own, redis_us=redis, failed=seen.failed)


@contextmanager
def _serving(name: str, folder: Path, operator: str, world: SizedWorld) -> Generator[_Service]:
    """A service that has answered as it must, whichever worker was asked."""
    workers, counts_in_redis = SERVICES[name]
    folder.mkdir()
    [port] = free_ports(1)
    with _redis(folder, wanted=counts_in_redis) as redis:
        settings = {"LISTEN": f"127.0.0.1:{port}", "NODE": name, "WORKERS": str(workers)}
        if redis is not None:
            settings |= {"REDIS_URL": redis.url, "REDIS_DEADLINE_SECONDS": "0.4"}
        with running_entrypoint(folder, operator, **settings) as entrypoint:
            for number in range(workers):
                wait_until_ready(entrypoint.health_port + number)
            _prove(port, world)
            if entrypoint.process is None or (redis is not None and redis.process is None):
                raise RuntimeError(f"{name} is not running")
            pid = redis.process.pid if redis is not None and redis.process is not None else None
            yield _Service(port=port, pid=entrypoint.process.pid, redis=pid, asks=world.asks())


@contextmanager
def _redis(folder: Path, *, wanted: bool) -> Generator[RedisServer | None]:
    if not wanted:
        yield None
        return
    with running_redis(folder) as server:
        yield server


def wait_until_ready(port: int) -> None:
    """Returns when the service has its snapshot. Raises TimeoutError."""
    until = time.monotonic() + _START_S
    while True:
        try:
            if ask(port, Ask(host="health", path="/readyz"))[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        if time.monotonic() > until:
            raise TimeoutError("the decision service is not ready")
        time.sleep(0.02)


def _prove(port: int, world: SizedWorld) -> None:
    """Raises AssertionError when a decision is not what it must be."""
    for wanted, asked in world.verdicts():
        status, _, body = ask(port, asked)
        if status != wanted:
            raise AssertionError(f"{asked} is answered {status} instead of {wanted}: {body}")


def _table(found: list[Found]) -> Table:
    rows = [
        [
            f"{each.size}: {_TITLES[each.service]}",
            round(median(run.rate for run in each.runs)),
            round(median(run.cpu_us for run in each.runs), 1),
            round(median(run.a_core for run in each.runs)),
            round(median(run.redis_us for run in each.runs), 1),
            each.memory_mib,
            each.start_s,
            sum(run.failed for run in each.runs),
        ]
        for each in found
    ]
    columns = [
        "",
        "decisions/s",
        "CPU us a decision",
        "decisions/s a core",
        "Redis: CPU us",
        "MiB",
        "start, s",
        "failed",
    ]
    return Table(title="Decisions", columns=columns, rows=rows)


_SIZES = (100, 100_000)
GOALS = {
    f"{service}-{routes}": Goal(what=f"decisions/s a core, {title}, {size_of(routes)}", bound=6000, unit="", least=True)
    for service, title in _TITLES.items()
    for routes in _SIZES
}
BENCHMARK = Benchmark(
    name="decisions",
    title="Decisions",
    about="""
The decision service without Envoy: asked over HTTP on loopback what Envoy would ask, with the same headers, over 32
connections that are kept alive, by wrk, which sends 1,000 different requests in turn. Every decision looks up an API
key, its tenant, its roles, and counts against an exact limit; each service must have answered 200, 401, 403 and 429
where it has to before it is measured. Any other answer than 200 counts as failed; more than one in a hundred end the
benchmark.

Decisions/s *a core* are decisions for each second of processor time that the service's processes used, by the kernel's
count, all workers together; Redis and the load generator are not part of it. Decisions/s are what it did beside both on
the cores that there are. The snapshot comes from a server that sends nothing meanwhile. Redis may take 0.4 s instead of
0.05 s: on too few cores a decision that waits for its turn is slow, not refused.
""",
    goals=GOALS,
    measure=measure,
    full=Options(routes=_SIZES, seconds=4, rounds=5),
    smoke=Options(routes=(20,), seconds=1, rounds=1, against=("process", "redis-2")),
)
