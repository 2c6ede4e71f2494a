"""Intermediate representation to Kubernetes objects: the pods that the data plane runs in, and what they need.

In: ir.Edge, ir.Workload, PodSettings. Out: documents as the API server takes them, without any secret. Called by the
operator, which applies them.
"""

from .edge import edge_names, emit_edge
from .names import COMPONENT, EDGE, GATEWAY_NAME, MANAGED, OWNER, Names, owner_label, owner_of
from .settings import TLS_FOLDER, PodSettings
from .traefik import TRAEFIK, emit_traefik
from .workload import COMPONENTS, emit_workload, secrets_of, stores_of, workload_names

__all__ = [
    "COMPONENT",
    "COMPONENTS",
    "EDGE",
    "GATEWAY_NAME",
    "MANAGED",
    "OWNER",
    "TLS_FOLDER",
    "TRAEFIK",
    "Names",
    "PodSettings",
    "edge_names",
    "emit_edge",
    "emit_traefik",
    "emit_workload",
    "owner_label",
    "owner_of",
    "secrets_of",
    "stores_of",
    "workload_names",
]
