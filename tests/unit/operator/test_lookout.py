"""What is seen of pods and their Secrets, and told when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, emit_workload, workload_names
from fastforward_compiler.problem import ObjectRef, Reason
from fastforward_operator.kubernetes import lookout
from fastforward_operator.kubernetes.client import ApiError, Event, Page
from fastforward_operator.kubernetes.dataplane import DIGEST, DataPlane, digest_of
from fastforward_operator.kubernetes.lookout import Lookout
from fastforward_operator.kubernetes.podsecrets import WORKLOADS
from fastforward_operator.podstate import PodState
from structlog.testing import capture_logs

from support.eventually import eventually, meanwhile

SHOP = ObjectRef(kind="Workload", namespace="shop", name="a")
NAMES = workload_names("shop/a")
REDIS = ir.Redis(host="r", port=1, password=("r", "p"))
WORKLOAD = ir.Workload(name="shop/a", pods=ir.Pods(replicas=1), redis=REDIS)
AVAILABLE = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
SETTINGS = PodSettings(namespace="system", envoy_image="envoy:1", decision_image="decision:1")


def made_of(workload: ir.Workload, settings: PodSettings = SETTINGS, generation: int = 1, **status: object) -> Any:  # noqa: ANN401 - JSON
    """The Deployment of a version, whole, or as `status` has it."""
    (spec,) = (each["spec"] for each in emit_workload(workload, settings) if each["kind"] == "Deployment")
    metadata = {"name": NAMES.base, "generation": generation, "annotations": {DIGEST: digest_of(spec)}}
    whole = {"observedGeneration": generation, "updatedReplicas": 1, "readyReplicas": 1, "conditions": [AVAILABLE]}
    return {"metadata": metadata, "spec": spec, "status": {**whole, **status}}


DEPLOYMENT = {
    "metadata": {"name": NAMES.base, "generation": 1},
    "spec": {"replicas": 1, "template": {"spec": {}}},
    "status": {"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1, "conditions": [AVAILABLE]},
}


def secret(workloads: str = "shop/*", **data: str) -> dict[str, Any]:
    """What the pods of these may have."""
    return {"metadata": {"name": "r", "namespace": "system", "annotations": {WORKLOADS: workloads}}, "data": data}


class Cluster:
    """An API server that has what it is given, by the end of its path."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {}
        self.secrets: dict[str, Any] = {}
        self.events: list[Event] = []
        self.watched: list[str] = []
        self.failing: set[str] = set()

    async def each(self, path: str, _: str) -> AsyncIterator[Any]:
        self.fail(path)
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
        self.fail(path)
        return self.secrets.get(path.rpartition("/")[2])

    def fail(self, path: str) -> None:
        if path.rpartition("/")[2] in self.failing:
            raise ApiError(500, "no")


class Scene:
    def __init__(self) -> None:
        self.cluster = Cluster()
        self.leads = True
        nothing = cast("Any", None)
        self.plane = DataPlane(cast("Any", self.cluster), nothing, SETTINGS, lambda: self.leads, "system")
        self.told: list[tuple[ObjectRef, PodState | None]] = []
        self.lookout = Lookout(self.plane, on_pods=lambda ref, state: self.told.append((ref, state)))
        self.plane.on_values = self.lookout.observe

    async def look(self) -> None:
        """As it does again and again."""
        with pytest.raises(ApiError):
            await self.lookout.follow()
        await self.lookout.look_at_addresses()
        await self.lookout.look_at_pods()

    def step(self, *workloads: ir.Workload, removed: tuple[str, ...] = (), generation: int = 1) -> None:
        of_shop = ir.Report(ref=SHOP, generation=generation) if workloads else None
        changes = ir.Changes(upserts=workloads, removed=removed)
        self.plane.observe_step(ir.Delta(workloads=changes, reports={SHOP: of_shop}))

    @property
    def state(self) -> PodState:
        """As told last."""
        state = self.told[-1][1]
        assert state is not None
        return state


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_what_changes_is_not_complete_until_it_is_applied_and_made(scene: Scene) -> None:
    scene.step(WORKLOAD)
    assert scene.told == [(SHOP, PodState())]
    scene.cluster.secrets["r"] = secret(p="")
    await scene.look()
    assert scene.told[-1] == (SHOP, PodState(wanted=1))
    scene.cluster.lists["deployments"] = [DEPLOYMENT]
    await scene.look()
    assert scene.told[-1] == (SHOP, PodState(ready=1, wanted=1))
    scene.cluster.lists["deployments"] = [made_of(WORKLOAD)]
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


NOT_FOR_IT = (
    "Secret system/r, in the namespace of the pods, was not found, or is not for shop/a: they wait for it. "
    "Create it, or let its annotation gateway.fastforward.dev/workloads name this."
)


@pytest.mark.parametrize(
    ("found", "reason", "words"),
    [
        (None, Reason.SECRET_NOT_FOUND, NOT_FOR_IT),
        (secret("shop/b", p=""), Reason.SECRET_NOT_FOUND, NOT_FOR_IT),
        (secret("shop/b", other=""), Reason.SECRET_NOT_FOUND, NOT_FOR_IT),
        (secret(other=""), Reason.SECRET_INVALID, "Secret system/r has no key p. Add it."),
        (secret(), Reason.SECRET_INVALID, "Secret system/r has no key p. Add it."),
    ],
    ids=["missing", "another's", "another's without the key", "no such key", "empty"],
)
async def test_a_secret_that_pods_need_is_missed(
    scene: Scene, found: dict[str, Any] | None, reason: Reason, words: str
) -> None:
    scene.step(WORKLOAD)
    if found is not None:
        scene.cluster.secrets["r"] = found
    await scene.look()
    _, state = scene.told[-1]
    assert state is not None
    (problem,) = state.problems
    assert (problem.on, problem.reason, problem.field) == (SHOP, reason, "spec.redis.password")
    assert problem.message == words


@pytest.mark.parametrize("found", [None, secret("shop/b", p="")], ids=["missing", "another's"])
async def test_of_pods_that_have_a_secret_it_is_not_said_that_they_wait_for_it(
    scene: Scene, found: dict[str, Any] | None
) -> None:
    """In the same words, whether it is not there or not for them."""
    scene.step(WORKLOAD, replace(WORKLOAD, name="shop/b", redis=replace(REDIS, password=("other", "p"))))
    scene.cluster.lists["deployments"] = [made_of(WORKLOAD)]
    if found is not None:
        scene.cluster.secrets["r"] = found
    await scene.look()
    said = [problem.message for _, state in scene.told if state is not None for problem in state.problems]
    keep = "pods that have it keep it until their Deployment is deleted"
    assert said[0] == NOT_FOR_IT.replace("they wait for it", keep)
    assert "they wait for it" in said[1]


async def test_in_the_namespace_of_the_pods_secrets_need_say_nothing(scene: Scene) -> None:
    scene.step(replace(WORKLOAD, name="system/a"))
    await scene.look()
    [problem] = scene.state.problems
    missing = "Secret system/r, in the namespace of the pods, was not found: they wait for it. Create it."
    assert problem.message == missing
    scene.cluster.secrets["r"] = secret("", p="")
    await scene.look()
    assert scene.state.problems == ()


async def test_deployments_are_followed_from_where_they_were_listed(scene: Scene) -> None:
    scene.step(replace(WORKLOAD, redis=None))
    await scene.lookout.look_at_pods()
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


BARE = replace(WORKLOAD, redis=None)
NEWER = replace(BARE, pods=ir.Pods(replicas=1, requests=(("cpu", "101m"),)))
UPGRADED = replace(SETTINGS, decision_image="decision:2")
STUCK = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


def programmed(generation: int, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": "Programmed", "status": status, "observedGeneration": generation}]}


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "another replica"])
async def test_pods_of_the_old_version_are_none_of_the_new_one_whoever_applies_it(scene: Scene, leads: bool) -> None:
    """Whether it came while no operator ran, is refused by the API server, or was applied a moment ago."""
    scene.leads = leads
    scene.lookout.recall(SHOP, programmed(1))
    scene.step(NEWER, generation=2)
    scene.cluster.lists["deployments"] = [made_of(BARE)]
    await scene.look()
    assert scene.state == PodState(ready=1, wanted=1)
    scene.cluster.lists["deployments"] = [made_of(NEWER, generation=2, conditions=[STUCK])]
    await scene.look()
    assert not scene.state.complete
    assert not scene.state.held
    scene.cluster.lists["deployments"] = [made_of(NEWER, generation=2)]
    await scene.look()
    assert scene.state == PodState(ready=1, wanted=1, complete=True)


async def test_what_is_programmed_by_its_own_word_stays_so_for_a_new_release_that_has_not_applied_yet(
    scene: Scene,
) -> None:
    scene.plane.settings = UPGRADED
    scene.cluster.lists["deployments"] = [made_of(BARE)]
    scene.step(BARE, generation=2)
    scene.lookout.recall(SHOP, programmed(2, "Unknown"))
    await scene.look()
    assert scene.state == PodState(ready=1, wanted=1)
    scene.lookout.recall(SHOP, programmed(2))
    await scene.look()
    assert scene.state == PodState(ready=1, wanted=1, held=True)
    scene.step(NEWER, generation=3)
    assert not scene.state.held, "said of the version before"
    await scene.look()
    assert not scene.state.held
    scene.lookout.recall(SHOP, programmed(3))
    scene.lookout.recall(SHOP, None)
    await scene.look()
    assert not scene.state.held


async def test_what_changes_while_pods_are_looked_at_is_compared_as_it_is_then(scene: Scene) -> None:
    scene.step(WORKLOAD)
    scene.cluster.lists["deployments"] = [made_of(WORKLOAD)]
    read, newer = scene.cluster.read, replace(NEWER, redis=WORKLOAD.redis)

    async def changing(path: str) -> Any:  # noqa: ANN401 - JSON
        scene.step(newer, generation=2)
        return await read(path)

    scene.cluster.read = changing
    await scene.look()
    assert not scene.state.complete


@pytest.mark.parametrize("failing", ["r", "pods"])
async def test_what_cannot_be_read_of_one_holds_up_no_other(scene: Scene, failing: str) -> None:
    other, names = replace(BARE, name="shop/b"), workload_names("shop/b")
    whole = made_of(BARE)
    (spec,) = (each["spec"] for each in emit_workload(other, SETTINGS) if each["kind"] == "Deployment")
    others = {**whole, "metadata": {**whole["metadata"], "name": names.base, "annotations": {DIGEST: digest_of(spec)}}}
    scene.step(WORKLOAD, other)
    scene.cluster.lists["deployments"] = [made_of(WORKLOAD, readyReplicas=0), others]
    scene.cluster.failing = {failing}
    with capture_logs() as logs:
        await scene.look()
        await scene.look()
        scene.cluster.failing = set()
        scene.cluster.secrets["r"] = secret(p="")
        await scene.look()
        await scene.look()
    assert [(str(ref), state) for ref, state in scene.told[2:]] == [
        (str(replace(SHOP, name="b")), PodState(ready=1, wanted=1, complete=True)),
        (str(SHOP), PodState(wanted=1, complete=True)),
    ]
    assert [(each["object"], each["error"]) for each in logs] == [(str(SHOP), "500: no")]


async def test_pods_are_looked_at_as_soon_as_deployments_are_listed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within what a status may say that pods are on their way before that is written."""
    monkeypatch.setattr(lookout, "LOOK_S", 3600)
    ready = asyncio.Event()
    ready.set()
    scene.plane.authority = cast("Any", SimpleNamespace(ready=ready))
    scene.step(BARE)
    scene.cluster.lists["deployments"] = [made_of(BARE)]
    with capture_logs():
        async with meanwhile(scene.lookout.run()):
            await eventually(lambda: scene.told[-1] == (SHOP, PodState(ready=1, wanted=1, complete=True)))
