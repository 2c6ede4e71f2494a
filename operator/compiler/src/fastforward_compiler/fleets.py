"""What each Edge's own proxies are to know of a step, where the Edges' proxies are told apart.

In: an ir.Delta of everything. Out: an ir.Delta for each Edge that it concerns, with nothing in it that the Edge's rules
do not use. Called by the operator between compiler and emitter. Keeps the values that proxies may come to need, and
what each table uses; work is proportional to the step.

A value that no rule of an Edge uses any more is among the removed of that Edge's Delta, though it is still there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from fastforward_compiler import ir

SHARED = ("upstreams", "auths", "keysets", "limits")
"""Nouns whose values several Edges may use."""
OWN = ("scopes", "tables", "addresslists")
"""Nouns whose values belong to the Edge that their names begin with."""

_Use = tuple[str, str]
"""(noun, name) of a shared value."""


def edge_of(name: str) -> str:
    """The Edge of a scope, a table or a list, by its name: see ir.Scope."""
    return name.partition("|")[0].partition("@")[0].partition("@")[0]


class Fleets:
    """Splits Deltas."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, Any]] = {noun: {} for noun in SHARED}
        self._shards: dict[tuple[str, str], ir.Shard] = {}
        self._uses: dict[str, tuple[_Use, ...]] = {}
        self._dispatching: dict[str, ir.Table] = {}
        """Tables that lead to Shards: what they use depends on the Shards that there are."""
        self._scopes: dict[str, ir.Scope] = {}
        self._counts: dict[str, Counter[_Use]] = {}
        """By Edge: how many of its tables use a value."""

    def split(self, delta: ir.Delta) -> dict[str, ir.Delta]:
        """Returns the step of each Edge that it concerns, by the Edge's name."""
        self._keep(delta)
        parts: dict[str, dict[str, tuple[dict[str, Any], list[str]]]] = {}
        for noun in ("edges", *OWN):
            changes: ir.Changes[Any] = getattr(delta, noun)
            for value in changes.upserts:
                part(parts, edge_of(value.name), noun)[0][value.name] = value
            for name in changes.removed:
                part(parts, edge_of(name), noun)[1].append(name)
        for edge, (noun, name), was, uses in self._judged(delta):
            there = name in self._values[noun]
            if uses and there:
                part(parts, edge, noun)[0][name] = self._values[noun][name]
            elif was or uses:
                part(parts, edge, noun)[1].append(name)
        for edge in delta.edges.removed:
            self._counts.pop(edge, None)
        return {edge: replace(ir.Delta(), **fields(of)) for edge, of in parts.items()}

    def _judged(self, delta: ir.Delta) -> Iterator[tuple[str, _Use, bool, bool]]:
        """Yields what an Edge uses or used that changed, and what it uses from now on or no longer: was, is."""
        before = self._recount(delta)
        changed: list[_Use] = []
        for noun in SHARED:
            changes: ir.Changes[Any] = getattr(delta, noun)
            changed += ((noun, name) for name in (*(value.name for value in changes.upserts), *changes.removed))
        for edge, counts in self._counts.items():
            for use in changed:
                if (edge, use) not in before and counts[use]:
                    yield edge, use, True, True
        altered = set(changed)
        for (edge, use), was in before.items():
            uses = self._counts[edge][use] > 0
            if was != uses or use in altered:
                yield edge, use, was, uses

    def _keep(self, delta: ir.Delta) -> None:
        for noun, values in self._values.items():
            changes: ir.Changes[Any] = getattr(delta, noun)
            for name in changes.removed:
                values.pop(name, None)
            for value in changes.upserts:
                values[value.name] = value
        for scope in delta.scopes.upserts:
            self._scopes[scope.name] = scope
        for name in delta.scopes.removed:
            self._scopes.pop(name, None)
        for name in delta.shards.removed:
            namespace, _, short = name.partition("/")
            self._shards.pop((namespace, short), None)
        for shard in delta.shards.upserts:
            self._shards[shard.namespace, shard.name] = shard

    def _recount(self, delta: ir.Delta) -> dict[tuple[str, _Use], bool]:
        """Brings the uses up to date; returns, of those that may have changed, whether there were any before."""
        before: dict[tuple[str, _Use], bool] = {}
        again = {table.name: table for table in delta.tables.upserts}
        for table in delta.tables.upserts:
            self._dispatching.pop(table.name, None)
            if any(isinstance(entry.destination, ir.ShardDispatch) for entry in table.entries):
                self._dispatching[table.name] = table
        for name in delta.tables.removed:
            self._dispatching.pop(name, None)
            self._use(before, name, ())
        if delta.shards.upserts or delta.shards.removed:
            again = {**self._dispatching, **again}
        for name, table in again.items():
            self._use(before, name, tuple(dict.fromkeys(self._used_by(table))))
        # What listeners name by themselves counts as if a table of the Edge's own name used it.
        for name in delta.edges.removed:
            self._use(before, name, ())
        for edge in delta.edges.upserts:
            self._use(before, edge.name, tuple(("upstreams", name) for name in edge.upstreams))
        return before

    def _use(self, before: dict[tuple[str, _Use], bool], table: str, uses: tuple[_Use, ...]) -> None:
        edge = edge_of(table)
        counts = self._counts.setdefault(edge, Counter())
        for changed, uses_of in ((-1, self._uses.pop(table, ())), (1, uses)):
            for use in uses_of:
                before.setdefault((edge, use), counts[use] > 0)
                counts[use] += changed
                if not counts[use]:
                    del counts[use]
        if uses:
            self._uses[table] = uses

    def _used_by(self, table: ir.Table) -> Iterator[_Use]:
        scope = self._scopes.get(table.scope)
        for auth in dict.fromkeys((*(scope.auths if scope else ()), *(e.auth for e in table.entries if e.auth))):
            yield "auths", auth
            yield from (("keysets", name) for name in self._keysets(auth))
        for entry in table.entries:
            yield from (("limits", name) for name in entry.limits)
            yield from (("upstreams", name) for name in self._upstreams(entry))

    def _keysets(self, name: str) -> Iterator[str]:
        auth = self._values["auths"].get(name)
        for provider in auth.providers if auth else ():
            if isinstance(provider.kind, ir.Jwt):
                yield provider.kind.keyset

    def _upstreams(self, entry: ir.Entry) -> Iterable[str]:
        if isinstance(entry.destination, ir.ShardDispatch):
            purpose, namespace = entry.destination.purpose, entry.destination.namespace
            shards = (shard for shard in self._shards.values() if shard.namespace == namespace)
            return [name for shard in shards for use, name in shard.upstreams if use == purpose]
        return entry.upstreams


def part(
    parts: dict[str, dict[str, tuple[dict[str, Any], list[str]]]], edge: str, noun: str
) -> tuple[dict[str, Any], list[str]]:
    """The upserts and the removed of one noun for one Edge."""
    return parts.setdefault(edge, {}).setdefault(noun, ({}, []))


def fields(of: Mapping[str, tuple[dict[str, Any], list[str]]]) -> dict[str, Any]:
    """The fields of a Delta."""
    return {noun: ir.Changes(upserts=tuple(up.values()), removed=tuple(gone)) for noun, (up, gone) in of.items()}
