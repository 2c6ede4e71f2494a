"""How long from a PATCH to the API server to changed traffic, with many routes present.

usage: python -m perf.api_to_traffic --routes 10000 --changes 1000 [--shape hosts|tenants|both] [--out]

The clock starts before the PATCH is sent and stops at the first answer with the new content. etcd, API server, operator
and Envoy are the real ones, each its own process on this machine; etcd does not wait for the disk. The time until the
PATCH is answered is part of it, and told beside.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastforward_crds as crds
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client

from perf import report
from perf.change_to_traffic import Client as Asker
from perf.change_to_traffic import World, until_answers
from perf.change_worlds import SHAPES, Probe
from perf.command import Result, run
from perf.standalone import Standalone
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.repository import ROOT

_START_S, _GIVE_UP_S = 120.0, 20.0
_WRITERS = 32
_FOLDERS = ("edge.yaml", "auth.yaml", "tenants", "routes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResult(Result):
    """What is known besides."""

    statuses_s: float
    """From the first answer of the last route to the last status written."""
    patch_ms: dict[str, float]
    """Until the API server answers."""


async def measure(shape: str, routes: int, changes: int) -> ApiResult:
    """Start everything, then change one route after the other."""
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        with shared_cluster(folder / "api-server", "--light") as cluster:
            kubectl = Kubectl(cluster.kubeconfig)
            kubectl("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
            kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
            kubectl("create", "namespace", "fastforward-system")
            source = {"FF_PROVIDER": "kubernetes", "FF_KUBECONFIG": str(cluster.kubeconfig)}
            async with Client(find_access(cluster.kubeconfig)) as api, Standalone(folder / "state", source) as gateway:
                world = SHAPES[shape](folder / "resources", routes, gateway.port)
                await create_all(api, folder / "resources")
                began = time.perf_counter()
                gateway.start()
                asker = Asker(gateway.port)
                await until_answers(asker, world.probes[-1], 0, _START_S)
                start_s = time.perf_counter() - began
                statuses_s = await until_told(api, routes)
                samples = [await _change(api, world, asker, random.choice(world.probes), n + 1) for n in range(changes)]
                return ApiResult(
                    shape=shape,
                    routes=routes,
                    start_s=round(start_s, 2),
                    statuses_s=round(statuses_s, 2),
                    change_ms=report.summary([seen for seen, _ in samples]),
                    patch_ms=report.summary([answered for _, answered in samples]),
                    pss_mib=gateway.memory(),
                )


async def create_all(api: Client, resources: Path) -> None:
    """What the files hold, to the API server."""
    writers = asyncio.Semaphore(_WRITERS)

    async def create(document: Mapping[str, Any]) -> None:
        async with writers:
            await api.create(collection(document), document)

    for place in _FOLDERS:
        found = resources / place
        files = sorted(found.iterdir()) if found.is_dir() else [found] if found.exists() else []
        texts = (text for file in files for text in file.read_text().split("\n---\n"))
        await asyncio.gather(*(create(json.loads(text)) for text in texts))


def collection(document: Mapping[str, Any]) -> str:
    """Path of the list that an object is in."""
    if document["kind"] == "ConfigMap":
        return "/api/v1/namespaces/default/configmaps"
    return f"/apis/{crds.API_VERSION}/namespaces/default/{crds.PLURALS[document['kind']]}"


async def until_told(api: Client, routes: int) -> float:
    """Seconds until every route has a status."""
    began = time.perf_counter()
    async with asyncio.timeout(_START_S + routes / 50):
        while True:
            told = sum([bool(each.get("status")) async for each in _routes(api)])
            if told >= routes:
                return time.perf_counter() - began
            # Seldom: a list of all of them keeps the API server from writing.
            await asyncio.sleep(5)


async def _routes(api: Client) -> AsyncGenerator[dict[str, Any]]:
    following = ""
    while True:
        page = await api.page(f"/apis/{crds.API_VERSION}/routes", "", following)
        for each in page.objects:
            yield each
        following = page.following
        if not following:
            return


async def _change(api: Client, world: World, asker: Asker, probe: Probe, generation: int) -> tuple[float, float]:
    document = json.loads(world.route(probe, generation))
    path = f"{collection(document)}/{document['metadata']['name']}"
    began = time.perf_counter()
    await api.merge(path, {"spec": document["spec"]})
    answered = time.perf_counter()
    await until_answers(asker, probe, generation, _GIVE_UP_S)
    return (time.perf_counter() - began) * 1e3, (answered - began) * 1e3


if __name__ == "__main__":
    run(
        measure,
        name="api_to_traffic",
        title="From a PATCH to changed traffic",
        description=__doc__,
        about={"etcd": "--unsafe-no-fsync"},
    )
