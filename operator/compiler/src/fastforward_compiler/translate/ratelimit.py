"""RateLimit to `ir.Limit`, with the budgets of tenants and plans, and where it is attached.

In: a RateLimit, the Tenants of its namespace. Out: its IR value; ATTACHED_LIMITS for routes, with the little of it
that they depend on. Called by compile through LIMIT.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule

from .tenant import BUDGETS, ON_PLAN, translate_budget
from .world import AIMED_AT, RATE_LIMITS


class Attached(NamedTuple):
    """A RateLimit aimed at an Edge, a Gateway or a route. `sections`: rules or listeners, None for all of them."""

    name: str
    sections: frozenset[str] | None
    exact: bool
    fail_open: bool
    needs_ends: bool = False
    """Whether the decision service must be told when requests end."""


def sections_aimed_at(targets: Iterable[crds.PolicyTarget], kind: str, name: str) -> frozenset[str] | None:
    """The rules or listeners of one object that a policy's targets name; None for all."""
    sections = {target.section for target in targets if (target.kind, target.name) == (kind, name)}
    return None if None in sections else frozenset(section for section in sections if section is not None)


def _translate_limit(cells: Cells, name: str) -> ir.Limit | None:
    limit = cells.read(RATE_LIMITS, name)
    if limit is None:
        return None
    spec, exact = limit.spec, limit.spec.enforcement == "Exact"
    plans = {budget.plan: translate_budget(budget) for budget in spec.plans}
    return ir.Limit(
        name=name,
        key=tuple(ir.KeyPart(type=part.type, header=(part.header or "").lower()) for part in spec.key),
        budget=translate_budget(spec.budget),
        plans=tuple(sorted(plans.items())),
        tenants=_budgets_of_tenants(cells, name, {} if exact else plans),
        exact=exact,
        fail_open=spec.on_failure == "Open",
        period=spec.period or "",
        cost=_translate_cost(spec.cost),
        lease_ms=crds.milliseconds(spec.concurrency.lease) if spec.concurrency is not None else 0,
        shadow=spec.shadow,
    )


def _translate_cost(cost: crds.Cost | None) -> ir.Cost | None:
    if cost is None:
        return None
    return ir.Cost(path=cost.path or "", header=(cost.header or "").lower(), otherwise=cost.otherwise)


def _budgets_of_tenants(cells: Cells, name: str, plans: Mapping[str, ir.Budget]) -> tuple[tuple[str, ir.Budget], ...]:
    """A proxy does not know plans, so it is told each tenant's; a tenant's own budget comes first."""
    namespace = name.partition("/")[0]
    budgets = {tenant: budget for plan, budget in plans.items() for tenant in cells.read(ON_PLAN, namespace, plan)}
    budgets.update(iter(cells.read(BUDGETS, name)))
    return tuple(sorted(budgets.items()))


def _make_attached(cells: Cells, kind: str, target: str) -> tuple[Attached, ...]:
    limits = sorted(limit for limit_kind, limit in cells.read(AIMED_AT, kind, target) if limit_kind == "RateLimit")
    return tuple(_attach(cells, name, kind, target) for name in limits)


def _attach(cells: Cells, name: str, kind: str, target: str) -> Attached:
    limit = cells.read(RATE_LIMITS, name)
    if limit is None:
        return Attached(name, frozenset(), exact=False, fail_open=True)
    sections = sections_aimed_at(limit.spec.targets, kind, target.partition("/")[2])
    spec = limit.spec
    needs_ends = spec.cost is not None or spec.concurrency is not None
    return Attached(name, sections, spec.enforcement == "Exact", spec.on_failure == "Open", needs_ends)


LIMIT: Rule[ir.Limit | None] = Rule("limit", _translate_limit, root=True, counted=True)
ATTACHED_LIMITS: Rule[tuple[Attached, ...]] = Rule("attached limits", _make_attached)
"""(kind, identity): the RateLimits aimed at an object, by name."""
