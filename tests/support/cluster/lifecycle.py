"""`up` and `down`: from nothing to a cluster that answers, and back to nothing.

In: what the caller wants. Out: a `Cluster` that can be used; progress on stdout, one line a step. Called by the command
line, which is what `make cluster-up` and the fixtures of tests/cluster run. Both may be called any number of times, by
several processes at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Generator
from pathlib import Path

from support.cluster import cgroups, containerd, dns, process
from support.cluster.certificates import make_certificates
from support.cluster.definition import Cluster, read, write
from support.cluster.network import FIRST, Network, choosing, free_network, unlink
from support.cluster.steps import Step, steps
from support.processes import free_port
from support.tools import program

END_SECONDS = 60.0
TICK_SECONDS = 0.1
# A node has its own of these, in which the cluster's folder could not be found again.
NODE_FOLDERS = (Path("/var"), Path("/run"))

NODE_PROGRAMS = ("containerd", "ctr", "runc", "iptables", "conntrack", "ip", "mount", "setpriv", "unshare")


class ClusterError(Exception):
    """The cluster can't be had; the text is a sentence for people."""


def up(state: Path, *, light: bool, lease: Path | None = None, fsync: bool = False) -> Cluster:
    """Starts the cluster unless it runs; returns once it can be used. Raises ClusterError."""
    started = time.monotonic()
    with alone(state):
        there = read(state)
        if there is not None and process.is_running(there):
            if there.light != light:
                raise ClusterError(f"Another kind of cluster runs in {state}: end it first with make cluster-down.")
            print("The cluster is running.")
            return there
        check_programs(light=light)
        if not light:
            check_machine(state)
        remove(state)
        with contextlib.ExitStack() as choice:
            if not light:
                choice.enter_context(choosing())
            cluster = define(state, light=light, lease=lease, fsync=fsync)
            try:
                process.start(cluster)
                for step in steps(cluster):
                    take(cluster, step)
                    choice.close()
                    print(f"{time.monotonic() - started:6.1f} s  {step.says}", flush=True)
            except BaseException:
                end(cluster)
                raise
        return cluster


def down(state: Path) -> bool:
    """Ends the cluster and removes all of it; returns whether there was one."""
    with alone(state):
        there = read(state)
        if there is not None:
            end(there)
        remove(state)
        return there is not None


def running(state: Path) -> Cluster:
    """The cluster that runs there; raises ClusterError when none does."""
    there = read(state)
    if there is None or not process.is_running(there):
        raise ClusterError(f"No cluster runs in {state}: start one with make cluster-up.")
    return there


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


def check_programs(*, light: bool) -> None:
    """Raises ToolError when `make tools` has to run first."""
    for name in ("etcd", "hyperkube") if light else ("etcd", "hyperkube", dns.NAME):
        program(name)


def check_machine(state: Path) -> None:
    """Raises ClusterError when no node can run here."""
    if os.geteuid() != 0:
        raise ClusterError("A node needs root: run make cluster-up as root, or make cluster-up LIGHT=1 without a node.")
    missing = [program for program in NODE_PROGRAMS if shutil.which(program) is None]
    if missing or not containerd.PLUGINS.is_dir():
        raise ClusterError(f"Not installed: {', '.join(missing or ['CNI plugins'])}: run make programs.")
    for folder in NODE_FOLDERS:
        if state.is_relative_to(folder):
            raise ClusterError(f"The cluster's folder can't be below {folder}: name another by FASTFORWARD_CLUSTER.")


def define(state: Path, *, light: bool, lease: Path | None, fsync: bool) -> Cluster:
    """The cluster as it will be: its folder, its certificates, its control group."""
    # Nobody goes to the addresses of a cluster without a node.
    network, port = (Network(FIRST), free_port()) if light else (free_network(), 6443)
    cluster = Cluster(state=state, light=light, network=network, api_port=port, fsync=fsync, lease=lease)
    state.mkdir(mode=0o700)
    (state / "log").mkdir()
    write(cluster)
    make_certificates(cluster)
    if not light:
        cgroups.make(cluster.mark)
    return cluster


def take(cluster: Cluster, step: Step) -> None:
    """Raises ClusterError when it takes longer or the cluster ends."""
    deadline = time.monotonic() + step.seconds
    while not step.holds(cluster):
        told = cluster.log("supervisor").read_text(errors="replace").rstrip()
        if not process.is_alive(cluster):
            raise ClusterError(f"{told}\nThe cluster ended before this was true: {step.says}. See {cluster.state}/log.")
        if time.monotonic() > deadline:
            raise ClusterError(f"{told}\nNot true within {step.seconds:g} s: {step.says}. See {cluster.state}/log.")
        time.sleep(TICK_SECONDS)
    if step.do is not None:
        step.do(cluster)


def end(cluster: Cluster) -> None:
    """Ends every process; the folder stays, with the logs."""
    deadline = time.monotonic() + END_SECONDS
    while process.is_alive(cluster):
        process.ask_to_end(cluster)
        if time.monotonic() > deadline:
            process.kill(cluster)
        time.sleep(TICK_SECONDS)


def remove(state: Path) -> None:
    """Removes what a cluster that has ended left; raises ClusterError for a folder that is something else."""
    if not state.exists():
        return
    there = read(state)
    if there is None and any(state.iterdir()):
        raise ClusterError(f"{state} is not empty and no cluster's folder: name another by FASTFORWARD_CLUSTER.")
    if any(state in Path(line.split()[4]).parents for line in Path("/proc/self/mountinfo").read_text().splitlines()):
        raise ClusterError(f"Something is mounted below {state}: unmount it first.")
    if there is not None and not there.light:
        unlink(there.mark)
        cgroups.remove(there.mark)
    shutil.rmtree(state)
