"""Compiler and emitters in a row: the pure part of a step.

In: changed objects, documents fetched by URL, the time. Out: what changed, serialised. Called by reconcile, in the
event loop or in a thread, one step at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Protocol

import fastforward_crds as crds
from fastforward_compiler import Judgement, ir
from fastforward_compiler.compile import Compiler
from fastforward_compiler.emit.decision import DecisionDelta, DecisionEmitter
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyDelta, EnvoyEmitter
from fastforward_compiler.fleets import Fleets
from fastforward_compiler.problem import ObjectRef

from .kept import Change, Kept
from .publication import Emitted, FleetStep, encode
from .retirement import Retirement
from .telemetry import Metrics
from .xds.store import SHARED


class Compiles(Protocol):
    """The compiler."""

    def apply(
        self,
        changes: Mapping[ObjectRef, Change | crds.Packed],
        fetched: Mapping[str, bytes | None] = ...,
        now: datetime | None = ...,
    ) -> ir.Delta:
        """One step."""
        ...

    def judge(self, ref: ObjectRef, value: crds.Resource | crds.Invalid, now: datetime | None = ...) -> Judgement:
        """What would be wrong with an object, were it there."""
        ...


class EmitsEnvoy(Protocol):
    """The emitter for proxies."""

    def apply(self, delta: ir.Delta) -> EnvoyDelta:
        """One step."""
        ...


class EmitsDecision(Protocol):
    """The emitter for decision services."""

    def apply(self, delta: ir.Delta) -> DecisionDelta:
        """One step."""
        ...


Split = Callable[[ir.Delta], Mapping[str, ir.Delta]]
"""A step to what it is for each fleet of proxies."""


def unsplit(delta: ir.Delta) -> Mapping[str, ir.Delta]:
    """One fleet, which is told everything."""
    return {SHARED: delta}


@dataclass(slots=True, kw_only=True)
class ProxyEmitter:
    """An emitter for each fleet, and what each fleet is to lose last."""

    split: Split
    new_emitter: Callable[[], EmitsEnvoy]
    grace_s: float
    _emitters: dict[str, EmitsEnvoy] = field(default_factory=dict)
    _retirements: dict[str, Retirement] = field(default_factory=dict)

    def apply(self, delta: ir.Delta, revision: int, now: float) -> dict[str, FleetStep]:
        """One step, to be published as `revision`."""
        return {fleet: self._step(fleet, part, revision, now) for fleet, part in self.split(delta).items()}

    def due(self, now: float, settled: Callable[[int], bool]) -> dict[str, FleetStep]:
        """What was kept back and may go."""
        due = {fleet: retirement.due(now, settled) for fleet, retirement in self._retirements.items()}
        return {
            fleet: FleetStep(delta=delta, envoy=self._emitters[fleet].apply(delta))
            for fleet, delta in due.items()
            if delta is not None
        }

    def _step(self, fleet: str, delta: ir.Delta, revision: int, now: float) -> FleetStep:
        if fleet not in self._emitters:
            self._emitters[fleet], self._retirements[fleet] = self.new_emitter(), Retirement(self.grace_s)
        envoy = self._emitters[fleet].apply(self._retirements[fleet].hold(delta, revision, now))
        ends = fleet in delta.edges.removed
        if ends:
            del self._emitters[fleet], self._retirements[fleet]
        return FleetStep(delta=delta, envoy=envoy, ends=ends)


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """Compiler and emitters that went through the same steps."""

    compiler: Compiles
    proxies: ProxyEmitter
    decision: EmitsDecision
    metrics: Metrics

    def apply(
        self, changes: Mapping[ObjectRef, Change], fetched: Mapping[str, bytes | None], revision: int, now: datetime
    ) -> Emitted:
        """One step at a point in time, to be published as `revision`."""
        with self.metrics.stage("compile"):
            # Packed, so that compiler and reconciler keep the same.
            delta = self.compiler.apply(changes.packed if isinstance(changes, Kept) else changes, fetched, now)
        with self.metrics.stage("emit"):
            return encode(delta, self.proxies.apply(delta, revision, monotonic()), self.decision.apply(delta))

    def retire(self, settled: Callable[[int], bool]) -> Emitted | None:
        """The step that takes away what was kept back, if anything is due."""
        fleets = self.proxies.due(monotonic(), settled)
        if not fleets:
            return None
        return encode(ir.Delta(), fleets, DecisionDelta(upserts=(), removed=(), outputs={}))


NewPipeline = Callable[[], Pipeline]


def new_pipeline(
    settings: EmitSettings, grace_s: float, metrics: Metrics, *, apart: bool = False, pods: str = ""
) -> NewPipeline:
    """A maker of pipelines that have seen nothing yet. `apart` tells the proxies of each Edge from all others; `pods`
    is the namespace in which pods run, if any do.
    """
    return lambda: Pipeline(
        compiler=Compiler(shared_ports=not apart, pods=pods),
        proxies=ProxyEmitter(
            split=Fleets().split if apart else unsplit, new_emitter=lambda: EnvoyEmitter(settings), grace_s=grace_s
        ),
        decision=DecisionEmitter(),
        metrics=metrics,
    )
