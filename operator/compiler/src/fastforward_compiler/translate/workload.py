"""Workload to `ir.Workload`, and the amounts that each pod of an Edge or a Workload is given.

In: a Workload. Out: its IR value. Called by compile through WORKLOAD, and by translate/edge.
"""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule

from .world import WORKLOADS


def translate_pods(replicas: int, resources: crds.Resources) -> ir.Pods:
    """How many pods, and what each is given."""
    return ir.Pods(replicas=replicas, requests=_amounts(resources.requests), limits=_amounts(resources.limits))


def _amounts(amounts: crds.Amounts) -> tuple[tuple[str, str], ...]:
    given = (("cpu", amounts.cpu), ("memory", amounts.memory))
    return tuple((name, amount) for name, amount in given if amount is not None)


def _translate_workload(cells: Cells, name: str) -> ir.Workload | None:
    workload = cells.read(WORKLOADS, name)
    if workload is None:
        return None
    spec = workload.spec
    return ir.Workload(
        name=name,
        pods=translate_pods(spec.replicas, spec.resources),
        redis=_translate_redis(spec.redis) if spec.redis is not None else None,
    )


def _translate_redis(redis: crds.Redis) -> ir.Redis:
    password = redis.password
    return ir.Redis(
        host=redis.host,
        port=redis.port,
        tls=redis.tls,
        username=redis.username or "",
        password=(password.name, password.key) if password is not None else ("", ""),
    )


WORKLOAD: Rule[ir.Workload | None] = Rule("workload", _translate_workload, root=True, counted=True)
