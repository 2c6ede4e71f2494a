"""What of Workloads is wanted as pods, step by step: what one was before goes when it becomes something else."""

from __future__ import annotations

from typing import Any, cast

from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings
from fastforward_operator.kubernetes.dataplane import DataPlane

NOTHING = cast("Any", None)
"""The API server and the authority: nothing is asked of them here."""


def data_plane() -> DataPlane:
    settings = PodSettings(namespace="system", envoy_image="envoy:1", decision_image="decision:1")
    return DataPlane(NOTHING, NOTHING, settings, lambda: True, "system")


def step(*workloads: ir.Workload, removed: tuple[str, ...] = ()) -> ir.Delta:
    return ir.Delta(workloads=ir.Changes(upserts=workloads, removed=removed))


def wanted(plane: DataPlane) -> set[str]:
    """The Deployments, by the beginning of their names."""
    made = [document for names in plane.values for document in plane._wanted(names)]
    return {document["metadata"]["name"].rpartition("-")[0] for document in made if document["kind"] == "Deployment"}


def workload(component: str, name: str = "shop/a") -> ir.Workload:
    return ir.Workload(name=name, pods=ir.Pods(), component=component, decision="shop/b")


def test_a_workload_is_pods_of_one_component_at_a_time() -> None:
    plane = data_plane()
    plane.observe_step(step(workload("Decision"), workload("Stages", "shop/c")))
    assert wanted(plane) == {"decision-shop-a", "stages-shop-c"}
    plane.observe_step(step(workload("Ingress")))
    assert wanted(plane) == {"ingress-shop-a", "stages-shop-c"}
    plane.observe_step(step(removed=("shop/a", "shop/c")))
    assert wanted(plane) == set()


def test_a_step_that_is_none_of_theirs_changes_nothing() -> None:
    plane = data_plane()
    plane.observe_step(step(workload("Ingress")))
    plane.observe_step(ir.Delta())
    assert wanted(plane) == {"ingress-shop-a"}
