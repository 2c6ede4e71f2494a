"""What informers are told by an API server that a test scripts. Called by the tests of the provider."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import fastforward_crds as crds
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kubernetes.access import Access
from fastforward_operator.kubernetes.client import ApiError, Client, Event, Page
from fastforward_operator.providers import Batch
from fastforward_operator.providers.kubernetes import KubernetesProvider, Watched

UPSTREAMS = Watched("", "upstreams", crds.API_VERSION, "Upstream")
SECRETS = Watched("", "secrets", "v1", "Secret", generations=False)


def ref(name: str, kind: str = "Upstream") -> ObjectRef:
    return ObjectRef(kind=kind, namespace="shop", name=name)


def upstream(name: str, *, generation: int = 1, version: int = 1, port: int = 80) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": name, "generation": generation}
    return {
        "metadata": {**metadata, "resourceVersion": str(version)},
        "spec": {"endpoints": [{"address": "127.0.0.1", "port": port}]},
    }


def secret(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)}, "data": {}}


class Scripted(Client):
    """Stands for the API client: lists what `objects` holds, two to a page, and hands on what is put into `events`."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__(Access(server="", tls=ssl.create_default_context()))
        self.objects = list(objects)
        self.events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        self.lists = 0
        self.watched_from: list[str] = []
        self.version = "100"
        self.refuses: dict[str, int] = {}
        """Path -> status."""
        self.refused = 0
        self.namespaces: dict[str, int] = {}
        """Status of those that are not just there."""

    async def read(self, path: str) -> dict[str, Any] | None:
        status = self.namespaces.get(path.removeprefix("/api/v1/namespaces/"), 200)
        if status not in (200, 404):
            raise ApiError(status, "no")
        return {} if status == 200 else None

    async def page(self, path: str, selector: str, following: str = "") -> Page:
        del selector
        if path in self.refuses:
            self.refused += 1
            raise ApiError(self.refuses[path], "no")
        start = int(following or 0)
        self.lists += not following
        more = str(start + 2) if start + 2 < len(self.objects) else ""
        return Page([dict(each) for each in self.objects[start : start + 2]], self.version, more)

    async def watch(self, path: str, selector: str, version: str) -> AsyncGenerator[Event]:
        del path, selector
        self.watched_from.append(version)
        while (event := await self.events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event


class Told:
    """What a reconciler would know."""

    def __init__(self, provider: KubernetesProvider) -> None:
        self.batches: list[Batch] = []
        self.objects: dict[ObjectRef, crds.Resource | crds.Invalid] = {}
        self.provider = provider

    async def follow(self) -> None:
        async for batch in self.provider.watch():
            self.batches.append(batch)
            for object_ref, value in batch.changes.items():
                if value is None:
                    self.objects.pop(object_ref, None)
                else:
                    self.objects[object_ref] = value

    def port(self, name: str) -> int | None:
        found = self.objects.get(ref(name))
        return found.spec.endpoints[0].port if isinstance(found, crds.Upstream) else None


@asynccontextmanager
async def following(
    client: Client,
    *watched: Watched,
    on_status: Callable[..., None] = lambda *_: None,
    namespaces: tuple[str, ...] = (),
) -> AsyncGenerator[Told]:
    told = Told(KubernetesProvider(client, on_status, watched or (UPSTREAMS,), namespaces))
    task = asyncio.create_task(told.follow())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
