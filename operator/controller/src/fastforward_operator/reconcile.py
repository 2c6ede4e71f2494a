"""The loop: changes in, compiled, emitted, published; statuses out.

In: Batches of a provider, documents fetched by URL, a clock. Out: Publications and what is said of objects. Called by
bootstrap. The first change of a burst goes at once; then the loop rests as long as its last step took, at most
DEBOUNCE_S, and takes what came meanwhile as one step: the latest version of each object wins. When a rule of a Route
begins or ends to hold, that is a step, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import fastforward_crds as crds
import structlog
from fastforward_compiler import Judgement, ir
from fastforward_compiler.emit.kubernetes import owner_of
from fastforward_compiler.problem import ConditionType, ObjectRef, Problem, Reason

from .kept import Change, Kept
from .pipeline import NewPipeline, Pipeline
from .providers import Batch, Provider, Source
from .publication import Emitted, Publications
from .recovery import recover
from .status import StatusBoard
from .telemetry import Metrics
from .xds.store import Publication

_log = structlog.get_logger(__name__)

DEBOUNCE_S = 0.02
INLINE_CHANGES = 32
"""Up to so many changes are compiled in the event loop; more would keep it from answering: in a thread."""
TICK_S = 0.25
"""How often the clock is looked at while some rule waits for its time: it may be set meanwhile."""
_DEFECT = "FastForward failed on this version, which is a defect of its own; the log of the operator has the details."


@dataclass(slots=True)
class Inbox:
    """What came since the last step, the latest of each."""

    changes: Kept = field(default_factory=Kept)
    sources: dict[ObjectRef, Source] = field(default_factory=dict)
    documents: dict[ObjectRef, tuple[Problem, ...]] = field(default_factory=dict)
    last_good: dict[ObjectRef, crds.Resource] = field(default_factory=dict)
    fetched: dict[str, bytes | None] = field(default_factory=dict)
    world: str = ""
    seen_at: float = 0.0

    def add(self, news: Batch | Inbox) -> None:
        """What came later."""
        self.changes.take_over(news.changes)
        self.sources.update(news.sources)
        self.documents.update(news.documents)
        self.last_good.update(news.last_good)
        if isinstance(news, Inbox):
            self.fetched.update(news.fetched)
        self.world = news.world or self.world
        self.seen_at = self.seen_at or news.seen_at

    def at_first(self) -> Kept:
        """The changes, with what served before a restart in place of what is invalid now."""
        if not self.last_good:
            return self.changes
        changes = Kept(self.changes)
        changes.update(self.last_good)
        return changes


@dataclass(slots=True)
class Reconciler:
    """One a process. `publish` hands a Publication to the xDS server."""

    provider: Provider
    new_pipeline: NewPipeline
    publications: Publications
    board: StatusBoard
    publish: Callable[[Publication], None]
    metrics: Metrics
    on_changes: Callable[[Mapping[ObjectRef, Change]], None] = lambda _: None
    """Told of every change of objects: the fetcher of keys looks for URLs."""
    on_step: Callable[[ir.Delta], None] = lambda _: None
    """Told of every step of the compiler: those who keep something in step with it look."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    world: str = ""
    """Hash of everything that was taken into account."""
    _pipeline: Pipeline = field(init=False)
    _objects: Kept = field(default_factory=Kept)
    _invalid: dict[ObjectRef, crds.Invalid] = field(default_factory=dict)
    _fetched: dict[str, bytes] = field(default_factory=dict)
    _inbox: Inbox = field(default_factory=Inbox)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _stepping: asyncio.Lock = field(default_factory=asyncio.Lock)
    _due: datetime | None = None
    """When the next rule of a Route begins or ends to hold."""

    def __post_init__(self) -> None:
        self._pipeline = self.new_pipeline()

    @property
    def first_step(self) -> asyncio.Event:
        """Set when everything that was there at the start is published, and the board knows what is said of it."""
        return self.board.judged

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect())
            group.create_task(self._work())
            group.create_task(self._retire())
            group.create_task(self._keep_time())

    def take_fetched(self, documents: Mapping[str, bytes | None]) -> None:
        """Documents that came from URLs; None for one that nobody needs any more."""
        self._inbox.fetched.update(documents)
        self._news.set()

    def kept(self, ref: ObjectRef) -> crds.Packed | None:
        """An object as it is in force."""
        found = self._objects.packed.get(ref)
        return found if isinstance(found, crds.Packed) else None

    async def judge(self, ref: ObjectRef, value: crds.Resource | crds.Invalid) -> Judgement:
        """What would be wrong with an object, were it there; between two steps. Raises on a defect of ours."""
        async with self._stepping:
            return self._pipeline.compiler.judge(ref, value, self.clock())

    async def _collect(self) -> None:
        async for batch in self.provider.watch():
            self._inbox.add(batch)
            self._news.set()
            # Everything that is there at the start is not kept until something changes.
            del batch

    async def _work(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not self.first_step.is_set() and self._inbox.world == "":
                # Keys fetched before the first listing wait for it: nobody is told half a world.
                continue
            inbox, self._inbox = self._inbox, Inbox()
            start = time.monotonic()
            async with self._stepping:
                await self._step(inbox)
            await asyncio.sleep(min(DEBOUNCE_S, time.monotonic() - start))

    async def _step(self, inbox: Inbox) -> None:
        """Compile, emit, publish, report: the order is the design. A defect of ours leaves all nodes as they are."""
        self.world = inbox.world or self.world
        self._note_fetched(inbox.fetched)
        now, due = self.clock(), self._due
        try:
            if len(inbox.changes) <= INLINE_CHANGES:
                steps = self._compile(inbox, now)
            else:
                steps = await asyncio.to_thread(self._compile, inbox, now)
        except Exception:  # noqa: BLE001 - the compiler never raises on what the schema admits: a defect of ours
            _log.exception("step failed", world=self.world, objects=[str(ref) for ref in list(inbox.changes)[:20]])
            self.metrics.failures.inc()
            if not await self._recover(inbox, now):
                # What is due stays as it is with the rest, until the next change.
                self._due = None
                return
        else:
            self._objects.merge(inbox.at_first())
            for emitted in steps:
                self._take(self.publications.build(emitted), emitted.delta, inbox)
        self.board.observe_documents(inbox.documents, inbox.sources)
        self._tell_time(due, now)
        if inbox.seen_at and len(inbox.changes) > INLINE_CHANGES:
            seconds = round(time.monotonic() - inbox.seen_at, 3)
            _log.info("changes published", objects=len(inbox.changes), seconds=seconds, world=self.world)
        self._note_invalid(inbox.changes)
        self.on_changes(inbox.changes)
        self.first_step.set()

    def _tell_time(self, due: datetime | None, now: datetime) -> None:
        if due is not None and due <= now:
            late_s = (self.clock() - due).total_seconds()
            self.metrics.scheduled(late_s)
            _log.info("rules begin or end", due=due.isoformat(), late_s=round(late_s, 3))

    def _compile(self, inbox: Inbox, now: datetime) -> list[Emitted]:
        """After a restart, what served before goes first in place of what is invalid now, with all the rest."""
        revision = self.publications.revision + 1
        if not inbox.last_good:
            return [self._pipeline.apply(inbox.changes, inbox.fetched, revision, now)]
        late = inbox.changes.some(inbox.last_good)
        return [
            self._pipeline.apply(inbox.at_first(), inbox.fetched, revision, now),
            self._pipeline.apply(late, {}, revision + 1, now),
        ]

    def _take(self, publication: Publication, delta: ir.Delta, inbox: Inbox) -> None:
        """Publish a step and report it."""
        with self.metrics.stage("publish"):
            self.publish(publication)
        self._due = delta.due
        self.on_step(delta)
        self.metrics.published.inc(len(publication.upserts))
        self.metrics.translated.inc(delta.translated)
        if inbox.seen_at:
            self.metrics.reached("published", inbox.seen_at)
        keys = [put.key for put in publication.upserts]
        self.board.forget(publication.removed)
        self.board.observe_reports(delta.reports, inbox.sources, keys, inbox.seen_at)

    async def _recover(self, inbox: Inbox, now: datetime) -> bool:
        """Everything but what it fails on; when that fails too, the last good state stays until the next change."""
        changes = inbox.at_first()
        try:
            found = await asyncio.to_thread(recover, self.new_pipeline, self._objects, changes, self._fetched, now)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("recovery failed; the last good state stays", world=self.world)
            inbox.add(self._inbox)
            self._inbox = inbox
            return False
        _log.error("objects are left out", objects=[str(ref) for ref in found.culprits])
        self._pipeline, self._objects = found.pipeline, found.objects
        gone = [ref for ref, change in changes.packed.items() if change is None]
        self._take(self.publications.build(found.emitted), _without(found.emitted.delta, gone), inbox)
        kept = {key for key, _, _ in found.emitted.wires}
        self._take(self.publications.prune(kept), ir.Delta(due=found.emitted.delta.due), inbox)
        invalid = {ref: value for ref, value in self._invalid.items() if ref in self._objects}
        if invalid:
            again = self._pipeline.apply(invalid, {}, self.publications.revision + 1, now)
            self._take(self.publications.build(again), again.delta, inbox)
        self.board.observe_reports(dict(self._defects(found.culprits, found.emitted.delta)), inbox.sources, ())
        return True

    @staticmethod
    def _defects(culprits: Iterable[ObjectRef], delta: ir.Delta) -> Iterable[tuple[ObjectRef, ir.Report]]:
        for ref in culprits:
            report = delta.reports.get(ref) or ir.Report(ref=ref, generation=0)
            accepted = ConditionType.ACCEPTED
            problem = Problem(on=ref, condition=accepted, reason=Reason.INVALID, field="", message=_DEFECT)
            yield ref, replace(report, problems=(problem, *report.problems), kept=True)

    def _note_fetched(self, documents: Mapping[str, bytes | None]) -> None:
        for url, document in documents.items():
            if document is not None:
                self._fetched[url] = document
            else:
                self._fetched.pop(url, None)

    def _note_invalid(self, changes: Kept) -> None:
        for ref, invalid in changes.invalid():
            if invalid is not None:
                self._invalid[ref] = invalid
            else:
                self._invalid.pop(ref, None)

    async def _retire(self) -> None:
        """Take away, now and then, what was kept back for routes on their way."""
        while True:
            await asyncio.sleep(max(0.1, self._pipeline.proxies.grace_s / 2))
            async with self._stepping:
                emitted = self._pipeline.retire(self.board.routes_settled)
                if emitted is not None:
                    self._take(self.publications.build(emitted), replace(emitted.delta, due=self._due), Inbox())

    async def _keep_time(self) -> None:
        """A step whenever a rule begins or ends to hold."""
        while True:
            left_s = TICK_S if self._due is None else (self._due - self.clock()).total_seconds()
            if left_s <= 0:
                self._news.set()
                left_s = TICK_S
            await asyncio.sleep(min(TICK_S, left_s))


def _without(delta: ir.Delta, gone: Collection[ObjectRef]) -> ir.Delta:
    """A step from nothing, which knows of nothing that goes, with what goes."""
    edges = [owner_of(ref) for ref in gone if ref.kind in ("Edge", "Gateway")]
    workloads = [owner_of(ref) for ref in gone if ref.kind == "Workload"]
    return replace(
        delta,
        reports={**dict.fromkeys(gone), **delta.reports},
        edges=replace(delta.edges, removed=tuple(edges)),
        workloads=replace(delta.workloads, removed=tuple(workloads)),
    )
