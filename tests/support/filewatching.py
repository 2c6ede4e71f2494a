"""A file provider that watches, and what its listener believes. Called by tests of resources in files."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import fastforward_crds as crds
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.providers import Batch
from fastforward_operator.providers.file import FileProvider
from fastforward_operator.providers.lastgood import LastGood
from fastforward_operator.providers.watch import OpenWatch

from .eventually import eventually


def ref(name: str) -> ObjectRef:
    return ObjectRef(kind="ConfigMap", namespace="default", name=name)


def text(name: str, value: str = "1") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: '{value}'}}\n"


class Watching:
    """What a listener of the provider believes, and every Batch that it got."""

    def __init__(self, provider: FileProvider) -> None:
        self.provider = provider
        self.batches: list[Batch] = []
        self.believed: dict[str, str] = {}
        self.invalid: dict[str, str] = {}
        self.gone: list[str] = []

    async def run(self) -> None:
        async for batch in self.provider.watch():
            self.batches.append(batch)
            for object_ref, value in (*batch.last_good.items(), *batch.changes.items()):
                self._believe(object_ref.name, value)

    def _believe(self, name: str, value: crds.Resource | crds.Invalid | None) -> None:
        if isinstance(value, crds.Invalid):
            self.invalid[name] = value.errors[0].message
            return
        self.invalid.pop(name, None)
        if value is None:
            self.believed.pop(name, None)
            self.gone.append(name)
        else:
            assert isinstance(value, crds.ConfigMap)
            self.believed[name] = value.data["v"]


@asynccontextmanager
async def watching(*roots: Path, by: OpenWatch, state: Path | None = None) -> AsyncGenerator[Watching]:
    found = Watching(FileProvider(roots, LastGood(state) if state else None, by))
    task = asyncio.create_task(found.run())
    try:
        await eventually(lambda: found.batches)
        yield found
    finally:
        task.cancel()
        await asyncio.wait({task})
