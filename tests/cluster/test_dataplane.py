"""An Edge becomes Envoys in pods, a Workload decision services, and both serve what Routes say."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_compiler.emit.kubernetes import edge_names, workload_names
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.kubernetes import rbac
from fastforward_operator.settings import Settings

from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.operator import respond, until
from support.repository import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PODS = rbac.NAMESPACE
HOST = "shop.example.com"


@dataclass(slots=True)
class Scene:
    """An operator beside the cluster, which its pods reach by the name of a Service."""

    kubectl: Kubectl
    namespace: str
    operator: Operator

    async def call(self, *arguments: str, stdin: str = "", seconds: float = 60.0) -> str:
        return await asyncio.to_thread(self.kubectl, *arguments, stdin=stdin, seconds=seconds)

    async def apply(self, *documents: str) -> None:
        await self.call("-n", self.namespace, "apply", "--server-side", "-f", "-", stdin="\n---\n".join(documents))

    async def get(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON
        return json.loads(await self.call("get", *arguments, "-o", "json"))

    async def programmed(self, what: str, seconds: int = 90) -> None:
        waited = f"--timeout={seconds}s"
        await self.call("-n", self.namespace, "wait", "--for=condition=Programmed", waited, what, seconds=seconds + 10)

    async def address(self, name: str) -> str:
        service = await self.get("-n", PODS, "service", edge_names(f"{self.namespace}/{name}").base)
        return service["spec"]["clusterIP"]


async def ask(address: str, path: str = "/", **headers: str) -> tuple[int, str]:
    """Status and body; status 0 when nobody answers."""

    def call() -> tuple[int, str]:
        request = urllib.request.Request(f"http://{address}{path}", headers={"host": HOST, **headers})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    return await asyncio.to_thread(call)


def as_service(name: str, address: str, port: int) -> tuple[dict[str, Any], ...]:
    """A Service for something outside of the cluster."""
    ports = [{"name": "xds", "port": port, "protocol": "TCP"}]
    return (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": PODS},
            "spec": {"clusterIP": "None", "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": PODS, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )


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
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    token = kubectl("-n", rbac.NAMESPACE, "create", "token", rbac.NAME).strip()
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(config))
    # A port that is known before the operator listens.
    port = 20000 + int(namespace[-4:], 16) % 10000
    service = f"operator-{namespace}"
    settings = Settings(
        provider="kubernetes",
        kubeconfig=kubeconfig,
        namespaces=(namespace,),
        state_dir=tmp_path / "state",
        api_port=0,
        xds_address=f"{cluster.network.at('0.1')}:{port}",
        xds_tls=True,
        envoy_image=images["envoy"],
        decision_image=images["entrypoint"],
        image_pull_policy="Never",
        operator_service=service,
        decision=f"{namespace}/decision",
    )
    kubectl.apply(*as_service(service, cluster.network.at("0.1"), port))
    operator = bootstrap(settings)
    await operator.start()
    made = Scene(kubectl, namespace, operator)
    yield made
    await made.call("-n", namespace, "delete", "edges,workloads", "--all")
    await until(lambda: made.get("-n", PODS, "deployments"), lambda found: not found["items"])
    await operator.stop()


def edge(name: str = "public", **proxies: object) -> str:
    spec = {
        "hosts": [HOST],
        "listeners": [{"name": "http", "port": 80}],
        "proxies": {"service": {"type": "ClusterIP"}, **proxies},
    }
    return yaml.safe_dump(
        {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": "Edge", "metadata": {"name": name}, "spec": spec}
    )


def workload(name: str = "decision", replicas: int = 1) -> str:
    return (
        f"apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}}}\n"
        f"spec: {{replicas: {replicas}}}\n"
    )


GUARD = (
    "apiVersion: gateway.fastforward.dev/v1alpha1\nkind: AuthPolicy\nmetadata: {name: even}\n"
    "spec:\n  targets: [{kind: Route, name: guarded}]\n"
    "  authorization: {grants: [{name: even, condition: request.path.endsWith('2')}]}\n"
)


async def test_from_an_edge_to_traffic_through_pods(scene: Scene) -> None:
    guarded = respond("guarded", HOST, "guarded", path="/guarded")
    await scene.apply(edge(), workload(), respond("shop", HOST, "hello"), GUARD, guarded)
    await scene.programmed("route/shop")
    await scene.programmed("route/guarded")
    shop = await scene.get("-n", scene.namespace, "route", "shop")
    assert shop["status"]["proxies"] == "2/2"
    address = await scene.address("public")
    # Proxies serve before the cluster's own Services know that they are ready.
    await until(lambda: ask(address), lambda answer: answer == (200, "hello"))
    assert await ask(address, "/guarded/2") == (200, "guarded")
    assert (await ask(address, "/guarded/1"))[0] == 403
    started = time.monotonic()
    await scene.apply(respond("shop", HOST, "changed"))
    await until(lambda: ask(address), lambda answer: answer == (200, "changed"))
    assert time.monotonic() - started < 10


async def test_what_is_gone_is_taken_away_and_what_is_broken_is_mended(scene: Scene) -> None:
    await scene.apply(edge(), workload())
    names = edge_names(f"{scene.namespace}/public")
    base = names.base
    await scene.programmed("edge/public")
    await scene.call("-n", PODS, "delete", "service", base)
    assert scene.operator.outside.data_plane is not None
    scene.operator.outside.data_plane.wake()
    await until(lambda: services(scene), lambda found: base in found)
    await scene.apply(edge(replicas=1))
    await until(lambda: deployment(scene, base), lambda found: found["spec"]["replicas"] == 1)
    await scene.call("-n", scene.namespace, "delete", "edge", "public")
    await until(lambda: services(scene), lambda found: base not in found)
    assert workload_names(f"{scene.namespace}/decision").base in await services(scene)
    left = await scene.get("-n", PODS, "secrets,serviceaccounts,poddisruptionbudgets")
    assert not [each for each in left["items"] if each["metadata"]["name"] in (base, names.secret)]


async def services(scene: Scene) -> set[str]:
    return {each["metadata"]["name"] for each in (await scene.get("-n", PODS, "services"))["items"]}


async def deployment(scene: Scene, name: str) -> Any:  # noqa: ANN401 - JSON
    return await scene.get("-n", PODS, "deployment", name)
