"""What went through a gateway lately, by the lines of its access log.

In: lines, the time. Out: one row a Route, tenant, Upstream or reason, with rates and latencies. Called by top. Pure:
the clock is an argument. Lines are counted by second and forgotten, so that memory grows with what is told apart, and
not with the traffic; and what is told apart is bounded, for clients and upstreams may have a say in it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .groupby import GroupBy

NOBODY = {
    GroupBy.ROUTE: "(no route)",
    GroupBy.TENANT: "(no tenant)",
    GroupBy.UPSTREAM: "(none chosen)",
    GroupBy.REASON: "(not refused)",
}
"""Names of those lines that do not say it."""
_FIELD = {GroupBy.REASON: "refusal"}
_SWITCHED = 101
"""Switching Protocols: such a line says how long a connection was open, which is no latency."""
_SHARES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
MOST_NAMES = 2_000
"""Names that are told apart in one second; all others are `(others)`."""
OTHERS = "(others)"
_MOST_NAME = 200
"""Characters."""


@dataclass(frozen=True, slots=True)
class Line:
    """One request that has ended."""

    ended_at: float
    """Unix time."""
    took_ms: int
    status: int
    """0 when there was no answer: the client had left."""
    refusal: str
    fields: Mapping[str, Any]

    def name(self, by: GroupBy) -> str:
        """What it counts for."""
        return _shown(self.fields.get(_FIELD.get(by, by))) or NOBODY[by]


def read_line(text: str | bytes) -> Line | None:
    """None for what is no line of an access log: Envoy's own words are in the same stream in pods."""
    if text[:1] not in ("{", b"{"):
        return None
    try:
        found = json.loads(text)
        began = datetime.fromisoformat(found["time"]).timestamp()
        took = int(found["durationMs"] or 0)
        return Line(began + took / 1000, took, int(found["status"] or 0), _shown(found["refusal"]), found)
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None


def _shown(value: object) -> str:
    """What may be printed on a terminal."""
    text = str(value or "")[:_MOST_NAME]
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


@dataclass(slots=True)
class Cell:
    """Requests of one name."""

    requests: int = 0
    latencies: Counter[int] = field(default_factory=Counter)
    """Requests by milliseconds."""
    classes: Counter[int] = field(default_factory=Counter)
    """Requests by the first digit of their status."""
    refusals: Counter[str] = field(default_factory=Counter)

    def add(self, line: Line) -> None:
        """Count one."""
        self.requests += 1
        self.classes[line.status // 100] += 1
        if line.status != _SWITCHED:
            self.latencies[line.took_ms] += 1
        if line.refusal:
            known = line.refusal in self.refusals or len(self.refusals) < MOST_NAMES
            self.refusals[line.refusal if known else OTHERS] += 1

    def merge(self, other: Cell) -> None:
        """Count what another one has counted."""
        self.requests += other.requests
        self.latencies.update(other.latencies)
        self.classes.update(other.classes)
        self.refusals.update(other.refusals)


class Window:
    """The last seconds."""

    def __init__(self, by: GroupBy, seconds: int) -> None:
        self.by, self.seconds = by, seconds
        self._counted: dict[int, dict[str, Cell]] = {}

    def add(self, line: Line, at: float) -> None:
        """Count a line for a moment: when the request ended, or when we heard of it."""
        cells = self._counted.setdefault(int(at), {})
        name = line.name(self.by)
        if name not in cells and len(cells) >= MOST_NAMES:
            name = OTHERS
        cells.setdefault(name, Cell()).add(line)

    def summary(self, now: float) -> dict[str, Any]:
        """Everything as plain values, busiest first; what is older than the window is forgotten."""
        last = int(now)
        for second in [each for each in self._counted if each <= last - self.seconds]:
            del self._counted[second]
        cells: dict[str, Cell] = {}
        whole = Cell()
        for counted in self._counted.values():
            for name, cell in counted.items():
                cells.setdefault(name, Cell()).merge(cell)
                whole.merge(cell)
        rows = [self._row(name, cell) for name, cell in cells.items()]
        rows.sort(key=lambda row: (-row["requests"], row["name"]))
        return {"by": self.by, "windowSeconds": self.seconds, "all": self._row("all", whole), "rows": rows}

    def _row(self, name: str, cell: Cell) -> dict[str, Any]:
        refused = cell.refusals.total()
        return {
            "name": name,
            "requests": cell.requests,
            "requestsPerSecond": self._rate(cell.requests),
            "latencyMs": dict(percentiles(cell.latencies)),
            "clientErrorsPerSecond": self._rate(cell.classes[4]),
            "serverErrorsPerSecond": self._rate(cell.classes[5]),
            "refusedPerSecond": self._rate(refused),
            "refusals": dict(cell.refusals.most_common()),
        }

    def _rate(self, count: int) -> float:
        return round(count / self.seconds, 3)


def percentiles(latencies: Counter[int]) -> Iterator[tuple[str, int | None]]:
    """The latencies that 50, 95 and 99 percent of all do not exceed (nearest rank); None when there are none."""
    ordered, total = sorted(latencies.items()), latencies.total()
    for name, share in _SHARES:
        rank, seen = max(1, math.ceil(share * total)), 0
        for milliseconds, count in ordered:
            seen += count
            if seen >= rank:
                yield name, milliseconds
                break
        else:
            yield name, None
