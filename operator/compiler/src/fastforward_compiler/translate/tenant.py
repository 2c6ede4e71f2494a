"""Tenant to `ir.Tenant`, everything inherited filled in; and whose a host is.

In: a Tenant, its ancestors. Out: its IR value and Problems; FAMILY for those who may speak for it; HOST_TENANT for
scopes; budgets and plans for rate limits. Called by compile through TENANT. A tenant in a cycle counts as having no
parent; but where ancestors are not known, neither is a home shard that they may name, so that nobody's data goes to a
place where it does not belong. The tenants of an Edge are those of the Edge's namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Gift, Index, Rule
from fastforward_compiler.problem import Problem, Reason, problem

from .edge import VIEW, covers
from .reference import EXISTS
from .world import (
    CHILDREN,
    EDGES_IN,
    HOSTS_OF_TENANTS,
    RATE_LIMITS,
    SHARDS,
    TENANTS,
    TENANTS_AT,
    age,
    ref_of,
    why_first,
)

ON_PLAN: Index[str] = Index("tenants by plan")
"""(namespace, plan) -> names of Tenants on that plan."""
BUDGETS: Index[tuple[str, ir.Budget]] = Index("budgets by rate limit")
"""(identity of the RateLimit) -> (name of a Tenant, its own budget)."""
_HOMELESS = "Its home shard, and its descendants', is not known: rules that lead to Shards answer them 503."


class TenantTranslation(NamedTuple):
    """A Tenant, its budgets by RateLimit, and what is wrong with it."""

    tenant: ir.Tenant
    budgets: tuple[tuple[str, ir.Budget], ...]
    problems: tuple[Problem, ...]


class Ancestry(NamedTuple):
    """A tenant and its ancestors, the nearest first, as far as they are there and there is no cycle."""

    line: list[crds.Tenant]
    whole: bool
    """Whether there is nobody above."""
    in_cycle: bool = False
    """Whether the tenant itself is its own ancestor."""


def translate_budget(budget: crds.Budget | crds.TenantLimit) -> ir.Budget:
    """A token bucket; it holds what one window grants unless it says otherwise."""
    window, burst = crds.milliseconds(budget.window), budget.burst or budget.requests
    return ir.Budget(requests=budget.requests, window_ms=window, burst=burst)


def _translate_tenant(cells: Cells, name: str) -> TenantTranslation | None:
    own = cells.read(TENANTS, name)
    if own is None:
        return None
    ancestry = _ancestry(cells, own)
    line = ancestry.line
    parent = "" if len(line) < 2 else own.spec.parent or ""
    tenant = ir.Tenant(
        namespace=own.metadata.namespace,
        name=own.metadata.name,
        parent=parent,
        plan=next((t.spec.plan for t in line if t.spec.plan is not None), ""),
        region=next((t.spec.region for t in line if t.spec.region is not None), ""),
        shard=_home(ancestry),
        flags=tuple(sorted({flag for t in line for flag in t.spec.flags})),
    )
    problems = [*_parent_problems(own, ancestry), *_reference_problems(cells, own)]
    problems += _host_problems(cells, own)
    return TenantTranslation(tenant, _budgets(cells, line), tuple(problems))


def _ancestry(cells: Cells, own: crds.Tenant) -> Ancestry:
    line, places = [own], {own.metadata.name: 0}
    while (parent := line[-1].spec.parent) is not None:
        if parent in places:
            place = places[parent]
            return Ancestry(line[: place + 1], whole=False, in_cycle=place == 0)
        found = cells.read(TENANTS, f"{own.metadata.namespace}/{parent}")
        if found is None:
            return Ancestry(line, whole=False)
        places[parent] = len(line)
        line.append(found)
    return Ancestry(line, whole=True)


def _home(ancestry: Ancestry) -> str:
    nowhere = "" if ancestry.whole else ir.UNKNOWN_SHARD
    return next((t.spec.shard for t in ancestry.line if t.spec.shard is not None), nowhere)


def _parent_problems(own: crds.Tenant, ancestry: Ancestry) -> Iterator[Problem]:
    on = ref_of("Tenant", _name(own))
    homeless = "" if _home(ancestry) != ir.UNKNOWN_SHARD else f" {_HOMELESS}"
    if ancestry.in_cycle:
        message = f"Tenant {_name(own)} is its own ancestor, so it inherits nothing.{homeless}"
        yield problem(on, Reason.TENANT_CYCLE, "spec.parent", message)
    elif own.spec.parent is not None and len(ancestry.line) == 1:
        message = f"Tenant {own.metadata.namespace}/{own.spec.parent} was not found.{homeless}"
        yield problem(on, Reason.TENANT_NOT_FOUND, "spec.parent", message)


def _reference_problems(cells: Cells, own: crds.Tenant) -> Iterator[Problem]:
    on, namespace = ref_of("Tenant", _name(own)), own.metadata.namespace
    if own.spec.shard is not None and not cells.read(EXISTS, SHARDS, f"{namespace}/{own.spec.shard}"):
        message = f"Shard {namespace}/{own.spec.shard} was not found."
        yield problem(on, Reason.SHARD_NOT_FOUND, "spec.shard", message)
    for place, limit in enumerate(own.spec.limits):
        name = f"{namespace}/{limit.rate_limit}"
        counts = cells.read(COUNTS_TENANTS, name)
        if counts is not True:
            fault = "was not found" if counts is None else "has no Tenant in its key"
            message = f"RateLimit {name} {fault}."
            yield problem(on, Reason.RATE_LIMIT_NOT_FOUND, f"spec.limits[{place}].rateLimit", message)


def _host_problems(cells: Cells, own: crds.Tenant) -> Iterator[Problem]:
    on, namespace = ref_of("Tenant", _name(own)), own.metadata.namespace
    for place, host in enumerate(own.spec.hosts):
        owner = cells.read(HOST_OWNER, namespace, host)
        field = f"spec.hosts[{place}]"
        if owner != own.metadata.name:
            why = why_first(cells.read(TENANTS, f"{namespace}/{owner}"), own)
            message = f"Host {host} belongs to Tenant {namespace}/{owner}, {why}."
            yield problem(on, Reason.HOST_CONFLICT, field, message)
        elif not any(covers(owned, host) for owned in _hosts_of_edges(cells, namespace)):
            message = f"No Edge in namespace {namespace} owns host {host}."
            yield problem(on, Reason.HOST_NOT_OWNED, field, message)


def _hosts_of_edges(cells: Cells, namespace: str) -> Iterator[str]:
    for edge in cells.read(EDGES_IN, namespace):
        view = cells.read(VIEW, edge)
        yield from view.hosts if view is not None else ()


def _budgets(cells: Cells, ancestry: Iterable[crds.Tenant]) -> tuple[tuple[str, ir.Budget], ...]:
    """Budgets of its own, or else the nearest ancestor's."""
    made: dict[str, ir.Budget] = {}
    for tenant in ancestry:
        for limit in tenant.spec.limits:
            name = f"{tenant.metadata.namespace}/{limit.rate_limit}"
            if name not in made and cells.read(COUNTS_TENANTS, name) is True:
                made[name] = translate_budget(limit)
    return tuple(sorted(made.items()))


def _tenant_gifts(translation: TenantTranslation | None, name: str) -> Iterable[Gift]:
    if translation is None:
        return
    namespace, _, simple = name.partition("/")
    if translation.tenant.plan:
        yield (ON_PLAN, namespace, translation.tenant.plan), simple
    for limit, budget in translation.budgets:
        yield (BUDGETS, limit), (simple, budget)


def _name(tenant: crds.Tenant) -> str:
    return f"{tenant.metadata.namespace}/{tenant.metadata.name}"


def _make_counts_tenants(cells: Cells, name: str) -> bool | None:
    limit = cells.read(RATE_LIMITS, name)
    return None if limit is None else any(part.type == "Tenant" for part in limit.spec.key)


def _make_host_owner(cells: Cells, namespace: str, host: str) -> str:
    claimants = cells.read(TENANTS_AT, namespace, host)
    oldest = min(claimants, key=lambda name: age(cells.read(TENANTS, name)), default="")
    return oldest.partition("/")[2]


def _make_family(cells: Cells, name: str) -> tuple[str, ...]:
    """Names of the tenant and its descendants, sorted; empty when there is no such tenant."""
    if not cells.read(EXISTS, TENANTS, name):
        return ()
    family, waiting = {name}, [name]
    while waiting:
        parent = waiting.pop()
        for child in cells.read(CHILDREN, parent):
            translation = cells.read(TENANT, child)
            if translation is not None and translation.tenant.parent and child not in family:
                family.add(child)
                waiting.append(child)
    return tuple(sorted(member.partition("/")[2] for member in family))


def host_tenant(cells: Cells, namespace: str, host: str) -> str:
    """The tenant that owns the host, itself or through the nearest wildcard above it; empty for none."""
    if not cells.read(ANY_HOSTS, namespace):
        return ""
    return next((owner for name in covering(host) if (owner := cells.read(HOST_OWNER, namespace, name))), "")


def _make_any_hosts(cells: Cells, namespace: str) -> bool:
    return bool(cells.read(HOSTS_OF_TENANTS, namespace))


def covering(host: str) -> Iterator[str]:
    """The host and the wildcards that contain it, nearest first: `a.b`, `*.b`, `*`."""
    yield host
    rest = host.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    if host != "*":
        yield "*"


COUNTS_TENANTS: Rule[bool | None] = Rule("whether a rate limit counts tenants", _make_counts_tenants)
ANY_HOSTS: Rule[bool] = Rule("whether tenants have hosts", _make_any_hosts)
"""(namespace)."""
HOST_OWNER: Rule[str] = Rule("tenant of a host", _make_host_owner)
"""(namespace, host): name of the Tenant that lists exactly this host, the oldest; empty for none."""
TENANT: Rule[TenantTranslation | None] = Rule("tenant", _translate_tenant, gives=_tenant_gifts, root=True, counted=True)
FAMILY: Rule[tuple[str, ...]] = Rule("tenant family", _make_family)
