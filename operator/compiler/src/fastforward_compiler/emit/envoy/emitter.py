"""The Envoy emitter: keeps what it has emitted, and emits again only what a Delta changes.

In: an ir.Delta. Out: an EnvoyDelta. Called by the operator, which publishes it, and by `ff render`. Pure but for its
memo: the same Deltas yield the same resources, and their bodies depend on the values alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf import any_pb2

from fastforward_compiler import ir
from fastforward_compiler.shared import shared

from .addresslist import emit_lists, lists_name
from .authpolicy import emit_jwt, verified_by_proxy
from .certificate import emit_secret
from .chain import JWT, LIMITS, SHADOW_LIMITS
from .edge import emit_listeners
from .entry import GrantsKey, Setting, emit_entry
from .http3 import http3_name
from .ratelimit import count_slots, emit_limits, slots_of
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
from .table import emit_table, scope_name
from .upstream import emit_clusters, emit_endpoints, members_name

Named = TypeVar("Named", ir.Edge, ir.Scope, ir.Table, ir.Auth, ir.KeySet, ir.Limit, ir.AddressList)

_JWT_OUTPUT = ((EXTENSION, JWT),)
_LIMITS_OUTPUT = ((EXTENSION, LIMITS), (EXTENSION, SHADOW_LIMITS))


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
        self._auths: dict[str, ir.Auth] = {}
        self._keysets: dict[str, ir.KeySet] = {}
        self._limits: dict[str, ir.Limit] = {}
        self._lists: dict[str, ir.AddressList] = {}
        self._wildcards: set[str] = set()
        self._slots: dict[str, int] = {}
        self._grants: dict[GrantsKey, any_pb2.Any | None] = {}
        self._inputs: dict[str, tuple[object, ...]] = {}

    def apply(self, delta: ir.Delta) -> EnvoyDelta:
        """Returns the resources that change, and what must be acknowledged for each value of the Delta."""
        step = Step()
        if not self._versions:
            self._begin(step)
        self._apply_upstreams(step, delta.upstreams)
        self._apply_policies(step, delta)
        self._apply_scopes(step, delta.scopes)
        matched_differently = self._apply_edges(step, delta.edges)
        self._apply_lists(step, delta)
        self._apply_tables(step, delta.tables, matched_differently)
        self._apply_limits(step, delta)
        return EnvoyDelta(upserts=tuple(step.upserts.values()), removed=tuple(step.removed), outputs=step.outputs)

    def _begin(self, step: Step) -> None:
        """Emits the filters that listeners wait for, though there is nothing in them yet."""
        self._put(step, EXTENSION, emit_resolve(()))
        self._put(step, EXTENSION, emit_fallback())
        self._put(step, EXTENSION, emit_jwt((), {}))
        self._put(step, EXTENSION, emit_limits((), {}, self._settings.buckets))

    def _apply_upstreams(self, step: Step, changes: ir.Changes[ir.Upstream]) -> None:
        for upstream in changes.upserts:
            name, endpoints = upstream.name, emit_endpoints(upstream)
            changed = self._put(step, CLUSTER, emit_clusters(upstream))
            if endpoints is None:
                self._drop(step, ENDPOINTS, [name])
                step.outputs["upstream", name] = ((CLUSTER, name),)
            else:
                self._put(step, ENDPOINTS, {name: endpoints}, again=changed)
                step.outputs["upstream", name] = ((CLUSTER, name), (ENDPOINTS, name))
        self._drop(step, CLUSTER, changes.removed)
        self._drop(step, CLUSTER, [members_name(name) for name in changes.removed if name.endswith(ir.PODS)])
        self._drop(step, ENDPOINTS, changes.removed)

    def _apply_policies(self, step: Step, delta: ir.Delta) -> None:
        keep(self._auths, delta.auths)
        keep(self._keysets, delta.keysets)
        keep(self._limits, delta.limits)
        changes = delta.auths, delta.keysets
        if any(change.upserts or change.removed for change in changes):
            self._grants.clear()
            auths = sorted(self._auths.values(), key=lambda auth: auth.name)
            self._put(step, EXTENSION, emit_jwt(auths, self._keysets))
        for auth in delta.auths.upserts:
            step.outputs["auth", auth.name] = _JWT_OUTPUT if verified_by_proxy(auth) else ()
        for keyset in delta.keysets.upserts:
            step.outputs["keyset", keyset.name] = _JWT_OUTPUT

    def _apply_scopes(self, step: Step, changes: ir.Changes[ir.Scope]) -> None:
        keep(self._scopes, changes)
        gone = self._wildcards.intersection(changes.removed)
        new = {scope.name for scope in changes.upserts if scope.host.startswith("*")} - self._wildcards
        if gone or new:
            self._wildcards = (self._wildcards | new) - gone
            self._put(step, EXTENSION, emit_resolve(self._wildcards))

    def _apply_edges(self, step: Step, changes: ir.Changes[ir.Edge]) -> set[str]:
        """Returns the edges whose tables must be emitted again."""
        before = dict(self._edges)
        keep(self._edges, changes)
        for edge in changes.upserts:
            for listener in edge.listeners:
                self._put(step, SECRET, {c.name: emit_secret(c) for c in listener.all_certificates})
            self._put(step, LISTENER, emit_listeners(edge, self._settings))
            step.outputs["edge", edge.name] = edge_outputs(edge)
        gone = {made for edge in before.values() for made in edge_outputs(edge)}
        gone -= {made for edge in self._edges.values() for made in edge_outputs(edge)}
        for type_url, name in sorted(gone):
            self._drop(step, type_url, [name])
        return {
            edge.name
            for edge in changes.upserts
            if edge.name in before and seen_by_tables(edge) != seen_by_tables(before[edge.name])
        }

    def _apply_lists(self, step: Step, delta: ir.Delta) -> None:
        """Emits again the filters of Edges whose lists changed."""
        changes = delta.addresslists
        touched = {edge.name for edge in delta.edges.upserts}
        touched |= {each.edge for each in changes.upserts} | {name.rpartition("|")[0] for name in changes.removed}
        keep(self._lists, changes)
        for name in sorted(touched):
            edge = self._edges.get(name)
            if edge is not None and edge.has_lists:
                self._put(
                    step, EXTENSION, emit_lists(name, [each for each in self._lists.values() if each.edge == name])
                )
        for each in changes.upserts:
            edge = self._edges.get(each.edge)
            known = edge is not None and edge.has_lists
            step.outputs["addresslist", each.name] = ((EXTENSION, lists_name(each.edge)),) if known else ()

    def _apply_tables(self, step: Step, changes: ir.Changes[ir.Table], touched: set[str]) -> None:
        keep(self._tables, changes)
        again = {table.name: table for table in changes.upserts}
        if touched:
            again |= {name: t for name, t in self._tables.items() if self._scopes[t.scope].edge in touched}
        for name, table in again.items():
            scope = scope_name(name)
            step.outputs["table", name] = ((SCOPE, scope),)
            if not table.tenant:
                # Requests come to a tenant's table by way of everybody's: what is told of the host is told there.
                step.outputs["scope", table.scope] = ((SCOPE, scope),)
            inputs = self._inputs_of(table)
            if self._inputs.get(name) != inputs:
                self._inputs[name] = inputs
                self._put(step, SCOPE, {scope: self._emit_table(table)})
        for name in changes.removed:
            self._inputs.pop(name, None)
        self._drop(step, SCOPE, map(scope_name, changes.removed))

    def _inputs_of(self, table: ir.Table) -> tuple[object, ...]:
        """Returns all that the table's resource is made from."""
        scope = self._scopes[table.scope]
        auths = {entry.auth: None for entry in table.entries if entry.auth} | dict.fromkeys(scope.auths)
        limits = {name: None for entry in table.entries for name in entry.limits}
        used = tuple(map(self._auths.get, auths)), tuple(map(self._limits.get, limits))
        return table, scope, shared(seen_by_tables(self._edges[scope.edge])), *used

    def _emit_table(self, table: ir.Table) -> bytes:
        scope = self._scopes[table.scope]
        edge = self._edges[scope.edge]
        grants = {} if table.tenant or scope.host_tenant else self._grants
        setting = Setting(
            table=table,
            edge=edge,
            scope=scope,
            auths=self._auths,
            limits=self._limits,
            decision_timeout_ms=self._settings.decision_timeout_ms,
            grants=grants,
        )
        return emit_table(table, edge, scope, lambda entry: emit_entry(entry, setting))

    def _apply_limits(self, step: Step, delta: ir.Delta) -> None:
        """Emits the limits again when they changed, or when a route needs more slots than there are."""
        needed = {names for table in delta.tables.upserts for names in {e.limits for e in table.entries} if names}
        further = False
        for names in needed:
            slots = count_slots(slots_of(self._limits[name] for name in names if name in self._limits))
            for shape, count in slots.items():
                further |= count > self._slots.get(shape, 0)
                self._slots[shape] = max(count, self._slots.get(shape, 0))
        if delta.limits.upserts or delta.limits.removed or further:
            self._put(step, EXTENSION, emit_limits(self._limits.values(), self._slots, self._settings.buckets))
        for limit in delta.limits.upserts:
            step.outputs["limit", limit.name] = () if limit.exact else _LIMITS_OUTPUT

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


def edge_outputs(edge: ir.Edge) -> tuple[ResourceId, ...]:
    """Returns the edge's resources: listeners, then secrets, then the filter of its lists."""
    secrets = {certificate.name for listener in edge.listeners for certificate in listener.all_certificates}
    listeners = [(LISTENER, f"{edge.name}/{listener.name}") for listener in edge.listeners]
    listeners += [(LISTENER, http3_name(edge, listener)) for listener in edge.listeners if listener.http3]
    lists = ((EXTENSION, lists_name(edge.name)),) if edge.has_lists else ()
    return (*listeners, *((SECRET, name) for name in sorted(secrets)), *lists)


def seen_by_tables(edge: ir.Edge) -> tuple[object, ...]:
    """Returns what tables depend on."""
    adapts = edge.adaptive_concurrency is not None
    return edge.api_version_header, edge.api_version_default, edge.tenant_header, adapts, edge.grpc_web
