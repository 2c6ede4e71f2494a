"""One cluster for all tests of a run: the first process that needs it starts it, it ends when the last has gone.

In: a folder that all processes of the run share. Out: a running cluster. Called by the fixtures of tests/cluster. The
processes of the run hold a lock, the lease; the kernel gives it back however they end, so nothing is left running.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from support.cluster.definition import Cluster, read
from support.repository import ROOT

START_SECONDS = 240.0


@contextlib.contextmanager
def shared_cluster(folder: Path, *options: str) -> Generator[Cluster]:
    """The cluster in `folder`, started with these options of `up` unless it runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lease").open("a") as lease:
        fcntl.flock(lease, fcntl.LOCK_SH)
        state = folder / "cluster"
        command = ["--state", str(state), "up", "--lease", lease.name, *options]
        done = subprocess.run(
            [sys.executable, "-m", "support.cluster", *command],
            cwd=ROOT / "tests",
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        if done.returncode != 0:
            pytest.fail(f"{done.stdout}\n{done.stderr}")
        cluster = read(state)
        assert cluster is not None
        yield cluster
