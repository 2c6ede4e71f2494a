"""Workload to `ir.Workload` or `ir.RemoteStages`, who has which adapters, and the amounts that each pod is given.

In: a Workload. Out: its IR value and Problems. Called by compile through WORKLOAD, STAGES and INGRESS, by dispatch
through TAKER, and by translate/edge.
"""

from __future__ import annotations

from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .reference import target
from .upstream import fault_of_messages, resolve_upstream
from .world import INGRESSES_OF, PODS_IN, STAGES_IN, WORKLOADS, age, ref_of, taken_by, why_first

_REFRESH_MS = 1000
_UNBOUNDED = 1_000_000


class StagesTranslation(NamedTuple):
    """Stages that run elsewhere, or calls of a target, and what is wrong with it; None where all is as usual."""

    stages: ir.RemoteStages | None
    problems: tuple[Problem, ...]


class IngressTranslation(NamedTuple):
    """The Upstream that has adapters, and what is wrong with it; empty where they stay in EntryPoint."""

    upstream: str
    problems: tuple[Problem, ...]


def translate_pods(replicas: int, resources: crds.Resources) -> ir.Pods:
    """How many pods, and what each is given."""
    return ir.Pods(replicas=replicas, requests=_amounts(resources.requests), limits=_amounts(resources.limits))


def _amounts(amounts: crds.Amounts) -> tuple[tuple[str, str], ...]:
    given = (("cpu", amounts.cpu), ("memory", amounts.memory))
    return tuple((name, amount) for name, amount in given if amount is not None)


def _translate_workload(cells: Cells, name: str) -> ir.Workload | None:
    workload = cells.read(WORKLOADS, name)
    if workload is None or workload.spec.upstream is not None:
        return None
    spec = workload.spec
    decision = target(spec.decision, workload.metadata.namespace) if spec.decision is not None else ""
    postgresql, rabbitmq = spec.postgresql, spec.rabbitmq
    return ir.Workload(
        name=name,
        pods=translate_pods(spec.replicas, spec.resources),
        redis=_translate_redis(spec.redis) if spec.redis is not None else None,
        component=spec.component,
        decision=decision,
        postgresql=_translate_store(postgresql, postgresql.database) if postgresql is not None else None,
        rabbitmq=_translate_store(rabbitmq, rabbitmq.virtual_host or "") if rabbitmq is not None else None,
        seal=_translate_secret(spec.seal),
    )


def _make_pods(cells: Cells, name: str) -> ir.Upstream | None:
    """The pods of a Workload, as those see it who send something there."""
    workload, namespace = cells.read(WORKLOADS, name), cells.read(PODS_IN)
    if workload is None or not namespace or workload.spec.component == "Decision" or workload.spec.upstream is not None:
        return None
    spec = workload.spec
    host = f"{ir.pods_name(spec.component, name)}.{namespace}.svc"
    port = ir.STAGES_PORT if spec.component == "Stages" else ir.REQUESTS_PORT
    return ir.Upstream(
        name=name + ir.PODS,
        dns=ir.Dns(host=host, port=port, refresh_ms=_REFRESH_MS),
        protocol="GRPC" if spec.component == "Stages" or "GRPC" in spec.adapters else "HTTP1",
        policy="LeastRequest",
        max_connections=_UNBOUNDED,
        max_pending_requests=_UNBOUNDED,
        max_requests=_UNBOUNDED,
        workload=name,
    )


def _translate_stages(cells: Cells, name: str) -> StagesTranslation | None:
    workload = cells.read(WORKLOADS, name)
    if workload is None or workload.spec.component not in {"Stages", "Target"}:
        return None
    spec, on, problems = workload.spec, ref_of("Workload", name), list[Problem]()
    to = _resolve_callee(cells, name, spec, on, problems)
    if problems or not to:
        return StagesTranslation(None, tuple(problems))
    taken = _find_taken(cells, on, name, workload, problems)
    if not taken:
        return StagesTranslation(None, tuple(problems))
    stages = ir.RemoteStages(
        name=name, stages=taken if spec.stages else (), upstream=to, json=spec.encoding == "JSON", **_how(spec)
    )
    return StagesTranslation(stages, tuple(problems))


def _resolve_callee(cells: Cells, name: str, spec: crds.WorkloadSpec, on: ObjectRef, problems: list[Problem]) -> str:
    """The Upstream that the Workload names, or its pods; fit to be called if there are no problems."""
    if spec.upstream is None:
        return _pods_of(cells, name)
    to = target(spec.upstream, on.namespace)
    if spec.component == "Target" and not to.startswith(f"{on.namespace}/"):
        told = f"How messages go to Upstream {to} is said in its own namespace."
        problems.append(problem(on, Reason.INVALID, "spec.upstream", told))
    traits = resolve_upstream(cells, on, "spec.upstream", to, problems)
    if traits is not None and not traits.grpc:
        does = "takes no messages" if spec.component == "Target" else "runs no stages"
        told = f"Upstream {to} {does}: that needs the protocol GRPC."
        problems.append(problem(on, Reason.INVALID, "spec.upstream", told))
    elif traits is not None and (fault := fault_of_messages(to, traits)):
        problems.append(problem(on, Reason.INVALID, "spec.upstream", fault))
    return to


def _how(spec: crds.WorkloadSpec) -> dict[str, int]:
    """Calls of stages are always bounded; calls of targets as everywhere, where nothing is said."""
    how = spec.resilience or (crds.Resilience() if spec.stages else None)
    if how is None:
        return {}
    return {
        "timeout_ms": crds.milliseconds(how.timeout),
        "tries": how.tries,
        "concurrent": how.concurrent,
        "queue": how.queue,
    }


def _find_taken(
    cells: Cells, on: ObjectRef, name: str, workload: crds.Workload, problems: list[Problem]
) -> tuple[str, ...]:
    """The stages, or the target, that no older Workload of the namespace takes."""
    taken: list[str] = []
    for place, stage in enumerate(taken_by(workload)):
        owner = cells.read(OWNER, on.namespace, stage)
        if owner == name or owner is None:
            taken.append(stage)
            continue
        why = why_first(cells.read(WORKLOADS, owner), workload)
        takes, field = f"takes the stage {stage}", f"spec.stages[{place}]"
        if not workload.spec.stages:
            takes, field = "says how messages go there", "spec.upstream"
        problems.append(problem(on, Reason.CONFLICTED, field, f"Workload {owner}, {why}, {takes}."))
    return tuple(sorted(taken))


def _find_owner(cells: Cells, namespace: str, stage: str) -> str | None:
    """The oldest Workload that takes the stage."""
    return min(cells.read(STAGES_IN, namespace, stage), key=lambda name: age(cells.read(WORKLOADS, name)), default=None)


def _translate_ingress(cells: Cells, name: str) -> IngressTranslation | None:
    workload = cells.read(WORKLOADS, name)
    if workload is None or workload.spec.component != "Ingress":
        return None
    spec, on, problems = workload.spec, ref_of("Workload", name), list[Problem]()
    if spec.decision is not None:
        by = target(spec.decision, on.namespace)
        taking = cells.read(WORKLOADS, by)
        if taking is None or taking.spec.component != "Decision":
            told = f"Workload {by} takes no messages: it is not there, or its component is not Decision."
            return IngressTranslation("", (problem(on, Reason.INVALID, "spec.decision", told),))
    if spec.upstream is None:
        return IngressTranslation(_pods_of(cells, name), ())
    to = target(spec.upstream, on.namespace)
    traits = resolve_upstream(cells, on, "spec.upstream", to, problems)
    if traits is not None:
        needed, fits = ("GRPC", traits.grpc) if "GRPC" in spec.adapters else ("HTTP1", traits.http1)
        if not fits:
            told = f"Upstream {to} does not have these adapters: that needs the protocol {needed}."
            problems.append(problem(on, Reason.INVALID, "spec.upstream", told))
    return IngressTranslation("" if problems else to, tuple(problems))


def _pods_of(cells: Cells, name: str) -> str:
    """The Upstream that is the Workload's pods; empty where none are run: then EntryPoint does the work."""
    return name + ir.PODS if cells.read(PODS, name) is not None else ""


def _find_taker(cells: Cells, namespace: str, adapter: str) -> str:
    """The Upstream that has an adapter for the rules of a namespace; empty for EntryPoint. Of several the first by name
    that can.
    """
    for name in sorted(cells.read(INGRESSES_OF, namespace, adapter)):
        translation = cells.read(INGRESS, name)
        if translation is not None and translation.upstream:
            return translation.upstream
    return ""


def _translate_redis(redis: crds.Redis) -> ir.Redis:
    return ir.Redis(
        host=redis.host,
        port=redis.port,
        tls=redis.tls,
        username=redis.username or "",
        password=_translate_secret(redis.password),
    )


def _translate_store(store: crds.PostgreSQL | crds.RabbitMQ, part: str) -> ir.Store:
    return ir.Store(
        host=store.host,
        port=store.port,
        part=part,
        tls=store.tls,
        authority=_translate_secret(store.authority),
        username=store.username or "",
        password=_translate_secret(store.password),
    )


def _translate_secret(secret: crds.SecretKey | None) -> tuple[str, str]:
    return (secret.name, secret.key) if secret is not None else ("", "")


OWNER: Rule[str | None] = Rule("owner of a stage", _find_owner)
STAGES: Rule[StagesTranslation | None] = Rule("stages elsewhere", _translate_stages, root=True)
PODS: Rule[ir.Upstream | None] = Rule("pods of a workload", _make_pods, root=True)
INGRESS: Rule[IngressTranslation | None] = Rule("adapters elsewhere", _translate_ingress, root=True)
TAKER: Rule[str] = Rule("who has an adapter", _find_taker)
"""(namespace, adapter)."""
WORKLOAD: Rule[ir.Workload | None] = Rule("workload", _translate_workload, root=True, counted=True)
