"""`ff` says of a cluster what it says of `ff up`: through kubectl, with the user's own access."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import tarfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import pytest
import yaml
from fastforward_operator.bootstrap import Operator, bootstrap
from fastforward_operator.settings import Settings

from support.cluster.kubectl import Kubectl
from support.envoy import Envoy, start_envoy
from support.ff import Said, ff_of, ff_process
from support.operator import respond
from support.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REQUEST = """
tests:
  - name: the shop is open
    request: {{url: "http://{host}/"}}
    expect: {{status: 200, route: {namespace}/shop}}
  - name: the shop sells cars
    request: {{url: "http://{host}/cars"}}
    expect: {{route: {namespace}/cars}}
"""
SAME = ("kind", "namespace", "name", "generation", "proxies", "effective")


@dataclass(slots=True)
class Scene:
    """An operator over an API server, an Envoy, and two ways to ask about them."""

    operator: Operator
    envoy: Envoy
    kubectl: Kubectl
    namespace: str

    @property
    def host(self) -> str:
        return f"{self.namespace}.example.com"

    async def apply(self, *documents: str) -> None:
        arguments = ("-n", self.namespace, "apply", "--server-side", "-f", "-")
        await asyncio.to_thread(self.kubectl, *arguments, stdin="\n---\n".join(documents))

    async def of_cluster(self, *arguments: str | Path) -> Said:
        return await asyncio.to_thread(ff_of, self.kubectl.kubeconfig, *arguments, "--context", ".")

    async def of_operator(self, *arguments: str) -> Said:
        # A process of its own: the operator writes its log to where this process prints.
        api = f"http://127.0.0.1:{self.operator.api_port}"
        return await asyncio.to_thread(ff_process, *arguments, "--api", api)


@pytest.fixture
async def scene(tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str) -> AsyncGenerator[Scene]:
    port = free_port()
    settings = Settings(
        provider="kubernetes",
        kubeconfig=operator_kubeconfig,
        namespaces=(namespace,),
        state_dir=tmp_path / "state",
        api_port=0,
        bind_address="127.0.0.1",
        # Its own port in the cluster, too: what is compiled here are the Edges of all tests.
        ports={port: free_port()},
    )
    operator = bootstrap(settings)
    await operator.start()
    socket = Path(settings.xds_target.removeprefix("unix:"))
    envoy = start_envoy("envoy", tmp_path / "envoy", xds_socket=socket, port=settings.ports[port])
    found = Scene(operator, envoy, kubectl, namespace)
    try:
        await found.apply(edge(found.host, port), respond("shop", found.host, "open"))
        await asyncio.to_thread(
            kubectl, "-n", namespace, "wait", "--for=condition=Programmed", "--timeout=30s", "routes,edges", "--all"
        )
        yield found
    finally:
        await asyncio.to_thread(envoy.stop)
        await operator.stop()


def edge(host: str, port: int) -> str:
    spec = {"hosts": [host], "listeners": [{"name": "http", "port": port}]}
    return yaml.safe_dump(
        {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": "Edge", "metadata": {"name": "public"}, "spec": spec}
    )


def essence(one: dict[str, Any]) -> dict[str, Any]:
    """What operator and status say alike."""
    conditions = [(each["type"], each["status"], each["reason"], each["message"]) for each in one["conditions"]]
    return {**{name: one[name] for name in SAME}, "conditions": conditions}


async def test_get_and_status_say_what_the_operator_says(scene: Scene) -> None:
    arguments = ("get", "-n", scene.namespace, "-o", "json")
    told = (await scene.of_operator(*arguments)).json["objects"]
    seen = (await scene.of_cluster(*arguments)).json["objects"]
    ours = [each for each in told if each["kind"] in ("Edge", "Route")]
    assert sorted(map(essence, seen), key=str) == sorted(map(essence, ours), key=str)
    assert len(seen) == 2
    table = await scene.of_cluster("get", "rt", f"{scene.namespace}/shop")
    assert (table.code, "proxies      1 of 1 have it" in table.out) == (0, True)
    status = await scene.of_cluster("status")
    assert "objects are programmed" in status.out
    assert "Proxies and what they acknowledged are not shown: no pod of an operator is in namespace" in status.err


async def test_explain_compiles_what_is_in_the_cluster(scene: Scene) -> None:
    request = ("explain", "request", "GET", f"http://{scene.host}/", "-o", "json")
    told, seen = (await scene.of_operator(*request)).json, (await scene.of_cluster(*request)).json
    assert seen == told
    assert seen["route"] == f"{scene.namespace}/shop"
    route = ("explain", "route", f"{scene.namespace}/shop", "-o", "json")
    assert (await scene.of_cluster(*route)).json == (await scene.of_operator(*route)).json


async def test_route_tests_run_against_the_cluster(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "shop.test.yaml").write_text(REQUEST.format(host=scene.host, namespace=scene.namespace))
    said = await scene.of_cluster("test", folder)
    assert said.code == 1
    assert "ok   " in said.out.splitlines()[0]
    assert f"route: expected {scene.namespace}/cars, got {scene.namespace}/shop" in said.out


async def test_validate_judges_a_directory_in_the_cluster(scene: Scene, tmp_path: Path) -> None:
    document = yaml.safe_load(respond("more", "elsewhere.example.com", "x"))
    document["metadata"]["namespace"] = scene.namespace
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(document))
    alone = await asyncio.to_thread(ff_process, "validate", tmp_path / "more.yaml")
    assert "EdgeNotFound" in alone.out
    within = await scene.of_cluster("validate", tmp_path / "more.yaml")
    assert within.code == 1
    assert f"is not among those of Edge {scene.namespace}/public" in within.out
    assert within.out.splitlines()[-1] == "1 object, 1 problem."
    cluster = await scene.of_cluster("validate", "-o", "json")
    assert [each for each in cluster.json["problems"] if each["namespace"] == scene.namespace] == []


async def test_collect_takes_what_is_in_the_cluster_without_its_secrets(scene: Scene, tmp_path: Path) -> None:
    planted, other = secrets.token_urlsafe(20), secrets.token_urlsafe(20)
    labels = {"gateway.fastforward.dev/use": "true"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "planted", "labels": labels},
        "stringData": {"key": planted},
    }
    unread = [
        {**secret, "metadata": {"name": "unread"}, "stringData": {"key": other}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "unread"}, "data": {"a": "not for us"}},
    ]
    # As people apply it: then the API server keeps the whole document in an annotation as well.
    arguments = ("-n", scene.namespace, "apply", "-f", "-")
    await asyncio.to_thread(scene.kubectl, *arguments, stdin=yaml.safe_dump_all([secret, *unread]))
    await scene.apply(respond("told", scene.host, f"the key is {planted} or {other}", path="/told"))
    file = tmp_path / "report.tar.gz"
    said = await scene.of_cluster("collect", "-o", file)
    assert said.code == 0
    assert "Not in it: wanted/envoy.json: " in said.err
    with tarfile.open(file) as tar:
        found = {
            entry.name.partition("/")[2]: opened.read().decode() for entry in tar if (opened := tar.extractfile(entry))
        }
    whole = "\n".join((*found, *found.values(), said.out, said.err))
    hidden = (planted, base64.b64encode(planted.encode()).decode(), other, "not for us")
    assert [each for each in hidden if each in whole] == []
    objects = list(yaml.safe_load_all(found["objects/Secret.yaml"]))
    assert {"key": "[redacted]"} in [each["data"] for each in objects if each["metadata"]["name"] == "planted"]
    assert "unread" not in [each["metadata"]["name"] for each in objects]
    assert "the key is [redacted] or [redacted]" in found["objects/Route.yaml"]
    assert json.loads(found["versions.json"])["cluster"]["gitVersion"]


async def test_proxies_and_traffic_need_pods(scene: Scene) -> None:
    for command in (("proxy",), ("top", "--once")):
        said = await scene.of_cluster(*command)
        assert (said.code, "pod of an Edge runs" in said.err) == (1, True)


async def test_names_of_a_cluster_are_completed(scene: Scene) -> None:
    words = ("ff", "get", "--kubeconfig", str(scene.kubectl.kubeconfig), "rt", f"{scene.namespace}/")
    asked = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": "5", "_FF_COMPLETE": "complete_bash"}
    said = await asyncio.to_thread(ff_of, scene.kubectl.kubeconfig, **asked)
    assert said.out.split() == [f"{scene.namespace}/shop"]


async def test_a_cluster_that_does_not_answer_is_one_sentence(scene: Scene, tmp_path: Path) -> None:
    config = yaml.safe_load(scene.kubectl.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
    (tmp_path / "nobody").write_text(yaml.safe_dump(config))
    said = await asyncio.to_thread(ff_of, tmp_path / "nobody", "get")
    assert (said.code, said.err.count("\n") >= 1) == (1, True)
    assert "The cluster does not answer" in said.err
    said = await asyncio.to_thread(ff_of, scene.kubectl.kubeconfig, "get", "--context", "none")
    assert said.code == 1
    assert "none" in said.err


async def test_what_the_user_may_not_read_is_left_out_and_told(scene: Scene, tmp_path: Path) -> None:
    """An account that may read our resources, and nothing else."""
    kubectl, account = scene.kubectl, f"{scene.namespace}:reader"
    for made in (
        ("-n", scene.namespace, "create", "serviceaccount", "reader"),
        ("create", "clusterrole", account, "--verb=list", f"--resource={crds.PLURALS['Route']}.{crds.GROUP}"),
        ("create", "clusterrolebinding", account, f"--clusterrole={account}", f"--serviceaccount={account}"),
    ):
        await asyncio.to_thread(kubectl, *made)
    path = await asyncio.to_thread(kubectl.write_kubeconfig_of, scene.namespace, "reader", tmp_path / "reader.yaml")
    said = await asyncio.to_thread(ff_of, path, "status")
    assert re.search(r"Left out, for you may not read it: .*\bpods\b", said.err), said.err
    assert not re.search(r"\broutes\b", said.err), said.err


def test_without_kubectl_it_says_what_is_missing(tmp_path: Path) -> None:
    said = ff_process("get", "--context", ".", PATH=str(tmp_path))
    assert (said.code, "kubectl is needed" in said.err) == (1, True)


def test_nothing_named_is_a_wrong_call() -> None:
    assert ff_process("validate").code == 2
