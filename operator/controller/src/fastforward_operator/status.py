"""What is said of every object: conditions, problems, and how many proxies have it.

In: Reports of the compiler, positions from the provider, what the ledger says of the wire. Out: `ObjectStatus` values
and a stream of those that changed. Called by reconcile; read by api and the status files.

Programmed is True only when every proxy that counts acknowledged every resource that the object became, and a little
time has passed for its workers to take it up. An object that is Programmed stays so until its own resources change:
a proxy that joins serves nothing before it has them. A table holds the rules of many Routes: when one of them changes
it, the others' rules are in the table that the proxies have, too, so nothing is said of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from fastforward_compiler import ir
from fastforward_compiler.problem import ConditionType, ObjectRef, Problem, worst_first

from . import wording
from .multimap import Multimap
from .objectstatus import MAX_MESSAGE, NOTHING, Condition, ObjectStatus, condition
from .podstate import PodState, Said, of_pods
from .providers import Source
from .publication import Publications
from .room import give_room_back
from .slices import in_slices
from .steps import Steps
from .xds.ledger import KeyState, LedgerUpdate
from .xds.store import SHARED, SNAPSHOT, Key

_DIFFUSE = frozenset({"Edge", "Tenant"})
"""Kinds that other objects' resources depend on in ways that their outputs do not list."""
_SHARED = frozenset({"table", "scope"})
"""Outputs that hold the rules of many objects."""
_PLACES = frozenset({"edge", "table", "scope"})
"""Outputs that lie on a certain Edge."""


@dataclass(slots=True)
class StatusBoard:
    """Lives in the main event loop."""

    publications: Publications
    settle_s: float = 0.02
    """How long after the last acknowledgement an object is said to be programmed."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    since: Callable[[ObjectRef, str, str], datetime | None] = lambda *_: None
    """When a condition of an object became what it is, as far as the object itself says so."""
    on_settled: Callable[[float], None] = lambda _: None
    """Told, for each resource that all have acknowledged, when its change was seen."""
    on_count: Callable[[], None] = lambda: None
    """Told when proxies came or went."""
    apart: bool = False
    """Whether the proxies of each Edge are told apart from all others."""
    found_after_s: float = 7.0
    """How long it takes proxies that are told apart to find the first decision service: they look its name up every
    second, and a cluster's DNS remembers for five that there was none."""
    judged: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when everything that there is has been compiled once."""
    statuses: dict[ObjectRef, ObjectStatus] = field(default_factory=dict)
    envoys: Mapping[str, int] = field(default_factory=dict)
    """Proxies that count, by fleet."""
    decisions: int = 0
    _reports: dict[ObjectRef, ir.Report] = field(default_factory=dict)
    _said_in: dict[ObjectRef, int] = field(default_factory=dict)
    """Revision in which each report became what it is."""
    _sources: dict[ObjectRef, Source] = field(default_factory=dict)
    unsettled: dict[Key, KeyState] = field(default_factory=dict)
    """Of each published resource that not everybody who counts has, where it stands."""
    _seen_at: dict[Key, float] = field(default_factory=dict)
    _by_output: Multimap[ir.Output, ObjectRef] = field(default_factory=Multimap)
    _steps: Steps = field(default_factory=Steps)
    _faults: dict[ObjectRef, str] = field(default_factory=dict)
    """Why what an object needs in the cluster can't be made."""
    _pods: dict[ObjectRef, PodState] = field(default_factory=dict)
    """Of objects for which pods are made."""
    _connected: int = 0
    _found_at: float = 0.0
    _ripe_at: dict[ObjectRef, float] = field(default_factory=dict)
    _listeners: set[Callable[[ObjectRef, ObjectStatus | None], None]] = field(default_factory=set)

    def subscribe(self, listener: Callable[[ObjectRef, ObjectStatus | None], None]) -> Callable[[], None]:
        """Call `listener` with every status that changes (None: gone); returns how to stop that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def observe_reports(
        self,
        reports: Mapping[ObjectRef, ir.Report | None],
        sources: Mapping[ObjectRef, Source],
        keys: Collection[Key],
        seen_at: float = 0.0,
    ) -> None:
        """What a step says of objects, and which resources it published: nobody has those yet."""
        for key in keys:
            revision, known = self.publications.revisions.get(key, 0), self.unsettled.get(key)
            lacking = revision if known is None else known.lacking
            self.unsettled[key] = KeyState(revision=revision, lacking=lacking, waiting=("",))
            if seen_at:
                self._seen_at[key] = seen_at
        self._sources.update(sources)
        for ref, report in reports.items():
            self._note(ref, report)
        self._steps.add(keys, {ref for ref in reports if ref.kind in _DIFFUSE})
        # Who waited for proxies that need it no more waits for them no longer.
        lost = {ref for out in self.publications.lost if out[0] not in _SHARED for ref in self._by_output.get(out)}
        self._judge_all({*reports, *(r for r in sources if r in self._reports), *self._affected(keys), *lost})

    def observe_documents(
        self, documents: Mapping[ObjectRef, tuple[Problem, ...]], sources: Mapping[ObjectRef, Source]
    ) -> None:
        """What is wrong with documents that are no object."""
        reports = {
            ref: ir.Report(ref=ref, generation=0, problems=problems) if problems else None
            for ref, problems in documents.items()
        }
        self.observe_reports(reports, {ref: source for ref, source in sources.items() if ref in documents}, ())

    def observe_ledger(self, update: LedgerUpdate) -> None:
        """What the nodes acknowledged and refused."""
        answered: list[Key] = []
        for key, state in update.keys.items():
            published_in = self.publications.revisions.get(key)
            if published_in is None or state.revision < published_in:
                continue
            if not state.waiting:
                answered.append(key)
            if state.settled:
                self.unsettled.pop(key, None)
                if (seen_at := self._seen_at.pop(key, 0.0)) and update.envoys:
                    self.on_settled(seen_at)
            else:
                self.unsettled[key] = state
        give_room_back(self.unsettled, self._seen_at, self._ripe_at)
        told = self._steps.strike(answered)
        decisions = self._reachable(update.decisions)
        everything = (self.envoys.keys(), self.decisions == 0) != (update.envoys.keys(), decisions == 0)
        counts, self.envoys, self.decisions = self.envoys, update.envoys, decisions
        if counts != self.envoys:
            self._tell_edges()
            self.on_count()
        self._judge_all(list(self._reports) if everything else self._affected(update.keys) | told)

    def _tell_edges(self) -> None:
        """How many proxies there are is said of Edges, also when nothing else is new."""
        for ref, status in self.statuses.items():
            if ref.kind == "Edge":
                for listener in tuple(self._listeners):
                    listener(ref, status)

    def _reachable(self, connected: int) -> int:
        """Decision services that proxies know of: where they look names up, the first one is found after a while."""
        before, self._connected = self._connected, connected
        if not (self.apart and connected and self.found_after_s):
            return connected
        loop = asyncio.get_running_loop()
        if before == 0:
            self._found_at = loop.time() + self.found_after_s
            loop.call_later(self.found_after_s, self._find)
        return connected if loop.time() >= self._found_at else 0

    def _find(self) -> None:
        if self._connected and not self.decisions and asyncio.get_running_loop().time() >= self._found_at:
            self.decisions = self._connected
            self._judge_all(list(self._reports))

    def observe_fault(self, ref: ObjectRef, why: str) -> None:
        """What an object needs in the cluster can't be made; nothing: it could."""
        if why:
            self._faults[ref] = why
        else:
            self._faults.pop(ref, None)
        self._judge_all((ref,))

    def observe_pods(self, ref: ObjectRef, pods: PodState | None) -> None:
        """How the pods fare that are made for an object; None: there are none."""
        if pods is not None:
            self._pods[ref] = pods
        else:
            self._pods.pop(ref, None)
        self._judge_all((ref,))

    def speaks_of(self, ref: ObjectRef) -> bool:
        """Whether there is something to say of an object."""
        return ref in self._reports

    def forget(self, keys: Collection[Key]) -> None:
        """What is taken away keeps nobody waiting."""
        for key in keys:
            self.unsettled.pop(key, None)
            self._seen_at.pop(key, None)
        give_room_back(self.unsettled, self._seen_at, self._ripe_at)
        self._judge_all(self._steps.strike(keys))

    def routes_settled(self, revision: int) -> bool:
        """Whether everything that was published up to a revision is acknowledged by all that count."""
        return all(state.revision > revision for state in self.unsettled.values())

    def _note(self, ref: ObjectRef, report: ir.Report | None) -> None:
        old, outputs = self._reports.get(ref), report.outputs if report is not None else ()
        for output in old.outputs if old is not None else ():
            if output not in outputs:
                self._by_output.discard(output, ref)
        if report is None:
            for known in (self._reports, self._sources, self._ripe_at, self._said_in):
                known.pop(ref, None)
            return
        self._reports[ref] = report
        self._said_in[ref] = self.publications.revision
        for output in outputs:
            self._by_output.add(output, ref)

    def _affected(self, keys: Iterable[Key]) -> set[ObjectRef]:
        outputs = {output for key in keys for output in self.publications.outputs_of.get(key)}
        return {
            ref
            for output in outputs
            for ref in self._by_output.get(output)
            if output[0] not in _SHARED or not self._stays(ref, output)
        }

    def _stays(self, ref: ObjectRef, shared: ir.Output) -> bool:
        """Whether an object is Programmed, and what an output says of it is older than what anybody lacks."""
        status = self.statuses.get(ref)
        if status is None or status.conditions[-1].status != "True":
            return False
        return all(self._state(ref, shared, key) is None for key in self.publications.keys_of(shared, ref))

    def _judge_all(self, refs: Iterable[ObjectRef]) -> None:
        """Ten thousand take a while: a slice each time round the loop, so that no change waits for all of them.

        A change goes round the loop some five times until it is published.
        """
        in_slices(self._judge_some, refs)

    def _judge_some(self, refs: Iterable[ObjectRef]) -> None:
        for ref in refs:
            report, pods = self._reports.get(ref), self._pods.get(ref)
            if report is not None and pods is not None and pods.problems:
                report = replace(report, problems=worst_first((*report.problems, *pods.problems)))
            status = self._judge(report) if report is not None else None
            if status != self.statuses.get(ref):
                if status is None:
                    self.statuses.pop(ref, None)
                else:
                    self.statuses[ref] = status
                for listener in tuple(self._listeners):
                    listener(ref, status)

    def _judge(self, report: ir.Report) -> ObjectStatus:
        old = self.statuses.get(report.ref)
        keys = self._keys(report)
        states = [state for output, key in keys if (state := self._state(report.ref, output, key)) is not None]
        said = [
            wording.of_problems(ConditionType.ACCEPTED, report.problems),
            wording.of_problems(ConditionType.RESOLVED_REFS, report.problems),
            self._judge_programmed(report, keys, states),
        ]
        said = [wording.overruled(each, report.verdicts) for each in said]
        # Programmed stays the last.
        pods = self._pods.get(report.ref)
        said = [*wording.further(report.verdicts, self._faults.get(report.ref, ""), pods), *said]
        before = {condition.type: condition for condition in old.conditions} if old else {}
        conditions = tuple(
            condition(
                *(kind, status, reason, message[:MAX_MESSAGE], report.generation),
                self._since(report.ref, kind, status, before.get(kind)),
            )
            for kind, status, reason, message in said
        )
        return ObjectStatus(
            ref=report.ref,
            generation=report.generation,
            source=self._sources.get(report.ref),
            conditions=conditions,
            problems=report.problems,
            effective=report.effective,
            parts=report.parts,
            addresses=report.addresses,
            attached_sets=report.attached_sets,
        )

    def _since(self, ref: ObjectRef, kind: str, status: str, before: Condition | None) -> datetime:
        if before is not None and before.status == status:
            return before.since
        since = self.since(ref, kind, status) or self.now()
        # As exact as it is told.
        return since.replace(microsecond=since.microsecond // 1000 * 1000)

    def proxies(self, ref: ObjectRef) -> tuple[int, int]:
        """How many proxies have all that an object became, of how many that count."""
        report = self._reports.get(ref)
        if report is None:
            return 0, 0
        keys = self._keys(report)
        total = sum(self.envoys.get(fleet, 0) for fleet in self._fleets(keys))
        states = [(key, self._state(ref, output, key)) for output, key in keys if key.type_url != SNAPSHOT]
        on_proxies = [(key.fleet, state) for key, state in states if state is not None]
        missing = {(at, name) for at, s in on_proxies for name in (*s.waiting, *(node for node, _ in s.refused))}
        return (0 if any(name == "" for _, name in missing) else max(0, total - len(missing)), total)

    def _fleets(self, keys: Iterable[tuple[ir.Output, Key]]) -> Collection[str]:
        """Whose proxies are to have what an object became."""
        if not self.apart:
            return (SHARED,)
        return sorted({key.fleet for _, key in keys if key.type_url != SNAPSHOT})

    def _keys(self, report: ir.Report) -> list[tuple[ir.Output, Key]]:
        """What must be acknowledged for an object, and which of its outputs that is.

        Routes of other Edges may go to the same Upstream: what their proxies are told of it is not waited for by what
        lies on Edges of its own. A Route that lies nowhere waits for nobody.
        """
        keys = [(output, key) for output in report.outputs for key in self.publications.keys_of(output, report.ref)]
        if not self.apart:
            return keys
        at = {key.fleet for output, key in keys if output[0] in _PLACES}
        if not at and wording.is_route(report):
            return []
        return [
            (output, key)
            for output, key in keys
            if output[0] != "upstream" or not at or key.fleet in at or key.type_url == SNAPSHOT
        ]

    def _state(self, ref: ObjectRef, output: ir.Output, key: Key) -> KeyState | None:
        """Where it stands, unless that is settled or says nothing of the object that somebody may lack."""
        state = self.unsettled.get(key)
        said_in = self._said_in.get(ref, 0) if output[0] in _SHARED else sys.maxsize
        return state if state is not None and state.lacking <= said_in else None

    def _judge_programmed(
        self, report: ir.Report, keys: Collection[tuple[ir.Output, Key]], states: list[KeyState]
    ) -> Said:
        kind = ConditionType.PROGRAMMED
        refused = [f"{node} refused it: {words}" for state in states for node, words in state.refused]
        if refused:
            self._ripe_at.pop(report.ref, None)
            return kind, "False", "Rejected", wording.sentences(refused)
        bad = [p for p in report.problems if p.condition in (ConditionType.ACCEPTED, kind)]
        if bad:
            return kind, "False", bad[0].reason, wording.in_use(report, _PLACES)
        if away := self._judge_absent(report, keys):
            return away
        waits = bool(states) or self._steps.hold(report.ref)
        if waits:
            self._ripe_at.pop(report.ref, None)
        if waits or not self._is_ripe(report.ref):
            return kind, "Unknown", "Pending", wording.who_is_missing(states)
        return self._all_have(report, keys)

    def _judge_absent(self, report: ir.Report, keys: Collection[tuple[ir.Output, Key]]) -> Said | None:
        """Who it takes that is not there at all."""
        kind, pods = ConditionType.PROGRAMMED, self._pods.get(report.ref)
        if pods is not None and report.ref.kind == "Workload" and (said := of_pods(pods, held=self._holds(report))):
            return said
        without = [fleet for fleet in self._fleets(keys) if self.envoys.get(fleet, 0) == 0]
        if without:
            return kind, "False", "NoProxies", wording.without_proxies(without, pods)
        if self.decisions == 0 and any(self.publications.needs_decision(each, report.ref) for each in report.outputs):
            return kind, "False", "NoDecisionService", "It needs a decision service, and none is connected."
        return None

    def _holds(self, report: ir.Report) -> bool:
        """Whether this very version is Programmed."""
        old = self.statuses.get(report.ref)
        return old is not None and (old.generation, old.conditions[-1].status) == (report.generation, "True")

    def _all_have(self, report: ir.Report, keys: Collection[tuple[ir.Output, Key]]) -> Said:
        """What is said once nobody lacks anything; an Edge that has no listener left is in nobody's way, and no use."""
        kind = ConditionType.PROGRAMMED
        if keys or (report.outputs and not self.apart):
            return kind, "True", "Programmed", ""
        missed = [p for p in report.problems if p.condition is ConditionType.RESOLVED_REFS]
        if missed and report.ref.kind == "Edge":
            return kind, "False", missed[0].reason, "It is not in use: no listener can be served."
        return kind, "True", "Programmed", NOTHING

    def _is_ripe(self, ref: ObjectRef) -> bool:
        """Whether the proxies' workers have had the time to take up what the proxies acknowledged."""
        old = self.statuses.get(ref)
        if old is not None and old.conditions[-1].status == "True" and ref not in self._ripe_at:
            return True
        loop = asyncio.get_running_loop()
        if ref not in self._ripe_at:
            self._ripe_at[ref] = loop.time() + self.settle_s
            loop.call_later(self.settle_s, self._judge_all, (ref,))
        if loop.time() < self._ripe_at[ref] and self.settle_s > 0:
            return False
        del self._ripe_at[ref]
        return True
