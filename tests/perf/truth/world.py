"""Three Envoys that are asked one by one, thread by thread, and what is said of routes beside what they answer.

In: a Standalone with Envoys that share a port. Out: `Line`s, each a connection to a certain thread of an Envoy; a
`Witness`, which holds every word of Programmed against what all of them answer at that moment. Called by truth.

Envoys that share a port (SO_REUSEPORT) are told apart by their own counts of connections. Whatever is said is read
first, and the Envoys are asked after it: an old answer then is a lie.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perf.changes.worlds import HostsWorld, Probe, answer
from perf.clients import AskError, Http1
from perf.harness import report
from perf.standalone import Standalone
from perf.told import Name

ENVOYS = ("one", "two", "three")
THREADS = 2
AT_ONCE = 10
"""Routes that change at the same time."""
_EACH = 2
"""Connections to each thread: one that asks all the time, one that is free at once."""
_MOST = 400
_POLL_S = 0.001
_CHANGE_S = 60.0


@dataclass(slots=True)
class Line:
    """A connection."""

    envoy: str
    thread: str
    client: Http1
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def body(self, request: bytes) -> str:
        """The body of an answer; one at a time. A broken connection says so in its place."""
        async with self.lock:
            try:
                return (await self.client.send(request)).body
            except AskError as error:
                return str(error)


async def lines(gateway: Standalone, probe: Probe) -> list[list[Line]]:
    """So many sets as there are connections to each thread; each set has a line to each thread of each Envoy."""
    found: dict[tuple[str, str], list[Line]] = {}
    for _ in range(_MOST):
        before = await asyncio.to_thread(_connections, gateway)
        client = Http1(("127.0.0.1", gateway.port))
        await client.send(probe.request)
        after = await asyncio.to_thread(_connections, gateway)
        ((envoy, thread),) = (place for place, count in after.items() if count > before.get(place, 0))
        have = found.setdefault((envoy, thread), [])
        if len(have) < _EACH:
            have.append(Line(envoy, thread, client))
        else:
            client.close()
        if len(found) == len(ENVOYS) * THREADS and min(map(len, found.values())) == _EACH:
            return [[each[number] for each in found.values()] for number in range(_EACH)]
    raise RuntimeError(f"{_MOST} connections did not reach every thread of every Envoy: {sorted(found)}")


def _connections(gateway: Standalone) -> dict[tuple[str, str], int]:
    """How many each thread of each Envoy has accepted since it began."""
    counts = {}
    for name in ENVOYS:
        text = gateway.admin(r"/stats?filter=^listener\..*\.worker_\d.downstream_cx_total$", name)
        for thread, count in re.findall(r"\.worker_(\d)\.downstream_cx_total: (\d+)", text):
            counts[name, thread] = counts.get((name, thread), 0) + int(count)
    return counts


@dataclass(slots=True)
class Change:
    """One that is on its way."""

    probe: Probe
    version: int
    """0 is the first; its generation is one more."""
    wrong_at: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a thread was last seen to answer as before."""
    told_at: float = 0.0
    checked: bool = False

    @property
    def late_ms(self) -> float:
        """From when the last thread was last seen to answer as before until it was said: never too small."""
        return (self.told_at - max(self.wrong_at.values())) * 1e3


@dataclass(slots=True)
class Witness:
    """Hears what is said and asks at once."""

    judges: Sequence[Line]
    askers: Sequence[Line]
    changes: dict[str, Change] = field(default_factory=dict)
    """Under way, by name of the route."""
    lies: list[str] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    """Envoys that can't be asked."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _done: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, name: Name, told: Mapping[str, Any]) -> None:
        """A status, as an event told it."""
        change = self.changes.get(name[1])
        if change is None or name[0] != "Route" or change.told_at:
            return
        if programmed(told) == change.version + 1:
            change.told_at = time.perf_counter()
            self._spawn(self._check(change, told))

    def _spawn(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _check(self, change: Change, told: Mapping[str, Any]) -> None:
        wanted = answer(change.probe, change.version)
        asked = [line for line in self.judges if line.envoy not in self.frozen]
        bodies = await asyncio.gather(*(line.body(change.probe.request) for line in asked))
        for line, body in zip(asked, bodies, strict=True):
            if body != wanted:
                self.lies.append(f"{line.envoy}, thread {line.thread}: {body} when {wanted} was said to be programmed")
        counted = told.get("proxies", {}).get("total")
        if counted is not None and counted != len(ENVOYS) - len(self.frozen):
            self.lies.append(f"{wanted}: {counted} proxies counted, {len(self.frozen)} of {len(ENVOYS)} frozen")
        change.checked = True
        self._done.set()

    async def watch(self, changes: Sequence[Change], write: Callable[[Change], Any]) -> None:
        """Make some changes at once; returns when each was said to be programmed and found everywhere."""
        self.changes = {f"r{change.probe.number}": change for change in changes}
        for change in changes:
            await write(change)
        async with asyncio.timeout(_CHANGE_S):
            await asyncio.gather(*(self._ask_on(line, changes) for line in self.askers))
            while not all(change.checked for change in changes):
                self._done.clear()
                await self._done.wait()

    async def _ask_on(self, line: Line, changes: Sequence[Change]) -> None:
        """Until all changes are found in one thread."""
        if line.envoy in self.frozen:
            return
        waiting = list(changes)
        for change in waiting:
            change.wrong_at[line.envoy, line.thread] = time.perf_counter()
        while waiting:
            for change in tuple(waiting):
                if await line.body(change.probe.request) == answer(change.probe, change.version):
                    waiting.remove(change)
                else:
                    change.wrong_at[line.envoy, line.thread] = time.perf_counter()
            await asyncio.sleep(_POLL_S)


def programmed(told: Mapping[str, Any]) -> int:
    """The generation that is said to be programmed; 0 when none is."""
    conditions = told.get("conditions", ())
    said = (each for each in conditions if each["type"] == "Programmed" and each["status"] == "True")
    return max((int(each["observedGeneration"]) for each in said), default=0)


@dataclass(slots=True)
class Result:
    """One source of resources."""

    changes: int = 0
    seconds: float = 0.0
    lies: list[str] = field(default_factory=list)
    late_ms: dict[str, float] = field(default_factory=dict)


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
