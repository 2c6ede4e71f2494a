"""The kinds, read top to bottom: model, plural, short names, printer columns.

Called by parse, by the CRD and reference generators, and by the CLI. A new kind is one row here and one module.
"""

from __future__ import annotations

from typing import NamedTuple

from .authpolicy import AuthPolicy
from .edge import Edge
from .meta import API_VERSION, Resource
from .native import ConfigMap, ReferenceGrant, Secret
from .ratelimit import RateLimit
from .route import Route
from .shard import Shard
from .tenant import Tenant
from .upstream import Upstream


class Kind(NamedTuple):
    """One of our kinds and how people name it."""

    model: type[Resource]
    plural: str
    short: tuple[str, ...]
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
    Kind(Edge, "edges", ("ed",), (("Hosts", ".spec.hosts"),)),
    Kind(Route, "routes", ("rt",), (("Hosts", ".spec.hosts"), ("Priority", ".spec.priority"))),
    Kind(Upstream, "upstreams", ("up",), (("Protocol", ".spec.protocol"),)),
    Kind(Tenant, "tenants", ("tn",), (("Plan", ".spec.plan"), ("Shard", ".spec.shard"))),
    Kind(Shard, "shards", ("sh",), (("Region", ".spec.region"), ("State", ".spec.state"))),
    Kind(RateLimit, "ratelimits", ("rl",), (("Requests", ".spec.budget.requests"), ("Window", ".spec.budget.window"))),
    Kind(AuthPolicy, "authpolicies", ("ap",), (("Mode", ".spec.authentication.mode"),)),
)

INPUTS: dict[tuple[str, str], type[Resource]] = {
    **{(API_VERSION, kind.name): kind.model for kind in KINDS},
    ("v1", "Secret"): Secret,
    ("v1", "ConfigMap"): ConfigMap,
    ("gateway.networking.k8s.io/v1beta1", "ReferenceGrant"): ReferenceGrant,
    ("gateway.networking.k8s.io/v1", "ReferenceGrant"): ReferenceGrant,
}
"""Every (apiVersion, kind) that is read."""
