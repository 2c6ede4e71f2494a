"""What a benchmark is, as values: its goals, fixed before anything is measured, and what one run of it found.

Made by the benchmarks; run by command; read by page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A figure to reach."""

    what: str
    bound: float
    unit: str
    least: bool = False
    """The figure must be at least `bound`; otherwise at most."""
    why: str = ""
    """What is known to keep it from being reached, and what was tried. Told only while it is not."""

    def holds(self, figure: float) -> bool:
        """Whether a figure reaches it."""
        return figure >= self.bound if self.least else figure <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is measured; every benchmark says which of these it heeds."""

    routes: tuple[int, ...] = (10_000,)
    changes: int = 1000
    """A kind of change, a size."""
    seconds: float = 5.0
    """Of load, a run."""
    rounds: int = 5
    """Of interleaved runs: each round runs every subject once, the next one in the opposite order."""
    against: tuple[str, ...] = ()
    """Subjects to measure; all when empty."""

    def wants(self, subject: str) -> bool:
        """Whether a subject is to be measured."""
        return not self.against or subject in self.against


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows for people; numbers are shown as they are."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a chart: a bar to `value`, and a line on to `tail` where there is one."""

    label: str
    value: float
    tail: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture of bars."""

    name: str
    """Of the file, without its ending."""
    title: str
    unit: str
    bars: Sequence[Bar]
    goal: float | None = None
    """Drawn as a dashed line."""
    value: str = ""
    """What `value` and `tail` of the bars are: "p50" and "p99"."""
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run found."""

    figures: Mapping[str, float]
    """By name of the goal; a goal that was not measured this time has none."""
    tables: Sequence[Table]
    charts: Sequence[Chart]
    data: Mapping[str, Any]
    """Everything that was measured, for programs: percentiles of all samples, versions of peers."""


Tell = Callable[[str], None]
"""Progress, for whoever waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A program of its own."""

    name: str
    title: str
    about: str
    """Markdown: what is measured and how, so that a reader can judge it."""
    goals: Mapping[str, Goal]
    measure: Callable[[Options, Tell], Outcome]
    full: Options
    smoke: Options
    """As small as shows that the machinery works."""
    apart: bool = False
    """Taken by its own name alone, not with all others: for want of programs that take long to build."""
    of_clusters: bool = False
    """Whether even a small run needs an API server: then the tests of clusters try it."""
