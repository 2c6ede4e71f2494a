"""Pieces of Routes to the tables of a host: scopes, gates, precedence, conflicts.

In: the Routes that the indexes name for a host, the Tenants that own hosts. Out: `ir.Scope`, `ir.Table`, and which
rules are never reached. Called by compile through SCOPE and TABLE. A host that only a Tenant lists has the rules of the
nearest wildcard with rules of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Index, Rule
from fastforward_compiler.problem import Problem, Reason, problem

from .addresslist import lists_of
from .combination import AUTH, KNOWN_TO_PROXY
from .edge import NO_ADMISSION, SETTINGS, VIEW, Settings, View, covers
from .overtaking import GATE_PRIORITY, Laid, PathMatch, make_gates, mark_overtaken
from .piece import Piece, precedence
from .placement import Needs
from .protection import NO_AIMS, Protection, protect, read_aims
from .ratelimit import LIMIT
from .route import FACTS_ON, ROUTE, ROUTES_IN, Fact
from .tenant import covering, host_tenant
from .world import HOSTS_OF_TENANTS, age, ref_of


class Believed(NamedTuple):
    """An Auth that may have authenticated a request when it comes to a tenant's table, and by whose word."""

    auth: str
    providers: tuple[ir.Provider, ...]


class ScopeTranslation(NamedTuple):
    """One host. `scope` is None while no rule is found for a host that a Tenant lists."""

    scope: ir.Scope | None
    source: str
    """The host whose rules it has: itself, or a wildcard above."""
    conditional: tuple[PathMatch, ...]
    """Paths of rules in tenants' tables with conditions that only the decision service can judge."""
    settings: Settings
    believed: tuple[Believed, ...] = ()


class TableTranslation(NamedTuple):
    """One table; None when it would be empty."""

    table: ir.Table | None
    conflicts: tuple[Problem, ...] = ()
    """Of rules never reached."""
    closed_by: tuple[str, ...] = ()
    """Broken AuthPolicies that close some of its entries."""
    believed: tuple[Believed, ...] = ()
    """Whom the guard of a tenant's table believes, though its entries need not name them."""


def scope_name(edge: str, host: str) -> str:
    """EDGE|HOST."""
    return sys.intern(f"{edge}|{host}")


def _make_aliases(cells: Cells, edge: str) -> frozenset[str] | None:
    """Hosts of the Edge that a Tenant of its namespace lists."""
    view = cells.read(VIEW, edge)
    if view is None:
        return None
    hosts = cells.read(HOSTS_OF_TENANTS, view.namespace)
    return frozenset(host for host in hosts if any(covers(owned, host) for owned in view.hosts))


def _alias_gifts(hosts: frozenset[str] | None, edge: str) -> Iterator[Gift]:
    for host in hosts or ():
        yield (ALIASED, edge, host), host


def _make_scope(cells: Cells, edge: str, host: str) -> ScopeTranslation | None:
    settings = cells.read(SETTINGS, edge)
    source = _source(cells, edge, host)
    if settings is None or source is None:
        return None
    if not source:
        return ScopeTranslation(None, "", conditional=(), settings=settings)
    owner = host_tenant(cells, edge.partition("/")[0], host)
    facts = cells.read(FACTS_ON, edge, source)
    tenants = () if owner else tuple(sorted(name for kind, name in facts if kind == "tenant" and name))
    scope = ir.Scope(
        name=scope_name(edge, host),
        edge=edge,
        host=host,
        region=settings.region,
        host_tenant=owner,
        tenant_tables=tenants,
        auths=_scope_auths(cells, edge, facts) if tenants else (),
    )
    conditional = tuple(sorted(path for kind, path in facts if kind == "conditional"))
    return ScopeTranslation(scope, source, conditional, settings)


def _make_host(cells: Cells, edge: str, host: str) -> ScopeTranslation | None:
    """The scope as a tenant's table sees it: that there are tenants' tables, not whose, nor what lies in them; and
    whom all of them believe.
    """
    translation = cells.read(SCOPE, edge, host)
    if translation is None or translation.scope is None:
        return translation
    scope = replace(translation.scope, tenant_tables=("*",) if translation.scope.tenant_tables else ())
    believed = tuple(Believed(auth, cells.read(KNOWN_TO_PROXY, auth)) for auth in scope.auths)
    return translation._replace(scope=scope, conditional=(), believed=believed)


def _source(cells: Cells, edge: str, host: str) -> str | None:
    """The host whose rules it has; empty for none yet; None when nobody asks for this host."""
    if cells.read(FACTS_ON, edge, host):
        return host
    if not cells.read(ALIASED, edge, host):
        return None
    return next((above for above in covering(host) if cells.read(FACTS_ON, edge, above)), "")


def _scope_auths(cells: Cells, edge: str, facts: Iterable[Fact]) -> tuple[str, ...]:
    """What may have authenticated a request when it comes to a tenant's table: everybody's rules, or the gate."""
    gate = cells.read(GATE, edge)
    own = {gate.needs.auth} if gate is not None and gate.needs.auth else set()
    return tuple(sorted(own.union(name for kind, name in facts if kind == "auth")))


def _make_gate(cells: Cells, edge: str) -> Piece | None:
    """Guarded as the Edge is; for the rest nothing but 404."""
    view = cells.read(VIEW, edge)
    if view is None:
        return None
    protection = protect(cells, read_aims(cells, "Edge", edge), NO_AIMS, tenant=False)
    broken = protection.traits.broken
    match = ir.Match()
    return Piece(
        field="",
        order=precedence(match, GATE_PRIORITY, age(None), (0, 0, 0)),
        fields={
            "id": "gate",
            "route": "",
            "rule": "",
            "match": match,
            "gate": True,
            "edge_admission": view.admission,
            "auth": protection.auth,
            "destination": ir.Unavailable(reason=f"{broken}.") if broken else ir.Respond(status=404),
        },
        needs=_gate_needs(view, protection),
        closed_by=protection.closed_by,
    )


def _gate_needs(view: View, protection: Protection) -> Needs:
    traits = protection.traits
    return Needs(
        admission=view.admission is not NO_ADMISSION,
        lists=bool(lists_of(view.admission)),
        auth=protection.auth,
        authenticates=traits.authenticates,
        authorizes=traits.authorizes,
        beyond_proxy=traits.beyond_proxy,
        auth_open=traits.fail_open,
        proxied=False,
        tenant_header=view.has_tenant_header,
    )


def _make_table(cells: Cells, edge: str, host: str, tenant: str) -> TableTranslation | None:
    # A new tenant changes the scope, and no other tenant's table.
    scope = cells.read(HOST if tenant else SCOPE, edge, host)
    if scope is None or (tenant and not cells.read(ROUTES_IN, edge, host, tenant)):
        return None
    if scope.scope is None or (tenant and scope.scope.host_tenant):
        return TableTranslation(None)
    pieces = [Laid(piece) for piece in _pieces(cells, edge, scope.source, tenant)]
    if not tenant and scope.scope.host_tenant:
        own = _pieces(cells, edge, scope.source, scope.scope.host_tenant)
        pieces = [Laid(piece, tenant_first=True) for piece in own] + pieces
    if scope.conditional or any(laid.piece.match.needs_hop for laid in pieces):
        pieces = mark_overtaken(pieces, () if tenant else scope.conditional)
        pieces += [] if tenant else make_gates(pieces)
    if not tenant and scope.scope.tenant_tables and not _has_catch_all(pieces):
        gate = cells.read(GATE, edge)
        pieces += [Laid(gate, overtaken=bool(scope.conditional))] if gate is not None else []
    entries, conflicts = _lay(pieces, scope.scope, tenant)
    touch(cells, entries)
    table = ir.Table(scope=scope.scope.name, tenant=tenant, entries=entries) if entries else None
    closed_by = tuple(sorted({policy for laid in pieces for policy in laid.piece.closed_by}))
    return TableTranslation(table, conflicts, closed_by, scope.believed)


def _pieces(cells: Cells, edge: str, source: str, tenant: str) -> list[Piece]:
    """The pieces of everybody's table or one tenant's, in order of precedence."""
    found: list[Piece] = []
    for name in cells.read(ROUTES_IN, edge, source, tenant):
        route = cells.read(ROUTE, name)
        for spread in route.spreads if route is not None else ():
            if spread.edge == edge and source in spread.hosts:
                found.extend(spread.of(tenant))
    if len(found) > 1:
        found.sort(key=_order)
    return found


def _order(piece: Piece) -> tuple[object, ...]:
    return piece.order


def _has_catch_all(pieces: Iterable[Laid]) -> bool:
    """Whether some rule takes every request, so that nothing would come to the gate."""
    return any(laid.piece.match == _EVERYTHING for laid in pieces)


def _lay(pieces: Sequence[Laid], scope: ir.Scope, tenant: str) -> tuple[tuple[ir.Entry, ...], tuple[Problem, ...]]:
    """The entries, without those never reached because an earlier one has the same match."""
    seen: dict[tuple[int, bool, ir.Match], Piece] = {}
    entries: list[ir.Entry] = []
    conflicts: list[Problem] = []
    for piece, first, overtaken in pieces:
        winner = seen.setdefault((piece.plain.priority, first, piece.match), piece)
        if winner is piece:
            entries.append(piece.entry(overtaken=overtaken, tenant_first=first))
        elif not winner.plain.schedule:
            # One with hours of its own is there to go before another, as long as it holds.
            conflicts.append(_conflict(piece, winner, scope.host, tenant))
    return tuple(entries), tuple(conflicts)


def _conflict(loser: Piece, winner: Piece, host: str, tenant: str) -> Problem:
    place = f"on host {host}" + (f" for tenant {tenant}" if tenant else "")
    whose = f"rule {winner.plain.rule} of this Route comes first and has the same match"
    if winner.plain.route != loser.plain.route:
        why = "which is older" if winner.created < loser.created else "which comes first by name"
        whose = f"Route {winner.plain.route}, {why}, has the same match in its rule {winner.plain.rule}"
    message = f"Never reached {place}: {whose}."
    return problem(ref_of("Route", loser.plain.route), Reason.RULE_CONFLICT, loser.field, message)


def touch(cells: Cells, entries: Iterable[ir.Entry]) -> None:
    """Depend on the Auths and Limits that the entries name, as whoever emits the table needs them."""
    for auth in {entry.auth for entry in entries if entry.auth}:
        cells.read(AUTH, auth)
    for limit in {limit for entry in entries for limit in entry.limits}:
        cells.read(LIMIT, limit)


def _table_gifts(translation: TableTranslation | None, edge: str, host: str, tenant: str) -> Iterator[Gift]:
    if translation is None:
        return
    for found in translation.conflicts:
        yield (CONFLICTS, found.on.namespace, found.on.name), found
    name = f"{scope_name(edge, host)}#{tenant}"
    yield from naming_gifts(translation.table, translation.closed_by, name, translation.believed)


def naming_gifts(
    table: ir.Table | None, closed_by: Iterable[str], name: str, believed: Iterable[Believed] = ()
) -> Iterator[Gift]:
    """What a table of this name leans on: the policies of its entries, those that its guard believes, and those that
    close some of its entries.
    """
    for policy in closed_by:
        yield (TABLES_NAMING, "broken", policy), name
    if table is not None:
        for auth in {entry.auth for entry in table.entries if entry.auth}.union(each.auth for each in believed):
            yield (TABLES_NAMING, "auth", auth), name
        for limit in {limit for entry in table.entries for limit in entry.limits}:
            yield (TABLES_NAMING, "limit", limit), name
        for ingress in {entry.ingress for entry in table.entries if entry.ingress}:
            yield (TABLES_NAMING, "ingress", ingress), name


def _scope_gifts(translation: ScopeTranslation | None, edge: str, host: str) -> Iterator[Gift]:
    if translation is None or translation.scope is None:
        return
    if translation.source != host:
        yield (ALIASES_OF, edge, translation.source), host
    if translation.scope.host_tenant:
        namespace = edge.partition("/")[0]
        yield (HOSTS_BELONGING, f"{namespace}/{translation.scope.host_tenant}"), translation.scope.name


_EVERYTHING = ir.Match()

ALIASED: Index[str] = Index("hosts that tenants list")
"""(edge, host) -> that host, when a Tenant lists it."""
ALIASES_OF: Index[str] = Index("aliases by host")
"""(edge, host) -> hosts that have its rules."""
CONFLICTS: Index[Problem] = Index("conflicts by route")
"""(namespace, name) -> Problems."""
TABLES_NAMING: Index[str] = Index("tables by what they name")
"""("auth", "limit", "broken" AuthPolicy or "ingress" Upstream, name) -> names of tables."""
HOSTS_BELONGING: Index[str] = Index("scopes by tenant")
"""(tenant) -> names of scopes whose requests all are the tenant's."""

ALIASES: Rule[frozenset[str] | None] = Rule("aliases", _make_aliases, gives=_alias_gifts, root=True)
GATE: Rule[Piece | None] = Rule("gate", _make_gate)
SCOPE: Rule[ScopeTranslation | None] = Rule("scope", _make_scope, gives=_scope_gifts, root=True)
"""(edge, host)."""
HOST: Rule[ScopeTranslation | None] = Rule("host", _make_host)
"""(edge, host)."""
TABLE: Rule[TableTranslation | None] = Rule("table", _make_table, gives=_table_gifts, root=True)
"""(edge, host, tenant)."""
