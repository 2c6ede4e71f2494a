"""Each image runs in a pod that may do nothing: not root, no capability, a root that is read-only."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# How each is told to run by itself, and where it says that it does.
CONTAINERS: dict[str, dict[str, Any]] = {
    "operator": {
        "env": {"FF_DIRECTORIES": "/tmp", "FF_STATE_DIR": "/tmp/state", "FF_API_HOST": "0.0.0.0"},
        "ready": ("/readyz", 9080),
    },
    "entrypoint": {
        "env": {
            "FF_ENTRYPOINT_LISTEN": "127.0.0.1:9000",
            "FF_ENTRYPOINT_OPERATOR": "127.0.0.1:18000",
            "FF_ENTRYPOINT_HEALTH_HOST": "0.0.0.0",
            "FF_ENTRYPOINT_HEALTH_PORT": "9090",
        },
        "ready": ("/healthz", 9090),
    },
    "envoy": {
        "args": [
            "--config-yaml",
            '{"admin": {"address": {"socket_address": {"address": "0.0.0.0", "port_value": 9901}}}}',
        ],
        "ready": ("/ready", 9901),
    },
    "bookshop": {
        "args": ["--rest-port", "7101", "--grpc-port", "7201", "--host", "0.0.0.0"],
        "ready": ("/health", 7101),
    },
}
IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys
found = 0
for root in sorted(pathlib.Path(sys.prefix).glob("lib/python*/site-packages/*/py.typed")):
    name = root.parent.name
    if name.startswith(("fastforward", "bookshop")):
        for module in pkgutil.walk_packages([str(root.parent)], name + "."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
                found += 1
print(found, "modules")
"""


def pod(name: str, image: str) -> dict[str, Any]:
    said = CONTAINERS[name]
    path, port = said["ready"]
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "args": said.get("args", []),
        "env": [{"name": key, "value": value} for key, value in said.get("env", {}).items()],
        "readinessProbe": {"httpGet": {"path": path, "port": port}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, images: dict[str, str]) -> Kubectl:
    """The administrator's, with a pod of each image in a namespace that takes no others."""
    made = Kubectl(cluster.kubeconfig)
    namespace = f"test-{secrets.token_hex(4)}"
    made("create", "namespace", namespace)
    made("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    made("config", "set-context", namespace, "--cluster=fastforward", "--user=admin", f"--namespace={namespace}")
    inside = Kubectl(cluster.kubeconfig, context=namespace)
    inside.apply(*(pod(name, image) for name, image in images.items()))
    return inside


def test_every_image_is_tried(images: dict[str, str]) -> None:
    assert images.keys() == CONTAINERS.keys()


@pytest.mark.parametrize("name", CONTAINERS)
def test_an_image_runs_without_any_right(kubectl: Kubectl, name: str) -> None:
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", seconds=70)
    (status,) = kubectl.get("pod", name)["status"]["containerStatuses"]
    assert status["restartCount"] == 0


@pytest.mark.parametrize("name", ["operator", "entrypoint", "bookshop"])
def test_an_image_has_all_that_its_modules_import(kubectl: Kubectl, name: str) -> None:
    kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", seconds=70)
    told = kubectl("exec", name, "--", "/app/bin/python", "-I", "-c", IMPORT_ALL)
    assert int(told.split()[0]) > 5


def test_the_operators_image_has_the_command(kubectl: Kubectl) -> None:
    kubectl("wait", "--for=condition=Ready", "pod/operator", "--timeout=60s", seconds=70)
    assert json.loads(kubectl("exec", "operator", "--", "/app/bin/ff", "get", "routes", "-o", "json")) == {
        "objects": []
    }
