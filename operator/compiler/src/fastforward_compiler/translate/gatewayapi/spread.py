"""A route of Gateway API in pieces: each match of each rule, at each listener that takes the route.

In: the route's parents and blueprints, the policies aimed at its Gateways and at itself. Out: RouteTranslation, gifts
for the indexes. Called by httproute and grpcroute. The pieces are the same on each host of a port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Index
from fastforward_compiler.problem import ObjectRef, Problem
from fastforward_compiler.translate.combination import abroad_gifts
from fastforward_compiler.translate.piece import Piece, precedence
from fastforward_compiler.translate.protection import Aims, Protection, protect, read_aims
from fastforward_compiler.translate.upstream import KEPT_BY
from fastforward_compiler.translate.world import ENDS_ON, Age

from .attachment import Attached, Parent
from .backend import BACKENDS_OF, BackendKey, backend_name, client_name
from .backendtlspolicy import CLIENT_CERTIFICATE, GATEWAYS_USING, UPSTREAMS_USING
from .gateway import HOSTS_AT, PLACE, Place, gateway_edge, place_of
from .section import ATTACHED, SectionKey


class Condition(NamedTuple):
    """One match: its place in the rule, and what it asks."""

    place: int
    match: ir.Match


class Blueprint(NamedTuple):
    """A rule, before it is spread. `on_port` makes the fields of `ir.Entry` for a scheme and a port."""

    name: str
    place: int
    conditions: tuple[Condition, ...]
    on_port: Callable[[str, int], dict[str, Any]]


class Spread(NamedTuple):
    """The route at one listener: the same pieces on each host."""

    place: str
    section: SectionKey
    gateway: str
    hosts: tuple[str, ...]
    pieces: tuple[Piece, ...]
    effective: tuple[str, ...]
    """Policies in force there."""


class RouteTranslation(NamedTuple):
    """A route in pieces, what is wrong with it, and what it leans on; nothing, where no Gateway of ours has it."""

    parents: tuple[Parent, ...] = ()
    rules: tuple[str, ...] = ()
    """Their names; those without one are called by position, `rule-0`."""
    spreads: tuple[Spread, ...] = ()
    problems: tuple[Problem, ...] = ()
    parts: tuple[ir.Part, ...] = ()
    backends: tuple[BackendKey, ...] = ()
    kept: tuple[str, ...] = ()
    """Upstreams whose clients its sessions keep with an endpoint."""

    @property
    def effective(self) -> tuple[str, ...]:
        """Policies in force at any listener."""
        return tuple(dict.fromkeys(name for spread in self.spreads for name in spread.effective))


def spread_route(
    cells: Cells, on: ObjectRef, born: Age, parents: Iterable[Parent], blueprints: Sequence[Blueprint]
) -> Iterator[Spread]:
    """The pieces at each listener that serves; a listener that is named twice has them once."""
    attached: dict[tuple[str, SectionKey], Attached] = {}
    for parent in parents:
        for each in parent.attached:
            attached.setdefault((each.gateway, each.section.key), each)
    own = read_aims(cells, on.kind, f"{on.namespace}/{on.name}")
    made: dict[tuple[str, int, str, Aims], tuple[tuple[Piece, ...], tuple[str, ...]]] = {}
    for (gateway, section), each in attached.items():
        place = place_of(gateway, each.section.port)
        found = cells.read(PLACE, place) if each.section.serves else None
        if found is None:
            continue
        client = gateway if isinstance(cells.read(CLIENT_CERTIFICATE, gateway), ir.Certificate) else ""
        above = read_aims(cells, "Gateway", gateway).at(_listener(section))
        key = (found.scheme, found.port, client, above)
        if key not in made:
            guarded = [(rule, protect(cells, above, own.at(rule.name), tenant=False)) for rule in blueprints]
            effective = dict.fromkeys(name for _, protection in guarded for name in protection.effective)
            made[key] = tuple(_pieces(on, born, guarded, found, client)), tuple(effective)
        yield Spread(place, section, gateway, each.hosts, *made[key])


def _listener(section: SectionKey) -> str:
    """The name by which policies aim at a Gateway's own listener; none of a ListenerSet's."""
    kind, _, name = section
    return name if kind == "Gateway" else ""


def clients_of(cells: Cells, parents: Iterable[Parent]) -> tuple[str, ...]:
    """The Gateways that show a certificate, and "" if some show none."""
    gateways = {each.gateway for parent in parents for each in parent.attached}
    shows = {name: isinstance(cells.read(CLIENT_CERTIFICATE, name), ir.Certificate) for name in gateways}
    return tuple(sorted({name if shows[name] else "" for name in gateways}))


def kept_by(upstreams: Iterable[str], clients: Iterable[str]) -> tuple[str, ...]:
    """The Upstreams under all names that they have for these Gateways."""
    names = ((upstream, client) for upstream in upstreams for client in clients)
    return tuple(sorted({client_name(upstream, client) if client else upstream for upstream, client in names}))


def _pieces(
    on: ObjectRef, born: Age, blueprints: Iterable[tuple[Blueprint, Protection]], place: Place, client: str
) -> Iterator[Piece]:
    name = f"{on.namespace}/{on.name}"
    for blueprint, protection in blueprints:
        shown = _shown(blueprint.on_port(place.scheme, place.port), client)
        fields: dict[str, Any] = {**shown, "route": name, "rule": blueprint.name, **protection.fields()}
        needs = protection.needs(fields["destination"])
        for condition in blueprint.conditions:
            entry_id = f"{on.kind.lower()}/{name}#{blueprint.name}.{condition.place}"
            yield Piece(
                field=f"spec.rules[{blueprint.place}].matches[{condition.place}]",
                order=precedence(condition.match, 0, born, (blueprint.place, condition.place, 0)),
                fields={**fields, "match": condition.match, "id": entry_id},
                needs=needs,
                closed_by=protection.closed_by,
            )


def _shown(fields: dict[str, Any], client: str) -> dict[str, Any]:
    """The fields with the backends of a Gateway that shows a certificate: these are Upstreams of their own."""
    destination = fields["destination"]
    if not client or not isinstance(destination, ir.Split):
        return fields
    shares = tuple(replace(each, upstream=client_name(each.upstream, client)) for each in destination.shares)
    near = tuple(client_name(each, client) for each in destination.near)
    mirrors = tuple(replace(each, upstream=client_name(each.upstream, client)) for each in fields.get("mirrors", ()))
    return {**fields, "destination": replace(destination, shares=shares, near=near), "mirrors": mirrors}


def route_gifts(kind: str, translation: RouteTranslation | None, name: str) -> Iterable[Gift]:
    """Where the route lies, at which listeners it counts, what it needs."""
    if translation is None:
        return
    for parent in translation.parents:
        for each in parent.attached:
            yield (ATTACHED, each.gateway, *each.section.key), (kind, name)
    for spread in translation.spreads:
        yield from _spread_gifts(kind, spread, name)
    for upstream in translation.kept:
        yield (KEPT_BY, upstream), (kind, name)
    gateways = {each.gateway for parent in translation.parents for each in parent.attached}
    for backend in translation.backends:
        yield (BACKENDS_OF, *backend), (kind, name)
        yield (UPSTREAMS_USING, backend.service), backend_name(backend)
        for gateway in gateways:
            yield (GATEWAYS_USING, backend.service), gateway


def _spread_gifts(kind: str, spread: Spread, name: str) -> Iterable[Gift]:
    if any(piece.needs.ends for piece in spread.pieces):
        yield (ENDS_ON, gateway_edge(spread.gateway)), name
    yield from abroad_gifts({piece.needs.auth for piece in spread.pieces}, "Gateway", spread.gateway)
    for host in spread.hosts:
        yield (ROUTES_AT, spread.place, spread.section, host), (kind, name)
        yield (HOSTS_AT, spread.place, host), ("route", kind, name)


ROUTES_AT: Index[tuple[str, str]] = Index("routes by place, listener and host")
"""(place, listener, host) -> (kind, route)."""
