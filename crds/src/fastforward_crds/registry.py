"""The kinds, read top to bottom: model, plural, short names, phases, printer columns.

Called by parse, by the CRD and reference generators, and by the CLI. A new kind is one row here and one module in each
of its phases; a test compares the rows with the tree, both ways.
"""

from __future__ import annotations

from typing import NamedTuple

from . import gatewayapi
from .authpolicy import AuthPolicy
from .edge import Edge
from .eventhook import EventHook
from .meta import API_VERSION, ClusterMeta, Resource
from .native import ConfigMap, Namespace, ReferenceGrant, Secret
from .ratelimit import RateLimit
from .route import Route
from .schema import Schema
from .service import EndpointSlice, Service
from .shard import Shard
from .tenant import Tenant
from .upstream import Upstream
from .workload import Workload

_MADE = ("crds", "translate", "ir")
_FOR_ENVOY = (*_MADE, "emit/envoy")
_FOR_DECISIONS = (*_MADE, "emit/decision", "pipeline/compiled")
_FOR_BOTH = (*_FOR_ENVOY, "emit/decision", "pipeline/compiled")


class Kind(NamedTuple):
    """One of our kinds and how people name it."""

    model: type[Resource]
    plural: str
    short: tuple[str, ...]
    phases: tuple[str, ...]
    """Where it has a module named after it."""
    columns: tuple[tuple[str, str], ...] = ()
    """Printer columns of its own, (title, JSONPath), before PROGRAMMED, REASON and AGE."""

    @property
    def name(self) -> str:
        return self.model.__name__

    @property
    def noun(self) -> str:
        """Its basename in every phase: `ratelimit`."""
        return self.name.lower()


KINDS: tuple[Kind, ...] = (
    Kind(Edge, "edges", ("ed",), (*_FOR_ENVOY, "emit/kubernetes"), (("Hosts", ".spec.hosts"),)),
    Kind(
        Route,
        "routes",
        ("rt",),
        _FOR_BOTH,
        (("Hosts", ".spec.hosts"), ("Priority", ".spec.priority")),
    ),
    Kind(Upstream, "upstreams", ("up",), _FOR_BOTH, (("Protocol", ".spec.protocol"),)),
    Kind(Tenant, "tenants", ("tn",), _FOR_DECISIONS, (("Plan", ".spec.plan"), ("Shard", ".spec.shard"))),
    Kind(Shard, "shards", ("sh",), _FOR_DECISIONS, (("Region", ".spec.region"), ("State", ".spec.state"))),
    Kind(
        RateLimit,
        "ratelimits",
        ("rl",),
        _FOR_BOTH,
        (("Requests", ".spec.budget.requests"), ("Window", ".spec.budget.window")),
    ),
    Kind(
        Workload,
        "workloads",
        ("wl",),
        (*_FOR_DECISIONS, "emit/kubernetes"),
        (("Component", ".spec.component"), ("Replicas", ".spec.replicas")),
    ),
    Kind(Schema, "schemas", ("sc",), _FOR_DECISIONS, (("Format", ".spec.format"),)),
    Kind(EventHook, "eventhooks", ("eh",), _FOR_DECISIONS, (("Upstream", ".spec.upstream.name"),)),
    Kind(AuthPolicy, "authpolicies", ("ap",), _FOR_BOTH, (("Mode", ".spec.authentication.mode"),)),
)


def kind_of(model: type[Resource]) -> str:
    """What documents call it."""
    return str(model.model_fields["kind"].default)


PLURALS: dict[str, str] = {kind.name: kind.plural for kind in KINDS}
"""Of our kinds, by name."""

INPUTS: dict[tuple[str, str], type[Resource]] = {
    **{(API_VERSION, kind.name): kind.model for kind in KINDS},
    ("v1", "Secret"): Secret,
    ("v1", "ConfigMap"): ConfigMap,
    ("v1", "Namespace"): Namespace,
    ("v1", "Service"): Service,
    ("discovery.k8s.io/v1", "EndpointSlice"): EndpointSlice,
    **{(gatewayapi.GATEWAY_API, kind_of(model)): model for model, _ in gatewayapi.KINDS},
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): ReferenceGrant,
    ("gateway.networking.k8s.io/v1", "ReferenceGrant"): ReferenceGrant,
}
"""Every (apiVersion, kind) that is read."""

CLUSTER_SCOPED: frozenset[str] = frozenset(
    name for (_, name), model in INPUTS.items() if model.model_fields["metadata"].annotation is ClusterMeta
)
"""Kinds whose objects belong to no namespace."""
