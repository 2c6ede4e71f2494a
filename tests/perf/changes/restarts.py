"""What restarts of the operator cost, while its Envoy goes on and is asked all the time.

In: a running product. Out: a `Restart`. Called by the benchmark `start`. The operator ends and starts again twice: the
first time nothing has changed, and nothing may be sent or written again; the second time something changes while it is
away, and at once when it is ready.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from perf import standalone
from perf.changes.changing import GIVE_UP_S, START_S, Client, Start, until_answers, until_settled, until_speaks
from perf.changes.worlds import Probe, World, answer
from perf.standalone import Standalone

_ASK_EVERY_S = 0.005
_QUIET_S = 3.0
"""After a restart, for what might be written or sent late."""
_CHANGES_OF_ENVOY = r"((listener|cluster)_(added|modified|removed)|config_reload)$"
_CHANGES = 50
"""At once after a restart, one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Operator and Envoy that run, wherever their resources come from."""

    gateway: Standalone
    world: World
    start: Start
    write: Callable[[Probe, int], Awaitable[None]]
    """Make a route what it is in a generation."""
    statuses: Callable[[], int] | None = None
    """How many an API server took so far; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What it cost."""

    resent: int
    """Resources that the operator sent to the Envoy that was there, when nothing had changed."""
    taken: int
    """Listeners, clusters and tables that Envoy changed in that time."""
    statuses: int | None
    """Written to the API server in that time."""
    asked: int
    failed: int
    """Of the requests during both restarts."""
    missed_s: float
    """From the start of the operator until a change was in traffic that was made while it was away."""
    change_s: float
    """The longest time of a change at once after it was ready."""


async def restart_twice(product: Product) -> Restart:
    """Measure. The generation of every route is 0 before."""
    gateway, world = product.gateway, product.world
    changed = world.apart[:_CHANGES]
    steady = [probe for probe in world.probes[-2 * _CHANGES :] if probe not in changed] or world.probes[-1:]
    asking = Asking(gateway.port, steady)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(asking.run())
        written, updates = _count(product), _updates(gateway)
        await asyncio.to_thread(gateway.stop, standalone.OPERATOR)
        await _start_again(gateway)
        await asyncio.sleep(_QUIET_S)
        resent, taken, statuses = _sent(gateway), _updates(gateway) - updates, _count(product)
        await asyncio.to_thread(gateway.stop, standalone.OPERATOR)
        missed_s, change_s = await _change_meanwhile(product, [probe for probe in changed if probe not in steady])
        await until_settled(gateway)
        task.cancel()
    return Restart(
        resent=resent,
        taken=taken,
        statuses=None if statuses is None or written is None else statuses - written,
        asked=asking.asked,
        failed=asking.failed,
        missed_s=missed_s,
        change_s=change_s,
    )


async def _start_again(gateway: Standalone) -> None:
    """Until it is ready, and knows what its Envoy has."""
    gateway.start_operator()
    await until_speaks(gateway, "/readyz")
    await until_settled(gateway)


async def _change_meanwhile(product: Product, probes: Sequence[Probe]) -> tuple[float, float]:
    """Seconds until what it missed is in traffic, and the longest of the changes after it was ready."""
    client, (missed, *others) = Client(product.gateway.port), probes
    await product.write(missed, 1)
    began = time.perf_counter()
    product.gateway.start_operator()
    seen = asyncio.create_task(until_answers(Client(product.gateway.port), missed, 1, START_S))
    seen_s = asyncio.create_task(_seconds(seen, began))
    await until_speaks(product.gateway, "/readyz")
    longest_s = 0.0
    for probe in others:
        changed_at = time.perf_counter()
        await product.write(probe, 1)
        await until_answers(client, probe, 1, GIVE_UP_S)
        longest_s = max(longest_s, time.perf_counter() - changed_at)
    return round(await seen_s, 2), round(longest_s, 3)


async def _seconds(done: Awaitable[None], since: float) -> float:
    await done
    return time.perf_counter() - since


def _count(product: Product) -> int | None:
    return None if product.statuses is None else product.statuses()


def _sent(gateway: Standalone) -> int:
    """Resources sent on the streams that are open, by the operator's own count. Raises when Envoy is not back."""
    nodes = [node for node in gateway.api("/v1/proxies")["proxies"] if node["state"] == "live"]
    if [node["node"] for node in nodes] != [standalone.ENVOY]:
        raise RuntimeError(f"Envoy is not connected: {nodes}")
    return sum(each["told"] for node in nodes for each in node["types"].values())


def _updates(gateway: Standalone) -> int:
    """Listeners, clusters and tables that are new to Envoy, by its own count."""
    counts = re.findall(r"^\S+: (\d+)$", gateway.admin(f"/stats?filter={_CHANGES_OF_ENVOY}"), re.MULTILINE)
    if not counts:
        raise RuntimeError("Envoy counts nothing.")
    return sum(map(int, counts))


class Asking:
    """One request after the other, of routes that nobody changes."""

    def __init__(self, port: int, probes: Sequence[Probe]) -> None:
        self._client, self._probes = Client(port), probes
        self.asked = self.failed = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            probe = self._probes[self.asked % len(self._probes)]
            self.failed += await self._client.body(probe.request) != answer(probe, 0)
            self.asked += 1
            await asyncio.sleep(_ASK_EVERY_S)
