"""The same as truth with the resources in a real API server: statuses are read there, by a watch.

In: how many routes and changes. Out: the same Result. Called by truth.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastforward_crds as crds
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client

from perf.api_server import collection, create_all
from perf.changes.worlds import HostsWorld
from perf.ready import until_ready
from perf.standalone import Standalone
from perf.truth.world import ENVOYS, THREADS, Change, Result, Witness, changes_of, lines, programmed
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.repository import ROOT

_START_S = 180.0


async def through_api(routes: int, changes: int) -> Result:
    """Start everything, then change batch after batch by PATCH."""
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        with shared_cluster(folder / "api-server", "--light") as cluster:
            kubectl = Kubectl(cluster.kubeconfig)
            kubectl("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
            kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
            kubectl("create", "namespace", "fastforward-system")
            source = {"FF_PROVIDER": "kubernetes", "FF_KUBECONFIG": str(cluster.kubeconfig)}
            async with Client(find_access(cluster.kubeconfig)) as api, Standalone(folder / "state", source) as gateway:
                world = HostsWorld(folder / "resources", routes, gateway.port)
                await create_all(api, folder / "resources")
                gateway.start_operator()
                for envoy in ENVOYS:
                    gateway.start_envoy(name=envoy, workers=THREADS)
                await asyncio.to_thread(until_ready, gateway)
                path = collection({"apiVersion": crds.API_VERSION, "kind": "Route"})
                version = await _until_all(api, path)
                judges, askers = await lines(gateway, world.probes[0])
                return await _measure(api, path, version, Witness(judges, askers), world, changes)


async def _measure(api: Client, path: str, version: str, witness: Witness, world: HostsWorld, changes: int) -> Result:
    async def hear() -> None:
        async for event in api.watch(path, "", version):
            witness.hear(("Route", event.object["metadata"].get("name", "")), _said(event.object))
        raise RuntimeError("The watch ended.")

    async def write(change: Change) -> None:
        document = json.loads(world.route(change.probe, change.version))
        await api.merge(f"{path}/{document['metadata']['name']}", {"spec": document["spec"]})

    task = asyncio.create_task(hear())
    try:
        return await changes_of(witness, world, changes, write)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _said(route: Mapping[str, Any]) -> Mapping[str, Any]:
    """Conditions alone: how many proxies have it is told in other words there."""
    return {"conditions": route.get("status", {}).get("conditions", ())}


async def _until_all(api: Client, path: str) -> str:
    """Until all routes are said to be programmed by all Envoys; the version of that list."""
    async with asyncio.timeout(_START_S):
        while True:
            objects: Sequence[Mapping[str, Any]] = (page := await api.page(path, "")).objects
            whole = f"{len(ENVOYS)}/{len(ENVOYS)}"
            if all(programmed(_said(each)) and each["status"].get("proxies") == whole for each in objects):
                return page.version
            await asyncio.sleep(0.2)
