"""A table's Plans as an index over the path, so that a look-up costs the same at any size; and one host of an Edge.

Made by `snapshot`; asked by stages/routing. It finds what a scan in order of precedence would find: priority by
priority, exact path, then regular expressions, then prefixes, longest first; a Plan whose conditions fail lets the
next one try.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.facts import Facts

from .address import AddressSet
from .route import Plan


class Entrance(NamedTuple):
    """Where a listener listens."""

    listener: str
    scheme: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scope:
    """One host of one Edge."""

    name: str
    edge: str
    namespace: str
    """Of the Edge, and so of its tenants."""
    host: str
    region: str
    api_version_header: str
    api_version_default: str
    host_tenant: str
    tenant_header: str
    trusted: AddressSet | None
    trusted_hops: int
    listeners: tuple[str, ...] = ()
    """Names of those that requests for it come in by; none when that is not known."""
    entrances: tuple[Entrance, ...] = ()
    """Where these listen; none of a Gateway's."""


Leaf = tuple[Plan, ...]
# A table with few changes is mended, any other is made again: mending costs a scan for each plan it moves.
_MENDABLE = 32
# In a leaf of as many Plans, finding each one's place by a scan is the cheapest.
_SCANNED = 8


class Level:
    """The Plans of one priority. Immutable."""

    __slots__ = ("exact", "longest", "prefixes", "regexes")

    def __init__(self, exact: dict[str, Leaf], regexes: Leaf, prefixes: dict[str, Leaf]) -> None:
        self.exact = exact
        self.regexes = regexes
        self.prefixes = prefixes
        self.longest = max(map(len, prefixes), default=-1)

    def candidates(self, path: str) -> Iterator[Plan]:
        """Yields the Plans whose path fits, in order of precedence."""
        yield from self.exact.get(path, ())
        for plan in self.regexes:
            if plan.pattern is not None and plan.pattern.matches(path):
                yield plan
        if self.longest < 0 or not path.startswith("/"):
            return
        # Never longer than the longest key, so that a path of thousands of segments costs no more than that.
        prefix = path if len(path) <= self.longest else path[: path.rfind("/", 0, self.longest + 1)]
        while True:
            yield from self.prefixes.get(prefix, ())
            if not prefix:
                return
            prefix = prefix[: prefix.rfind("/")]

    def mend(self, removed: Iterable[Plan], added: Iterable[Plan], order: Leaf) -> Level:
        """Returns the level without some Plans and with others; `order` is the whole table's."""
        exact, prefixes, regexes = dict(self.exact), dict(self.prefixes), self.regexes
        for plan in removed:
            kind, key = _place(plan)
            if kind == "regex":
                regexes = tuple(other for other in regexes if other is not plan)
            else:
                _take_out(exact if kind == "exact" else prefixes, key, plan)
        for plan in added:
            kind, key = _place(plan)
            if kind == "regex":
                regexes = _put_in(regexes, plan, order)
            else:
                leaves = exact if kind == "exact" else prefixes
                leaves[key] = _put_in(leaves.get(key, ()), plan, order)
        return Level(exact, regexes, prefixes)


class Table:
    """The rules of one host, for one tenant or for everybody. Immutable."""

    __slots__ = ("_conditional", "_levels", "name", "plans")

    def __init__(self, name: str, plans: Leaf, levels: dict[int, Level], conditional: int) -> None:
        self.name = name
        self.plans = plans
        self._levels = levels
        self._conditional = conditional

    @property
    def conditional(self) -> bool:
        """Whether it matters for any rule who asks."""
        return self._conditional > 0

    def candidates(self, path: str) -> Iterator[Plan]:
        """Yields the Plans whose path fits, in order of precedence."""
        for level in self._levels.values():
            yield from level.candidates(path)

    def match(self, facts: Facts, *, hop: bool) -> Plan | None:
        """Returns the Plan that the request takes; without `hop`, conditions on the caller count as not met."""
        for plan in self.candidates(facts.path):
            if plan.failing(facts, hop=hop) is None:
                return plan
        return None

    def replace(self, plans: Leaf) -> Table:
        """Returns the table with other Plans; a few changes cost little in a table of any size."""
        start = _common(zip(plans, self.plans, strict=False))
        rest = min(len(plans), len(self.plans)) - start
        end = min(rest, _common(zip(reversed(plans), reversed(self.plans), strict=False)))
        removed, added = self.plans[start : len(self.plans) - end], plans[start : len(plans) - end]
        priorities = {plan.priority for plan in (*removed, *added)}
        if len(removed) + len(added) > _MENDABLE or not priorities <= self._levels.keys():
            return compile_table(self.name, plans)
        levels = dict(self._levels)
        for priority in priorities:
            gone = [plan for plan in removed if plan.priority == priority]
            come = [plan for plan in added if plan.priority == priority]
            levels[priority] = levels[priority].mend(gone, come, plans)
        conditional = self._conditional + _count_conditional(added) - _count_conditional(removed)
        return Table(self.name, plans, levels, conditional)


def compile_table(name: str, plans: Leaf) -> Table:
    """Returns the table of `plans`, which are in order of precedence."""
    levels = {priority: _compile_level(found) for priority, found in groupby(plans, key=lambda plan: plan.priority)}
    return Table(name, plans, levels, _count_conditional(plans))


def _compile_level(plans: Iterable[Plan]) -> Level:
    leaves: dict[str, dict[str, list[Plan]]] = {"exact": {}, "regex": {}, "prefix": {}}
    for plan in plans:
        kind, key = _place(plan)
        leaves[kind].setdefault(key, []).append(plan)
    exact, prefixes = ({key: tuple(found) for key, found in leaves[kind].items()} for kind in ("exact", "prefix"))
    return Level(exact, tuple(leaves["regex"].get("", ())), prefixes)


def _place(plan: Plan) -> tuple[str, str]:
    """Returns where in a level a Plan stands: among which kind of paths, and under which key."""
    if plan.pattern is not None:
        return "regex", ""
    match = plan.wire.match
    if match.path_type == snapshot_pb2.PATH_MATCH_TYPE_EXACT:
        return "exact", match.path
    return "prefix", match.path.rstrip("/")


def _take_out(leaves: dict[str, Leaf], key: str, plan: Plan) -> None:
    left = tuple(other for other in leaves[key] if other is not plan)
    if left:
        leaves[key] = left
    else:
        del leaves[key]


def _put_in(leaf: Leaf, plan: Plan, order: Leaf) -> Leaf:
    """Returns the leaf with one Plan more, at its place in the order of the table."""
    if not leaf:
        return (plan,)
    if len(leaf) <= _SCANNED:
        return tuple(sorted((*leaf, plan), key=order.index))
    places = {id(other): place for place, other in enumerate(order)}
    return tuple(sorted((*leaf, plan), key=lambda other: places[id(other)]))


def _common(pairs: Iterable[tuple[Plan, Plan]]) -> int:
    """Returns how many pairs at the beginning are one and the same Plan."""
    count = 0
    for one, other in pairs:
        if one is not other:
            return count
        count += 1
    return count


def _count_conditional(plans: Iterable[Plan]) -> int:
    return sum(1 for plan in plans if plan.hop_conditions)


def compile_scope(name: str, wire: snapshot_pb2.Scope) -> Scope:
    """Returns the compiled Scope."""
    return Scope(
        name=name,
        edge=wire.edge,
        namespace=wire.edge.partition("/")[0],
        host=wire.host,
        region=wire.region,
        api_version_header=wire.api_version_header,
        api_version_default=wire.api_version_default,
        host_tenant=wire.host_tenant,
        tenant_header=wire.tenant_header,
        trusted=AddressSet(wire.trusted) if wire.trusted else None,
        trusted_hops=wire.trusted_hops,
        listeners=tuple(wire.listeners),
        entrances=tuple([Entrance(each.listener, each.scheme, each.port) for each in wire.entrances]),
    )
