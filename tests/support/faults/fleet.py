"""The Envoys of an Edge as pods: who is Ready when, whom the Service sends to, and whether new ones are right at once.

In: a cluster, an Edge, what its routes answer. Out: a `Fleet`, which looks at the pods all the time, and whose
processes can be killed and frozen. Called by tests of failures of pods. Processes are found on the machine itself: in
a pod nobody may end its first process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastforward_compiler.emit.kubernetes import COMPONENT, OWNER, edge_names, owner_label
from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.client import Client

from support.operator import EDGE_PORT, until

from .clients import Line, RequestError
from .outcome import listed

PROXIES = 2
LOOK_S = 0.05
RIGHT_S = 60.0
ENVOY = "envoy"
"""Name of the container."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Replica:
    """One life of one Envoy: a container that is started again is another one."""

    pod: str
    restarts: int
    address: str

    @property
    def pid(self) -> int:
        """Of the process, on this machine."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    if b"--service-node" in words and words[words.index(b"--service-node") + 1] == self.pod.encode():
                        return int(folder.name)
        raise AssertionError(f"{self.pod} has no process")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What there was at one moment."""

    at: float
    ready: frozenset[Replica]
    sent_to: frozenset[str]
    """Addresses that the Service sends to."""

    @property
    def is_whole(self) -> bool:
        """Whether two are Ready, and it sends to both."""
        return len(self.ready) == PROXIES and self.sent_to == {each.address for each in self.ready}


@dataclass(slots=True)
class Fleet:
    """Of one Edge."""

    api: Client
    edge: str
    """NAMESPACE/NAME."""
    host: str
    wanted: Mapping[str, str]
    """What each path answers."""
    sights: list[Sight] = field(default_factory=list)
    """Each differs from the one before."""
    asked: list[Replica] = field(default_factory=list)
    """Whoever came to be Ready, and was asked for everything at once."""
    wrong: list[str] = field(default_factory=list)
    """What was wrong then."""
    stale: list[str] = field(default_factory=list)
    """What was wrong of those that had been Ready before, as one is that was frozen."""
    _asking: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def now(self) -> Sight:
        return self.sights[-1]

    @property
    def base(self) -> str:
        return edge_names(self.edge).base

    async def look_on(self) -> None:
        """Until cancelled."""
        while True:
            sight = await self._look()
            before = self.now.ready if self.sights else frozenset()
            if not self.sights or (sight.ready, sight.sent_to) != (self.now.ready, self.now.sent_to):
                self.sights.append(sight)
            for replica in sight.ready - before:
                wrong = self.stale if replica in self.asked else self.wrong
                self.asked.append(replica)
                task = asyncio.create_task(self._ask_for_everything(replica, wrong))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            await asyncio.sleep(LOOK_S)

    async def settled(self) -> None:
        """Until everybody who was asked has answered."""
        await asyncio.gather(*self._asking)

    async def until_whole(self, without: frozenset[Replica] = frozenset(), *, seconds: float = 90.0) -> Sight:
        """Until two are Ready and sent to, none of them one of those."""
        return await self.until(lambda sight: sight.is_whole and not sight.ready & without, seconds)

    async def until(self, holds: Callable[[Sight], bool], seconds: float = 30.0) -> Sight:
        async def newest() -> Sight:
            return self.now

        return await until(newest, holds, seconds=seconds, every=LOOK_S / 2)

    async def right(self, replica: Replica, path: str) -> tuple[float, float]:
        """Seconds until its own answer was last another one than is wanted, and until it was that."""
        began, last = time.monotonic(), 0.0
        line = Line(replica.address, EDGE_PORT, self.host)
        try:
            while True:
                with contextlib.suppress(RequestError):
                    if await line.ask(path) == (200, self.wanted[path]):
                        return last, time.monotonic() - began
                    last = time.monotonic() - began
                assert time.monotonic() < began + RIGHT_S, f"{replica.pod} has not what it should have"
                await asyncio.sleep(0.005)
        finally:
            line.close()

    def left_out(self, address: str, since: float) -> float:
        """Seconds until the Service did not send there any more; 0 when it always did."""
        times = (sight.at for sight in self.sights if sight.at > since and address not in sight.sent_to)
        return max(0.0, next(times, since) - since)

    async def _look(self) -> Sight:
        pods, slices = await asyncio.gather(self._pods(), self._slices())
        return Sight(at=time.monotonic(), ready=pods, sent_to=slices)

    async def _pods(self) -> frozenset[Replica]:
        selector = f"{COMPONENT}=envoy,{OWNER}={owner_label(self.edge)}"
        path = f"/api/v1/namespaces/{rbac.NAMESPACE}/pods"
        return frozenset([replica(each) async for each in listed(self.api, path, selector) if is_ready(each)])

    async def _slices(self) -> frozenset[str]:
        selector = f"kubernetes.io/service-name={self.base}"
        path = f"/apis/discovery.k8s.io/v1/namespaces/{rbac.NAMESPACE}/endpointslices"
        return frozenset(
            [
                address
                async for each in listed(self.api, path, selector)
                for end in each.get("endpoints") or ()
                if end["conditions"].get("ready")
                for address in end["addresses"]
            ]
        )

    async def _ask_for_everything(self, replica: Replica, wrong: list[str]) -> None:
        """The pod itself, at once: the Service may send to it from now on."""
        line = Line(replica.address, EDGE_PORT, self.host)
        for path, body in self.wanted.items():
            try:
                answer: object = await line.ask(path)
            except RequestError as error:
                answer = str(error)
            if answer != (200, body):
                wrong.append(f"{replica.pod} ({replica.restarts} restarts): {path} {answer}")
        line.close()


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether it serves: one that ends does not count, though it answers for a while."""
    conditions = pod["status"].get("conditions") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )


def replica(pod: Mapping[str, Any]) -> Replica:
    """Of a pod that is Ready."""
    (restarts,) = (each["restartCount"] for each in pod["status"]["containerStatuses"] if each["name"] == ENVOY)
    return Replica(pod=pod["metadata"]["name"], restarts=restarts, address=pod["status"]["podIP"])


@asynccontextmanager
async def fleet(api: Client, edge: str, host: str, wanted: Mapping[str, str]) -> AsyncGenerator[Fleet]:
    """Looked at while the block runs; there are two at its begin."""
    made = Fleet(api=api, edge=edge, host=host, wanted=wanted)
    task = asyncio.create_task(made.look_on())
    try:
        await until(lambda: asyncio.sleep(0, len(made.sights)), bool)
        await made.until_whole()
        yield made
        await made.settled()
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
