"""Access logs as they grow: a file, or what kubectl tells of pods.

In: a path, or a cluster. Out: lines with the moment they count for. Called by top and collect.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from .traffic import Line, read_line

if TYPE_CHECKING:
    from .cluster import Cluster

_BLOCK = 1 << 20
_MOST_BEFORE = 256 << 20
"""Bytes of a file that are looked at for what came before."""
_MOST_WAITING = 200_000
_LIST_EVERY_S = 5.0


class AccessLog(Protocol):
    """Where lines come from."""

    def before(self, since: float) -> Iterator[Line]:
        """Lines of requests that ended since a moment (Unix time), until now."""
        ...

    def new(self) -> Iterator[Line]:
        """Lines that came since the last call of `before` or `new`."""
        ...

    def close(self) -> None:
        """No more."""


class FileLog:
    """A file that grows, and may be replaced by a new one. Raises OSError when it can't be read at first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] = path.open("rb")

    def before(self, since: float) -> Iterator[Line]:
        """Looked for from the end."""
        end = position = self._file.seek(0, os.SEEK_END)
        while position > 0 and end - position < _MOST_BEFORE:
            position = max(0, position - _BLOCK)
            self._file.seek(position)
            if position:
                self._file.readline()
            first = read_line(self._file.readline())
            if first is not None and first.ended_at < since:
                break
        self._file.seek(position)
        if position:
            self._file.readline()
        for line in self.new():
            if line.ended_at >= since:
                yield line

    def new(self) -> Iterator[Line]:
        """A line that is not complete yet is left for later."""
        yield from self._rest()
        if self._is_replaced():
            self._file.close()
            self._file = self._path.open("rb")
            yield from self._rest()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rest(self) -> Iterator[Line]:
        while True:
            begins = self._file.tell()
            text = self._file.readline()
            if not text.endswith(b"\n"):
                self._file.seek(begins)
                return
            line = read_line(text)
            if line is not None:
                yield line

    def _is_replaced(self) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return False
        mine = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino) or there.st_size < self._file.tell()


class PodLogs:
    """The output of the Envoys of a cluster, also of those that come later."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lines: queue.Queue[bytes] = queue.Queue(_MOST_WAITING)
        self._following: dict[str, subprocess.Popen[bytes]] = {}
        self._listed_at = 0.0

    def before(self, since: float) -> Iterator[Line]:
        """As far as each pod's log goes back."""
        seconds = max(1, round(time.time() - since))
        for pod in self._pods():
            done = subprocess.run(
                self._cluster.log_command(pod, f"--since={seconds}s"), capture_output=True, check=False
            )
            for text in done.stdout.splitlines():
                line = read_line(text)
                if line is not None:
                    yield line

    def new(self) -> Iterator[Line]:
        """What has been told since; more than can be kept is dropped, oldest last."""
        if time.monotonic() - self._listed_at > _LIST_EVERY_S:
            self._listed_at = time.monotonic()
            self._follow(self._pods())
        for _ in range(self._lines.qsize()):
            line = read_line(self._lines.get())
            if line is not None:
                yield line

    def close(self) -> None:
        """End the programs that follow."""
        for process in self._following.values():
            process.kill()
            process.wait()

    def _pods(self) -> list[str]:
        return [console.pod for console in self._cluster.consoles()]

    def _follow(self, pods: list[str]) -> None:
        for pod in pods:
            process = self._following.get(pod)
            if process is None or process.poll() is not None:
                command = self._cluster.log_command(pod, "--follow", "--since=1s")
                started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                self._following[pod] = started
                threading.Thread(target=self._read, args=(started.stdout,), daemon=True).start()

    def _read(self, stream: IO[bytes]) -> None:
        for text in stream:
            try:
                self._lines.put_nowait(text)
            except queue.Full:
                continue
