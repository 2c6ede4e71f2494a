"""The compiler: changed objects in, what they change in the Snapshot out.

In: resources, invalid documents and deletions by reference; fetched key sets by URL. Out: Delta. Called by the operator
for each batch, by the CLI and by tests. Why it exists: it alone holds state, and all of it can be made again from the
objects: any way to the same objects ends in the same Snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import fastforward_crds as crds

from . import ir
from .cells import ABSENT, Cells, Gift, Index, Key, Rule
from .problem import ObjectRef, Problem
from .translate import (
    authpolicy,
    certificate,
    combination,
    edge,
    keyset,
    ratelimit,
    reference,
    report,
    route,
    shard,
    table,
    tenant,
    upstream,
    validity,
    world,
)

ORDER: tuple[Rule[Any], ...] = (
    reference.GRANTS,
    reference.EXISTS,
    certificate.CERTIFICATE,
    keyset.KEYSET,
    keyset.APIKEYS,
    edge.EDGE,
    edge.VIEW,
    edge.SETTINGS,
    upstream.UPSTREAM,
    upstream.TRAITS,
    shard.SHARD,
    shard.PURPOSES,
    tenant.COUNTS_TENANTS,
    tenant.HOST_OWNER,
    tenant.TENANT,
    tenant.FAMILY,
    ratelimit.LIMIT,
    ratelimit.ATTACHED_LIMITS,
    authpolicy.POLICY,
    authpolicy.ATTACHED_POLICIES,
    combination.AUTH,
    combination.TRAITS,
    route.ROUTE,
    table.ALIASES,
    table.GATE,
    table.SCOPE,
    table.TABLE,
    report.RULE_NAMES,
    report.REPORT,
)
"""Every rule; each reads only those above it."""

ROOTS: Mapping[str, tuple[Rule[Any], ...]] = {
    "Edge": (edge.EDGE, table.ALIASES),
    "Route": (route.ROUTE,),
    "Upstream": (upstream.UPSTREAM,),
    "Tenant": (tenant.TENANT,),
    "Shard": (shard.SHARD,),
    "RateLimit": (ratelimit.LIMIT,),
    "AuthPolicy": (authpolicy.POLICY,),
}
"""What an object of each kind is made into, whether or not anybody refers to it."""

WANTS: Mapping[Index[Any], Callable[..., Iterable[Key]]] = {
    route.ROUTES_IN: lambda *place: ((table.TABLE, *place),),
    route.TENANTS_ON: lambda *host: ((table.SCOPE, *host), (table.TABLE, *host, "")),
    table.ALIASED: lambda *host: ((table.SCOPE, *host), (table.TABLE, *host, "")),
}


class Noun(NamedTuple):
    """A noun of the Snapshot: the rule that makes it, and how to find the value and its name in what that makes."""

    field: str
    rule: Rule[Any]
    value: Callable[[Any], Any]
    name: Callable[[Any], str]


def _own(value: Any) -> Any:
    return value


def _named(value: Any) -> str:
    return value.name


def _placed(value: Any) -> str:
    return f"{value.namespace}/{value.name}"


NOUNS: tuple[Noun, ...] = (
    Noun("edges", edge.EDGE, lambda made: made.edge, _named),
    Noun("scopes", table.SCOPE, lambda made: made.scope, _named),
    Noun("tables", table.TABLE, lambda made: made.table, _named),
    Noun("upstreams", upstream.UPSTREAM, _own, _named),
    Noun("auths", combination.AUTH, lambda made: made.auth, _named),
    Noun("keysets", keyset.KEYSET, lambda made: made if isinstance(made, ir.KeySet) else None, _named),
    Noun(
        "apikeys",
        keyset.APIKEYS,
        lambda made: made.apikeys if isinstance(made, keyset.ApiKeysFound) else None,
        _named,
    ),
    Noun("limits", ratelimit.LIMIT, _own, _named),
    Noun("tenants", tenant.TENANT, lambda made: made.tenant, _placed),
    Noun("shards", shard.SHARD, lambda made: made.shard, _placed),
)

_NO_GIFTS: frozenset[Gift] = frozenset()


class Compiler:
    """Compiles step by step. An object that turns invalid keeps its last good version, and its report says so."""

    def __init__(self) -> None:
        self._cells = Cells(ORDER, WANTS)
        self._gifts: dict[ObjectRef, frozenset[Gift]] = {}
        self._nouns = {noun.rule: noun for noun in NOUNS}

    def apply(
        self,
        changes: Mapping[ObjectRef, crds.Resource | crds.Invalid | None],
        fetched: Mapping[str, bytes] | None = None,
    ) -> ir.Delta:
        """Take in changed objects (None: gone) and fetched documents by URL; tell what that changes."""
        for ref, value in changes.items():
            self._take_in(ref, validity.check_resource(value))
        for url, body in (fetched or {}).items():
            if self._cells.peek((world.FETCHED, url)) != body:
                self._cells.set((world.FETCHED, url), body)
        before = self._cells.settle()
        return self._delta(before)

    def snapshot(self) -> ir.Snapshot:
        """Everything compiled: a scan."""
        found = {noun.field: self._all(noun) for noun in NOUNS}
        return ir.Snapshot(**found)

    def reports(self) -> dict[ObjectRef, ir.Report]:
        """Every report, by object: a scan."""
        made = (self._cells.peek(key) for key in self._cells.keys(report.REPORT))
        return {one.ref: one for one in sorted((m for m in made if m is not None), key=lambda one: one.ref)}

    def _take_in(self, ref: ObjectRef, value: crds.Resource | crds.Invalid | None) -> None:
        cells = self._cells
        name = f"{ref.namespace}/{ref.name}"
        source = world.INPUTS.get(ref.kind)
        invalid = value if isinstance(value, crds.Invalid) else None
        if invalid is not None or cells.peek((world.INVALID, ref)) is not ABSENT:
            cells.set((world.INVALID, ref), ABSENT if invalid is None else invalid)
        for root in ((report.REPORT, ref), *((rule, name) for rule in ROOTS.get(ref.kind, ()))):
            cells.want(root)
        if source is None:
            return
        held = cells.peek((source, name))
        if invalid is not None:
            gifts = world.gifts_of_invalid(invalid, name) if held is ABSENT else self._gifts[ref]
        else:
            gifts = world.gifts_of(value) if value is not None else _NO_GIFTS
            if held is not ABSENT or value is not None:
                self._set(source, name, held, value)
        cells.give(self._gifts.get(ref, _NO_GIFTS), gifts)
        if gifts or value is not None:
            self._gifts[ref] = gifts
        else:
            self._gifts.pop(ref, None)

    def _set(self, source: Any, name: str, held: Any, value: crds.Resource | None) -> None:
        if value is None:
            self._cells.set((source, name), ABSENT)
        elif held != value:
            self._cells.set((source, name), value)

    def _all(self, noun: Noun) -> tuple[Any, ...]:
        made = (self._cells.peek(key) for key in self._cells.keys(noun.rule))
        values = [value for value in (noun.value(m) for m in made if m is not None) if value is not None]
        return tuple(sorted(values, key=noun.name))

    def _delta(self, before: Mapping[Key, Any]) -> ir.Delta:
        upserts: dict[str, dict[str, Any]] = {noun.field: {} for noun in NOUNS}
        removed: dict[str, set[str]] = {noun.field: set() for noun in NOUNS}
        reports: dict[ObjectRef, ir.Report | None] = {}
        for key, old in before.items():
            new = self._cells.peek(key)
            noun = self._nouns.get(key[0])
            if noun is not None:
                self._compare(noun, old, new, upserts[noun.field], removed[noun.field])
            elif key[0] is report.REPORT and _value(old) != _value(new):
                reports[key[1]] = _value(new)
        self._upsert_touched_tables(before, upserts)
        counted, self._cells.counted = self._cells.counted, 0
        changes = {
            field: ir.Changes(
                upserts=tuple(value for _, value in sorted(upserts[field].items())),
                removed=tuple(sorted(removed[field] - upserts[field].keys())),
            )
            for field in upserts
        }
        return ir.Delta(**changes, reports=dict(sorted(reports.items())), translated=counted)

    def _compare(self, noun: Noun, old: Any, new: Any, upserts: dict[str, Any], removed: set[str]) -> None:
        was = noun.value(old) if _value(old) is not None else None
        now = noun.value(new) if _value(new) is not None else None
        if was == now:
            return
        if now is not None:
            upserts[noun.name(now)] = now
        if was is not None:
            removed.add(noun.name(was))

    def _upsert_touched_tables(self, before: Mapping[Key, Any], upserts: Mapping[str, dict[str, Any]]) -> None:
        """A table is emitted again also when an Auth, a Limit or the scope that it names changed."""
        auths, limits, scopes = upserts["auths"], upserts["limits"], upserts["scopes"]
        for key, old in before.items():
            if key[0] is table.SCOPE and _settings_changed(old, self._cells.peek(key)):
                scope = self._cells.peek(key).scope
                scopes[scope.name] = scope
        if not (auths or limits or scopes):
            return
        for key in before:
            made = _value(self._cells.peek(key)) if key[0] is table.TABLE else None
            if made is None or made.table is None or made.table.name in upserts["tables"]:
                continue
            named = made.table.entries
            if made.table.scope in scopes or any(
                entry.auth in auths or not limits.keys().isdisjoint(entry.limits) for entry in named
            ):
                upserts["tables"][made.table.name] = made.table


def _value(made: Any) -> Any:
    return None if made is ABSENT else made


def _settings_changed(old: Any, new: Any) -> bool:
    old, new = _value(old), _value(new)
    return old is not None and new is not None and new.scope is not None and old.settings != new.settings


def compile_world(
    objects: Iterable[crds.Resource | crds.Invalid], fetched: Mapping[str, bytes] | None = None
) -> tuple[ir.Snapshot, tuple[Problem, ...]]:
    """Everything at once, from nothing; of two objects with the same reference the last counts."""
    compiler = Compiler()
    delta = compiler.apply({object_ref(value): value for value in objects}, fetched)
    problems = (found for one in delta.reports.values() if one is not None for found in one.problems)
    return compiler.snapshot(), tuple(problems)


def object_ref(value: crds.Resource | crds.Invalid) -> ObjectRef:
    """Which object a resource or an invalid document is."""
    if isinstance(value, crds.Invalid):
        return ObjectRef(kind=value.kind, namespace=value.namespace, name=value.name)
    return ObjectRef(kind=value.kind, namespace=value.metadata.namespace, name=value.metadata.name)
