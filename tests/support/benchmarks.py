"""Small runs of benchmarks, as commands of their own: what they leave open is theirs. Called by their tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from perf.harness.benchmark import Benchmark

from .repository import ROOT

_LIMIT_S = 240


def try_small(chosen: Benchmark, *options: str) -> None:
    """Run it as small as it can be; what it tells must be whole. What it finds on a busy machine says nothing."""
    command = [sys.executable, "-m", "perf", chosen.name, "--smoke", "--json", *options]
    done = subprocess.run(
        command, cwd=ROOT / "tests", env=dict(os.environ), capture_output=True, text=True, check=False, timeout=_LIMIT_S
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert chosen.name in done.stderr, "whoever waits is told nothing"
    found: dict[str, Any] = json.loads(done.stdout)
    assert set(found["figures"]) <= set(chosen.goals)
    assert found["tables"]
    assert all(len(row) == len(table["columns"]) for table in found["tables"] for row in table["rows"])
