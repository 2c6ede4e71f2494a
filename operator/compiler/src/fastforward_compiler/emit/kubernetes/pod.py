"""What all pods have in common: they may do nothing that they need not. Called by edge and workload.

Source: Kubernetes' Pod Security Standards, "Restricted".
"""

from __future__ import annotations

from typing import Any

from fastforward_compiler import ir

from .names import Names
from .settings import PROBE_PORT, TLS_FOLDER, PodSettings

USER = 65532
RUN_FOLDER = "/run/fastforward"

Document = dict[str, Any]
_UNITS = {"": 1, "m": 0.001, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}


def container_security() -> Document:
    """Of every container."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def resources(pods: ir.Pods, default_requests: Document) -> Document:
    """Kubernetes' requests and limits; a pod that asks for nothing is the first to be evicted.

    Kubernetes refuses one that asks for more than its limit, and takes the limit where it asks for nothing.
    """
    limits = dict(pods.limits)
    fitting = {
        name: amount
        for name, amount in default_requests.items()
        if name not in limits or _number(amount) <= _number(limits[name])
    }
    found: Document = {"requests": {**fitting, **dict(pods.requests)}}
    if limits:
        found["limits"] = limits
    return found


def _number(amount: str) -> float:
    digits = amount.rstrip("mKMGi")
    return float(digits) * _UNITS[amount[len(digits) :]]


def http_get(path: str, **more: Any) -> Document:  # noqa: ANN401 - JSON
    """A probe of the port that answers probes."""
    return {"httpGet": {"path": path, "port": PROBE_PORT}, **more}


def deployment(names: Names, settings: PodSettings, pods: ir.Pods, pod: Document) -> Document:
    """A Deployment that takes no pod away before another one is there."""
    spec = {
        "automountServiceAccountToken": False,
        "serviceAccountName": names.base,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
            **pod.pop("securityContext", {}),
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.selector},
            }
        ],
        **pod,
    }
    if settings.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.pull_secrets]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.metadata(settings.namespace),
        "spec": {
            "replicas": pods.replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": names.selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": names.labels}, "spec": spec},
        },
    }


def service_account(names: Names, settings: PodSettings) -> Document:
    """An account that may do nothing."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": names.metadata(settings.namespace),
        "automountServiceAccountToken": False,
    }


def disruption_budget(names: Names, settings: PodSettings) -> Document:
    """One pod at a time is moved."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(settings.namespace),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": names.selector}},
    }


def tls_volume(names: Names) -> Document:
    """The Secret with the certificate, readable to the pod's user alone."""
    return {"name": "tls", "secret": {"secretName": names.secret, "defaultMode": 0o440}}


def tls_mount() -> Document:
    """Where it is."""
    return {"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True}


def secret_volume(name: str, secret: str) -> Document:
    """A Secret, readable to the pod's user alone."""
    return {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}}


def secret_mount(name: str) -> Document:
    """Where it is."""
    return {"name": name, "mountPath": f"/etc/fastforward/{name}", "readOnly": True}


def folder(name: str, size: str, *, memory: bool = False) -> Document:
    """A volume that is empty at first."""
    return {"name": name, "emptyDir": {"sizeLimit": size, **({"medium": "Memory"} if memory else {})}}


def from_field(name: str, path: str) -> Document:
    """An environment variable that says something of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
