"""Keeps a cluster running: one process that starts the components in order and starts again what ends.

In: the folder of a cluster. Out: running components, a log of each in `log/`. Started by `up`, in namespaces of its own
when the cluster has a node: there it is process 1, so that everything ends with it. It ends by SIGTERM, or when nobody
holds the lease any more; while it runs it holds the lock of the cluster's definition.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from support.cluster import cgroups, node, outage
from support.cluster.component import Component
from support.cluster.components import components
from support.cluster.definition import FILE, Cluster, read

TICK_SECONDS = 0.05
RESTART_SECONDS = 1.0
# A component that ends as often before it was ever ready will not get better.
MAX_FALSE_STARTS = 3
# The kernel kills a component when its supervisor is killed.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class Supervisor:
    """Single-threaded: signals are blocked and asked for, so nothing happens between two lines."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._waiting = list(components(cluster))
        self._gate: Component | None = None
        self._running: dict[int, Component] = {}
        self._again: list[tuple[float, Component]] = []
        self._false_starts = 0
        self._away: set[str] = set()

    def run(self) -> None:
        """Returns when the cluster has ended."""
        while not self._must_end() and self._false_starts < MAX_FALSE_STARTS:
            self._reap()
            self._take_away()
            self._start_again()
            self._start_next()
        self._stop()

    def _must_end(self) -> bool:
        """Waits one tick; tells whether somebody wants the end."""
        caught = signal.sigtimedwait(ENDING, TICK_SECONDS)
        return caught is not None or (self._cluster.lease is not None and is_free(self._cluster.lease))

    def _start_next(self) -> None:
        if self._gate is not None:
            if self._gate.ready is None or not self._gate.ready():
                return
            say(f"{self._gate.name} is ready")
            self._gate, self._false_starts = None, 0
        while self._waiting and self._gate is None:
            following = self._waiting.pop(0)
            self._start(following)
            self._gate = following if following.ready else None

    def _start(self, component: Component) -> None:
        log = str(self._cluster.log(component.name))
        actions = (
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        )
        command = (*DIES_WITH_US, *component.command)
        environment = {**os.environ, **component.environment}
        pid = os.posix_spawnp(command[0], command, environment, file_actions=actions, setsigmask=(), setpgroup=0)
        self._running[pid] = component
        say(f"{component.name} started")

    def _reap(self) -> None:
        """Collects what ended: components, and as process 1 also what containers leave behind."""
        while (pid := ended_child()) is not None:
            component = self._running.pop(pid, None)
            if component is not None:
                say(f"{component.name} ended, and is started again: {last_line(self._cluster.log(component.name))}")
                self._false_starts += component is self._gate
                self._again.append((time.monotonic() + RESTART_SECONDS, component))

    def _take_away(self) -> None:
        """Stops or freezes what a test wants to be away, and brings back what it wants back."""
        asked = outage.asked(self._cluster.state)
        for pid, component in self._running.items():
            if component.name in asked.keys() - self._away:
                os.kill(pid, asked[component.name])
                say(f"{component.name} is away")
                self._away.add(component.name)
                outage.tell(self._cluster.state, component.name, away=True)
            if component.name in self._away - asked.keys():
                os.kill(pid, signal.SIGCONT)
                self._away.remove(component.name)
                outage.tell(self._cluster.state, component.name, away=False)

    def _start_again(self) -> None:
        asked, now = outage.asked(self._cluster.state), time.monotonic()
        due = [each for each in self._again if each[0] <= now and each[1].name not in asked]
        self._again = [each for each in self._again if each not in due]
        for _, component in due:
            self._start(component)

    def _stop(self) -> None:
        """At once: whatever they would save on the way out goes with the cluster."""
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        while has_children():
            os.waitpid(-1, 0)
        if not self._cluster.light:
            node.leave()
            cgroups.remove(self._cluster.mark)


def has_children() -> bool:
    """Whether a child is left, even one that has ended."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def ended_child() -> int | None:
    """The process id of a child that has ended, collected."""
    try:
        pid, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return pid or None


def is_free(lease: Path) -> bool:
    """Whether nobody holds the lease; once nobody does, it is kept, so that nobody can any more."""
    descriptor = os.open(lease, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def last_line(log: Path) -> str:
    """What a component said last."""
    return log.read_text(errors="replace").rstrip().rpartition("\n")[2]


def say(text: str) -> None:
    """One line in the supervisor's own log."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def main(state: Path) -> None:
    """The whole life of one cluster."""
    lock = os.open(state / FILE, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    cluster = read(state)
    assert cluster is not None
    os.chdir(state)
    if not cluster.light:
        node.prepare(cluster)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    Supervisor(cluster).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
