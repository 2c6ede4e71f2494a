"""The charts in a cluster with a node, an Edge of two Envoys there, and clients of its Service.

In: a cluster with the charts installed, a namespace. Out: a `PodScene`. Called by tests of failures of pods. One route
answers by itself, one leads to a server that takes its time, so that something is always under way; dozens more are
there so that an Envoy has something to wait for before it is ready.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import fastforward_crds as crds
import yaml
from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client

from support.charts import CHARTS, helm
from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.operator import EDGE_PORT, edge, proxy, respond, until

from .clients import Clients, clients, slow_origin
from .fleet import Fleet, Sight, fleet

NAMESPACE = rbac.NAMESPACE
OPERATOR = "deployment/fastforward-operator"
HOST = "shop.example.com"
STEADY, SLOW, SHOP = "/steady", "/slow", "/shop"
SLOW_S = 0.3
ROUTES = 60


@dataclass(slots=True)
class PodScene:
    """One Edge `public`, its pods, its clients."""

    kubectl: Kubectl
    api: Client
    namespace: str
    fleet: Fleet
    clients: Clients

    async def call(self, *arguments: str, stdin: str = "", seconds: float = 60.0) -> str:
        return await asyncio.to_thread(self.kubectl, *arguments, stdin=stdin, seconds=seconds)

    async def apply(self, *documents: str) -> None:
        await self.call("-n", self.namespace, "apply", "--server-side", "-f", "-", stdin="\n---\n".join(documents))

    async def change(self, body: str) -> None:
        """One route answers something else."""
        self.fleet.wanted = {**self.fleet.wanted, SHOP: body}
        await self.apply(respond("shop", HOST, body, path=SHOP))

    async def told(self) -> tuple[str, str]:
        """What that route says: whether this generation is Programmed, and of how many proxies."""
        path = f"/apis/{crds.API_VERSION}/namespaces/{self.namespace}/routes/shop"
        found = await self.api.read(path)
        assert found is not None
        status = found.get("status", {})
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return "", ""
        (programmed,) = (each["status"] for each in status["conditions"] if each["type"] == "Programmed")
        return programmed, status["proxies"]

    async def resize(self, cpu: int) -> Sight:
        """The Edge's pods ask for so many thousandths of a core, so all are replaced; until old ones are gone."""
        before = self.fleet.now.ready
        await self.apply(sized_edge(cpu))
        sight = await self.fleet.until_whole(before, seconds=240)
        gone = [f"pod/{each.pod}" for each in sorted(before)]
        await self.call("-n", NAMESPACE, "wait", "--for=delete", "--timeout=90s", *gone, seconds=100)
        return sight

    async def patch(self, spec: Mapping[str, Any]) -> None:
        """Somebody changes the Deployment of the Envoys by hand."""
        text = json.dumps(spec)
        await self.call("-n", NAMESPACE, "patch", "deployment", self.fleet.base, "--type=strategic", "-p", text)


def install(kubectl: Kubectl, chart: str, *arguments: str) -> None:
    """The chart, or another version of it; returns when its pods are ready."""
    waited = ("--wait", "--timeout=120s", "--namespace", NAMESPACE)
    done = helm("upgrade", "--install", chart, str(CHARTS / chart), *waited, *arguments, kubeconfig=kubectl.kubeconfig)
    assert done.returncode == 0, done.stderr


def sized_edge(cpu: int) -> str:
    """Two Envoys, which a Service of the cluster leads to."""
    made = yaml.safe_load(edge(HOST))
    proxies = {"replicas": 2, "resources": {"requests": {"cpu": f"{cpu}m"}}, "service": {"type": "ClusterIP"}}
    return json.dumps({**made, "spec": {**made["spec"], "proxies": proxies}})


def documents(origin: tuple[str, int]) -> tuple[list[str], dict[str, str]]:
    """What is applied, and what paths answer then."""
    address, port = origin
    slow = yaml.safe_load(proxy("slow", HOST, "slow"))
    slow["spec"]["rules"][0]["matches"] = [{"path": {"value": SLOW}}]
    upstream: dict[str, Any] = {
        "apiVersion": crds.API_VERSION,
        "kind": "Upstream",
        "metadata": {"name": "slow"},
        "spec": {"endpoints": [{"address": address, "port": port}]},
    }
    wanted = {STEADY: "steady", SHOP: "0", **{f"/r{number}": f"body {number}" for number in range(ROUTES)}}
    routes = [respond(path.strip("/"), HOST, body, path=path) for path, body in wanted.items()]
    return [sized_edge(100), json.dumps(upstream), json.dumps(slow), *routes], {**wanted, SLOW: SLOW}


@asynccontextmanager
async def pod_scene(cluster: Cluster, kubectl: Kubectl) -> AsyncGenerator[PodScene]:
    """In a namespace of its own; clients ask from the begin to the end of the block."""
    namespace = f"test-{secrets.token_hex(4)}"
    await asyncio.to_thread(kubectl, "create", "namespace", namespace)
    async with (
        Client(find_access(kubectl.kubeconfig)) as api,
        slow_origin(cluster.network.machine, SLOW_S, SLOW) as port,
    ):
        applied, wanted = documents((cluster.network.machine, port))
        await until(lambda: _taken(kubectl, namespace, applied), bool, seconds=60, every=0.5)
        waited = ("wait", "--for=condition=Programmed", "--timeout=120s", "edge,route", "--all")
        await asyncio.to_thread(kubectl, "-n", namespace, *waited, seconds=130)
        async with fleet(api, f"{namespace}/public", HOST, wanted) as envoys:
            service = await api.read(f"/api/v1/namespaces/{NAMESPACE}/services/{envoys.base}")
            assert service is not None
            address = service["spec"]["clusterIP"]
            async with clients(address, EDGE_PORT, HOST, (STEADY, "steady"), (SLOW, SLOW)) as asking:
                yield PodScene(kubectl, api, namespace, envoys, asking)
        await asyncio.to_thread(kubectl, "-n", namespace, "delete", "edge", "public")
        pods = ("-n", NAMESPACE, "wait", "--for=delete", "--timeout=90s", f"deployment/{envoys.base}")
        await asyncio.to_thread(kubectl, *pods, seconds=100)


async def _taken(kubectl: Kubectl, namespace: str, applied: list[str]) -> bool:
    """Whether the API server takes it, which it does as soon as it reaches the webhook."""
    text = "\n---\n".join(applied)
    done = await asyncio.to_thread(
        kubectl.run, "-n", namespace, "apply", "--server-side", "-f", "-", stdin=text, seconds=120
    )
    return done.returncode == 0
