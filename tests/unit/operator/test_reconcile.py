"""The loop: bursts, defects of ours, and the way back from them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, Judgement, ir, object_ref
from fastforward_compiler.emit.envoy import EmitSettings
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_operator.kept import Change
from fastforward_operator.pipeline import Pipeline, new_pipeline
from fastforward_operator.providers import Batch
from fastforward_operator.publication import Publications
from fastforward_operator.reconcile import TICK_S, Inbox, Reconciler
from fastforward_operator.status import StatusBoard
from fastforward_operator.telemetry import Metrics
from fastforward_operator.xds.store import CLUSTER, Key, Publication

from support.eventually import eventually
from support.resources import edge, route, rule


def upstream(name: str, port: int = 80) -> crds.Upstream:
    found = crds.parse_resource(
        {
            "apiVersion": crds.API_VERSION,
            "kind": "Upstream",
            "metadata": {"name": name, "generation": port},
            "spec": {"endpoints": [{"address": "10.0.0.1", "port": port}]},
        }
    )
    assert isinstance(found, crds.Upstream)
    return found


def ref(name: str) -> ObjectRef:
    return ObjectRef(kind="Upstream", namespace="default", name=name)


class QueueProvider:
    """Yields what tests put in."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Batch] = asyncio.Queue()
        self._worlds = 0

    def put(
        self,
        *upstreams: crds.Upstream,
        gone: tuple[str, ...] = (),
        documents: Mapping[ObjectRef, tuple[Problem, ...]] | None = None,
    ) -> None:
        self._worlds += 1
        changes: dict[ObjectRef, Change] = {ref(each.metadata.name): each for each in upstreams}
        changes.update((ref(name), None) for name in gone)
        self.queue.put_nowait(Batch(changes=changes, world=str(self._worlds), documents=documents or {}))

    async def watch(self) -> AsyncIterator[Batch]:
        while True:
            yield await self.queue.get()


class FragileCompiler:
    """Fails on objects of some names, and remembers the sizes of its steps."""

    def __init__(self, scene: "Scene") -> None:
        self._scene = scene
        self._compiler = Compiler()

    def apply(
        self,
        changes: Mapping[ObjectRef, Change | crds.Packed],
        fetched: Mapping[str, bytes | None] | None = None,
        now: datetime | None = None,
    ) -> ir.Delta:
        unpacked = ((ref, each.unpack() if isinstance(each, crds.Packed) else each) for ref, each in changes.items())
        self._scene.steps.append(dict(unpacked))
        if now is not None and now == self._scene.fails_at:
            raise RuntimeError("a defect that shows at some times")
        for changed, value in changes.items():
            if value is not None and changed.name in self._scene.deadly:
                raise RuntimeError(f"a defect that shows with {changed.name}")
        return self._compiler.apply(changes, fetched or {}, now)

    def judge(self, ref: ObjectRef, value: crds.Resource | crds.Invalid, now: datetime | None = None) -> Judgement:
        return self._compiler.judge(ref, value, now)


@dataclass
class Scene:
    """A reconciler with a compiler that may break, and what it published."""

    provider: QueueProvider = field(default_factory=QueueProvider)
    deadly: set[str] = field(default_factory=set)
    steps: list[dict[ObjectRef, Change]] = field(default_factory=list)
    published: dict[Key, str] = field(default_factory=dict)
    publications: list[Publication] = field(default_factory=list)
    reconciler: Reconciler = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)
    now: datetime = datetime(2026, 12, 24, tzinfo=UTC)
    fails_at: datetime | None = None

    def __post_init__(self) -> None:
        publications = Publications()
        self.reconciler = Reconciler(
            provider=self.provider,
            new_pipeline=self._new_pipeline,
            publications=publications,
            board=StatusBoard(publications),
            publish=self._publish,
            metrics=self.metrics,
            clock=lambda: self.now,
        )

    def _new_pipeline(self) -> Pipeline:
        return replace(new_pipeline(EmitSettings(), 0.1, self.metrics)(), compiler=FragileCompiler(self))

    def _publish(self, publication: Publication) -> None:
        self.publications.append(publication)
        self.published.update((put.key, put.version) for put in publication.upserts)
        for key in publication.removed:
            self.published.pop(key, None)

    @property
    def clusters(self) -> set[str]:
        return {name.removeprefix("default/") for type_url, name, _ in self.published if type_url == CLUSTER}

    def message(self, name: str) -> str:
        found = self.reconciler.board.statuses.get(ref(name))
        return found.conditions[0].message if found else ""


@asynccontextmanager
async def running() -> AsyncGenerator[Scene]:
    scene = Scene()
    task = asyncio.create_task(scene.reconciler.run())
    try:
        yield scene
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_nothing_is_published_before_everything_there_is_was_compiled() -> None:
    async with running() as scene:
        scene.reconciler.take_fetched({"https://issuer/keys": b"{}"})
        await asyncio.sleep(0)
        assert scene.publications == []
        scene.provider.put(upstream("a"), upstream("b"))
        await eventually(lambda: scene.clusters == {"a", "b"})
        assert len(scene.publications) == 1


async def test_documents_that_nobody_needs_any_more_are_forgotten() -> None:
    async with running() as scene:
        scene.provider.put(upstream("a"))
        scene.reconciler.take_fetched({"https://issuer/keys": b"{}"})
        await eventually(lambda: scene.reconciler._fetched)
        scene.reconciler.take_fetched({"https://issuer/keys": None})
        await eventually(lambda: not scene.reconciler._fetched)


async def test_a_burst_is_taken_in_few_steps_and_the_latest_wins() -> None:
    async with running() as scene:
        scene.provider.put(upstream("a"))
        await eventually(lambda: scene.clusters == {"a"})
        scene.steps.clear()
        for port in range(1, 1001):
            scene.provider.put(upstream("a", port))
        await eventually(lambda: scene.reconciler.world == "1001")
        assert len(scene.steps) < 20
        latest = scene.steps[-1][ref("a")]
        assert isinstance(latest, crds.Upstream)
        assert latest.spec.endpoints[0].port == 1000


async def test_a_large_step_is_made_in_a_thread_while_the_loop_goes_on() -> None:
    async with running() as scene:
        turns = 0
        scene.provider.put(*(upstream(f"u{number}") for number in range(2000)))
        while len(scene.clusters) < 2000:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 20


async def test_what_served_before_the_restart_is_there_from_the_first_publication_on() -> None:
    async with running() as scene:
        bad = crds.Invalid(
            kind="Upstream",
            namespace="default",
            name="a",
            generation=2,
            errors=(crds.FieldError(field="spec", message="It is wrong."),),
        )
        scene.provider.queue.put_nowait(
            Batch(changes={ref("a"): bad, ref("b"): upstream("b")}, last_good={ref("a"): upstream("a")}, world="1")
        )
        await eventually(scene.reconciler.first_step.is_set)
        assert {put.key.name for put in scene.publications[0].upserts} >= {"default/a", "default/b"}
        assert scene.clusters == {"a", "b"}
        assert scene.message("a") == "It is wrong."


async def test_an_object_that_our_own_defect_shows_with_is_left_out_and_all_others_go_on() -> None:
    async with running() as scene:
        scene.provider.put(upstream("a"), upstream("b"))
        await eventually(lambda: scene.clusters == {"a", "b"})
        scene.deadly.add("bad")
        scene.provider.put(upstream("c"), upstream("bad"), upstream("d"), gone=("b",))
        await eventually(lambda: scene.clusters == {"a", "c", "d"})
        await eventually(lambda: ref("b") not in scene.reconciler.board.statuses)
        await eventually(lambda: "defect" in scene.message("bad"))
        assert scene.metrics.failures._value.get() == 1
        scene.provider.put(upstream("e"))
        await eventually(lambda: scene.clusters == {"a", "c", "d", "e"})
        scene.deadly.clear()
        scene.provider.put(upstream("bad", 81))
        await eventually(lambda: scene.clusters == {"a", "bad", "c", "d", "e"})
        assert scene.message("bad") == ""


def test_what_is_fetched_while_a_step_fails_is_kept_with_the_rest() -> None:
    failed = Inbox(fetched={"https://issuer/keys": b"old", "https://other/keys": b"{}"})
    failed.add(Inbox(fetched={"https://issuer/keys": b"new"}))
    failed.add(Batch(changes={}))
    assert failed.fetched == {"https://issuer/keys": b"new", "https://other/keys": b"{}"}


async def test_an_edge_that_goes_while_a_defect_of_ours_shows_is_told_to_be_gone() -> None:
    async with running() as scene:
        steps: list[ir.Delta] = []
        scene.reconciler.on_step = steps.append
        listener = crds.parse_resource(edge(8080))
        scene.provider.queue.put_nowait(
            Batch(changes={object_ref(listener): listener, ref("a"): upstream("a")}, world="1")
        )
        await eventually(lambda: scene.clusters == {"a"})
        name = steps[0].edges.upserts[0].name
        scene.deadly.add("bad")
        changes: dict[ObjectRef, Change] = {object_ref(listener): None, ref("bad"): upstream("bad")}
        scene.provider.queue.put_nowait(Batch(changes=changes, world="2"))
        await eventually(lambda: any(name in step.edges.removed for step in steps))
        await eventually(lambda: object_ref(listener) not in scene.reconciler.board.statuses)


async def test_a_new_version_that_our_own_defect_shows_with_leaves_the_old_one_serving() -> None:
    async with running() as scene:
        scene.provider.put(upstream("a"), upstream("b"))
        await eventually(lambda: scene.clusters == {"a", "b"})
        before = dict(scene.published)
        scene.deadly.add("a")
        scene.provider.put(upstream("a", 81))
        await eventually(lambda: scene.metrics.failures._value.get() == 1)
        assert scene.published == before


async def test_a_defect_that_shows_always_leaves_the_last_good_state_and_is_tried_again_with_the_next_change() -> None:
    async with running() as scene:
        scene.provider.put(upstream("a"))
        await eventually(lambda: scene.clusters == {"a"})
        before = dict(scene.published)
        scene.deadly |= {"a", "b"}
        scene.provider.put(upstream("b"))
        await eventually(lambda: scene.metrics.failures._value.get() == 1)
        assert scene.published == before
        scene.deadly.clear()
        scene.provider.put(upstream("c"))
        await eventually(lambda: scene.clusters == {"a", "b", "c"})


@pytest.mark.parametrize("count", [1, 40])
async def test_problems_of_documents_are_told_whatever_the_size_of_the_step(count: int) -> None:
    async with running() as scene:
        document = ObjectRef(kind="Document", namespace="", name="a.yaml#1")
        found = problem(document, Reason.INVALID, "", "It is nothing.")
        scene.provider.put(*(upstream(f"u{n}") for n in range(count)), documents={document: (found,)})
        await eventually(lambda: document in scene.reconciler.board.statuses)
        scene.provider.put(documents={document: ()})
        await eventually(lambda: document not in scene.reconciler.board.statuses)


def timed(name: str) -> dict[ObjectRef, Change]:
    """An Edge, and a Route with a rule that begins at ten."""
    documents = [
        edge(8080),
        route(name, {**rule(says="timed"), "name": "timed", "schedule": {"from": "2026-12-24T10:00:00Z"}}),
    ]
    values = map(crds.parse_resource, documents)
    return {object_ref(value): value for value in values}


def tables(scene: Scene) -> int:
    return sum("example.com" in name for _, name, _ in scene.published)


def late(scene: Scene) -> float | None:
    return scene.metrics.registry.get_sample_value("ff_schedule_late_seconds_sum")


async def test_a_rule_begins_when_the_clock_says_so_and_it_is_told_how_late() -> None:
    async with running() as scene:
        scene.provider.queue.put_nowait(Batch(changes=timed("a"), world="1"))
        await eventually(scene.reconciler.first_step.is_set)
        before, steps = tables(scene), len(scene.steps)
        scene.now += timedelta(hours=9)
        scene.reconciler.take_fetched({"https://issuer/keys": b"{}"})
        await eventually(lambda: len(scene.steps) > steps)
        assert (tables(scene), late(scene)) == (before, 0.0)
        scene.now += timedelta(hours=1, seconds=2)
        await eventually(lambda: tables(scene) > before)
        await eventually(lambda: late(scene) == 2.0)
        # Nothing waits any more, so nothing is made again.
        steps = len(scene.steps)
        scene.now += timedelta(days=1)
        await asyncio.sleep(2 * TICK_S)
        assert len(scene.steps) == steps


async def test_a_defect_at_the_boundary_is_not_tried_again_and_again() -> None:
    async with running() as scene:
        scene.provider.queue.put_nowait(Batch(changes=timed("a"), world="1"))
        await eventually(scene.reconciler.first_step.is_set)
        scene.fails_at = scene.now + timedelta(hours=10)
        scene.now = scene.fails_at
        await eventually(lambda: scene.metrics.failures._value.get() == 1)
        await asyncio.sleep(2 * TICK_S)
        assert scene.metrics.failures._value.get() == 1


async def test_an_object_is_judged_by_the_clock() -> None:
    async with running() as scene:
        (public, there), (late_ref, value) = timed("late").items()
        taken = crds.parse_resource(route("a", rule(says="taken")))
        scene.provider.queue.put_nowait(Batch(changes={public: there, object_ref(taken): taken}, world="1"))
        await eventually(scene.reconciler.first_step.is_set)
        assert isinstance(value, crds.Route)
        assert (await scene.reconciler.judge(late_ref, value)).problems == ()
        scene.now += timedelta(hours=11)
        said = await scene.reconciler.judge(late_ref, value)
        assert {found.reason for found in said.problems} == {Reason.RULE_CONFLICT}
