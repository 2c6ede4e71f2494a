"""What is seen of pods and their Secrets, and told when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, workload_names
from fastforward_compiler.problem import ObjectRef, Reason
from fastforward_operator.kubernetes import lookout
from fastforward_operator.kubernetes.client import ApiError, Event, Page
from fastforward_operator.kubernetes.dataplane import DataPlane
from fastforward_operator.kubernetes.lookout import Lookout
from fastforward_operator.podstate import PodState
from structlog.testing import capture_logs

from support.eventually import eventually, meanwhile

SHOP = ObjectRef(kind="Workload", namespace="shop", name="a")
NAMES = workload_names("shop/a")
WORKLOAD = ir.Workload(name="shop/a", pods=ir.Pods(replicas=1), redis=ir.Redis(host="r", port=1, password=("r", "p")))
AVAILABLE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
DEPLOYMENT = {
    "metadata": {"name": NAMES.base, "generation": 1},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1, "conditions": [AVAILABLE]},
}


class Cluster:
    """An API server that has what it is given, by the end of its path."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {}
        self.secrets: dict[str, Any] = {}
        self.events: list[Event] = []
        self.watched: list[str] = []

    async def each(self, path: str, _: str) -> AsyncIterator[Any]:
        for found in self.lists.get(path.rpartition("/")[2], ()):
            yield found

    async def page(self, path: str, _: str, following: str = "") -> Page:
        found = self.lists.get(path.rpartition("/")[2], [])
        return Page(found[1:], "7", "") if following else Page(found[:1], "7", "next" if found[1:] else "")

    async def watch(self, _: str, __: str, version: str) -> AsyncGenerator[Event]:
        self.watched.append(version)
        while self.events:
            yield self.events.pop(0)
        raise ApiError(410, "too old")

    async def read(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return self.secrets.get(path.rpartition("/")[2])


class Scene:
    def __init__(self) -> None:
        self.cluster = Cluster()
        settings = PodSettings(namespace="system", envoy_image="envoy:1", decision_image="decision:1")
        nothing = cast("Any", None)
        self.plane = DataPlane(cast("Any", self.cluster), nothing, settings, lambda: True, "system")
        self.told: list[tuple[ObjectRef, PodState | None]] = []
        self.lookout = Lookout(self.plane, on_pods=lambda ref, state: self.told.append((ref, state)))
        self.plane.on_values = self.lookout.observe

    async def look(self) -> None:
        """As it does again and again."""
        with pytest.raises(ApiError):
            await self.lookout.follow()
        await self.lookout.look()

    def step(self, *workloads: ir.Workload, removed: tuple[str, ...] = ()) -> None:
        self.plane.observe_step(ir.Delta(workloads=ir.Changes(upserts=workloads, removed=removed)))


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_what_changes_is_not_complete_until_it_is_applied_and_made(scene: Scene) -> None:
    scene.step(WORKLOAD)
    assert scene.told == [(SHOP, PodState())]
    scene.cluster.secrets["r"] = {"data": {"p": ""}}
    await scene.look()
    assert scene.told[-1] == (SHOP, PodState(wanted=1))
    scene.cluster.lists["deployments"] = [DEPLOYMENT]
    await scene.look()
    assert scene.told[-1] == (SHOP, PodState(ready=1, wanted=1))
    scene.plane._changed.clear()
    await scene.look()
    await scene.look()
    assert scene.told[3:] == [(SHOP, PodState(ready=1, wanted=1, complete=True))]
    scene.step(removed=("shop/a",))
    assert scene.told[-1] == (SHOP, None)


async def test_of_a_deployment_that_is_not_whole_the_pods_say_why(scene: Scene) -> None:
    scene.step(WORKLOAD)
    lacking = {**DEPLOYMENT, "status": {}}
    waiting = {"reason": "InvalidImageName", "message": "no"}
    status = {"name": "decision", "ready": False, "state": {"waiting": waiting}}
    scene.cluster.lists = {
        "deployments": [lacking, {**lacking, "metadata": {"name": "somebody-else"}}],
        "pods": [{"metadata": {"name": "a-1"}, "status": {"containerStatuses": [status]}}],
    }
    await scene.look()
    _, state = scene.told[-1]
    assert state is not None
    assert state.blocked == ("Pod a-1: container decision: InvalidImageName: no.",)


@pytest.mark.parametrize(
    ("secret", "reason", "words"),
    [
        (None, Reason.SECRET_NOT_FOUND, "Secret system/r, in the namespace of the pods, was not found"),
        ({"data": {"other": ""}}, Reason.SECRET_INVALID, "Secret system/r has no key p."),
        ({}, Reason.SECRET_INVALID, "Secret system/r has no key p."),
    ],
    ids=["missing", "no such key", "empty"],
)
async def test_a_secret_that_pods_need_is_missed(scene: Scene, secret: Any, reason: Reason, words: str) -> None:  # noqa: ANN401
    scene.step(WORKLOAD)
    if secret is not None:
        scene.cluster.secrets["r"] = secret
    await scene.look()
    _, state = scene.told[-1]
    assert state is not None
    (problem,) = state.problems
    assert (problem.on, problem.reason, problem.field) == (SHOP, reason, "spec.redis.password")
    assert problem.message.startswith(words)


async def test_deployments_are_followed_from_where_they_were_listed(scene: Scene) -> None:
    scene.step(replace(WORKLOAD, redis=None))
    await scene.lookout.look()
    assert scene.told == [(SHOP, PodState())], "before they were listed nothing is known"
    metadata = {"name": NAMES.base, "generation": 1, "resourceVersion": "8"}
    scene.cluster.lists["deployments"] = [{**DEPLOYMENT, "metadata": {"name": "other"}}]
    scene.cluster.events = [
        Event("ADDED", {**DEPLOYMENT, "metadata": metadata}),
        Event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
    ]
    await scene.look()
    assert scene.cluster.watched == ["7"]
    assert scene.told[-1] == (SHOP, PodState(ready=1, wanted=1))
    scene.cluster.lists["deployments"] = [{**DEPLOYMENT, "metadata": metadata}, DEPLOYMENT]
    scene.cluster.events = [Event("DELETED", {**DEPLOYMENT, "metadata": metadata})]
    await scene.look()
    assert scene.told[-1] == (SHOP, PodState(wanted=1))


async def test_proxies_that_somebody_else_runs_have_no_pods(scene: Scene) -> None:
    edge = ir.Edge(name="shop/public", hosts=(), listeners=(), proxies=ir.Proxies(managed=False))
    scene.plane.observe_step(ir.Delta(edges=ir.Changes(upserts=(edge,))))
    await scene.look()
    assert scene.told == []


async def test_what_cannot_be_looked_at_is_told_once_and_tried_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_S", 0.01)
    ready = asyncio.Event()
    ready.set()
    scene.plane.authority = cast("Any", SimpleNamespace(ready=ready))
    with capture_logs() as logs:
        async with meanwhile(scene.lookout.run()):
            await eventually(lambda: len(scene.cluster.watched) > 3)
    assert [each["error"] for each in logs] == ["410: too old"]
