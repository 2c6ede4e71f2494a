"""What a control plane says meanwhile: of single routes as the API server tells it, of the Gateway when asked.

In: a client, and whose words count. Out: when a route was said to be in force, and how many a Gateway says it has.
Called by probe.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastforward_operator.kubernetes.client import Client, pages

from . import world

_GATEWAY = f"/apis/gateway.networking.k8s.io/v1/namespaces/{world.NAMESPACE}/gateways/{world.GATEWAY}"


class Watching:
    """The routes that are probed."""

    def __init__(self, controller: str) -> None:
        self._controller = controller
        self.told: dict[tuple[str, int], float] = {}
        """When it was first heard that a generation of a route is in force; by name and generation."""

    @asynccontextmanager
    async def running(self, api: Client) -> AsyncGenerator[None]:
        """Listens while the block runs; whatever breaks it breaks the block."""
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(api))
            yield
            listening.cancel()

    async def _listen(self, api: Client) -> None:
        selector = f"{world.PROBED}=yes"
        page = await api.page(world.ROUTES, selector)
        version = page.version
        for each in page.objects:
            self._hear(each)
        while True:
            async for event in api.watch(world.ROUTES, selector, version):
                version = event.object["metadata"]["resourceVersion"]
                if event.type != "BOOKMARK":
                    self._hear(event.object)

    def _hear(self, route: Mapping[str, Any]) -> None:
        generation = promised(route, self._controller)
        if generation:
            self.told.setdefault((route["metadata"]["name"], generation), time.perf_counter())


def promised(route: Mapping[str, Any], controller: str) -> int:
    """The generation of which a controller says that all is well with it; 0 when it does not.

    Implementations that say Programmed of a route mean that it is in force; of the others Accepted is all there is.
    """
    generations = list(_generations(route, controller))
    return min(generations, default=0)


def _generations(route: Mapping[str, Any], controller: str) -> Iterator[int]:
    for parent in route.get("status", {}).get("parents", ()):
        if parent["controllerName"] == controller:
            for each in parent.get("conditions", ()):
                good = each["status"] == "True" or each["type"] not in ("Accepted", "ResolvedRefs", "Programmed")
                yield int(each.get("observedGeneration", 0)) if good else 0


async def attached(api: Client) -> int:
    """How many routes the Gateway's status says it has; -1 when it says nothing."""
    found = await api.read(_GATEWAY) or {}
    listeners = found.get("status", {}).get("listeners", ())
    return sum(each["attachedRoutes"] for each in listeners) if listeners else -1


async def promised_routes(api: Client, controller: str) -> int:
    """Of how many routes all is said to be well."""
    count = 0
    async for page in pages(api, world.ROUTES):
        count += sum(promised(each, controller) >= each["metadata"]["generation"] for each in page.objects)
    return count
