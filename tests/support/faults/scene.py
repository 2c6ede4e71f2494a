"""An operator beside an API server that fails as tests want it to, and an Envoy that serves throughout.

In: a cluster, a kubeconfig of the operator. Out: a `Scene`. Called by tests of failures. The operator is a process of
its own and reaches the API server on a road that the test commands; the Envoy is a node that proves who it is by the
Secret that the operator made for its pods.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import ApiError, Client

from support.cluster.kubectl import Kubectl
from support.envoy import Envoy
from support.nodes import OPERATOR, certified, envoy_of, fill
from support.operator import EDGE_PORT, edge, respond, serves
from support.processes import free_port

from .apiproxy import ApiProxy, api_proxy
from .outcome import Outcome, outcome
from .process import OperatorProcess

STEADY = "/steady"
"""Path of the route that every test's load asks for."""
SETTLED_S = 3.0
"""For so long nothing must change in what is taken for the end."""


@dataclass(slots=True, kw_only=True)
class Scene:
    """One operator, one Edge `public`, one Envoy."""

    folder: Path
    kubectl: Kubectl
    api: Client
    namespace: str
    proxy: ApiProxy
    operator: OperatorProcess
    port: int
    xds: int
    envoy: Envoy | None = None
    tls: Path | None = None
    ends: list[asyncio.Task[None]] = field(default_factory=list)
    """What ends a fault after a while."""

    @property
    def host(self) -> str:
        return f"{self.namespace}.example.com"

    async def call(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(self.kubectl, "-n", self.namespace, *arguments, stdin=stdin)

    async def apply(self, *documents: str) -> None:
        await self.call("apply", "--server-side", "-f", "-", stdin="\n---\n".join(documents))

    async def begin(self) -> Envoy:
        """The operator runs, the steady route is served."""
        self.operator.start()
        await self.apply(edge(self.host), respond("steady", self.host, "steady", path=STEADY))
        self.envoy = await self.start_envoy("envoy")
        await serves(self.envoy, self.host, "steady", STEADY)
        await self.call("wait", "--for=condition=Programmed", "--timeout=30s", "route/steady")
        return self.envoy

    async def start_envoy(self, name: str) -> Envoy:
        """One more, by the Secret that is made for the pods of the Edge; it is read once."""
        if self.tls is None:
            self.tls = fill(self.folder / "tls", *await certified(self.api, f"{self.namespace}/public"))
        return await asyncio.to_thread(envoy_of, self.folder / name, self.tls, port=self.port, xds=self.xds)

    async def outcome(self) -> Outcome:
        """As it is now; says so when it can't be had."""
        try:
            return await outcome(self.api, self.namespace, self.envoy)
        except (ApiError, OSError) as error:
            return {"error": repr(error)}

    async def settled(self) -> Outcome:
        """When nothing changes any more."""
        found, since = await self.outcome(), time.monotonic()
        while time.monotonic() < since + SETTLED_S:
            await asyncio.sleep(0.1)
            now = await self.outcome()
            if now != found:
                found, since = now, time.monotonic()
        assert "error" not in found, found
        return found

    async def comes_to(self, wanted: Outcome, seconds: float = 60.0) -> None:
        """Until everything is as wanted; tells what is not."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.outcome()
            if found == wanted:
                return
            assert time.monotonic() < deadline, difference(wanted, found)
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        await asyncio.gather(*self.ends)
        if self.envoy is not None:
            await asyncio.to_thread(self.envoy.stop)
        await self.operator.stop()


def difference(wanted: Outcome, found: Outcome) -> str:
    """What is not as it should be."""
    names = sorted(wanted.keys() | found.keys())
    apart = [name for name in names if wanted.get(name) != found.get(name)]
    return "\n".join(f"{name}:\n  wanted {wanted.get(name)}\n  found  {found.get(name)}" for name in apart)


@asynccontextmanager
async def scene(
    folder: Path,
    kubectl: Kubectl,
    kubeconfig: Path,
    namespace: str,
    *,
    settings: Mapping[str, str] | None = None,
    tuning: str = "",
) -> AsyncGenerator[Scene]:
    """Everything but the operator's start."""
    port, xds = free_port(), free_port()
    async with api_proxy(kubeconfig, folder) as (proxy, road), Client(find_access(kubectl.kubeconfig)) as api:
        told = {
            "FF_KUBECONFIG": str(road),
            "FF_NAMESPACES": namespace,
            "FF_PORTS": f'{{"{EDGE_PORT}": {port}}}',
            "FF_XDS_ADDRESS": f"127.0.0.1:{xds}",
            "FF_XDS_TLS": "true",
            "FF_XDS_NAMES": OPERATOR,
            "FF_ENVOY_IMAGE": "envoy:test",
            "FF_DECISION_IMAGE": "entrypoint:test",
            **(settings or {}),
        }
        made = Scene(
            folder=folder,
            kubectl=kubectl,
            api=api,
            namespace=namespace,
            proxy=proxy,
            operator=OperatorProcess(folder / "operator", told, tuning),
            port=port,
            xds=xds,
        )
        try:
            yield made
        finally:
            await made.end()


async def stays(ask: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Fails when it is not so at any time."""
    until_ = time.monotonic() + seconds
    while time.monotonic() < until_:
        assert await ask()
        await asyncio.sleep(0.05)
