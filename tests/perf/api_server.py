"""A real API server with the routes in it, and the product beside it.

In: a shape of routes, a size. Out: what creates, changes and counts there. Called by the benchmarks whose resources are
in an API server. etcd, API server, operator and Envoy are the real ones, each its own process on this machine; etcd
does not wait for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import fastforward_crds as crds
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client

from perf.changes.changing import START_S
from perf.changes.worlds import EDGE, SHAPES, Probe, World
from perf.standalone import Standalone
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.faults.outcome import listed
from support.nodes import OPERATOR, certified, fill, trust_of
from support.repository import ROOT

_WRITERS = 32
_COUNT_S = 15.0
_CONDITION = {"status": "True", "observedGeneration": 1, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
_PLAIN_STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {**_CONDITION, "type": kind, "reason": "Plain"} for kind in ("Accepted", "ResolvedRefs", "Programmed")
    ],
    "proxies": "0/0",
}
"""As large as the operator's."""
_AS_PODS = {"FF_XDS_NAMES": OPERATOR, "FF_ENVOY_IMAGE": "envoy:bench", "FF_DECISION_IMAGE": "decision:bench"}
_FOLDERS = ("edge.yaml", "auth.yaml", "tenants", "routes")


class Setting(NamedTuple):
    """An API server that holds the routes, and the product beside it, not started yet."""

    api: Client
    kubectl: Kubectl
    gateway: Standalone
    world: World


@contextlib.asynccontextmanager
async def setting(folder: Path, shape: str, routes: int, *, tls: bool = False) -> AsyncGenerator[Setting]:
    """With everything in `folder`."""
    with shared_cluster(folder / "api-server", "--light") as cluster:
        kubectl = Kubectl(cluster.kubeconfig)
        kubectl("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
        kubectl("create", "namespace", "fastforward-system")
        source = {
            "FF_PROVIDER": "kubernetes",
            "FF_KUBECONFIG": str(cluster.kubeconfig),
            **(_AS_PODS if tls else {}),
        }
        async with Client(find_access(cluster.kubeconfig)) as api, Standalone(folder / "state", source) as gateway:
            world = SHAPES[shape](folder / "resources", routes, gateway.port)
            await create_all(api, folder / "resources")
            yield Setting(api, kubectl, gateway, world)


async def start(gateway: Standalone, api: Client, tls: Path | None) -> None:
    """The operator and an Envoy; with `tls`, one that proves who it is by what the operator made for its pod."""
    gateway.start_operator(tls=tls is not None)
    if tls is None:
        gateway.start_envoy()
    else:
        fill(tls, *await certified(api, EDGE))
        gateway.start_envoy(trust_of(tls))


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
    if document["apiVersion"] == "v1":
        return f"/api/v1/namespaces/default/{document['kind'].lower()}s"
    return f"/apis/{crds.API_VERSION}/namespaces/default/{crds.PLURALS[document['kind']]}"


async def plain_rate(api: Client, routes: Sequence[str]) -> float:
    """Writes a status of each, as the operator's are; returns how many a second were taken."""
    documents = [json.loads(text) for text in routes]
    writers = asyncio.Semaphore(_WRITERS)

    async def write(document: Mapping[str, Any]) -> None:
        name = document["metadata"]["name"]
        head = {"apiVersion": crds.API_VERSION, "kind": document["kind"], "metadata": {"name": name}}
        async with writers:
            await api.apply_status(f"{collection(document)}/{name}", {**head, "status": _PLAIN_STATUS})

    began = time.perf_counter()
    await asyncio.gather(*(write(document) for document in documents))
    return len(documents) / (time.perf_counter() - began)


def writes(kubectl: Kubectl) -> int:
    """How many statuses of Routes the API server has taken, by its own count."""
    counts = re.findall(r"^apiserver_request_total\{(.*)\} (\d+)$", kubectl("get", "--raw", "/metrics"), re.MULTILINE)
    wanted = {'resource="routes"', 'subresource="status"', 'verb="APPLY"', 'code="200"'}
    return sum(int(count) for labels, count in counts if wanted <= set(labels.split(",")))


async def until_told(api: Client, kubectl: Kubectl, routes: int, before: int) -> list[float]:
    """Once every route has the status of its version: when each was written, as the API server has it, to a second.

    `before` is what `writes` said at the start. By its count the API server is asked meanwhile: a list of all routes
    keeps it from writing for seconds. Seldom: a count costs it and kubectl a quarter of a second of a core.
    """
    async with asyncio.timeout(START_S + routes / 50):
        while True:
            if writes(kubectl) - before >= routes:
                told = [
                    _written_at(each)
                    async for each in listed(api, f"/apis/{crds.API_VERSION}/routes")
                    if _is_told(each)
                ]
                if len(told) >= routes:
                    return told
            await asyncio.sleep(min(_COUNT_S, 1 + routes / 500))


def _is_told(route: Mapping[str, Any]) -> bool:
    """Whether its last condition is the operator's word about its version; a plain client says `Plain`."""
    conditions = route.get("status", {}).get("conditions", ())
    return bool(conditions) and conditions[-1]["reason"] == "Programmed"


def _written_at(route: Mapping[str, Any]) -> float:
    times = [each["time"] for each in route["metadata"]["managedFields"] if each.get("subresource") == "status"]
    return datetime.fromisoformat(max(times)).timestamp()


async def patch(api: Client, world: World, probe: Probe, generation: int) -> None:
    """A route becomes what it is in this generation."""
    document = json.loads(world.route(probe, generation))
    await api.merge(f"{collection(document)}/{document['metadata']['name']}", {"spec": document["spec"]})
