"""What the suite needs of a cluster: images, the definitions of Gateway API and ours, the operator's account, a class.

In: a running cluster. Out: a kubeconfig of the operator's service account. Called by the command of conformance.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from fastforward_operator.kubernetes import rbac

from support.cluster.definition import Cluster
from support.cluster.images import Image, load
from support.cluster.kubectl import Kubectl
from support.repository import ROOT
from support.tools import FOLDER, go, program

ECHO = "registry.k8s.io/gateway-api/echo-basic"
VERSIONS = ("v1.5.1", "v1.6.0-dev.2", "v1.6.0-dev.3")
"""That the suite's manifests name; the program is that of the suite's own version."""
COREDNS = "registry.k8s.io/coredns/coredns:v1.12.2"
CLASS = "fastforward"
PARAMETERS = {"replicas": "1", "resources.requests.cpu": "10m", "resources.requests.memory": "64Mi"}
"""Of the pods of Gateways: the suite has a dozen of these at once, and the cluster one machine."""


def prepare(cluster: Cluster, folder: Path, channel: str) -> Path:
    """Everything, in order, with the definitions of a channel; returns the kubeconfig."""
    for version in VERSIONS:
        load(cluster, Image(name=f"{ECHO}:{version}", files={"/echo": program("echo-basic")}, entrypoint=("/echo",)))
    dns = Image(name=COREDNS, files={"/coredns": program("coredns")}, entrypoint=("/coredns",), user="0:0")
    load(cluster, dns)
    kubectl = Kubectl(cluster.kubeconfig)
    definitions_of_channel = module("sigs.k8s.io/gateway-api") / "config/crd" / channel
    theirs = sorted(definitions_of_channel.glob("gateway.networking.k8s.io_*.yaml"))
    for definitions in (*theirs, ROOT / "crds/generated"):
        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(definitions))
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    kubectl("apply", "--server-side", "-f", str(ROOT / "operator/controller/generated/rbac.yaml"))
    referred = {"group": "", "kind": "ConfigMap", "name": CLASS, "namespace": rbac.NAMESPACE}
    kubectl.apply(parameters(), gateway_class(parametersRef=referred))
    return kubeconfig_of_operator(kubectl, folder)


def gateway_class(**spec: object) -> dict[str, object]:
    """The class of our Gateways."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": CLASS},
        "spec": {"controllerName": "gateway.fastforward.dev/controller", **spec},
    }


def parameters() -> dict[str, object]:
    """What the class refers to."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CLASS, "namespace": rbac.NAMESPACE, "labels": {"gateway.fastforward.dev/use": "true"}},
        "data": PARAMETERS,
    }


def kubeconfig_of_operator(kubectl: Kubectl, folder: Path) -> Path:
    """Of the service account, which may do what the generated roles say and no more."""
    return kubectl.write_kubeconfig_of(rbac.NAMESPACE, rbac.NAME, folder / "kubeconfig", "--duration=12h")


def module(name: str, pinned_by: str = "gateway-api") -> Path:
    """The folder of a Go module, at the version that a module in `tools/` is pinned to: the suite's, if not another."""
    told = subprocess.run(
        [*go(), "mod", "download", "-json", name],
        cwd=FOLDER / pinned_by,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(json.loads(told.stdout)["Dir"])
