"""What is to be said of each object: Problems, the policies in force, what must be acknowledged.

In: the translations of the object and the indexes that name it. Out: `ir.Report`. Called by compile through REPORT, the
last of all rules. Whatever a Problem does not name, works.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ConditionType, ObjectRef, Problem, Reason, problem, worst_first

from .addresslist import lists_of
from .authpolicy import POLICY
from .combination import ABROAD, AUTHS_OF, WEAKENED
from .edge import EDGE, SERVED, VIEW
from .eventhook import EVENTHOOK
from .gatewayapi import report as gatewayapi
from .route import LATE, ROUTE, Spread
from .schema import SCHEMA
from .shard import SHARD
from .table import ALIASES_OF, CONFLICTS, HOSTS_BELONGING, TABLES_NAMING, scope_name
from .target import target_problems
from .tenant import TENANT, host_tenant
from .upstream import UPSTREAM
from .workload import INGRESS, STAGES, WORKLOAD
from .world import INPUTS, INVALID

MAX_PROBLEMS = 100
_FEW = 6
SCHEDULED = "Scheduled"
"""Condition of Routes with rules that hold at some times only; it says at which."""
PROGRAMMED = str(ConditionType.PROGRAMMED)

Outputs = set[ir.Output]
Told = tuple[list[Problem], Outputs, tuple[str, ...]]
"""Problems, outputs, effective policies."""


def _make_report(cells: Cells, *object_: str) -> ir.Report | None:
    kind, namespace, simple = object_
    name = f"{namespace}/{simple}"
    source, tell = INPUTS.get(kind), _TELLERS.get(kind)
    resource = cells.read(source, name) if source is not None else None
    invalid = cells.read(INVALID, *object_)
    if kind in gatewayapi.TELLERS:
        return _report_foreign(cells, ObjectRef(kind=kind, namespace=namespace, name=simple), resource, invalid)
    if invalid is not None:
        generation = invalid.generation
    elif resource is not None and tell is not None:
        generation = resource.metadata.generation
    else:
        return None
    ref = ObjectRef(kind=kind, namespace=namespace, name=simple)
    problems, outputs, effective = tell(cells, ref, name) if tell is not None else ([], set(), ())
    if invalid is not None:
        problems = [*invalid_problems(ref, invalid), *problems]
    return ir.Report(
        ref=ref,
        generation=generation,
        problems=worst_first(problems)[:MAX_PROBLEMS] if problems else (),
        effective=effective,
        outputs=_kept(outputs),
        verdicts=tuple(_route_verdicts(cells, name)) if kind == "Route" else (),
        kept=invalid is not None and resource is not None,
    )


def _route_verdicts(cells: Cells, name: str) -> Iterator[ir.Verdict]:
    """Of a Route with rules that hold at some times only, and of one on listeners none of which can be served."""
    translation = cells.read(ROUTE, name)
    if translation is None:
        return
    if translation.scheduled:
        yield ir.Verdict(type=SCHEDULED, holds=True, reason=SCHEDULED, message=" ".join(translation.scheduled))
    spreads = [spread for spread in translation.spreads if spread.pieces and spread.hosts]
    if spreads and not any(_is_served(cells, spread) for spread in spreads):
        edges = " and ".join(dict.fromkeys(spread.edge for spread in spreads))
        message = f"None of its listeners of Edge {edges} can be served: the status there says why."
        yield ir.Verdict(type=PROGRAMMED, holds=False, reason=str(Reason.LISTENERS_NOT_RESOLVED), message=message)


def _is_served(cells: Cells, spread: Spread) -> bool:
    served = cells.read(SERVED, spread.edge)
    asked = {piece.match.listener for pieces in spread.pieces.values() for piece in pieces}
    return bool(served if "" in asked else served & asked)


def _report_foreign(
    cells: Cells, ref: ObjectRef, resource: crds.Resource | None, invalid: crds.Invalid | None
) -> ir.Report | None:
    """Of Gateway API: nothing of an object that is none of ours."""
    told = gatewayapi.TELLERS[ref.kind](cells, ref, f"{ref.namespace}/{ref.name}") if resource is not None else None
    if resource is None and invalid is None:
        return None
    if told is None and invalid is None:
        # Not gone: it may yet become our business.
        return ir.Report(ref=ref, generation=0, silent=True)
    said = told or gatewayapi.Told()
    problems = [*(invalid_problems(ref, invalid) if invalid is not None else ()), *said.problems]
    return ir.Report(
        ref=ref,
        generation=invalid.generation if invalid is not None else resource.metadata.generation if resource else 0,
        problems=worst_first(problems)[:MAX_PROBLEMS],
        effective=said.effective,
        outputs=_kept(said.outputs),
        verdicts=said.verdicts,
        parts=said.parts,
        addresses=said.addresses,
        attached_sets=said.attached_sets,
        kept=invalid is not None and resource is not None,
    )


def _kept(outputs: Collection[ir.Output]) -> Collection[ir.Output]:
    """As they are kept: a tuple takes a fourth of a set where there are few."""
    return tuple(sorted(outputs)) if len(outputs) <= _FEW else frozenset(outputs)


def invalid_problems(ref: ObjectRef, invalid: crds.Invalid) -> Iterator[Problem]:
    """Yields what is wrong with a document that is no resource."""
    for error in invalid.errors:
        yield problem(ref, Reason.INVALID, error.field, error.message)


def _tell_edge(cells: Cells, _: ObjectRef, name: str) -> Told:
    translation, view = cells.read(EDGE, name), cells.read(VIEW, name)
    if translation is None or view is None:
        return [], set(), ()
    outputs: Outputs = {("edge", name)}
    outputs.update(("addresslist", each) for each in lists_of(view.admission))
    return list(translation.problems), outputs, ()


def _tell_route(cells: Cells, ref: ObjectRef, name: str) -> Told:
    translation = cells.read(ROUTE, name)
    if translation is None:
        return [], set(), ()
    problems = [*translation.problems, *cells.read(CONFLICTS, ref.namespace, ref.name)]
    outputs: Outputs = {("upstream", upstream) for upstream in translation.upstreams}
    for spread in translation.spreads:
        problems.extend(_add_spread(cells, ref, spread, outputs))
    return problems, outputs, translation.effective


def _add_spread(cells: Cells, ref: ObjectRef, spread: Spread, outputs: Outputs) -> Iterator[Problem]:
    """Add to `outputs` where the Route lies; yield what is said of tenants' rules that lie nowhere."""
    reached: set[str] = set()
    for host in spread.hosts:
        # Only wildcards lend their rules to other hosts.
        for place in (host, *(cells.read(ALIASES_OF, spread.edge, host) if host.startswith("*") else ())):
            reached |= _add_host(cells, spread, place, outputs)
    if spread.pieces and spread.hosts:
        outputs.add(("edge", spread.edge))
    for tenant in sorted(spread.pieces.keys() - reached) if spread.hosts else ():
        message = f"Every host here belongs to another tenant, so the rules for tenant {tenant} are never reached."
        yield problem(ref, Reason.HOST_NOT_OWNED, spread.pieces[tenant][0].field, message)


def _add_host(cells: Cells, spread: Spread, host: str, outputs: Outputs) -> set[str]:
    """The tenants ("" for everybody) whose rules lie on this host."""
    owner = host_tenant(cells, spread.edge.partition("/")[0], host)
    reached = {tenant for tenant in spread.pieces if not owner or tenant in ("", owner)}
    name = scope_name(spread.edge, host)
    for tenant in reached:
        outputs.add(("scope", name))
        outputs.add(("table", sys.intern(f"{name}#{'' if owner else tenant}")))
        for piece in spread.pieces[tenant]:
            if piece.needs.auth:
                outputs.add(("auth", piece.needs.auth))
            outputs.update(("limit", limit) for limit in piece.plain.limits)
            outputs.update(("addresslist", each) for each in lists_of(piece.plain.admission))
    return reached


def _tell_upstream(cells: Cells, _: ObjectRef, name: str) -> Told:
    translation = cells.read(UPSTREAM, name)
    return (list(translation.problems), {("upstream", name)}, ()) if translation is not None else ([], set(), ())


def _tell_tenant(cells: Cells, _: ObjectRef, name: str) -> Told:
    translation = cells.read(TENANT, name)
    if translation is None:
        return [], set(), ()
    outputs: Outputs = {("tenant", name)}
    outputs.update(("limit", limit) for limit, _ in translation.budgets)
    for scope in cells.read(HOSTS_BELONGING, name):
        outputs.update((("scope", scope), ("table", f"{scope}#")))
    return list(translation.problems), outputs, ()


def _tell_shard(cells: Cells, _: ObjectRef, name: str) -> Told:
    translation = cells.read(SHARD, name)
    return (list(translation.problems), {("shard", name)}, ()) if translation is not None else ([], set(), ())


def _tell_schema(cells: Cells, _: ObjectRef, name: str) -> Told:
    translation = cells.read(SCHEMA, name)
    if translation is None:
        return [], set(), ()
    return list(translation.problems), {("schema", name)} if translation.schema is not None else set(), ()


def _tell_eventhook(cells: Cells, _: ObjectRef, name: str) -> Told:
    translation = cells.read(EVENTHOOK, name)
    return (list(translation.problems), {("eventhook", name)}, ()) if translation is not None else ([], set(), ())


def _tell_workload(cells: Cells, _: ObjectRef, name: str) -> Told:
    problems: list[Problem] = []
    outputs: Outputs = {("workload", name)} if cells.read(WORKLOAD, name) is not None else set()
    ingress, translation = cells.read(INGRESS, name), cells.read(STAGES, name)
    if ingress is not None:
        problems += ingress.problems
        if ingress.upstream:
            outputs.add(("upstream", ingress.upstream))
            outputs.update(("table", table) for table in cells.read(TABLES_NAMING, "ingress", ingress.upstream))
    if translation is not None:
        problems += translation.problems
        if translation.stages is not None:
            outputs |= {("stages", name), ("upstream", translation.stages.upstream)}
    return problems, outputs, ()


def _tell_limit(cells: Cells, ref: ObjectRef, name: str) -> Told:
    limit = cells.read(INPUTS["RateLimit"], name)
    problems = list(target_problems(cells, ref, limit.spec.targets)) if limit is not None else []
    outputs: Outputs = {("limit", name)} if limit is not None else set()
    outputs.update(("table", table) for table in cells.read(TABLES_NAMING, "limit", name))
    return problems, outputs, ()


def _tell_policy(cells: Cells, ref: ObjectRef, name: str) -> Told:
    policy, translation = cells.read(INPUTS["AuthPolicy"], name), cells.read(POLICY, name)
    problems = list(translation.problems) if translation is not None else []
    if policy is not None:
        problems += target_problems(cells, ref, policy.spec.targets)
    problems += [
        problem(ref, Reason.WEAKENS_INHERITED, "spec.authentication", sentence)
        for sentence in cells.read(WEAKENED, name)
    ]
    for route, rule in cells.read(LATE, name):
        message = (
            f"Rule {rule} of Route {route} is for tenants, who are authenticated before their rules are looked at:"
            " aim spec.authentication at the Edge."
        )
        problems.append(problem(ref, Reason.AUTHENTICATION_PER_HOST, "spec.authentication", message))
    if policy is not None:
        problems += _unheard_problems(ref, policy, sorted(cells.read(ABROAD, name)))
    outputs: Outputs = set()
    asked = translation.authorization if translation is not None else None
    if asked is not None and asked.external is not None:
        outputs.add(("upstream", asked.external.upstream))
    for auth in cells.read(AUTHS_OF, name):
        outputs.add(("auth", auth))
        outputs.update(("table", table) for table in cells.read(TABLES_NAMING, "auth", auth))
    outputs.update(("table", table) for table in cells.read(TABLES_NAMING, "broken", name))
    return problems, outputs, ()


def _unheard_problems(ref: ObjectRef, policy: crds.AuthPolicy, abroad: list[str]) -> Iterator[Problem]:
    """Yields which providers list tenants of an Edge or Gateway that are none of the policy's namespace."""
    authentication = policy.spec.authentication
    for place, provider in enumerate(authentication.providers if authentication is not None else ()):
        if provider.tenants and abroad:
            message = (
                f"It speaks for no tenant on {abroad[0]}: those are the other namespace's, whose own policies speak for"
                " them."
            )
            field = f"spec.authentication.providers[{place}].tenants"
            yield problem(ref, Reason.TENANT_NOT_ALLOWED, field, message)


_TELLERS: Mapping[str, Callable[[Cells, ObjectRef, str], Told]] = {
    "Edge": _tell_edge,
    "Route": _tell_route,
    "Upstream": _tell_upstream,
    "Tenant": _tell_tenant,
    "Shard": _tell_shard,
    "Schema": _tell_schema,
    "EventHook": _tell_eventhook,
    "Workload": _tell_workload,
    "RateLimit": _tell_limit,
    "AuthPolicy": _tell_policy,
}

REPORT: Rule[ir.Report | None] = Rule("report", _make_report, root=True)
"""(kind, namespace, name)."""
