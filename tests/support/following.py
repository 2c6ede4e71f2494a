"""Two ways to the same end: Deltas that somebody follows, and all objects at once.

Out: what an emitter would have kept; a Compiler that was never told of anything but the end. Used by the compiler's
property tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from fastforward_compiler import Compiler, ir
from fastforward_compiler.problem import ObjectRef

from .worlds import Batch, Object

NOUNS = tuple(field.name for field in fields(ir.Snapshot))


class Follower:
    """Keeps a Snapshot and reports in step by Deltas alone, as emitters do."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {noun: {} for noun in NOUNS}
        self.reports: dict[ObjectRef, ir.Report] = {}

    def follow(self, delta: ir.Delta) -> None:
        for noun in NOUNS:
            changes = getattr(delta, noun)
            for name in changes.removed:
                del self.values[noun][name]
            self.values[noun].update((name_of(noun, value), value) for value in changes.upserts)
        for ref, report in delta.reports.items():
            if report is None:
                del self.reports[ref]
            else:
                self.reports[ref] = report

    def snapshot(self) -> ir.Snapshot:
        return ir.Snapshot(**{noun: tuple(v for _, v in sorted(self.values[noun].items())) for noun in NOUNS})


def name_of(noun: str, value: Any) -> str:  # noqa: ANN401
    return f"{value.namespace}/{value.name}" if noun in ("tenants", "shards") else value.name


def from_nothing(batches: Iterable[Batch]) -> Compiler:
    """All objects at once, as they are in the end; those that turned invalid with their last good version before."""
    good: dict[ObjectRef, Object | None] = {}
    invalid: dict[ObjectRef, Object | None] = {}
    checker = Compiler()
    for batch in batches:
        for ref, value in batch.items():
            invalid.pop(ref, None)
            if is_invalid(checker, ref, value):
                invalid[ref] = value
            else:
                good[ref] = value
    compiler = Compiler()
    compiler.apply({ref: value for ref, value in good.items() if value is not None})
    compiler.apply(invalid)
    return compiler


def is_invalid(compiler: Compiler, ref: ObjectRef, value: Object | None) -> bool:
    """Whether the compiler refuses the object as a whole."""
    if value is None:
        return False
    delta = compiler.apply({ref: value})
    compiler.apply({ref: None})
    report = delta.reports.get(ref)
    return report is not None and any(problem.reason == "Invalid" for problem in report.problems)
