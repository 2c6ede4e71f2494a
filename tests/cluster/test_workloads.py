"""Adapters and stages in pods of their own: an order of the bookshop passes them, and none is lost when they go."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from fastforward_compiler.emit.kubernetes import OWNER, workload_names
from fastforward_compiler.emit.kubernetes.settings import PROBE_PORT

from cluster.test_dataplane import PODS, Scene, operating
from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.operator import until
from support.repository import ROOT
from support.resources import Document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

API = "gateway.fastforward.dev/v1alpha1"
REST, GRAPHQL = "rest.api.bookshop.localhost", "graphql.api.bookshop.localhost"
BOOKSHOP = ROOT / "examples/bookshop"
BOOKS = ("pride", "emma", "moby")
"""Of those who are nobody's; five hundred each."""
MUTATION = 'mutation { placeOrder(input: {book: "emma", quantity: 1}) { book } }'


class Answer(NamedTuple):
    """Status 0 when nobody answers."""

    status: int
    text: str


def post(address: str, host: str, path: str, body: Mapping[str, object]) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        headers = {"host": host, "content-type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode())
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error))
    finally:
        connection.close()


async def order(address: str, book: str = "pride") -> Answer:
    return await asyncio.to_thread(post, address, REST, "/orders", {"book": book, "quantity": 1})


def resource(kind: str, name: str, spec: Document) -> Document:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def catalog() -> list[Document]:
    """The program that takes orders, and its Upstream."""
    container = {
        "name": "bookshop",
        "image": "fastforward.local/bookshop:0.1.0",
        "imagePullPolicy": "Never",
        "args": ["--host=0.0.0.0", "--name=catalog", "--rest-port=7100", "--grpc-port=7200"],
        # It is not to be away for a moment because the machine is slow: orders would be refused meanwhile.
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": 7100},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 10,
        },
    }
    labels: Document = {"app": "catalog"}
    template: Document = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "catalog"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "catalog"},
            "spec": {"selector": labels, "ports": [{"name": "grpc", "port": 7200}]},
        },
        resource("Upstream", "catalog-grpc", {"protocol": "GRPC", "service": {"name": "catalog", "portName": "grpc"}}),
    ]


def shop() -> list[Document]:
    """What of the bookshop takes orders over REST and GraphQL."""
    edge: Document = {
        "hosts": ["*.bookshop.localhost"],
        "listeners": [{"name": "http", "port": 80}],
        "proxies": {"service": {"type": "ClusterIP"}, "replicas": 1},
    }
    taken = [
        {**each, "metadata": {"name": each["metadata"]["name"]}}
        for each in yaml.safe_load_all((BOOKSHOP / "resources/messages.yaml").read_text())
        if each["metadata"]["name"] in ("order", "api", "graph", "api-graphql")
    ]
    return [*catalog(), resource("Edge", "public", edge), resource("Workload", "decision", {"replicas": 1}), *taken]


ADAPTERS: Document = {
    "component": "Ingress",
    "adapters": ["REST", "GraphQL"],
    "decision": {"name": "decision"},
    "replicas": 1,
}
STAGES: Document = {"component": "Stages", "stages": ["normalization", "routing"], "replicas": 1}


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """The administrator's, with our kinds and the operator's account."""
    made = Kubectl(cluster.kubeconfig)
    made("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
    made("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
    made("apply", "--server-side", "-f", str(ROOT / "operator/controller/generated/rbac.yaml"))
    return made


@pytest.fixture
async def scene(
    tmp_path: Path, cluster: Cluster, kubectl: Kubectl, images: dict[str, str], namespace: str
) -> AsyncGenerator[Scene]:
    own = {"envoy_image": images["envoy"], "decision_image": images["entrypoint"]}
    async with operating(tmp_path, cluster, kubectl, namespace, **own) as made:
        yield made


async def apply(scene: Scene, *documents: Document) -> None:
    await scene.apply(*(yaml.safe_dump(document) for document in documents))


async def pods(scene: Scene, component: str, name: str) -> list[Any]:  # JSON
    """Those of a Workload that are ready."""
    labels = workload_names(f"{scene.namespace}/{name}", component).selector
    chosen = ",".join(f"{key}={value}" for key, value in labels.items())
    found = (await scene.get("-n", PODS, "pods", "-l", chosen))["items"]
    assert all(OWNER in each["metadata"]["labels"] for each in found)
    return [each for each in found if is_ready(each) and "deletionTimestamp" not in each["metadata"]]


def is_ready(pod: Any) -> bool:  # noqa: ANN401 - JSON
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def calls(scene: Scene, component: str, name: str, hop: str) -> float:
    """What the pods of a Workload have called over hops whose names begin so, by their own count."""
    total = 0.0
    for pod in await pods(scene, component, name):
        text = await asyncio.to_thread(metrics, pod["status"]["podIP"])
        total += sum(map(float, re.findall(rf'^ff_hop_calls_total{{hop="{hop}[^"]*"}} (\S+)$', text, re.MULTILINE)))
    return total


def metrics(address: str) -> str:
    connection = http.client.HTTPConnection(address, PROBE_PORT, timeout=10)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@dataclass(slots=True)
class Orders:
    """Orders that come one after the other, all the time."""

    scene: Scene
    address: str
    answers: list[Answer] = field(default_factory=list)

    async def come(self) -> None:
        for book in cycle(BOOKS):
            self.answers.append(await order(self.address, book))
            await asyncio.sleep(0.15)

    async def pass_pods(self) -> bool:
        """Whether those that come now pass adapters and stages in their pods."""
        before = await self._passed()
        await order(self.address)
        return all(later > earlier for earlier, later in zip(before, await self._passed(), strict=True))

    async def _passed(self) -> tuple[float, float]:
        handed_on = await calls(self.scene, "Ingress", "adapters", "messages to ")
        return handed_on, await calls(self.scene, "Decision", "decision", "stages of ")

    async def more(self) -> None:
        asked = len(self.answers)
        await until(lambda: asyncio.sleep(0.1, len(self.answers)), lambda count: count > asked + 20)


async def test_orders_pass_pods_with_adapters_and_stages_and_none_is_lost_when_they_go(scene: Scene) -> None:
    await apply(scene, *shop())
    await scene.programmed("route/api", 180)
    await scene.programmed("route/api-graphql")
    address = await scene.address("public")
    await until(lambda: order(address), lambda answer: answer.status == 201, seconds=120, every=0.5)
    orders = Orders(scene, address)
    coming = asyncio.create_task(orders.come())
    try:
        await apply(scene, resource("Workload", "adapters", ADAPTERS), resource("Workload", "stages", STAGES))
        await until(orders.pass_pods, bool, seconds=180, every=0.5)
        made = await asyncio.to_thread(post, address, GRAPHQL, "/graphql", {"query": MUTATION})
        assert json.loads(made.text) == {"data": {"placeOrder": {"book": "emma"}}}
        # One pod each: while there is none, EntryPoint does their work.
        for component, name in (("Ingress", "adapters"), ("Stages", "stages")):
            [pod] = await pods(scene, component, name)
            await scene.call("-n", PODS, "delete", "pod", pod["metadata"]["name"], seconds=90)
        await until(orders.pass_pods, bool, seconds=120, every=0.5)
        await scene.call("-n", scene.namespace, "delete", "workload", "adapters", "stages")
        await until(lambda: pods(scene, "Ingress", "adapters"), lambda found: not found, seconds=90, every=0.5)
        await orders.more()
    finally:
        coming.cancel()
    assert [answer for answer in orders.answers if answer.status != 201] == []
