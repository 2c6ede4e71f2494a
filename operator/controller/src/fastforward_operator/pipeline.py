"""Compiler and emitters in a row: the pure part of a step.

In: changed objects, documents fetched by URL. Out: what changed, serialised. Called by reconcile, in the event loop or
in a thread, one step at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import fastforward_crds as crds
from fastforward_compiler import ir
from fastforward_compiler.compile import Compiler
from fastforward_compiler.emit.decision import DecisionDelta, DecisionEmitter
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyDelta, EnvoyEmitter
from fastforward_compiler.problem import ObjectRef

from .publication import Emitted, encode
from .retirement import Retirement
from .telemetry import Metrics

Change = crds.Resource | crds.Invalid | None


class Compiles(Protocol):
    """The compiler."""

    def apply(self, changes: Mapping[ObjectRef, Change], fetched: Mapping[str, bytes] = ...) -> ir.Delta:
        """One step."""
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


@dataclass(slots=True, kw_only=True)
class Pipeline:
    """Compiler and emitters that went through the same steps."""

    compiler: Compiles
    envoy: EmitsEnvoy
    decision: EmitsDecision
    retirement: Retirement
    metrics: Metrics

    def apply(self, changes: Mapping[ObjectRef, Change], fetched: Mapping[str, bytes], revision: int) -> Emitted:
        """One step, to be published as `revision`."""
        with self.metrics.stage("compile"):
            delta = self.compiler.apply(changes, fetched)
        with self.metrics.stage("emit"):
            envoy = self.envoy.apply(self.retirement.hold(delta, revision, monotonic()))
            return encode(delta, envoy, self.decision.apply(delta))

    def retire(self, settled: Callable[[int], bool]) -> Emitted | None:
        """The step that takes away what was kept back, if anything is due."""
        delta = self.retirement.due(monotonic(), settled)
        if delta is None:
            return None
        nothing = DecisionDelta(upserts=(), removed=(), outputs={})
        return encode(ir.Delta(), self.envoy.apply(delta), nothing)


NewPipeline = Callable[[], Pipeline]


def new_pipeline(settings: EmitSettings, grace_s: float, metrics: Metrics) -> NewPipeline:
    """A maker of pipelines that have seen nothing yet."""
    return lambda: Pipeline(
        compiler=Compiler(),
        envoy=EnvoyEmitter(settings),
        decision=DecisionEmitter(),
        retirement=Retirement(grace_s),
        metrics=metrics,
    )
