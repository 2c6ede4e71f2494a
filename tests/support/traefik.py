"""A Traefik of the cluster, as people have it: somebody else's, that reads its own kinds in every namespace.

In: a cluster. Out: its image in the node, the definitions of its kinds, the documents that run it. Called by tests.
The program is the one of the wheel that uv.lock pins, the definitions are those of the Go module in `tools/traefik`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from support.cluster.definition import Cluster
from support.cluster.images import Image, load
from support.conformance.preparation import module

IMAGE = "fastforward.local/traefik:1"
PLAIN, SECURE, PING = 8000, 8443, 8080
_READ = ["get", "list", "watch"]
_ARGUMENTS = (
    f"--entrypoints.web.address=:{PLAIN}",
    f"--entrypoints.websecure.address=:{SECURE}",
    f"--entrypoints.traefik.address=:{PING}",
    "--ping",
    "--providers.kubernetescrd",
    "--providers.providersthrottleduration=100ms",
    "--global.checknewversion=false",
    "--global.sendanonymoususage=false",
)


def load_image(cluster: Cluster) -> None:
    """Gives the node the image."""
    program = Path(sys.executable).with_name("traefik")
    load(cluster, Image(name=IMAGE, files={"/traefik": program}, entrypoint=("/traefik",)))


def definitions() -> Path:
    """The file with the definitions of its kinds."""
    folder = module("github.com/traefik/traefik/v3", "traefik")
    return folder / "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"


def documents(namespace: str) -> list[dict[str, Any]]:
    """The pod, and the account that may read what it needs; the role has the namespace's name."""
    rules = [
        {"apiGroups": [""], "resources": ["services", "secrets", "nodes", "configmaps"], "verbs": _READ},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
        {"apiGroups": ["traefik.io"], "resources": ["*"], "verbs": _READ},
    ]
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    subject = {"kind": "ServiceAccount", "name": "traefik", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace}
    inside = {"name": "traefik", "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": inside},
        {**rbac, "kind": "ClusterRole", "metadata": {"name": namespace}, "rules": rules},
        {
            **rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": namespace},
            "roleRef": role,
            "subjects": [subject],
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": inside, "spec": _pod()},
    ]


def _pod() -> dict[str, Any]:
    container = {
        "name": "traefik",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": list(_ARGUMENTS),
        "readinessProbe": {"httpGet": {"path": "/ping", "port": PING}, "periodSeconds": 1},
    }
    return {"serviceAccountName": "traefik", "terminationGracePeriodSeconds": 0, "containers": [container]}
