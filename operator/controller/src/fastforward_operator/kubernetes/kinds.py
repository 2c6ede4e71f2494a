"""The kinds that are made for Edges and Workloads, and where the API server has them.

In: a kind. Out: its path. Called by dataplane, lookout, podsecrets and rbac.
"""

from __future__ import annotations

from fastforward_compiler.emit.kubernetes import TRAEFIK

PLURALS = {
    (TRAEFIK, "IngressRoute"): "ingressroutes",
    (TRAEFIK, "IngressRouteTCP"): "ingressroutetcps",
    (TRAEFIK, "Middleware"): "middlewares",
    (TRAEFIK, "ServersTransportTCP"): "serverstransporttcps",
    ("apps/v1", "Deployment"): "deployments",
    ("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
}
"""Of those that are not wanted any more, what leads to pods goes first, then a Deployment."""


def collection(api_version: str, kind: str, namespace: str) -> str:
    """Where objects of a kind are."""
    root = "/api" if "/" not in api_version else "/apis"
    return f"{root}/{api_version}/namespaces/{namespace}/{PLURALS[api_version, kind]}"
