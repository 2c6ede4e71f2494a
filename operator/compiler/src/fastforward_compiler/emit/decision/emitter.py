"""Keeps the decision snapshot in step with the compiler: one Delta in, one DecisionDelta out.

In: ir.Delta. Out: the resources of snapshot.proto that changed, the names that are gone, and which resources say what
each IR value says. Called by the operator's publication, which sends upserts first and removals after a grace. Holds
only names and what a Scope or a ShardSet is put together from; work is proportional to the Delta.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_compiler import ir

from .addresslist import emit_addresslist
from .authpolicy import emit_apikeys, emit_auth, emit_keyset, emit_users
from .eventhook import emit_eventhook
from .oidc import emit_oidc_client
from .ratelimit import emit_limit
from .route import content_hash, emit_plan, is_named, plan_name
from .schema import emit_schema
from .shard import emit_shards
from .table import emit_scope, emit_table
from .tenant import emit_tenant
from .upstream import emit_upstream, is_called
from .workload import emit_workload

# Nouns of which each value is one resource, named after it.
SINGLE = frozenset(
    {"scope", "auth", "keyset", "apikeys", "users", "oidc", "addresslist", "limit", "tenant", "schema", "eventhook"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionDelta:
    """What changed in the decision snapshot."""

    upserts: tuple[snapshot_pb2.Resource, ...]
    removed: tuple[str, ...]
    """Names of resources that are gone; nothing among the upserts needs them."""
    outputs: Mapping[ir.Output, tuple[str, ...]]
    """For each new or changed IR value, the names of the resources that must be acknowledged for it to hold."""


@dataclass(slots=True)
class _Step:
    """What one call of `apply` gathers."""

    upserts: dict[str, snapshot_pb2.Resource] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    outputs: dict[ir.Output, tuple[str, ...]] = field(default_factory=dict)

    def put(self, name: str, *, version: str = "", **body: object) -> None:
        """Adds a resource; its version is `version` or the hash of its one body."""
        resource = snapshot_pb2.Resource(name=name, **body)  # ty: ignore[invalid-argument-type]
        (message,) = (value for _, value in resource.ListFields()[1:])
        resource.version = version or content_hash(message.SerializeToString(deterministic=True))
        self.upserts[name] = resource


class DecisionEmitter:
    """Emits the decision snapshot, Delta by Delta."""

    def __init__(self) -> None:
        self._edges: dict[str, ir.Edge] = {}
        self._scopes: dict[str, dict[str, ir.Scope]] = {}
        self._edge_of_scope: dict[str, str] = {}
        self._plans: dict[str, tuple[str, ...]] = {}
        self._shards: dict[str, dict[str, ir.Shard]] = {}
        self._upstreams: set[str] = set()

    def apply(self, delta: ir.Delta) -> DecisionDelta:
        """Returns what `delta` changes in the decision snapshot."""
        step = _Step()
        self._emit_scopes(delta, step)
        self._emit_tables(delta.tables, step)
        for auth in delta.auths.upserts:
            step.put(f"auth/{auth.name}", auth=emit_auth(auth))
        _emit_credentials(delta, step)
        for addresses in delta.addresslists.upserts:
            step.put(f"addresslist/{addresses.name}", addresslist=emit_addresslist(addresses))
        for limit in delta.limits.upserts:
            step.put(f"limit/{limit.name}", limit=emit_limit(limit))
        for tenant in delta.tenants.upserts:
            step.put(f"tenant/{tenant.namespace}/{tenant.name}", tenant=emit_tenant(tenant))
        _emit_for_messages(delta, step)
        self._emit_shards(delta.shards, step)
        self._emit_upstreams(delta.upstreams, step)
        step.removed.update(_removed(delta))
        _name_outputs(delta, step)
        return DecisionDelta(
            upserts=tuple(step.upserts.values()),
            removed=tuple(sorted(step.removed - step.upserts.keys())),
            outputs=step.outputs,
        )

    def _emit_scopes(self, delta: ir.Delta, step: _Step) -> None:
        """A scope says what its Edge says, so a changed Edge changes all of its scopes."""
        for name in delta.scopes.removed:
            self._scopes.get(self._edge_of_scope.pop(name, ""), {}).pop(name, None)
        for name in delta.edges.removed:
            self._edges.pop(name, None)
        changed: dict[str, ir.Scope] = {}
        for edge in delta.edges.upserts:
            self._edges[edge.name] = edge
            changed.update(self._scopes.get(edge.name, {}))
        for scope in delta.scopes.upserts:
            self._edge_of_scope[scope.name] = scope.edge
            self._scopes.setdefault(scope.edge, {})[scope.name] = scope
            changed[scope.name] = scope
        for name, scope in changed.items():
            step.put(f"scope/{name}", scope=emit_scope(scope, self._edges[scope.edge]))

    def _emit_tables(self, tables: ir.Changes[ir.Table], step: _Step) -> None:
        """A Plan names its scope and tenant, so that it belongs to exactly one table and goes with it."""
        for table in tables.upserts:
            known = set(self._plans.get(table.name, ()))
            plans: dict[str, None] = {}
            for entry in table.entries:
                # A new entry's Plan is made first, so that its name comes with it.
                plan = None if is_named(entry) else emit_plan(entry, table)
                name = plan_name(entry, table)
                plans[name] = None
                if name not in known:
                    step.put(f"plan/{name}", version=name, plan=plan or emit_plan(entry, table))
            self._plans[table.name] = tuple(plans)
            step.put(f"table/{table.name}", table=emit_table(table, plans))
            step.removed.update(f"plan/{name}" for name in known - plans.keys())
            step.outputs["table", table.name] = (f"table/{table.name}", *(f"plan/{name}" for name in plans))
        for name in tables.removed:
            step.removed.update(f"plan/{plan}" for plan in self._plans.pop(name, ()))

    def _emit_shards(self, shards: ir.Changes[ir.Shard], step: _Step) -> None:
        """All Shards of a namespace are one resource."""
        changed = set()
        for name in shards.removed:
            namespace, _, short = name.partition("/")
            self._shards.get(namespace, {}).pop(short, None)
            changed.add(namespace)
        for shard in shards.upserts:
            self._shards.setdefault(shard.namespace, {})[shard.name] = shard
            changed.add(shard.namespace)
            step.outputs["shard", f"{shard.namespace}/{shard.name}"] = (f"shards/{shard.namespace}",)
        for namespace in sorted(changed):
            present = self._shards.get(namespace, {})
            if len(present) > 0:
                step.put(f"shards/{namespace}", shards=emit_shards(present.values()))
            else:
                self._shards.pop(namespace, None)
                step.removed.add(f"shards/{namespace}")

    def _emit_upstreams(self, upstreams: ir.Changes[ir.Upstream], step: _Step) -> None:
        """Of most nobody here wants to know anything."""
        taking = {each.name: each for each in upstreams.upserts if is_called(each)}
        gone = {*upstreams.removed, *(each.name for each in upstreams.upserts)} - taking.keys()
        step.removed.update(f"upstream/{name}" for name in self._upstreams & gone)
        self._upstreams = (self._upstreams - gone) | taking.keys()
        for name, upstream in taking.items():
            step.put(f"upstream/{name}", upstream=emit_upstream(upstream))
            step.outputs["upstream", name] = (f"upstream/{name}",)


def _emit_credentials(delta: ir.Delta, step: _Step) -> None:
    for keyset in delta.keysets.upserts:
        step.put(f"keyset/{keyset.name}", keyset=emit_keyset(keyset))
    for apikeys in delta.apikeys.upserts:
        step.put(f"apikeys/{apikeys.name}", apikeys=emit_apikeys(apikeys))
    for users in delta.users.upserts:
        step.put(f"users/{users.name}", users=emit_users(users))
    for client in delta.oidc.upserts:
        step.put(f"oidc/{client.name}", oidc=emit_oidc_client(client))


def _emit_for_messages(delta: ir.Delta, step: _Step) -> None:
    """What proxied requests have nothing to do with."""
    for schema in delta.schemas.upserts:
        step.put(f"schema/{schema.name}", schema=emit_schema(schema))
    for hook in delta.eventhooks.upserts:
        step.put(f"eventhook/{hook.name}", eventhook=emit_eventhook(hook))
    for stages in delta.stages.upserts:
        step.put(f"workload/{stages.name}", workload=emit_workload(stages))
        step.outputs["stages", stages.name] = (f"workload/{stages.name}",)


def _removed(delta: ir.Delta) -> Iterator[str]:
    """Yields the resources of removed values that are one resource each."""
    for noun, changes in (
        ("scope", delta.scopes),
        ("table", delta.tables),
        ("auth", delta.auths),
        ("keyset", delta.keysets),
        ("apikeys", delta.apikeys),
        ("users", delta.users),
        ("addresslist", delta.addresslists),
        ("oidc", delta.oidc),
        ("limit", delta.limits),
        ("tenant", delta.tenants),
        ("schema", delta.schemas),
        ("eventhook", delta.eventhooks),
        ("workload", delta.stages),
    ):
        yield from (f"{noun}/{name}" for name in changes.removed)


def _name_outputs(delta: ir.Delta, step: _Step) -> None:
    """Names the resources of each changed value; tables and shards have named theirs."""
    edges: dict[str, list[str]] = {edge.name: [] for edge in delta.edges.upserts}
    for name in step.upserts:
        noun, _, rest = name.partition("/")
        if noun in SINGLE:
            step.outputs[noun, rest] = (name,)
        if noun == "scope" and (edge := rest.partition("|")[0].partition("@")[0]) in edges:
            edges[edge].append(name)
    for edge, names in edges.items():
        step.outputs["edge", edge] = tuple(names)
