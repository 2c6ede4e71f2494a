"""The supervisor: checks first, then starts everything at once, watches it, and ends it as one.

In: settings, a screen. Out: an exit code. Called by the command `ff up`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager

from fastforward_crds import Edge

from .checks import CheckError, Prepared, prepare
from .child import Child, ChildError
from .development import Development, DevelopmentError
from .feed import StatusFeed
from .front import Front, kept_told
from .orphans import Guard
from .programs import DECISION, ENVOY, OPERATOR, TRAEFIK, child_specs
from .race import wins
from .readiness import POLL_S, until_listening, until_ready
from .screen import Picture, Screen
from .settings import UpSettings
from .state import StateError, StateFolder

_READY_S = 60.0
_SETTLED_S = 10.0
"""How long to wait for the last object to be judged: one that hangs is better shown than waited for."""
_FRAME_S = 0.25


async def up(settings: UpSettings, screen: Screen) -> int:
    """Run until Ctrl-C, SIGTERM or SIGHUP: 0; 1 when something can't be started."""
    signals = _Signals()
    state = StateFolder(settings.state)
    try:
        prepared = prepare(settings)
        state.claim()
        Development(state.dev).provide(prepared.resources)
        async with _children(prepared, state, screen, signals) as children:
            return await _run(children, prepared, state, screen, signals)
    except (CheckError, StateError, DevelopmentError) as error:
        screen.line(f"ff up: {error}")
        return 1
    finally:
        state.release()


class _Signals:
    """The first one asks for an orderly end, the second for an immediate one."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._take)

    def _take(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()


@asynccontextmanager
async def _children(
    prepared: Prepared, state: StateFolder, screen: Screen, signals: _Signals
) -> AsyncGenerator[tuple[Child, ...]]:
    """All children, not started yet; ended at the end, whatever happens."""
    guard = Guard()
    guard.start()
    children = tuple(Child(spec, state.logs, guard) for spec in child_specs(prepared, state))
    try:
        yield children
    finally:
        # A terminal that is gone must not keep the children from being ended.
        with contextlib.suppress(OSError):
            screen.close()
            screen.line("stopping")
        if not await wins(_stop_in_order(children), signals.hurry.wait()):
            for child in children:
                child.kill()
        guard.stop()


async def _stop_in_order(children: Sequence[Child]) -> None:
    """Who is in front lets go first, then Envoy, who decides, who configures; the programs behind them last."""
    ordered = {
        name: child for name in (TRAEFIK, ENVOY, DECISION, OPERATOR) for child in children if child.spec.name == name
    }
    for child in ordered.values():
        await child.stop()
    await asyncio.gather(*(child.stop() for child in children if child.spec.name not in ordered))


def _front(prepared: Prepared, state: StateFolder) -> Front | None:
    if prepared.front is None:
        return None
    credentials = Development(state.dev).resources
    return Front(prepared.front, (*prepared.settings.directories, *([credentials] if credentials.is_dir() else ())))


async def _run(
    children: Sequence[Child], prepared: Prepared, state: StateFolder, screen: Screen, signals: _Signals
) -> int:
    feed = StatusFeed(prepared.settings.api)
    front = _front(prepared, state)
    async with kept_told(front):
        return await _run_told(children, prepared, screen, signals, (feed, front))


async def _run_told(
    children: Sequence[Child],
    prepared: Prepared,
    screen: Screen,
    signals: _Signals,
    told: tuple[StatusFeed, Front | None],
) -> int:
    try:
        for child in children:
            await child.start()
            screen.line(f"{child.spec.name}: started, process {child.pid}, log {child.log}")
        async with asyncio.timeout(_READY_S):
            ready = wins(_until_ready(prepared, *told), _first_death(children))
            if not await wins(ready, signals.stop.wait()):
                return 0
    except ChildError as error:
        screen.line(f"ff up: {error}")
        return 1
    except TimeoutError:
        screen.line(f"ff up: not everything was ready within {_READY_S:.0f} s; the logs above say why.")
        return 1
    _say_what_to_try(prepared, screen)
    await wins(_watch(children, *told, screen), signals.stop.wait())
    return 0


async def _until_ready(prepared: Prepared, feed: StatusFeed, front: Front | None) -> None:
    """Returns when every program answers, every port listens and every object has been judged, or is late."""
    async with asyncio.TaskGroup() as waits:
        for program in prepared.project.programs:
            if program.ready is not None:
                waits.create_task(until_ready(program.ready))
        for port in prepared.ports:
            waits.create_task(until_listening(prepared.settings.bind[0], port))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SETTLED_S):
            await feed.until_settled()
    if front is not None:
        await front.until_taken()


async def _first_death(children: Sequence[Child]) -> None:
    """Raises ChildError as soon as a child has ended."""
    while True:
        for child in children:
            child.check_alive()
        await asyncio.sleep(POLL_S)


def _say_what_to_try(prepared: Prepared, screen: Screen) -> None:
    for edge in prepared.edges:
        for listener in edge.spec.listeners:
            scheme = listener.protocol.lower()
            hosts = " ".join(f"{scheme}://{host}:{listener.port}" for host in _hosts(prepared, edge))
            screen.line(f"traffic: {hosts}")
    if prepared.front is not None:
        screen.line(f"front: http://127.0.0.1:{prepared.front.api_port}/api/rawdata")
    screen.line(f"operator: {prepared.settings.api}/metrics")
    screen.line(f"page: {prepared.settings.api}/")
    if prepared.project.try_:
        screen.line("try:")
    for line in prepared.project.try_:
        screen.line(f"  {line}")


def _hosts(prepared: Prepared, edge: Edge) -> Iterable[str]:
    """Behind a Traefik an exact host is asked by its subdomains, where it has some."""
    traefik = edge.spec.front.traefik
    if prepared.front is None or traefik is None or not traefik.protocols:
        return edge.spec.hosts
    own = (host for _, host in edge.spec.own_hosts)
    return [host for host in own if host not in edge.spec.hosts or "*" in host]


async def _watch(children: Sequence[Child], feed: StatusFeed, front: Front | None, screen: Screen) -> None:
    """Restart who dies, show what is; ends only by cancellation."""
    async with asyncio.TaskGroup() as tasks:
        for child in children:
            tasks.create_task(child.watch())
        tasks.create_task(feed.follow())
        while True:
            states = {child.spec.name: child.state for child in children}
            rows = feed.rows if front is None else front.judged(feed.rows)
            screen.show(Picture(children=states, objects=rows, proxies=feed.proxies))
            await asyncio.sleep(_FRAME_S)
