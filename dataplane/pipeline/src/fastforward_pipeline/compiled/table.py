"""A table's Plans as an index over the path, so that a look-up costs the same at any size; and one host of an Edge.

Made by `snapshot`; asked by stages/routing. It finds what a scan in order of precedence would find: priority by
priority, exact path, then regular expressions, then prefixes, longest first; a Plan whose conditions fail lets the
next one try.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.facts import Facts

from .address import AddressSet
from .route import Plan


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


class Level:
    """The Plans of one priority."""

    __slots__ = ("exact", "longest", "prefixes", "regexes")

    def __init__(self, plans: Iterator[Plan]) -> None:
        exact: dict[str, list[Plan]] = {}
        prefixes: dict[str, list[Plan]] = {}
        regexes: list[Plan] = []
        for plan in plans:
            match = plan.wire.match
            if match.path_type == snapshot_pb2.PATH_MATCH_TYPE_EXACT:
                exact.setdefault(match.path, []).append(plan)
            elif plan.pattern is not None:
                regexes.append(plan)
            else:
                prefixes.setdefault(match.path.rstrip("/"), []).append(plan)
        self.exact = {path: tuple(found) for path, found in exact.items()}
        self.prefixes = {path: tuple(found) for path, found in prefixes.items()}
        self.regexes = tuple(regexes)
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


class Table:
    """The rules of one host, for one tenant or for everybody."""

    __slots__ = ("conditional", "levels", "name", "plans")

    def __init__(self, name: str, plans: tuple[Plan, ...]) -> None:
        self.name = name
        self.plans = plans
        self.conditional = any(plan.hop_conditions for plan in plans)
        """Whether it matters for any rule who asks."""
        self.levels = tuple(Level(found) for _, found in groupby(plans, key=lambda plan: plan.wire.priority))

    def candidates(self, path: str) -> Iterator[Plan]:
        """Yields the Plans whose path fits, in order of precedence."""
        for level in self.levels:
            yield from level.candidates(path)

    def match(self, facts: Facts, *, hop: bool) -> Plan | None:
        """Returns the Plan that the request takes; without `hop`, conditions on the caller count as not met."""
        for plan in self.candidates(facts.path):
            if plan.failing(facts, hop=hop) is None:
                return plan
        return None


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
    )
