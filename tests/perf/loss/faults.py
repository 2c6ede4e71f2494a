"""What happens to whole processes in no_drop: the operator is killed, an Envoy comes and goes.

In: a World. Out: a Result for each. Called by no_drop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping

from fastforward_kit.companion.console import Console
from fastforward_kit.companion.drain import Drain

from perf.clients import Http1, Place
from perf.loss.bulk import bulk
from perf.loss.checked_load import Expected, Target, checked_load
from perf.loss.world import Result, World, begin_log, neighbour, result
from perf.standalone import OPERATOR

CHANGES_A_KILL, CHANGES_AN_ENVOY = 50, 100
"""An operator that starts takes seconds: so many changes of other kinds weigh as much as one of these."""
_WAIT_S, _SERVE_S, _DRAIN_S = 90.0, 1.0, 30.0
_DRAIN = ("--drain-time-s", f"{_DRAIN_S:g}", "--drain-strategy", "immediate")
"""As in pods."""


async def operator_killed(running: World, changes: int) -> Result:
    """Killed without notice; a route is edited before it is started again."""
    kind = running.kinds["killed"]
    expected = Expected(kind.answers)
    place = running.place(kind)
    begin_log(running.log)
    kills = max(1, changes // CHANGES_A_KILL)
    async with (
        checked_load(Target(hosts=kind.hosts, expected=expected, places=lambda: [place]), neighbour(running)) as tally,
        bulk(running.gateway.port, kind.hosts[0]) as asked,
    ):
        began = time.perf_counter()
        for version in range(1, kills + 1):
            running.gateway.kill(OPERATOR)
            expected.wanted = version
            for files in kind.steps(version):
                running.folder.write(files)
            running.gateway.start_operator()
            for host in kind.hosts:
                await until_said(place, host, f"a {version}")
            expected.settled = version - 1
        seconds = time.perf_counter() - began
    return result(kind.what, kills, seconds, tally, asked, running.log)


async def until_said(place: Place, host: str, said: str) -> None:
    """Until a host is answered in this way."""
    client = Http1(place)
    async with asyncio.timeout(_WAIT_S):
        while (await client.get(host, "/books/emma", {})).said != said:  # noqa: ASYNC110 - Envoy raises no event
            await asyncio.sleep(0.01)
    client.close()


async def envoy_comes_and_goes(running: World, changes: int) -> Result:
    """A second one is asked from the moment it is Ready; told to drain, it is sent no new connections, but whoever has
    one goes on with it until told to leave. A route is edited all the time.
    """
    if running.network is None:
        raise RuntimeError("Only root can give an Envoy a network of its own.")
    kind = running.kinds["filter"]
    # From where the changes of that kind have left it.
    first = running.told.programmed("Route", "filter-0")
    expected = Expected(kind.answers, settled=first - 1, wanted=first - 1)
    places = [running.place(kind)]
    begin_log(running.log)
    rounds = max(1, changes // CHANGES_AN_ENVOY)
    async with (
        checked_load(Target(hosts=kind.hosts, expected=expected, places=lambda: places), neighbour(running)) as tally,
        bulk(running.gateway.port, kind.hosts[0]) as asked,
    ):
        began = time.perf_counter()
        for number in range(rounds):
            name = f"second-{number}"
            running.gateway.start_envoy(name=name, workers=2, inside=running.network.inside, options=_DRAIN)
            console = Console(running.gateway.console(name))
            await _until_ready(console)
            places.append((running.network.there, running.gateway.port))
            until = time.perf_counter() + _SERVE_S
            while time.perf_counter() < until:
                await _edit(running, expected)
            places.pop()
            await Drain(console, _DRAIN_S).run()
            await asyncio.to_thread(running.gateway.stop, name)
        seconds = time.perf_counter() - began
    return result("Envoy added, and drained", rounds, seconds, tally, asked, running.log)


async def _edit(running: World, expected: Expected) -> None:
    kind = running.kinds["filter"]
    expected.wanted += 1
    for files in kind.steps(expected.wanted):
        running.folder.write(files)
    await running.told.until(lambda: kind.told(running.told, expected.wanted))
    expected.settled = expected.wanted


async def _until_ready(console: Console) -> None:
    """As the companion tells the kubelet."""
    async with asyncio.timeout(_WAIT_S):
        while True:
            with contextlib.suppress(OSError):
                if await console.is_ready():
                    return
            await asyncio.sleep(0.01)


Fault = Callable[[World, int], Awaitable[Result]]
FAULTS: Mapping[str, Fault] = {"killed": operator_killed, "envoy": envoy_comes_and_goes}
