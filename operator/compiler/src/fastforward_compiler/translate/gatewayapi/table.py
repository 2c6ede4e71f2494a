"""Pieces of routes to the tables of a Gateway's hosts: whose a host is, and which rules come first.

In: the routes that the indexes name for a host, the listeners of its port. Out: `ir.Scope`, `ir.Table`. Called by
compile through SCOPE and TABLE. A host belongs to the listener with the narrowest host name, and none but that
listener's routes are on it; those with wider host names come after those with narrower ones (HTTPRouteSpec.hostnames).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Rule
from fastforward_compiler.translate.edge import covers
from fastforward_compiler.translate.piece import Piece
from fastforward_compiler.translate.placement import Needs, place_stages
from fastforward_compiler.translate.table import naming_gifts, touch

from .gateway import HOSTS_AT, PLACE, Host, Place
from .grpcroute import GRPC_ROUTE
from .httproute import HTTP_ROUTE
from .section import ANY_HOST, owner_of
from .spread import ROUTES_AT, RouteTranslation

_ROUTES: Mapping[str, Rule[RouteTranslation | None]] = {"HTTPRoute": HTTP_ROUTE, "GRPCRoute": GRPC_ROUTE}
_MISDIRECTED = 421
_FIRST = 1


class ScopeTranslation(NamedTuple):
    """A host that somebody asks for; its scope, once a listener that is in use has it."""

    scope: ir.Scope | None = None


class TableTranslation(NamedTuple):
    """The table of a host; None without a scope."""

    table: ir.Table | None
    closed_by: tuple[str, ...]
    """Broken AuthPolicies that close some of its entries."""


def scope_name(place: str, host: str) -> str:
    """PLACE|HOST."""
    return f"{place}|{host}"


def _make_scope(cells: Cells, place: str, host: str) -> ScopeTranslation | None:
    """None when nobody asks for the host: until then it waits for a listener that may be in use later."""
    if not cells.read(HOSTS_AT, place, host):
        return None
    found = cells.read(PLACE, place)
    if found is None or owner_of(found.hosts, host) is None:
        return ScopeTranslation()
    return ScopeTranslation(ir.Scope(name=scope_name(place, host), edge=found.edge, host=host))


def _make_table(cells: Cells, place: str, host: str) -> TableTranslation | None:
    translation, found = cells.read(SCOPE, place, host), cells.read(PLACE, place)
    if translation is None:
        return None
    scope = translation.scope
    owner = owner_of(found.hosts, host) if scope is not None and found is not None else None
    if scope is None or found is None or owner is None:
        return TableTranslation(None, ())
    closed_by: set[str] = set()
    entries = (*_misdirected(found, owner), *_entries(cells, place, owner, host, closed_by))
    touch(cells, entries)
    return TableTranslation(ir.Table(scope=scope.name, tenant="", entries=entries), tuple(sorted(closed_by)))


def _table_gifts(translation: TableTranslation | None, place: str, host: str) -> Iterator[Gift]:
    if translation is not None and translation.table is not None:
        yield from naming_gifts(translation.table, translation.closed_by, f"{scope_name(place, host)}#")


def _misdirected(place: Place, owner: Host) -> Iterator[ir.Entry]:
    """Over TLS, who comes by another listener's server name is told to come by this one's (RFC 9110, 15.5.20)."""
    if place.scheme != "https":
        return
    placements, hop, fail_open = place_stages(Needs(proxied=False))
    for other in place.hosts:
        if other != owner:
            yield ir.Entry(
                id=f"misdirected/{other.label}",
                route="",
                rule="",
                priority=_FIRST,
                match=ir.Match(listener=other.label),
                destination=ir.Respond(status=_MISDIRECTED),
                placements=placements,
                hop=hop,
                fail_open=fail_open,
            )


def _entries(cells: Cells, place: str, owner: Host, host: str, closed_by: set[str]) -> Iterator[ir.Entry]:
    """Those of the host itself, then those of each wider host name that its listener's routes have.

    Adds to `closed_by` the broken policies that close some of them.
    """
    for rank, wider in enumerate(_widening(host)):
        if not covers(owner.hostname, wider) and wider != owner.hostname:
            break
        seen: set[ir.Match] = set()
        for piece in sorted(_pieces(cells, place, owner.section, wider), key=lambda piece: piece.order):
            # Of two with the same match the later one is never reached.
            if piece.match not in seen:
                seen.add(piece.match)
                closed_by.update(piece.closed_by)
                entry = piece.entry()
                yield replace(entry, id=f"{entry.id}@{wider}", priority=-rank) if rank else entry


def _widening(host: str) -> Iterator[str]:
    """The host, and the host names that cover it, narrowest first."""
    yield host
    labels = host.split(".")
    for place in range(2 if host.startswith("*") else 1, len(labels)):
        yield "*." + ".".join(labels[place:])
    if host != ANY_HOST:
        yield ANY_HOST


def _pieces(cells: Cells, place: str, section: tuple[str, str, str], host: str) -> Iterator[Piece]:
    for kind, name in cells.read(ROUTES_AT, place, section, host):
        translation = cells.read(_ROUTES[kind], name)
        for spread in translation.spreads if translation is not None else ():
            if spread.place == place and spread.section == section and host in spread.hosts:
                yield from spread.pieces


SCOPE: Rule[ScopeTranslation | None] = Rule("gateway scope", _make_scope, root=True)
"""(place, host)."""
TABLE: Rule[TableTranslation | None] = Rule("gateway table", _make_table, gives=_table_gifts, root=True)
"""(place, host)."""
