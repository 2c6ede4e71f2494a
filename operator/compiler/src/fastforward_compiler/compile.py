"""The compiler: changed objects in, what they change in the Snapshot out.

In: resources, invalid documents and deletions by reference; fetched key sets by URL; the time. Out: Delta. Called by
the operator for each batch, by the CLI and by tests. Why it exists: it alone holds state, and all of it can be made
again from the objects: any way to the same objects ends in the same Snapshot.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import fastforward_crds as crds

from . import ir
from .cells import Cell, Cells, Gift, Key
from .packed import PackedSource
from .problem import ObjectRef, Problem
from .rules import NOUNS, ORDER, PATHS, ROOTS, TABLES, WANTS, Noun
from .timetable import Timetable
from .translate import report, schedule, table, validity, world
from .trial import Trial

_CLAIMS_OF_PORTS = (world.PORT_CLAIMS, world.GATEWAY_PORT_CLAIMS)
_NOUN_OF = {noun.rule: noun for noun in NOUNS}
_LARGE_BATCH = 1000
_NO_GIFTS: frozenset[Gift] = frozenset()


class Judgement(NamedTuple):
    """What would be said of an object."""

    problems: tuple[Problem, ...]
    before: tuple[Problem, ...]
    """What is said of the version that is there."""
    complete: bool = True
    """False when it concerns so many others that not all were looked at."""


class Compiler:
    """Compiles step by step. An object that turns invalid keeps its last good version, and its report says so."""

    def __init__(self, *, shared_ports: bool = True, pods: str = "") -> None:
        """Where each Edge has proxies of its own (`shared_ports=False`), several may have the same port. `pods` is the
        namespace in which pods run; empty where none do.
        """
        self._shared_ports = shared_ports
        self._cells = Cells(ORDER, WANTS)
        if pods:
            self._cells.put(world.PODS_IN, value=pods)
        self._gifts: dict[ObjectRef, frozenset[Gift]] = {}
        self._timetable = Timetable()

    def apply(
        self,
        changes: Mapping[ObjectRef, crds.Resource | crds.Packed | crds.Invalid | None],
        fetched: Mapping[str, bytes | None] | None = None,
        now: datetime | None = None,
    ) -> ir.Delta:
        """Take in changed objects and fetched documents by URL (None: gone); tell what that changes.

        What is packed is kept as it is, so that whoever else keeps it shares it.

        It is `now`, or as late as before: when rules begin and end to hold, that alone is a step.
        """
        for name, hours in self._timetable.pass_to(now) if now is not None else ():
            self._cells.put(world.HOURS, name, value=hours)
        if len(changes) < _LARGE_BATCH:
            return self._apply(changes, fetched or {})
        with _without_collector():
            return self._apply(changes, fetched or {})

    def _apply(
        self,
        changes: Mapping[ObjectRef, crds.Resource | crds.Packed | crds.Invalid | None],
        fetched: Mapping[str, bytes | None],
    ) -> ir.Delta:
        for ref, value in changes.items():
            packed = value if isinstance(value, crds.Packed) else None
            checked = validity.check_resource(value.unpack() if isinstance(value, crds.Packed) else value)
            if isinstance(checked, crds.Invalid):
                self._take_in_invalid(ref, checked)
            else:
                self._take_in(ref, checked, packed)
        for url, body in fetched.items():
            self._cells.put(world.FETCHED, url, value=body)
        steps = self._cells.settle()
        counted, self._cells.counted = self._cells.counted, 0
        return _delta(steps, counted, self._timetable.due)

    def judge(self, ref: ObjectRef, value: crds.Resource | crds.Invalid, now: datetime | None = None) -> Judgement:
        """What would be wrong with an object, were it in place of the one with its reference. Changes nothing here."""
        there = self._cells.peek((report.REPORT, *_sortable(ref)))
        before = there.problems if isinstance(there, ir.Report) else ()
        checked = validity.check_resource(value)
        if not isinstance(checked, crds.Resource):
            return Judgement(tuple(report.invalid_problems(ref, checked)) if checked is not None else (), before)
        source, name, goal = world.INPUTS[ref.kind], f"{ref.namespace}/{ref.name}", (report.REPORT, *_sortable(ref))
        trial = Trial(self._cells, goal, PATHS.get(ref.kind, ORDER))
        trial.put(world.INVALID, *_sortable(ref), value=None)
        trial.put(source, name, value=checked)
        if isinstance(checked, crds.Route):
            trial.put(world.HOURS, name, value=schedule.hours_of(checked, now or self._timetable.now))
        trial.give(self._gifts.get(ref, _NO_GIFTS), world.gifts_of(checked))
        for root in ROOTS.get(ref.kind, ()):
            trial.want((root, name))
        trial.want(goal)
        trial.settle()
        found = trial.read(report.REPORT, *_sortable(ref))
        return Judgement(found.problems if found is not None else (), before, trial.complete)

    def snapshot(self) -> ir.Snapshot:
        """Everything compiled: a scan."""
        made: dict[str, tuple[Any, ...]] = {}
        for noun in NOUNS:
            made[noun.field] = tuple(sorted((*made.get(noun.field, ()), *self._all(noun)), key=noun.name))
        return ir.Snapshot(**made)

    def reports(self) -> dict[ObjectRef, ir.Report]:
        """Every report, by object: a scan."""
        made = [one for one in map(_told, self._cells.all(report.REPORT)) if one is not None]
        return {one.ref: one for one in sorted(made, key=lambda one: _sortable(one.ref))}

    def _take_in(self, ref: ObjectRef, value: crds.Resource | None, packed: crds.Packed | None = None) -> None:
        source, name = world.INPUTS.get(ref.kind), f"{ref.namespace}/{ref.name}"
        if self._cells.peek((world.INVALID, *_sortable(ref))) is not None:
            self._cells.put(world.INVALID, *_sortable(ref), value=None)
        if source is not None:
            kept = packed if isinstance(source, PackedSource) else None
            self._cells.put(source, name, value=value, kept=kept)
            if source is world.ROUTES:
                hours = self._timetable.note(name, value if isinstance(value, crds.Route) else None)
                self._cells.put(world.HOURS, name, value=hours)
            self._give(ref, world.gifts_of(value) if value is not None else _NO_GIFTS)
        if value is not None:
            self._want(ref, name)

    def _take_in_invalid(self, ref: ObjectRef, invalid: crds.Invalid) -> None:
        source, name = world.INPUTS.get(ref.kind), f"{ref.namespace}/{ref.name}"
        self._cells.put(world.INVALID, *_sortable(ref), value=invalid)
        self._cells.want((report.REPORT, *_sortable(ref)))
        if source is not None and self._cells.peek((source, name)) is None:
            gifts = world.gifts_of_invalid(invalid, name)
            self._give(ref, gifts)
            if gifts:
                self._want(ref, name)

    def _give(self, ref: ObjectRef, gifts: frozenset[Gift]) -> None:
        if not self._shared_ports:
            gifts = frozenset(gift for gift in gifts if gift[0][0] not in _CLAIMS_OF_PORTS)
        held = self._gifts.pop(ref, _NO_GIFTS)
        if gifts:
            self._gifts[ref] = gifts
        if gifts != held:
            self._cells.give(held, gifts)

    def _want(self, ref: ObjectRef, name: str) -> None:
        self._cells.want((report.REPORT, *_sortable(ref)))
        for root in ROOTS.get(ref.kind, ()):
            self._cells.want((root, name))

    def _all(self, noun: Noun) -> tuple[Any, ...]:
        values = (noun.value(made) for made in self._cells.all(noun.rule) if made is not None)
        return tuple(value for value in values if value is not None)


class _Tally:
    """What one step changed of one field of the Snapshot, by name."""

    __slots__ = ("removed", "upserts")

    def __init__(self) -> None:
        self.upserts: dict[str, Any] = {}
        self.removed: set[str] = set()

    def compare(self, noun: Noun, old: object, new: object) -> None:
        was = None if old is None else noun.value(old)
        now = None if new is None else noun.value(new)
        if was is now or was == now:
            return
        if now is not None:
            self.upserts[noun.name(now)] = now
        if was is not None:
            self.removed.add(noun.name(was))

    def changes(self) -> ir.Changes[Any]:
        return ir.Changes(
            upserts=tuple(value for _, value in sorted(self.upserts.items())),
            removed=tuple(sorted(self.removed - self.upserts.keys())),
        )


@contextmanager
def _without_collector() -> Generator[None]:
    """A large batch leaves little garbage, and going through all that stays, again and again, takes half as long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled and not gc.get_freeze_count():
            # Makes all of it old at once; without that the next allocation would go through it after all.
            gc.freeze()
            gc.unfreeze()
        if was_enabled:
            gc.enable()


def _delta(steps: Mapping[Cell, Any], counted: int, due: datetime | None) -> ir.Delta:
    tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
    reports: dict[ObjectRef, ir.Report | None] = {}
    for cell, old in steps.items():
        rule = cell.key[0]
        noun = _NOUN_OF.get(rule)
        if noun is not None:
            tallies[noun.field].compare(noun, old, cell.value)
        elif rule is report.REPORT and _told(cell.value) != _told(old):
            told = _told(cell.value)
            reports[_ref(cell.key) if told is None else told.ref] = told
    _upsert_touched(steps, tallies)
    changes: dict[str, Any] = {field: tally.changes() for field, tally in tallies.items()}
    return ir.Delta(**changes, reports=reports, translated=counted, due=due)


def _told(made: ir.Report | None) -> ir.Report | None:
    return None if made is None or made.silent else made


def _upsert_touched(steps: Mapping[Cell, Any], tallies: defaultdict[str, _Tally]) -> None:
    """A table is emitted again also when its scope changed, an Auth or a Limit that it names, or whom it believes.

    A scope is emitted again also when settings of its Edge changed that the scope does not repeat.
    """
    auths, limits, scopes, tables = (tallies[field].upserts for field in ("auths", "limits", "scopes", "tables"))
    for cell, old in steps.items():
        if cell.key[0] is table.SCOPE and _settings_changed(old, cell.value):
            scopes[cell.value.scope.name] = cell.value.scope
    if not (auths or limits or scopes):
        return
    for cell, old in steps.items():
        made = cell.value if cell.key[0] in TABLES else None
        if made is None or made.table is None or made.table.name in tables:
            continue
        if (
            made.table.scope in scopes
            or _believes_others(old, made)
            or any(entry.auth in auths or not limits.keys().isdisjoint(entry.limits) for entry in made.table.entries)
        ):
            tables[made.table.name] = made.table


def _believes_others(old: object, new: object) -> bool:
    both = isinstance(old, table.TableTranslation) and isinstance(new, table.TableTranslation)
    return both and old.believed != new.believed


def _settings_changed(old: table.ScopeTranslation | None, new: table.ScopeTranslation | None) -> bool:
    return old is not None and new is not None and new.scope is not None and old.settings != new.settings


def _sortable(ref: ObjectRef) -> tuple[str, str, str]:
    return (ref.kind, ref.namespace, ref.name)


def _ref(key: Key) -> ObjectRef:
    return ObjectRef(kind=key[1], namespace=key[2], name=key[3])


def compile_world(
    objects: Iterable[crds.Resource | crds.Invalid],
    fetched: Mapping[str, bytes] | None = None,
    now: datetime | None = None,
) -> tuple[ir.Snapshot, tuple[Problem, ...]]:
    """Everything at once, from nothing; of two objects with the same reference the last counts."""
    compiler = Compiler()
    delta = compiler.apply({object_ref(value): value for value in objects}, fetched, now)
    problems = (found for one in delta.reports.values() if one is not None for found in one.problems)
    return compiler.snapshot(), tuple(problems)


def object_ref(value: crds.Resource | crds.Invalid) -> ObjectRef:
    """Which object a resource or an invalid document is."""
    if isinstance(value, crds.Invalid):
        return ObjectRef(kind=value.kind, namespace=value.namespace, name=value.name)
    return ObjectRef(kind=value.kind, namespace=value.metadata.namespace, name=value.metadata.name)
