"""A cluster with a node runs pods from images that were made here, and finds them by address and by name."""

from __future__ import annotations

import secrets
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support.cluster.definition import Cluster
from support.cluster.images import Image, load, with_libraries
from support.cluster.kubectl import Kubectl
from support.eventually import eventually
from support.tools import program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ECHO = "fastforward.local/echo:1"
# Names are looked up by the C library, as by most programs: with the search list, from /etc/resolv.conf.
TOOLS = {f"/bin/{name}": Path("/bin", name) for name in ("bash", "cat", "sleep")}
SHELL = "fastforward.local/shell:1"


def images() -> tuple[Image, ...]:
    """Both, made of files of this machine."""
    return (
        Image(name=ECHO, files={"/echo": program("echo-basic")}, entrypoint=("/echo",)),
        Image(name=SHELL, files=with_libraries(TOOLS), entrypoint=("/bin/sleep", "infinity")),
    )


def pod(name: str, image: str, **container: object) -> dict[str, Any]:
    """A pod of one container, which may do nothing that it need not."""
    limits: dict[str, object] = {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    main = {"name": "main", "image": image, "imagePullPolicy": "Never", "securityContext": limits, **container}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 0},
    }


ECHO_POD = pod(
    "echo",
    ECHO,
    env=[{"name": "POD_NAME", "value": "echo"}],
    readinessProbe={"httpGet": {"path": "/", "port": 3000}, "periodSeconds": 1},
)
ECHO_SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "echo"},
    "spec": {"selector": {"app": "echo"}, "ports": [{"port": 80, "targetPort": 3000}]},
}


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """The administrator's, with an echo server behind a Service, and a shell, in a namespace of their own."""
    made = Kubectl(cluster.kubeconfig)
    for image in images():
        load(cluster, image)
    namespace = f"test-{secrets.token_hex(4)}"
    made("create", "namespace", namespace)
    made("config", "set-context", namespace, "--cluster=fastforward", "--user=admin", f"--namespace={namespace}")
    inside = Kubectl(cluster.kubeconfig, context=namespace)
    inside.apply(ECHO_POD, ECHO_SERVICE, pod("shell", SHELL))
    inside("wait", "--for=condition=Ready", "pod/echo", "pod/shell", "--timeout=60s", seconds=70)
    return inside


def ask(kubectl: Kubectl, host: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a request from the shell's pod to this name or address."""
    script = f"exec 3<>/dev/tcp/{host}/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    return kubectl.run("exec", "shell", "--", "/bin/bash", "-euc", script)


@pytest.mark.parametrize("name", ["echo", "echo.{namespace}", "echo.{namespace}.svc.cluster.local"])
def test_a_pod_reaches_a_service_by_its_names(kubectl: Kubectl, name: str) -> None:
    assert '"pod": "echo"' in ask(kubectl, name.format(namespace=kubectl.context)).stdout


def test_a_pod_reaches_a_service_by_its_address(kubectl: Kubectl) -> None:
    assert '"pod": "echo"' in ask(kubectl, kubectl.get("service", "echo")["spec"]["clusterIP"]).stdout


def test_a_name_outside_the_cluster_does_not_exist(kubectl: Kubectl) -> None:
    assert "Name or service not known" in ask(kubectl, "example.com").stderr


def echoes(url: str) -> bool:
    """Whether the echo server answers a request from this machine."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return b'"pod": "echo"' in answer.read()
    except OSError:
        return False


def test_this_machine_reaches_services_and_pods(kubectl: Kubectl) -> None:
    service = kubectl.get("service", "echo")["spec"]["clusterIP"]
    address = kubectl.get("pod", "echo")["status"]["podIP"]
    assert echoes(f"http://{service}/")
    assert echoes(f"http://{address}:3000/")


async def test_a_service_answers_at_an_address_of_a_load_balancer(kubectl: Kubectl, cluster: Cluster) -> None:
    address = cluster.network.at("192.7")
    assert not echoes(f"http://{address}/")
    spec = {**ECHO_SERVICE["spec"], "type": "LoadBalancer"}
    kubectl.apply({**ECHO_SERVICE, "metadata": {"name": "balanced"}, "spec": spec})
    patch = f'{{"status": {{"loadBalancer": {{"ingress": [{{"ip": "{address}"}}]}}}}}}'
    kubectl("patch", "service", "balanced", "--subresource=status", "--type=merge", "-p", patch)
    await eventually(lambda: echoes(f"http://{address}/"), seconds=10)


def test_logs_come_from_the_node(kubectl: Kubectl) -> None:
    assert "Starting server" in kubectl("logs", "echo")
