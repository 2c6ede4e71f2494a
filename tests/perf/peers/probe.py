"""One peer alone with an API server, over so many routes: everything that is measured of it.

In: a Peer, a number of routes and of changes. Out: `Run`. Called by benchmark.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client

from perf.harness import usage
from perf.standalone import ENVOY, Standalone
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.processes import free_port

from . import world
from .asking import Asker, steady
from .origins import address, origins
from .peer import Peer, Setting
from .watching import Watching, attached, promised_routes

_POLL_S = 0.001
_START_S, _CHANGE_S, _TOLD_S = 120.0, 30.0, 2.0
_ROUTE_S = 0.1
"""More time for each route, until all serve."""
_SETTLED_S = 45.0
"""The longest that statuses are waited for: some controllers write a few a second."""
_BACKLOG_S = 0.3
"""More time for a change, for each route: some controllers first write the statuses of all of them, a few a second."""
_LONGEST_PAUSE_S = 0.5
_WRITERS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One route, created or led elsewhere."""

    ms: float
    """From before the request to the API server until the first answer from the new origin."""
    told_ms: float | None
    """Until the API server said that the peer says it is in force; None if it had not 2 s after it was."""
    early: bool
    """A request that was sent after that was not answered so yet."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What was found."""

    serving_s: float = 0.0
    """From the first route's POST until all of them serve, the last one created being asked."""
    attached_s: float | None = None
    """Until the Gateway says how many there are; None when it did not within 45 s."""
    told_s: float | None = None
    """Until all of them have their status; None as before."""
    created: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)
    steady: Counter[int] = field(default_factory=Counter)
    """Answers of routes that nobody touched, by status."""
    switched: Counter[int] = field(default_factory=Counter)
    """Answers of the route that was led elsewhere, from either origin."""
    control_mib: float = 0.0
    envoy_mib: float = 0.0
    control_cpu_s: float = 0.0
    """Of processor time, a change."""
    envoy_cpu_s: float = 0.0

    @property
    def lost(self) -> int:
        """Requests to routes that were there which were not answered with 200."""
        return sum(count for seen in (self.steady, self.switched) for status, count in seen.items() if status != 200)

    @property
    def early(self) -> int:
        """Changes that were said to be in force before they were."""
        return sum(each.early for each in (*self.created, *self.changed))


async def run(peer: Peer, routes: int, changes: int) -> Run:
    """Starts everything, measures, ends it."""
    with tempfile.TemporaryDirectory(prefix="ff-peers-") as name:
        folder = Path(name)
        with (
            address() as at,
            origins(folder, at) as ports,
            shared_cluster(folder / "api-server", "--light") as cluster,
            Standalone(folder / "state", {}) as processes,
        ):
            port = free_port()
            kubectl = Kubectl(cluster.kubeconfig)
            setting = Setting(cluster=cluster, kubectl=kubectl, processes=processes, folder=folder, port=port)
            _define(peer, setting, world.backends(at, ports))
            peer.start(setting)
            async with Client(find_access(cluster.kubeconfig)) as api:
                return await _Probe(peer, setting, api).measure(routes, changes)


def _define(peer: Peer, setting: Setting, backends: list[dict[str, object]]) -> None:
    files = [f"--filename={each}" for each in peer.definitions()]
    setting.kubectl("apply", "--server-side", *files)
    setting.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    gateway = world.gateway(peer.listens(setting.port))
    setting.kubectl.apply(world.gateway_class(peer.controller), gateway, *backends)


class _Probe:
    def __init__(self, peer: Peer, setting: Setting, api: Client) -> None:
        self._peer, self._processes, self._api, self._port = peer, setting.processes, api, setting.port
        self._asker = Asker(setting.port)
        self._watching = Watching(peer.controller)
        self._chance = random.Random(0)
        self._run = Run()
        self._patience_s = _CHANGE_S

    async def measure(self, routes: int, changes: int) -> Run:
        probed = range(min(changes, routes // 2))
        self._patience_s = _CHANGE_S + routes * _BACKLOG_S
        await self._fill(routes, len(probed))
        untouched = [world.host(number) for number in range(len(probed), routes)]
        control, envoy = self._processor()
        async with self._watching.running(self._api), steady(self._port, untouched) as seen:
            for number in range(routes, routes + changes):
                self._run.created.append(await self._create(number))
            for count in range(changes):
                self._run.changed.append(await self._lead_elsewhere(count % len(probed), count // len(probed)))
            self._run.steady = Counter(seen)
        used_control, used_envoy = self._processor()
        self._run.control_cpu_s = (used_control - control) / (2 * changes)
        self._run.envoy_cpu_s = (used_envoy - envoy) / (2 * changes)
        self._run.control_mib = usage.memory_mib([self._processes.pid(self._peer.control)])
        self._run.envoy_mib = usage.memory_mib(self._envoy_pids())
        return self._run

    async def _fill(self, routes: int, probed: int) -> None:
        """Creates the routes while the peer runs with none."""
        limit = _START_S + routes * _ROUTE_S
        await self._until(lambda: self._is_attached(0), "the Gateway has a status", _START_S)
        began = time.perf_counter()
        writers = asyncio.Semaphore(_WRITERS)

        async def create(number: int) -> None:
            async with writers:
                await self._api.create(world.ROUTES, world.route(number, probed=number < probed))

        await asyncio.gather(*map(create, range(routes)))
        says = asyncio.create_task(self._settles(lambda: self._is_attached(routes)))
        self._run.serving_s = await self._until(lambda: self._serves(routes - 1), "the last serves", limit) - began
        await self._until(lambda: self._all_serve(routes), "all routes serve", limit)
        told, says_so = await self._settles(lambda: self._all_told(routes), 0.5), await says
        self._run.attached_s = None if says_so is None else says_so - began
        self._run.told_s = None if told is None else told - began

    async def _create(self, number: int) -> Change:
        document = world.route(number, probed=True)
        return await self._change(
            lambda: self._api.create(world.ROUTES, document), number, generation=1, origin=world.ORIGINS[0]
        )

    async def _lead_elsewhere(self, number: int, earlier: int) -> Change:
        """From one origin to the other; `earlier` times it was so already."""
        origin = world.ORIGINS[(earlier + 1) % 2]
        path, patch = f"{world.ROUTES}/{world.name(number)}", {"spec": world.spec(number, origin)}
        generation = earlier + 2
        return await self._change(
            lambda: self._api.merge(path, patch), number, generation=generation, origin=origin, seen=self._run.switched
        )

    async def _change(
        self,
        write: Callable[[], Awaitable[object]],
        number: int,
        *,
        generation: int,
        origin: str,
        seen: Counter[int] | None = None,
    ) -> Change:
        await asyncio.sleep(self._chance.uniform(0, _LONGEST_PAUSE_S))
        key = world.name(number), generation
        began = time.perf_counter()
        await write()
        early = False
        async with asyncio.timeout(self._patience_s):
            while True:
                sent = time.perf_counter()
                answer = await self._asker.get(world.host(number))
                if seen is not None:
                    seen[answer.status] += 1
                if answer.status == 200 and answer.body == origin:
                    break
                early = early or self._watching.told.get(key, sent) < sent
                await asyncio.sleep(_POLL_S)
        served = time.perf_counter()
        told = await self._told(key)
        return Change(ms=(served - began) * 1e3, told_ms=None if told is None else (told - began) * 1e3, early=early)

    async def _told(self, key: tuple[str, int]) -> float | None:
        until = time.perf_counter() + _TOLD_S
        while key not in self._watching.told and time.perf_counter() < until:  # noqa: ASYNC110 - heard elsewhere
            await asyncio.sleep(_POLL_S)
        return self._watching.told.get(key)

    async def _until(
        self, holds: Callable[[], Awaitable[bool]], claim: str, limit_s: float, every_s: float = 0.02
    ) -> float:
        """When it held; fails with what the processes wrote when it does not in time."""
        try:
            async with asyncio.timeout(limit_s):
                while not await holds():  # noqa: ASYNC110 - programs of others raise no event of ours
                    await asyncio.sleep(every_s)
        except TimeoutError:
            names = (self._peer.control, *([ENVOY] if self._peer.has_envoy else []))
            said = "\n".join(f"{name}: {self._processes.log(name)[-2000:]}" for name in names)
            raise RuntimeError(f"{self._peer.name}: not within {limit_s:.0f} s: {claim}.\n{said}") from None
        return time.perf_counter()

    async def _settles(self, holds: Callable[[], Awaitable[bool]], every_s: float = 0.05) -> float | None:
        """When it held; None when it does not in time, which is no failure but what is told of it."""
        try:
            async with asyncio.timeout(_SETTLED_S):
                while not await holds():  # noqa: ASYNC110 - programs of others raise no event of ours
                    await asyncio.sleep(every_s)
        except TimeoutError:
            return None
        return time.perf_counter()

    async def _serves(self, number: int) -> bool:
        answer = await self._asker.get(world.host(number))
        return answer.status == 200 and answer.body == world.ORIGINS[0]

    async def _all_serve(self, routes: int) -> bool:
        return all([await self._serves(number) for number in _spread(routes)])

    async def _is_attached(self, routes: int) -> bool:
        return await attached(self._api) == routes

    async def _all_told(self, routes: int) -> bool:
        return await promised_routes(self._api, self._peer.controller) == routes

    def _processor(self) -> tuple[float, float]:
        return usage.processor_s([self._processes.pid(self._peer.control)]), usage.processor_s(self._envoy_pids())

    def _envoy_pids(self) -> list[int]:
        return [self._processes.pid(ENVOY)] if self._peer.has_envoy else []


def _spread(routes: int) -> Iterable[int]:
    """Some of them, the first and the last among these."""
    return sorted({0, routes - 1, *range(0, routes, max(1, routes // 50))})
