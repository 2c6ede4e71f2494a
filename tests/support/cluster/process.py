"""The process that a cluster is: started in a session of its own, found again later, ended with all that it started.

In: a cluster whose folder is complete. Called by `up` and `down`. A cluster with a node is two processes: the outer one
waits for the inner one, which is process 1 of the node; when that ends, the kernel ends everything in the node.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

from support import processes
from support.cluster.definition import FILE, Cluster
from support.cluster.node import ENTER
from support.repository import ROOT

SUPERVISOR = "support.cluster.supervisor"


def start(cluster: Cluster) -> None:
    """Returns at once."""
    enter = () if cluster.light else ENTER
    with cluster.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            [*enter, sys.executable, "-m", SUPERVISOR, str(cluster.state)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (cluster.state / "pid").write_text(str(process.pid))


def is_running(cluster: Cluster) -> bool:
    """Whether the supervisor runs: it holds the lock of the definition for as long."""
    descriptor = os.open(cluster.state / FILE, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alive(cluster: Cluster) -> bool:
    """Whether the process has been started and has not ended."""
    return outer_pid(cluster) is not None


def outer_pid(cluster: Cluster) -> int | None:
    """The process that `start` started, if there still is that one."""
    try:
        pid = int((cluster.state / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    # What has ended and is not collected yet has no command, and neither has for a moment what is being started.
    is_it = str(cluster.state).encode() in command.split(b"\0") if command else processes.is_running(pid)
    return pid if is_it else None


def node_pid(cluster: Cluster) -> int | None:
    """Process 1 of the node, as the machine numbers it."""
    outer = outer_pid(cluster)
    if outer is None:
        return None
    try:
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None


def ask_to_end(cluster: Cluster) -> None:
    """The supervisor ends its components and itself, and with it everything in its node."""
    pid = outer_pid(cluster) if cluster.light else node_pid(cluster)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def kill(cluster: Cluster) -> None:
    """Without asking: killing the outer process kills the node."""
    pid = outer_pid(cluster)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
