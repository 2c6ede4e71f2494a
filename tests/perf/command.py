"""The command line that the change benchmarks share: which shape, how many routes and changes, whether to keep figures.

In: what measures one shape. Out: a line a shape on the terminal; with --out also JSON and a chart. Called by
change_to_traffic and api_to_traffic.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from perf import report
from perf.change_worlds import SHAPES

_NOTHING: Mapping[str, str] = {}
_GOAL_MS = {"p50": 15.0, "p99": 60.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One shape, measured."""

    shape: str
    routes: int
    start_s: float
    """From the start of the processes to the first answer of the last route."""
    change_ms: dict[str, float]
    pss_mib: dict[str, float]


Measure = Callable[[str, int, int], Coroutine[Any, Any, Result]]
"""(shape, routes, changes) -> figures."""


def run(
    measure: Measure,
    *,
    name: str,
    title: str,
    description: str | None,
    shapes: Collection[str] = tuple(SHAPES),
    about: Mapping[str, str] = _NOTHING,
) -> None:
    """Measure, print, write docs/performance/NAME.{json,svg}; `about` says more of the circumstances."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--shape", choices=[*shapes, "all"], default="all")
    parser.add_argument("--out", action="store_true", help=f"write docs/performance/{name}.json and .svg")
    options = parser.parse_args()
    results = []
    for shape in shapes if options.shape == "all" else [options.shape]:
        result = asyncio.run(measure(shape, options.routes, options.changes))
        print(json.dumps(asdict(result)), flush=True)
        results.append(result)
    if options.out:
        report.write(name, {"goal_ms": _GOAL_MS, **about, "results": [asdict(result) for result in results]})
        bars = [
            report.Bar(label=f"{r.routes:,} routes, {r.shape}", p50=r.change_ms["p50"], p99=r.change_ms["p99"])
            for r in results
        ]
        report.write_chart(name, title, bars, _GOAL_MS["p99"])
