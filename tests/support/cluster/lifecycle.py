"""`up` and `down`: from nothing to a cluster that answers, and back to nothing.

In: what the caller wants. Out: a `Cluster` that can be used; progress on stdout, one line a step. Called by the command
line and by the fixtures of tests/cluster. Both may be called any number of times, by several processes at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

from support.cluster import apiserver
from support.cluster.certificates import make_certificates
from support.cluster.definition import FILE, Cluster, read, write
from support.cluster.network import free_network
from support.processes import free_ports
from support.repository import ROOT

API_SECONDS = 90.0
END_SECONDS = 60.0
TICK_SECONDS = 0.05
SUPERVISOR = "support.cluster.supervisor"


class ClusterError(Exception):
    """The cluster can't be had; the text is a sentence for people."""


class Progress:
    """Tells what has become true, and when."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """One line."""
        print(f"{time.monotonic() - self._started:6.1f} s  {text}", flush=True)


def up(state: Path, *, light: bool, lease: Path | None = None, fsync: bool = False) -> Cluster:
    """Starts the cluster unless it runs; returns once it can be used. Raises ClusterError."""
    progress = Progress()
    with alone(state):
        there = read(state)
        if there is not None and is_running(there):
            if there.light != light:
                raise ClusterError(f"Another kind of cluster runs in {state}: end it first with make cluster-down.")
            progress.say("The cluster is running.")
            return there
        clear(state)
        cluster = define(state, light=light, lease=lease, fsync=fsync)
        start_supervisor(cluster)
        try:
            wait_until_usable(cluster, progress)
        except ClusterError:
            end(cluster)
            raise
        return cluster


def down(state: Path) -> bool:
    """Ends the cluster and removes all of it; returns whether there was one."""
    with alone(state):
        cluster = read(state)
        if cluster is None:
            return False
        end(cluster)
        clear(state)
        return True


@contextlib.contextmanager
def alone(state: Path) -> Generator[None]:
    """Nobody else starts or ends a cluster in this place meanwhile."""
    state.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def define(state: Path, *, light: bool, lease: Path | None, fsync: bool) -> Cluster:
    """The cluster as it will be, in its folder, with its certificates."""
    port = free_ports(1)[0] if light else 6443
    cluster = Cluster(state=state, light=light, network=free_network(), api_port=port, fsync=fsync, lease=lease)
    state.mkdir(mode=0o700)
    (state / "log").mkdir()
    write(cluster)
    make_certificates(cluster)
    return cluster


def start_supervisor(cluster: Cluster) -> None:
    """Its own session, so that it outlives the terminal."""
    with cluster.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            supervisor_command(cluster),
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (cluster.state / "pid").write_text(str(process.pid))


def supervisor_command(cluster: Cluster) -> list[str]:
    """The process that everything else is a child of."""
    return [sys.executable, "-m", SUPERVISOR, str(cluster.state)]


def wait_until_usable(cluster: Cluster, progress: Progress) -> None:
    """Waits for one thing after the other, and says so."""
    wait(cluster, "API server", API_SECONDS, lambda: apiserver.is_ready(cluster))
    progress.say(f"The API server is ready at {cluster.url}")


def wait(cluster: Cluster, what: str, seconds: float, holds: Callable[[], bool]) -> None:
    """Raises ClusterError when it takes longer or the supervisor ends."""
    deadline = time.monotonic() + seconds
    while not holds():
        if not is_alive(cluster):
            told = cluster.log("supervisor").read_text(errors="replace").rstrip()
            raise ClusterError(f"{told}\nThe cluster ended while it started: see {cluster.state}/log.")
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not ready within {seconds:.0f} s: see {cluster.state}/log.")
        time.sleep(TICK_SECONDS)


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


def supervisor_pid(cluster: Cluster) -> int | None:
    """The process that `start_supervisor` started, if it is still that one."""
    try:
        pid = int((cluster.state / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if str(cluster.state).encode() in command else None


def is_alive(cluster: Cluster) -> bool:
    """Whether the supervisor has been started and has not ended."""
    pid = supervisor_pid(cluster)
    return pid is not None and not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")


def end(cluster: Cluster) -> None:
    """Ends the supervisor, and with it everything; raises ClusterError when it will not."""
    pid = supervisor_pid(cluster)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while is_alive(cluster):
        if time.monotonic() > deadline:
            raise ClusterError(f"Process {pid} does not end: end it, and run make cluster-down again.")
        time.sleep(TICK_SECONDS)


def clear(state: Path) -> None:
    """Removes the folder of a cluster that has ended; raises ClusterError for a folder that is something else."""
    if not state.exists():
        return
    if not (state / FILE).is_file() and any(state.iterdir()):
        raise ClusterError(f"{state} is not empty and no cluster's folder: name another by FASTFORWARD_CLUSTER.")
    shutil.rmtree(state)
