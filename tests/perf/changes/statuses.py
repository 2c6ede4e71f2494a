"""When the API server has the status of a change, as somebody learns who watches.

In: a client of the API server. Out: a `Statuses`, which is asked for a route. Called by api_to_traffic. What `kubectl
wait --for=condition=Programmed` waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import fastforward_crds as crds
from fastforward_operator.kubernetes.client import Client

PATH = f"/apis/{crds.API_VERSION}/namespaces/default/routes"


class _Seen(NamedTuple):
    """Generations of a route."""

    there: int
    programmed: int
    """Of the newest that is said to be programmed."""


class Statuses:
    """Of all routes, from the moment when it is made."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._news = asyncio.Event()

    def generation(self, name: str) -> int:
        """Which one a route has, as far as is known; nobody has changed those of which nothing is heard."""
        return self._seen[name].there if name in self._seen else 1

    async def until_programmed(self, name: str, generation: int, seconds: float) -> None:
        """Returns when the status says so of this generation. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while name not in self._seen or self._seen[name].programmed < generation:
                self._news.clear()
                await self._news.wait()

    async def follow(self, api: Client, version: str) -> None:
        """Until cancelled: the API server ends every watch after a while."""
        while True:
            async for event in api.watch(PATH, "", version):
                version = event.object["metadata"]["resourceVersion"]
                if event.type != "BOOKMARK":
                    self._take(event.object)

    def _take(self, route: Mapping[str, Any]) -> None:
        said = [each for each in route.get("status", {}).get("conditions", ()) if each["type"] == "Programmed"]
        programmed = max((each["observedGeneration"] for each in said if each["status"] == "True"), default=0)
        self._seen[route["metadata"]["name"]] = _Seen(route["metadata"]["generation"], programmed)
        self._news.set()


@asynccontextmanager
async def statuses(api: Client) -> AsyncGenerator[Statuses]:
    """Followed while the block runs."""
    made = Statuses()
    task = asyncio.create_task(made.follow(api, (await api.page(PATH, "")).version))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
