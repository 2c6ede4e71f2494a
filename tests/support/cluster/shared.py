"""One cluster for all tests of one kind: the first process that needs it starts it, the last one that goes ends it.

In: a folder that all processes of the run share. Out: a running cluster. Called by the fixtures of tests/cluster. The
processes of the run hold a lock, the lease; the kernel gives it back however they end, and the cluster ends then too.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO

from support.cluster.definition import Cluster, read
from support.repository import ROOT

START_SECONDS = 240.0


@contextlib.contextmanager
def shared_cluster(folder: Path, *options: str) -> Generator[Cluster]:
    """The cluster in `folder`, started with these options of `up` unless it runs."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "cluster"
    with (folder / "lease").open("a") as lease, (folder / "users").open("a") as users:
        for file in (lease, users):
            fcntl.flock(file, fcntl.LOCK_SH)
        command(state, "up", "--lease", lease.name, *options)
        cluster = read(state)
        assert cluster is not None
        yield cluster
        if is_last(users):
            command(state, "down")


def is_last(users: IO[str]) -> bool:
    """Whether no other process uses the cluster. Of two that ask at once one gives up its lock, and the other is it."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def command(state: Path, *arguments: str) -> str:
    """What `make cluster-up` and `make cluster-down` run; fails the test with what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "support.cluster", "--state", str(state), *arguments],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
