"""Control groups of a node's pods: one group at the root of each hierarchy, made by `up` and removed by `down`.

They are the only thing of a node that is not in a namespace. Works with version 1 (a folder for each controller) and
version 2 (one folder).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
REMOVE_SECONDS = 10.0


def make(name: str) -> None:
    """The group, with every controller there is."""
    for hierarchy in hierarchies():
        with contextlib.suppress(FileNotFoundError):
            controllers = (hierarchy / "cgroup.controllers").read_text().split()
            for controller in controllers:
                # One that can't be handed down is one that the kubelet does without.
                with contextlib.suppress(OSError):
                    (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")
        (hierarchy / name).mkdir(exist_ok=True)


def remove(name: str) -> None:
    """Removes it with all below; raises OSError when something still runs there."""
    for hierarchy in hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            remove_group(Path(folder))


def remove_group(folder: Path) -> None:
    """The kernel may still count a process that has ended: waits for it a little."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def hierarchies() -> Iterator[Path]:
    """The root of each mounted hierarchy, once: `cpu` and `cpuacct` may be two names of one."""
    mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    seen = set()
    for fields in mounts:
        kind = fields[fields.index("-") + 1]
        if kind in {"cgroup", "cgroup2"} and fields[2] not in seen and fields[4].startswith(str(ROOT)):
            seen.add(fields[2])
            yield Path(fields[4])
