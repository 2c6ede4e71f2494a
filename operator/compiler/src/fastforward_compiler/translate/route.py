"""Route to pieces of tables: each match of each rule, for each Edge, listener and tenant.

In: a Route, the Edges that take it, the policies aimed at both. Out: RouteTranslation, and in the indexes the tables it
lies in. Called by compile through ROUTE. Hosts don't multiply the work: the pieces are the same on each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Index, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_compiler.shared import shared

from .addresslist import list_problems, lists_of
from .attachment import Attachment, resolve_attachments
from .combination import abroad_gifts
from .edge import NO_ADMISSION, listed, translate_admission
from .grpcweb import open_to_grpc_web
from .overtaking import path_of
from .piece import Piece, hop_conditions, precedence
from .placement import Needs
from .protection import UNPROTECTED, Aims, Protection, protect, read_aims
from .reference import EXISTS
from .rule import Blueprint, Condition, translate_rule
from .rulename import rule_names
from .schedule import told
from .transcoding import keep_from
from .world import ENDS_ON, HOURS, ROUTES, TENANTS, Age, age, ref_of

_NO_TENANTS: Mapping[str, tuple[Piece, ...]] = MappingProxyType({})
_EVERYBODY = ("tenant", "")


class Spread(NamedTuple):
    """The Route on one Edge: the same pieces on each host."""

    edge: str
    hosts: tuple[str, ...]
    everybody: tuple[Piece, ...]
    of_tenants: Mapping[str, tuple[Piece, ...]]

    @property
    def pieces(self) -> Mapping[str, tuple[Piece, ...]]:
        """By tenant, "" where there are any for everybody."""
        return {"": self.everybody, **self.of_tenants} if self.everybody else self.of_tenants

    def of(self, tenant: str) -> tuple[Piece, ...]:
        """Those of one tenant's table."""
        return self.of_tenants.get(tenant, ()) if tenant else self.everybody


class RouteTranslation(NamedTuple):
    """A Route in pieces, what is wrong with it, and what it leans on."""

    spreads: tuple[Spread, ...]
    problems: tuple[Problem, ...]
    effective: tuple[str, ...]
    upstreams: tuple[str, ...]
    late: tuple[tuple[str, str], ...]
    """(AuthPolicy, rule) where an authentication is aimed at a tenant's rule."""
    scheduled: tuple[str, ...] = ()
    """What is to be said of rules that hold at some times only."""


class _Work(NamedTuple):
    """What the steps below share while one Route is translated."""

    cells: Cells
    on: ObjectRef
    name: str
    age: Age
    spec: crds.RouteSpec
    aims: Aims
    problems: list[Problem]
    effective: dict[str, None]
    late: dict[tuple[str, str], None]


def _translate_route(cells: Cells, name: str) -> RouteTranslation | None:
    route = cells.read(ROUTES, name)
    if route is None:
        return None
    work = _Work(
        cells=cells,
        on=ref_of("Route", name),
        name=name,
        age=(*age(route)[:2], name),
        spec=route.spec,
        aims=read_aims(cells, "Route", name),
        problems=[],
        effective={},
        late={},
    )
    blueprints = []
    names = rule_names([rule.name for rule in route.spec.rules])
    for place, (rule, rule_name) in enumerate(zip(route.spec.rules, names, strict=True)):
        blueprint, problems = translate_rule(cells, work.on, place, rule_name, rule)
        blueprints.append(blueprint)
        work.problems.extend(problems)
    hours = cells.read(HOURS, name) if any(rule.schedule is not None for rule in route.spec.rules) else ()
    in_force = [each for each in blueprints if not hours or (at := hours[each.place]) is None or at.holds]
    spreads = tuple(
        _spread(work, attachment, in_force)
        for attachment in resolve_attachments(cells, work.on, route.spec, work.problems)
    )
    return RouteTranslation(
        spreads=spreads,
        problems=tuple(dict.fromkeys(work.problems)),
        effective=tuple(work.effective),
        upstreams=tuple(dict.fromkeys(name for blueprint in blueprints for name in blueprint.upstreams)),
        late=tuple(work.late),
        scheduled=tuple(told(blueprints[place].name, at) for place, at in enumerate(hours) if at is not None),
    )


def _spread(work: _Work, attachment: Attachment, blueprints: Iterable[Blueprint]) -> Spread:
    pieces: dict[str, list[Piece]] = {}
    work.problems.extend(list_problems(work.cells, work.on, attachment.edge.name, work.spec.admission))
    for blueprint in blueprints:
        _spread_rule(work, attachment, blueprint, pieces)
    everybody = tuple(pieces.pop("", ()))
    of_tenants = {tenant: tuple(found) for tenant, found in pieces.items()} if pieces else _NO_TENANTS
    return Spread(attachment.edge.name, attachment.hosts, everybody, of_tenants)


def _spread_rule(work: _Work, attachment: Attachment, blueprint: Blueprint, pieces: dict[str, list[Piece]]) -> None:
    everybody = _protect(work, attachment, blueprint.name, tenant=False)
    tenants_own = None
    for condition in blueprint.conditions:
        if not condition.tenants:
            pieces.setdefault("", []).extend(_make_pieces(work, attachment, blueprint, condition, everybody))
            continue
        if tenants_own is None:
            tenants_own = _protect(work, attachment, blueprint.name, tenant=True)
        made = _make_pieces(work, attachment, blueprint, condition, tenants_own)
        for tenant in _resolve_tenants(work, attachment, blueprint, condition):
            pieces.setdefault(tenant, []).extend(made)


def _resolve_tenants(work: _Work, attachment: Attachment, blueprint: Blueprint, condition: Condition) -> Iterable[str]:
    for place, tenant in enumerate(condition.tenants):
        name = f"{attachment.edge.namespace}/{tenant}"
        if work.cells.read(EXISTS, TENANTS, name):
            yield tenant
            continue
        field = f"spec.rules[{blueprint.place}].matches[{condition.place}].tenants[{place}]"
        work.problems.append(problem(work.on, Reason.TENANT_NOT_FOUND, field, f"Tenant {name} was not found."))


def _protect(work: _Work, attachment: Attachment, rule: str, *, tenant: bool) -> Protection:
    cells, aims = work.cells, work.aims
    edge = read_aims(cells, "Edge", attachment.edge.name)
    protection = protect(cells, edge, aims.at(rule), tenant=tenant)
    if protection is not UNPROTECTED:
        work.effective.update(dict.fromkeys(protection.effective))
        work.late.update(dict.fromkeys((policy, rule) for policy in protection.late))
    return protection


def _make_pieces(
    work: _Work, attachment: Attachment, blueprint: Blueprint, condition: Condition, protection: Protection
) -> list[Piece]:
    fields = _entry_fields(work, attachment, blueprint, protection)
    needs = _needs(attachment, fields, protection)
    several = len(attachment.listeners) > 1
    made = []
    for number, listener in enumerate(attachment.listeners):
        match = shared(_with_listener(condition.match, listener) if listener else condition.match)
        entry_id = f"{work.name}#{blueprint.name}.{condition.place}"
        own = {**fields, "match": match, "id": f"{entry_id}@{listener}" if several else entry_id}
        place = (blueprint.place, condition.place, number)
        made.append(
            Piece(
                field=f"spec.rules[{blueprint.place}].matches[{condition.place}]",
                order=precedence(match, work.spec.priority, work.age, place),
                fields=own,
                needs=needs._replace(conditions=hop_conditions(match)) if match.needs_hop else needs,
                closed_by=protection.closed_by,
            )
        )
    return made


def _entry_fields(work: _Work, attachment: Attachment, blueprint: Blueprint, protection: Protection) -> dict[str, Any]:
    own = blueprint.fields
    if attachment.edge.grpc_web and "cors" in own and ir.speaks_grpc(own["destination"]):
        own = {**own, "cors": open_to_grpc_web(own["cors"])}
    if "transcoding" in own and not attachment.edge.grpc_transcoding:
        field = f"spec.rules[{blueprint.place}].transcode"
        own = {**own, **keep_from(attachment.edge.name, work.on, field, work.problems)}
    return {
        **own,
        "route": work.name,
        "rule": blueprint.name,
        "edge_admission": attachment.edge.admission,
        "admission": listed(work.cells, translate_admission(work.spec.admission, attachment.edge.name)),
        **protection.fields(),
    }


def _needs(attachment: Attachment, fields: Mapping[str, Any], protection: Protection) -> Needs:
    body: ir.Body | None = fields.get("body")
    return protection.needs(fields["destination"])._replace(
        admission=fields["admission"] is not NO_ADMISSION
        or fields["edge_admission"] is not NO_ADMISSION
        or fields.get("transcoding") is not None,
        lists=bool(lists_of(fields["admission"]) or lists_of(fields["edge_admission"])),
        tenant_header=attachment.edge.has_tenant_header,
        transcoded=_transcoded(fields.get("transcoding")),
        grpc_web=attachment.edge.grpc_web and ir.speaks_grpc(fields["destination"]),
        body="" if body is None else f"Schema {body.schema.schema}",
        body_open=body is not None and body.shadow,
    )


def _transcoded(made: ir.Transcoding | None) -> str:
    return "" if made is None else f"Schema {made.schema}, version {made.version}"


def _with_listener(match: ir.Match, listener: str) -> ir.Match:
    return ir.Match(
        path_type=match.path_type,
        path=match.path,
        methods=match.methods,
        headers=match.headers,
        query=match.query,
        listener=listener,
        api_version=match.api_version,
        roles=match.roles,
        region=match.region,
        flag=match.flag,
    )


def _route_gifts(translation: RouteTranslation | None, name: str) -> Iterable[Gift]:
    if translation is None:
        return
    for policy, rule in translation.late:
        yield (LATE, policy), (name, rule)
    for spread in translation.spreads:
        edge, pieces = spread.edge, spread.pieces
        if any(piece.needs.ends for found in pieces.values() for piece in found):
            yield (ENDS_ON, edge), name
        auths = {piece.needs.auth for found in pieces.values() for piece in found}
        yield from abroad_gifts(auths, "Edge", edge)
        facts: list[Fact] = [("tenant", tenant) if tenant else _EVERYBODY for tenant in pieces]
        facts.extend({("auth", piece.needs.auth) for piece in pieces.get("", ()) if piece.needs.auth})
        conditional = (piece.match for tenant, found in pieces.items() if tenant for piece in found)
        facts.extend({("conditional", path_of(match)) for match in conditional if match.needs_hop})
        for host in spread.hosts:
            for tenant in pieces:
                yield (ROUTES_IN, edge, host, tenant), name
            for fact in facts:
                yield (FACTS_ON, edge, host), fact


Fact = tuple[str, Any]

ROUTES_IN: Index[str] = Index("routes by table")
"""(edge, host, tenant) -> Routes with entries in that table."""
FACTS_ON: Index[Fact] = Index("facts by host")
"""(edge, host) -> ("tenant", NAME) with entries there, "" for everybody; ("auth", NAME) of everybody's entries;
("conditional", (type, path)) when a tenant's entry there has conditions that only the decision service can judge."""
LATE: Index[tuple[str, str]] = Index("authentications on tenants' rules by policy")
"""(policy) -> (Route, rule)."""
ROUTE: Rule[RouteTranslation | None] = Rule("route", _translate_route, gives=_route_gifts, root=True, counted=True)
