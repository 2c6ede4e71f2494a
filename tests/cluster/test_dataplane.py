"""An Edge becomes Envoys in pods, a Workload decision services, and both serve what Routes say."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import tarfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_compiler.emit.kubernetes import (
    COMPONENT,
    GATEWAY_NAME,
    OWNER,
    edge_names,
    owner_label,
    workload_names,
)
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client
from fastforward_operator.kubernetes.dataplane import INSTALLATION
from fastforward_operator.kubernetes.podsecrets import WORKLOADS
from fastforward_operator.settings import Settings

from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.cluster.outside import as_service
from support.conformance.preparation import CLASS
from support.faults.clients import BROKEN, REFUSED, clients
from support.faults.fleet import fleet
from support.ff import Said, ff_of
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


async def ask(address: str, path: str = "/") -> tuple[int, str]:
    """Status, and body or where it leads; status 0 when nobody answers."""

    def call() -> tuple[int, str]:
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", path, headers={"host": HOST})
            answer = connection.getresponse()
            return answer.status, answer.getheader("location") or answer.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    return await asyncio.to_thread(call)


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """The administrator's, with our kinds and the operator's account."""
    made = Kubectl(cluster.kubeconfig)
    made("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
    made("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
    made("apply", "--server-side", "-f", str(ROOT / "operator/controller/generated/rbac.yaml"))
    return made


@asynccontextmanager
async def operating(
    folder: Path,
    cluster: Cluster,
    kubectl: Kubectl,
    namespace: str,
    **settings: Any,  # noqa: ANN401 - as in Settings
) -> AsyncGenerator[Scene]:
    kubeconfig = kubectl.write_kubeconfig_of(rbac.NAMESPACE, rbac.NAME, folder / "kubeconfig")
    # A port that is known before the operator listens.
    port = 20000 + int(namespace[-4:], 16) % 10000
    service = f"operator-{namespace}"
    made = Settings(
        provider="kubernetes",
        kubeconfig=kubeconfig,
        namespaces=(namespace,),
        state_dir=folder / "state",
        api_port=0,
        xds_address=f"{cluster.network.at('0.1')}:{port}",
        xds_tls=True,
        image_pull_policy="Never",
        operator_service=service,
        decision=f"{namespace}/decision",
        **settings,
    )
    kubectl.apply(*as_service(service, PODS, cluster.network.at("0.1"), port))
    operator = bootstrap(made)
    await operator.start()
    scene = Scene(kubectl, namespace, operator)
    try:
        yield scene
        await scene.call("-n", namespace, "delete", "edges,workloads", "--all")
        data_plane = operator.outside.data_plane
        assert data_plane is not None
        ours = ("-n", PODS, "deployments", "--selector", f"{INSTALLATION}={data_plane.installation}")
        await until(lambda: scene.get(*ours), lambda found: not found["items"])
    finally:
        await operator.stop()


SceneOf = Callable[..., AbstractAsyncContextManager[Scene]]


@pytest.fixture
def scene_of(tmp_path: Path, cluster: Cluster, kubectl: Kubectl, images: dict[str, str], namespace: str) -> SceneOf:
    """Starts an operator with further settings."""
    own = {"envoy_image": images["envoy"], "decision_image": images["entrypoint"]}
    return lambda **settings: operating(tmp_path, cluster, kubectl, namespace, **own, **settings)


@pytest.fixture
async def scene(scene_of: SceneOf) -> AsyncGenerator[Scene]:
    async with scene_of() as made:
        yield made


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


async def test_ff_looks_into_pods(scene: Scene, tmp_path: Path) -> None:
    await scene.apply(edge(), workload(), respond("shop", HOST, "hello"))
    await scene.programmed("route/shop")
    address = await scene.address("public")
    await until(lambda: ask(address), lambda answer: answer == (200, "hello"))
    owner = f"{OWNER}={owner_label(f'{scene.namespace}/public')}"
    pod, *_ = (await scene.get("-n", PODS, "pods", "--selector", f"{COMPONENT}=envoy,{owner}"))["items"]
    name, api = pod["metadata"]["name"], f"http://127.0.0.1:{scene.operator.api_port}"

    async def of_cluster(*arguments: str | Path) -> Said:
        return await asyncio.to_thread(ff_of, scene.kubectl.kubeconfig, *arguments)

    same = await until(lambda: of_cluster("proxy", name, "--api", api), lambda said: said.code == 0)
    assert same.out.startswith(f"{name} has ")
    shown = await of_cluster("proxy", name, "--api", api, "--show", f"{scene.namespace}/public|{HOST}#")
    assert "inline_string: hello" in shown.out
    route = f"{scene.namespace}/shop"
    counted = await until(
        lambda: of_cluster("top", "--once", "--window", "300", "-o", "json"),
        lambda said: any(row["name"] == route for row in said.json["rows"]),
    )
    assert counted.json["underWay"]["proxies"] >= 1
    file = tmp_path / "report.tar.gz"
    assert (await of_cluster("collect", "-o", file)).code == 0
    with tarfile.open(file) as tar:
        found = {entry.name.partition("/")[2] for entry in tar}
    assert {
        f"proxies/{name}/config_dump.json",
        f"logs/{name}.envoy.log",
        "cluster/pods.json",
        "objects/Route.yaml",
    } <= found


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


async def test_a_workload_says_what_keeps_its_pods_and_is_programmed_once_it_is_mended(scene: Scene) -> None:
    async def programmed(reason: str) -> str:
        asked = ("-n", scene.namespace, "workload", "decision")
        found = await until(
            lambda: scene.get(*asked),
            lambda each: each.get("status", {}).get("conditions", [{}])[-1].get("reason") == reason,
            seconds=60,
        )
        return found["status"]["conditions"][-1]["message"]

    secret = ("-n", PODS, "create", "secret", "generic", scene.namespace, "--from-literal=key=none")
    await scene.apply(
        yaml.safe_dump(
            {
                **yaml.safe_load(workload()),
                "spec": {"replicas": 1, "seal": {"name": scene.namespace, "key": "key"}},
            }
        )
    )
    assert f"Secret {PODS}/{scene.namespace}" in await programmed("SecretNotFound")
    await scene.call(*secret)
    annotation = f"{WORKLOADS}={scene.namespace}/decision"
    await scene.call("-n", PODS, "annotate", "secret", scene.namespace, annotation)
    assert "container decision ended (Error, exit code 1)" in await programmed("PodsNotReady")
    await scene.apply(workload())
    await scene.programmed("workload/decision")
    await scene.call("-n", PODS, "delete", "secret", scene.namespace)


async def services(scene: Scene) -> set[str]:
    return {each["metadata"]["name"] for each in (await scene.get("-n", PODS, "services"))["items"]}


async def deployment(scene: Scene, name: str) -> Any:  # noqa: ANN401 - JSON
    return await scene.get("-n", PODS, "deployment", name)


GATEWAY = """
apiVersion: v1
kind: ConfigMap
metadata: {name: small, labels: {gateway.fastforward.dev/use: "true"}}
data: {replicas: "1", resources.requests.cpu: 50m}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front}
spec:
  gatewayClassName: fastforward
  infrastructure:
    labels: {team: books}
    annotations: {example.com/owner: books}
    parametersRef: {group: "", kind: ConfigMap, name: small}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: away}
spec:
  parentRefs: [{name: front}]
  hostnames: [shop.example.com]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: elsewhere.example.com}}]}]
"""


@pytest.mark.parametrize("pool", ["", "192.60-192.69"], ids=["the cluster's address", "an address of the pool"])
async def test_a_gateway_has_proxies_and_an_address_of_its_own(
    scene_of: SceneOf, our_class: str, cluster: Cluster, pool: str
) -> None:
    assert our_class == CLASS
    first, _, last = pool.partition("-")
    block = f"{cluster.network.at(first)}-{cluster.network.at(last)}" if pool else ""
    async with scene_of(gateway_addresses=block) as scene:
        await scene.apply(GATEWAY)
        names = edge_names(f"{scene.namespace}/front~gateway")
        if not pool:
            await until(lambda: services(scene), lambda found: names.base in found)
            status = f'{{"status": {{"loadBalancer": {{"ingress": [{{"ip": "{cluster.network.at("192.70")}"}}]}}}}}}'
            patch = ("-n", PODS, "patch", "service", names.base, "--subresource=status", "--type=merge", "-p", status)
            await scene.call(*patch)
        await scene.programmed("gateway/front")
        gateway = await scene.get("-n", scene.namespace, "gateway", "front")
        (address,) = (each["value"] for each in gateway["status"]["addresses"])
        made = await deployment(scene, names.base)
        assert (made["spec"]["replicas"], made["metadata"]["annotations"]["example.com/owner"]) == (1, "books")
        chosen = ("-l", f"team=books,{GATEWAY_NAME}=front,{OWNER}={names.selector[OWNER]}")
        found = await scene.get("-n", PODS, "pods,services,serviceaccounts", *chosen)
        assert {each["kind"] for each in found["items"]} == {"Pod", "Service", "ServiceAccount"}
        await until(lambda: ask(address), lambda answer: answer == (302, "http://elsewhere.example.com/"))
        await scene.call("-n", scene.namespace, "delete", "gateway", "front")
        await until(lambda: services(scene), lambda found: names.base not in found)


async def test_of_an_envoy_that_is_killed_only_its_own_requests_fail_and_it_is_back_with_everything(
    scene: Scene,
) -> None:
    await scene.apply(edge(), respond("shop", HOST, "hello"))
    await scene.programmed("route/shop")
    name, address = f"{scene.namespace}/public", await scene.address("public")
    async with (
        Client(find_access(scene.kubectl.kubeconfig)) as api,
        fleet(api, name, HOST, {"/": "hello"}) as envoys,
        clients(address, 80, HOST, ("/", "hello")) as asking,
    ):
        await envoys.settled()
        victim = min(envoys.now.ready)
        victim.send(signal.SIGKILL)
        sight = await envoys.until_whole(frozenset({victim}))
    assert [each.restarts for each in sight.ready if each.pod == victim.pod] == [1]
    assert envoys.wrong == []
    assert {each.kind for each in asking.failures} <= {BROKEN, REFUSED}
    assert asking.answered.keys() == {"new", "kept"}
