"""CoreDNS as a Deployment: names of Services. A cluster is closed, so any other name is told not to exist, at once."""

from __future__ import annotations

from typing import Any

from support.cluster.definition import Cluster
from support.cluster.images import Image
from support.tools import PROGRAMS, program

NAME = "coredns"
NAMESPACE = "kube-system"
VERSION = next(each.version for each in PROGRAMS if each.name == NAME)
IMAGE = f"fastforward.local/{NAME}:{VERSION}"
LABELS = {"k8s-app": "kube-dns"}
# Two servers, because the order of the plugins in one is CoreDNS's own: `template` would answer for everybody.
COREFILE = """\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    cache 5
    loadbalance
    reload
}
.:53 {
    errors
    template ANY ANY . {
        rcode NXDOMAIN
    }
}
"""


def image() -> Image:
    """The program and nothing else."""
    return Image(
        name=IMAGE, files={"/coredns": program(NAME)}, entrypoint=("/coredns", "-conf", "/etc/coredns/Corefile")
    )


def manifests(cluster: Cluster) -> tuple[dict[str, Any], ...]:
    """All that it needs, for a server-side apply."""
    return (
        made("v1", "ServiceAccount"),
        made("rbac.authorization.k8s.io/v1", "ClusterRole", rules=rules()),
        made(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME},
            subjects=[{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        ),
        made("v1", "ConfigMap", data={"Corefile": COREFILE}),
        made("apps/v1", "Deployment", spec={"selector": {"matchLabels": LABELS}, "template": template()}),
        service(cluster),
    )


def made(version: str, kind: str, **fields: object) -> dict[str, Any]:
    """An object of this kind; a namespace does no harm where it has no meaning."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": NAME, "namespace": NAMESPACE}, **fields}


def rules() -> list[dict[str, Any]]:
    """What it watches."""
    return [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]


def template() -> dict[str, Any]:
    """The pod, which may bind port 53 and nothing else that an ordinary one may not."""
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 30},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    return {
        "metadata": {"labels": LABELS},
        "spec": {
            "serviceAccountName": NAME,
            "dnsPolicy": "Default",
            "priorityClassName": "system-cluster-critical",
            "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]},
            "containers": [container],
            "volumes": [{"name": "config", "configMap": {"name": NAME}}],
        },
    }


def service(cluster: Cluster) -> dict[str, Any]:
    """At the address that every pod's resolver has."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    document = made("v1", "Service", spec={"clusterIP": cluster.network.dns, "selector": LABELS, "ports": ports})
    document["metadata"]["name"] = "kube-dns"
    return document
