"""Processes as tests see them: whether they run, and what listens where. Called by tests that start real programs."""

import itertools
import os
import random
import socket
from pathlib import Path

# Below the ports that the kernel gives to outgoing connections and to those who ask for any: none of these is taken
# between being chosen and being listened on. Processes begin at different places, so that they don't meet.
_FIRST, _LAST = 12_000, 29_999
_begin = random.SystemRandom().randrange(_FIRST, _LAST)
_ports = itertools.cycle([*range(_begin, _LAST), *range(_FIRST, _begin)])


def is_running(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_ports(count: int) -> list[int]:
    """Ports in a row that nobody listens on, and that this process has not been given before."""
    while True:
        ports = list(itertools.islice(_ports, count))
        if ports[-1] - ports[0] == count - 1 and all(map(_is_free, ports)):
            return ports


def free_port() -> int:
    """One such port."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
