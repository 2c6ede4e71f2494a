"""GRPCRoute to pieces of tables: a call is a POST to /SERVICE/METHOD.

In: a GRPCRoute, the Gateways that take it. Out: RouteTranslation, and in the indexes the hosts on which it lies and the
backends that it needs. Called by compile through GRPC_ROUTE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastforward_crds import gatewayapi

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Problem, Reason, problem
from fastforward_compiler.regex import inside
from fastforward_compiler.translate.expression import fault_of_regex, fault_of_whole
from fastforward_compiler.translate.rulename import rule_names
from fastforward_compiler.translate.world import GRPC_ROUTES, age, ref_of

from .attachment import parts_of, resolve_parents
from .backend import GRPC
from .httproute import translate_texts
from .persistence import translate_persistence
from .rule import REFUSED_FILTER, Step, translate_backends, translate_filters
from .spread import Blueprint, Condition, RouteTranslation, clients_of, kept_by, route_gifts, spread_route

_ANY = "[^/]+"


def _translate_grpc_route(cells: Cells, name: str) -> RouteTranslation | None:
    route = cells.read(GRPC_ROUTES, name)
    if route is None:
        return None
    on = ref_of("GRPCRoute", name)
    parents = tuple(resolve_parents(cells, on, route.spec.parent_refs, route.spec.hostnames))
    if not parents:
        return RouteTranslation()
    step = Step(cells, on, "", GRPC, [], {}, {})
    names = rule_names([rule.name or None for rule in route.spec.rules])
    blueprints = [
        _translate_rule(step._replace(field=f"spec.rules[{place}]"), place, name, rule)
        for place, (name, rule) in enumerate(zip(names, route.spec.rules, strict=True))
    ]
    return RouteTranslation(
        parents=parents,
        rules=tuple(dict.fromkeys(names)),
        spreads=tuple(spread_route(cells, on, age(route), parents, blueprints)),
        problems=(*(each.problem for each in parents if each.problem is not None), *dict.fromkeys(step.problems)),
        parts=tuple(parts_of(parents, step.problems)),
        backends=tuple(key._replace(client=client) for key in step.backends for client in clients_of(cells, parents)),
        kept=kept_by(step.kept, clients_of(cells, parents)),
    )


def _translate_rule(step: Step, place: int, name: str, rule: gatewayapi.GrpcRouteRule) -> Blueprint:
    filtered = translate_filters(step, rule.filters)
    session = translate_persistence(step, name, rule.session_persistence)
    fields: dict[str, Any] = {**filtered.fields, "destination": translate_backends(step, rule.backend_refs, session)}
    if filtered.refused or filtered.redirect is not None:
        fields = {"destination": ir.Unavailable(reason=REFUSED_FILTER)}
    elif not isinstance(fields["destination"], ir.Split):
        for field in ("mirrors", "request_headers"):
            fields.pop(field, None)
    conditions = tuple(_translate_matches(step, rule.matches))
    return Blueprint(name, place, conditions, lambda *_: fields)


def _translate_matches(step: Step, matches: Sequence[gatewayapi.GrpcRouteMatch]) -> Iterator[Condition]:
    for place, match in enumerate(matches or (gatewayapi.GrpcRouteMatch(),)):
        problems = list(_faults(step, f"{step.field}.matches[{place}]", match))
        step.problems.extend(problems)
        if not problems:
            yield Condition(place, _translate_match(match))


def _faults(step: Step, field: str, match: gatewayapi.GrpcRouteMatch) -> Iterator[Problem]:
    method = match.method
    texts = [(f"headers[{place}].value", each.type, each.value) for place, each in enumerate(match.headers)]
    parts = []
    if method is not None:
        parts = [(f"method.{part}", method.type, getattr(method, part)) for part in ("service", "method")]
    for where, kind, text in (*texts, *parts):
        find = fault_of_whole if where.startswith("method") else fault_of_regex
        fault = find(text) if kind == "RegularExpression" and text else ""
        if fault:
            message = f"The regular expression is refused, so this match is left out: {fault}."
            yield problem(step.on, Reason.UNSUPPORTED_VALUE, f"{field}.{where}", message)


def _translate_match(match: gatewayapi.GrpcRouteMatch) -> ir.Match:
    path_type, path = _path(match.method)
    return ir.Match(
        path_type=path_type,
        path=path,
        methods=("POST",),
        headers=translate_texts(match.headers, lower=True),
    )


def _path(method: gatewayapi.GrpcMethodMatch | None) -> tuple[ir.PathType, str]:
    if method is None or not (method.service or method.method):
        return ir.PathType.PREFIX, "/"
    if method.type == "RegularExpression":
        return ir.PathType.REGEX, f"/(?:{inside(method.service or _ANY)})/(?:{inside(method.method or _ANY)})"
    if method.service and method.method:
        return ir.PathType.EXACT, f"/{method.service}/{method.method}"
    if method.service:
        return ir.PathType.PREFIX, f"/{method.service}"
    return ir.PathType.REGEX, f"/{_ANY}/{_literal(method.method or '')}"


def _literal(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\.+*?()|[]{}^$" else char for char in text)


GRPC_ROUTE: Rule[RouteTranslation | None] = Rule(
    "gRPC route",
    _translate_grpc_route,
    gives=lambda translation, name: route_gifts("GRPCRoute", translation, name),
    root=True,
    counted=True,
)
"""(GRPCRoute)."""
