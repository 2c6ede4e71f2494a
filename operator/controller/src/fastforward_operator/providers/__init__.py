"""Where resources come from. A provider yields Batches; the first one is everything there is.

In: the world outside. Out: `Batch` values. Called by reconcile and, offline, by the CLI. There are two, `file` and
`kubernetes`; whatever comes besides them yields the same values.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import fastforward_crds as crds
from fastforward_compiler.problem import ObjectRef, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where an object is written."""

    path: str
    line: int
    """1 for the first line of the file."""
    index: int = 0
    """Position of its document in the file."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What changed at once. Later Batches win over earlier ones."""

    changes: Mapping[ObjectRef, crds.Resource | crds.Invalid | None] = field(default_factory=dict)
    """None for an object that is gone."""
    sources: Mapping[ObjectRef, Source] = field(default_factory=dict)
    """New positions, also of objects that did not change."""
    documents: Mapping[ObjectRef, tuple[Problem, ...]] = field(default_factory=dict)
    """Documents that are no object, of kind `Document` and named PATH#N; no Problems when that is mended or gone."""
    last_good: Mapping[ObjectRef, crds.Resource] = field(default_factory=dict)
    """In the first Batch: what served before the restart in place of what is Invalid now."""
    world: str = ""
    """Hash of everything that this and all earlier Batches said."""
    seen_at: float = 0.0
    """When the change was noticed, in time of time.monotonic."""

    def __bool__(self) -> bool:
        return bool(self.changes or self.sources or self.documents)


class Provider(Protocol):
    """A source of resources."""

    def watch(self) -> AsyncIterator[Batch]:
        """Everything first, then every change; ends only by cancellation."""
        ...
