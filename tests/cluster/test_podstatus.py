"""What a Workload and an Edge say while their pods wait for a Secret, can't be made or don't start: a real API server.

Its controllers make the pods; there is no node, so what a kubelet would say of them is written here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_compiler.emit.kubernetes import Names, edge_names, workload_names
from fastforward_operator.bootstrap import bootstrap
from fastforward_operator.kubernetes import rbac
from fastforward_operator.kubernetes.lookout import LOOK_S
from fastforward_operator.kubernetes.podsecrets import WORKLOADS
from fastforward_operator.settings import Settings

from support.cluster.kubectl import Kubectl
from support.operator import until

from .test_mutual_tls import Scene

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

API = "gateway.fastforward.dev/v1alpha1"
REDIS = {"redis": {"host": "redis.example.com", "password": {"name": "redis", "key": "password"}}}
IMAGE = "nowhere.example.com/decision:1"
CHANGE = {"resources": {"requests": {"cpu": "101m"}}}
RUNNING = {"state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, "started": True}
PULL = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{IMAGE}": ErrImagePull: no such host'}


def resource(kind: str, name: str, **spec: object) -> str:
    return yaml.safe_dump({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec})


@asynccontextmanager
async def operating(
    folder: Path, kubectl: Kubectl, kubeconfig: Path, namespace: str, pods: str
) -> AsyncGenerator[Scene]:
    settings = Settings(
        provider="kubernetes",
        kubeconfig=kubeconfig,
        namespaces=(namespace,),
        lease_namespace=pods,
        state_dir=folder / "state",
        api_port=0,
        xds_address="127.0.0.1:0",
        xds_tls=True,
        envoy_image="envoy:1",
        decision_image=IMAGE,
    )
    operator = bootstrap(settings)
    await operator.start()
    try:
        yield Scene(folder, kubectl, namespace, settings, operator)
    finally:
        await asyncio.to_thread(kubectl, "-n", namespace, "delete", "edges,workloads", "--all")
        await operator.stop()


async def said(scene: Scene, kind: str, name: str, wanted: str, reason: str, status: str = "False") -> str:
    """The message of a condition once it is so."""

    async def look() -> dict[str, Any]:
        found = (await scene.status(kind, name)).get("conditions", ())
        return next((each for each in found if each["type"] == wanted), {})

    told = await until(look, lambda each: (each.get("status"), each.get("reason")) == (status, reason))
    return told["message"]


async def pod_of(scene: Scene, names: Names) -> str:
    """The name of its only pod, once it is there."""
    chosen = ",".join(f"{key}={value}" for key, value in names.selector.items())
    listed = ("-n", scene.settings.lease_namespace, "get", "pods", "-l", chosen, "-o", "json")

    async def look() -> list[Any]:
        return json.loads(await asyncio.to_thread(scene.kubectl, *listed))["items"]

    (pod,) = await until(look, lambda found: len(found) == 1)
    return pod["metadata"]["name"]


async def as_kubelet(scene: Scene, pod: str, container: dict[str, Any], *, ready: bool) -> None:
    image = {"name": "decision", "image": IMAGE, "imageID": "", "ready": ready, "restartCount": 0, **container}
    conditions = [{"type": "Ready", "status": str(ready)}, {"type": "ContainersReady", "status": str(ready)}]
    status = {"phase": "Running" if ready else "Pending", "conditions": conditions, "containerStatuses": [image]}
    patch = ("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    await asyncio.to_thread(scene.kubectl, "-n", scene.settings.lease_namespace, *patch)


async def run_workload(scene: Scene) -> None:
    """A decision service, Programmed by its pod in its first version."""
    await scene.apply(resource("Workload", "decision", replicas=1))
    pod = await pod_of(scene, workload_names(f"{scene.namespace}/decision"))
    await as_kubelet(scene, pod, RUNNING, ready=True)
    await said(scene, "workload", "decision", "Programmed", "Programmed", "True")


async def waits_for_pods(scene: Scene) -> None:
    """The status of its second version, before there are pods of it."""
    told = await until(lambda: scene.status("workload", "decision"), lambda status: status["observedGeneration"] == 2)
    assert (told["conditions"][-1]["status"], told["conditions"][-1]["reason"]) == ("Unknown", "Pending")


async def test_a_workload_says_which_secret_its_pods_wait_for_and_is_programmed_when_they_are_ready(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str
) -> None:
    async with operating(tmp_path, kubectl, operator_kubeconfig, namespace, rbac.NAMESPACE) as scene:
        redis = {"redis": {**REDIS["redis"], "password": {"name": namespace, "key": "password"}}}
        await scene.apply(resource("Workload", "decision", replicas=1, **redis))
        assert namespace in await said(scene, "workload", "decision", "ResolvedRefs", "SecretNotFound")
        told = await said(scene, "workload", "decision", "Programmed", "SecretNotFound")
        assert told.startswith(f"0 of 1 pods are ready. Secret {rbac.NAMESPACE}/{namespace}")
        secret = ("-n", rbac.NAMESPACE, "create", "secret", "generic", namespace)
        await asyncio.to_thread(kubectl, *secret, "--from-literal=other=x")
        annotation = f"{WORKLOADS}={namespace}/decision"
        await asyncio.to_thread(kubectl, "-n", rbac.NAMESPACE, "annotate", "secret", namespace, annotation)
        assert "has no key password" in await said(scene, "workload", "decision", "ResolvedRefs", "SecretInvalid")
        patch = ("patch", "secret", namespace, "-p", '{"stringData": {"password": "x"}}')
        await asyncio.to_thread(kubectl, "-n", rbac.NAMESPACE, *patch)
        await said(scene, "workload", "decision", "ResolvedRefs", "ResolvedRefs", "True")
        await said(scene, "workload", "decision", "Programmed", "Pending", "Unknown")
        pod = await pod_of(scene, workload_names(f"{namespace}/decision"))
        await as_kubelet(scene, pod, {"state": {"waiting": PULL}}, ready=False)
        for condition in ("PodsReady", "Programmed"):
            told = await said(scene, "workload", "decision", condition, "PodsNotReady")
            assert told == f"0 of 1 pods are ready. Pod {pod}: image {IMAGE} can't be pulled: no such host."
        await as_kubelet(scene, pod, RUNNING, ready=True)
        await said(scene, "workload", "decision", "Programmed", "Programmed", "True")
        types = [each["type"] for each in (await scene.status("workload", "decision"))["conditions"]]
        assert types == ["Accepted", "ResolvedRefs", "Programmed"]
        await asyncio.to_thread(kubectl, "-n", rbac.NAMESPACE, "delete", "secret", namespace)
        await said(scene, "workload", "decision", "ResolvedRefs", "SecretNotFound")
        await said(scene, "workload", "decision", "Programmed", "Programmed", "True")


async def test_a_new_version_is_not_programmed_by_pods_of_the_old_one(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str
) -> None:
    async with operating(tmp_path, kubectl, operator_kubeconfig, namespace, rbac.NAMESPACE) as scene:
        await run_workload(scene)
        await scene.apply(resource("Workload", "decision", replicas=1, **CHANGE))
        await waits_for_pods(scene)


async def test_a_version_that_came_while_no_operator_ran_is_not_programmed_by_pods_of_the_old_one(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str
) -> None:
    async with operating(tmp_path, kubectl, operator_kubeconfig, namespace, rbac.NAMESPACE) as scene:
        await run_workload(scene)
        await scene.operator.stop()
        await scene.apply(resource("Workload", "decision", replicas=1, **CHANGE))
        # It can't lead before its predecessor's lease is over, and looks at the old pods until then.
        async with operating(tmp_path / "next", kubectl, operator_kubeconfig, namespace, rbac.NAMESPACE) as following:
            await waits_for_pods(following)
            await asyncio.sleep(3 * LOOK_S)
            await said(following, "workload", "decision", "Programmed", "Pending", "Unknown")


async def test_an_edge_whose_pods_a_quota_forbids_says_so(tmp_path: Path, kubectl: Kubectl, namespace: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    kubectl.apply(quota)
    async with operating(tmp_path, kubectl, kubectl.kubeconfig, namespace, namespace) as scene:
        listeners = [{"name": "http", "port": 80}]
        await scene.apply(resource("Edge", "public", hosts=[f"{namespace}.example.com"], listeners=listeners))
        assert "exceeded quota" in await said(scene, "edge", "public", "PodsReady", "PodsNotReady")
        assert "exceeded quota" in await said(scene, "edge", "public", "Programmed", "NoProxies")
        await asyncio.to_thread(kubectl, "-n", namespace, "delete", "resourcequota", "none")
        names = edge_names(f"{namespace}/public")
        deployment = ("-n", namespace, "rollout", "restart", f"deployment/{names.base}")
        await asyncio.to_thread(kubectl, *deployment)
        await until(
            lambda: scene.status("edge", "public"),
            lambda status: "PodsReady" not in [each["type"] for each in status["conditions"]],
        )
