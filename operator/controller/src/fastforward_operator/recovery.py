"""A way back after a defect of ours: which object it is that the compiler or an emitter fails on.

In: the objects before the failed step, and its changes. Out: a pipeline over everything but the culprits, and what it
makes of the whole. Called by reconcile, in a thread. It costs as much as a start, and keeps one object from stopping
all others for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fastforward_compiler.problem import ObjectRef

from .kept import Kept
from .pipeline import NewPipeline, Pipeline
from .publication import Emitted

_MAX_TRIALS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Where to go on from."""

    pipeline: Pipeline
    emitted: Emitted
    """Everything, not a step."""
    objects: Kept
    culprits: tuple[ObjectRef, ...]


@dataclass(slots=True)
class _Search:
    new_pipeline: NewPipeline
    fetched: Mapping[str, bytes]
    now: datetime
    objects: Kept
    culprits: list[ObjectRef] = field(default_factory=list)
    trials: int = 0

    def settle(self, changes: Kept) -> None:
        """Takes over the changes that do no harm, by halves."""
        candidate = Kept(self.objects)
        candidate.merge(changes)
        if self.trials < _MAX_TRIALS and self._works(candidate):
            self.objects = candidate
        elif len(changes) == 1 or self.trials >= _MAX_TRIALS:
            self.culprits += changes
        else:
            refs = list(changes)
            self.settle(changes.some(refs[: len(refs) // 2]))
            self.settle(changes.some(refs[len(refs) // 2 :]))

    def _works(self, objects: Kept) -> bool:
        self.trials += 1
        try:
            self.new_pipeline().apply(objects, self.fetched, 0, self.now)
        except Exception:  # noqa: BLE001 - whatever it is, the search is for what causes it
            return False
        return True


def recover(
    new_pipeline: NewPipeline, objects: Kept, changes: Kept, fetched: Mapping[str, bytes], now: datetime
) -> Recovered:
    """Finds the culprits among the changes; raises when the objects before them fail as well."""
    search = _Search(new_pipeline, fetched, now, Kept(objects))
    search.settle(changes)
    pipeline = new_pipeline()
    emitted = pipeline.apply(search.objects, fetched, 0, now)
    return Recovered(pipeline=pipeline, emitted=emitted, objects=search.objects, culprits=tuple(search.culprits))
