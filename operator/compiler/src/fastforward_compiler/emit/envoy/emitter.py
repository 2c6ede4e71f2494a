"""The Envoy emitter: keeps what it has emitted, and emits again only what a Delta changes.

In: an ir.Delta. Out: an EnvoyDelta. Called by the operator, which publishes it, and by `ff render`. Pure but for its
memo: the same Deltas yield the same resources, and their bodies depend on the values alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fastforward_compiler import ir

from .authpolicy import emit_jwt
from .certificate import emit_secret
from .edge import emit_listeners
from .ratelimit import emit_limits
from .resolver import emit_fallback, emit_resolve
from .resource import (
    CLUSTER,
    ENDPOINTS,
    EXTENSION,
    LISTENER,
    SCOPE,
    SECRET,
    EmitSettings,
    EnvoyDelta,
    EnvoyResource,
    ResourceId,
    resource,
)
from .route import emit_route
from .table import emit_table
from .upstream import emit_cluster, emit_endpoints

Named = TypeVar("Named", ir.Edge, ir.Scope, ir.Table)


@dataclass(slots=True)
class Step:
    """What one call of `apply` gathers."""

    upserts: dict[ResourceId, EnvoyResource] = field(default_factory=dict)
    removed: list[ResourceId] = field(default_factory=list)
    outputs: dict[ir.Output, tuple[ResourceId, ...]] = field(default_factory=dict)


class EnvoyEmitter:
    """Turns Deltas into EnvoyDeltas."""

    def __init__(self, settings: EmitSettings) -> None:
        self._settings = settings
        self._versions: dict[ResourceId, str] = {}
        self._edges: dict[str, ir.Edge] = {}
        self._scopes: dict[str, ir.Scope] = {}
        self._tables: dict[str, ir.Table] = {}
        self._wildcards: set[str] = set()

    def apply(self, delta: ir.Delta) -> EnvoyDelta:
        """Returns the resources that change, and what must be acknowledged for each value of the Delta."""
        step = Step()
        if not self._versions:
            self._put(step, EXTENSION, emit_resolve(()) | emit_fallback() | emit_jwt() | emit_limits())
        self._apply_upstreams(step, delta.upstreams)
        self._apply_scopes(step, delta.scopes)
        self._apply_edges(step, delta.edges)
        self._apply_tables(step, delta.tables)
        return EnvoyDelta(upserts=tuple(step.upserts.values()), removed=tuple(step.removed), outputs=step.outputs)

    def _apply_upstreams(self, step: Step, changes: ir.Changes[ir.Upstream]) -> None:
        for upstream in changes.upserts:
            name, endpoints = upstream.name, emit_endpoints(upstream)
            changed = self._put(step, CLUSTER, {name: emit_cluster(upstream)})
            if endpoints is None:
                self._drop(step, ENDPOINTS, [name])
                step.outputs["upstream", name] = ((CLUSTER, name),)
            else:
                self._put(step, ENDPOINTS, {name: endpoints}, again=changed)
                step.outputs["upstream", name] = ((CLUSTER, name), (ENDPOINTS, name))
        self._drop(step, CLUSTER, changes.removed)
        self._drop(step, ENDPOINTS, changes.removed)

    def _apply_scopes(self, step: Step, changes: ir.Changes[ir.Scope]) -> None:
        keep(self._scopes, changes)
        gone = self._wildcards.intersection(changes.removed)
        new = {scope.name for scope in changes.upserts if scope.host.startswith("*")} - self._wildcards
        if gone or new:
            self._wildcards = (self._wildcards | new) - gone
            self._put(step, EXTENSION, emit_resolve(self._wildcards))

    def _apply_edges(self, step: Step, changes: ir.Changes[ir.Edge]) -> None:
        if not changes.upserts and not changes.removed:
            return
        listeners_before, secrets_before = edge_names(self._edges.values())
        keep(self._edges, changes)
        for edge in changes.upserts:
            for listener in edge.listeners:
                self._put(step, SECRET, {c.name: emit_secret(c) for c in listener.certificates})
            self._put(step, LISTENER, emit_listeners(edge, self._settings))
            listeners, secrets = edge_names([edge])
            step.outputs["edge", edge.name] = tuple(
                [(LISTENER, name) for name in sorted(listeners)] + [(SECRET, name) for name in sorted(secrets)]
            )
        listeners, secrets = edge_names(self._edges.values())
        self._drop(step, LISTENER, sorted(listeners_before - listeners))
        self._drop(step, SECRET, sorted(secrets_before - secrets))

    def _apply_tables(self, step: Step, changes: ir.Changes[ir.Table]) -> None:
        keep(self._tables, changes)
        for table in changes.upserts:
            self._put(step, SCOPE, {table.name: self._emit_table(table)})
            step.outputs["table", table.name] = ((SCOPE, table.name),)
        self._drop(step, SCOPE, changes.removed)

    def _emit_table(self, table: ir.Table) -> bytes:
        scope = self._scopes[table.scope]
        return emit_table(table, self._edges[scope.edge], scope, emit_route)

    def _put(self, step: Step, type_url: str, bodies: Mapping[str, bytes], *, again: bool = False) -> bool:
        """Adds the resources that differ from what was emitted (all of them, with `again`); says whether any did."""
        changed = False
        for name, body in bodies.items():
            made = resource(type_url, name, body)
            if again or self._versions.get(made.id) != made.version:
                self._versions[made.id] = made.version
                step.upserts[made.id] = made
                changed = True
        return changed

    def _drop(self, step: Step, type_url: str, names: Iterable[str]) -> None:
        step.removed += [(type_url, name) for name in names if self._versions.pop((type_url, name), None) is not None]


def keep(values: dict[str, Named], changes: ir.Changes[Named]) -> None:
    """Brings a mapping by name up to date."""
    for value in changes.upserts:
        values[value.name] = value
    for name in changes.removed:
        values.pop(name, None)


def edge_names(edges: Iterable[ir.Edge]) -> tuple[set[str], set[str]]:
    """Returns the names of the edges' listeners and secrets."""
    listeners, secrets = set(), set()
    for edge in edges:
        for listener in edge.listeners:
            listeners.add(f"{edge.name}/{listener.name}")
            secrets.update(certificate.name for certificate in listener.certificates)
    return listeners, secrets
