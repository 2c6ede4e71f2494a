"""What policies aim at: whether it is there, whether anything here serves it, which parts of it have names.

In: the targets of a policy. Out: Problems. Called by report for AuthPolicies and RateLimits. Where the policies of a
target take effect is no matter of this module: see protection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .gatewayapi.grpcroute import GRPC_ROUTE
from .gatewayapi.httproute import HTTP_ROUTE
from .gatewayapi.section import SECTIONS
from .gatewayapi.spread import RouteTranslation
from .reference import EXISTS
from .rulename import rule_names
from .world import EDGES, GATEWAYS, ROUTES

_ROUTES: Mapping[str, Rule[RouteTranslation | None]] = {"HTTPRoute": HTTP_ROUTE, "GRPCRoute": GRPC_ROUTE}
_MOST_NAMED = 10


class Target(NamedTuple):
    """An object that is there."""

    sections: tuple[str, ...]
    """Names of its rules or listeners."""
    foreign: str = ""
    """Why nothing here serves it; empty when something does."""


def target_problems(cells: Cells, on: ObjectRef, targets: Iterable[crds.PolicyTarget]) -> Iterator[Problem]:
    """Yields what is wrong with the targets of a policy."""
    for place, target in enumerate(targets):
        name, field = f"{on.namespace}/{target.name}", f"spec.targets[{place}]"
        found = cells.read(TARGET, target.kind, name)
        if found is None:
            yield problem(on, Reason.TARGET_NOT_FOUND, field, f"{target.kind} {name} was not found.")
        elif found.foreign:
            message = f"{target.kind} {name} {found.foreign}, so the policy does nothing there."
            yield problem(on, Reason.TARGET_NOT_SERVED, field, message)
        elif target.section is not None and target.section not in found.sections:
            noun = "listener" if target.kind == "Gateway" else "rule"
            has = ", ".join(found.sections[:_MOST_NAMED]) or "none"
            message = f"{target.kind} {name} has no {noun} {target.section}; it has {has}."
            where = "sectionName" if target.is_foreign else "rule"
            yield problem(on, Reason.TARGET_NOT_FOUND, f"{field}.{where}", message)


def _make_target(cells: Cells, kind: str, name: str) -> Target | None:
    """What policies must know of an object: most of its edits leave it as it is."""
    if kind == "Edge":
        return Target(()) if cells.read(EXISTS, EDGES, name) else None
    if kind == "Route":
        route = cells.read(ROUTES, name)
        return Target(rule_names([rule.name for rule in route.spec.rules])) if route is not None else None
    return _make_gateway(cells, name) if kind == "Gateway" else _make_route(cells, kind, name)


def _make_gateway(cells: Cells, name: str) -> Target | None:
    gateway, found = cells.read(GATEWAYS, name), cells.read(SECTIONS, name)
    if gateway is None:
        return None
    if found is None:
        return Target((), f"is of class {gateway.spec.gateway_class_name}, which is not one of ours")
    return Target(tuple(listener.name for listener in gateway.spec.listeners))


def _make_route(cells: Cells, kind: str, name: str) -> Target | None:
    translation = cells.read(_ROUTES[kind], name)
    if translation is None:
        return None
    if not translation.parents:
        return Target((), "is on no Gateway of ours")
    return Target(translation.rules)


TARGET: Rule[Target | None] = Rule("target", _make_target)
"""(kind, identity)."""
