"""Access logs as they grow: a file, or what kubectl tells of pods.

In: a path, or a cluster. Out: lines with the moment they count for. Called by top and collect.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

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
    """The output of the Envoys of a cluster, also of those that come later.

    A log is asked for from some second on, so that nothing is missed; then what was told before comes again.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lines: queue.Queue[bytes] = queue.Queue(_MOST_WAITING)
        self._following: dict[str, _Following] = {}
        self._told: defaultdict[str, _Told] = defaultdict(_Told)
        """By pod."""
        self._known_until = time.monotonic()
        """What was written after that may not have been told."""
        self._listed_at = -math.inf

    def before(self, since: float) -> Iterator[Line]:
        """As far as each pod's log goes back."""
        self._known_until = time.monotonic()
        seconds = max(1, round(time.time() - since))
        for pod in self._pods():
            done = subprocess.run(self._command(pod, seconds), capture_output=True, check=False)
            for text in self._told[pod].new_of(done.stdout.splitlines()):
                line = read_line(text)
                if line is not None:
                    yield line

    def new(self) -> Iterator[Line]:
        """What has been told since; more than can be kept is dropped, oldest last."""
        now = time.monotonic()
        if now - self._listed_at > _LIST_EVERY_S:
            self._listed_at = now
            self._follow(self._pods(), math.ceil(now - self._known_until) + 1)
            self._known_until = now
        for _ in range(self._lines.qsize()):
            line = read_line(self._lines.get())
            if line is not None:
                yield line

    def close(self) -> None:
        """End the programs that follow."""
        for each in self._following.values():
            each.process.kill()
            each.process.wait()

    def _pods(self) -> list[str]:
        return [console.pod for console in self._cluster.consoles()]

    def _command(self, pod: str, seconds: int, *options: str) -> list[str]:
        return self._cluster.log_command(pod, f"--since={seconds}s", "--timestamps", *options)

    def _follow(self, pods: list[str], seconds: int) -> None:
        for pod in pods:
            before = self._following.get(pod)
            if before is None or not before.reader.is_alive():
                command = self._command(pod, seconds, "--follow")
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                reader = threading.Thread(target=self._read, args=(pod, process), daemon=True)
                self._following[pod] = _Following(process, reader)
                reader.start()

    def _read(self, pod: str, process: subprocess.Popen[bytes]) -> None:
        with process:
            for text in self._told[pod].new_of(process.stdout or ()):
                with contextlib.suppress(queue.Full):
                    self._lines.put_nowait(text)


@dataclass(slots=True)
class _Told:
    """How far the log of a pod has been told, by the clock of its node, which is the only one that has a say."""

    at: float = 0.0
    """When the last line was taken down."""
    lines: int = 0
    """How many were taken down at that very moment: some runtimes take all down at once that they read at once."""

    def new_of(self, texts: Iterable[bytes]) -> Iterator[bytes]:
        """Lines of the log that have not been told, without when they were taken down."""
        known, again = self.at, self.lines
        for text in texts:
            stamp, _, line = text.partition(b" ")
            try:
                at = datetime.fromisoformat(stamp.decode()).timestamp()
            except ValueError:
                yield text
                continue
            if at < known or (at == known and again > 0):
                again -= at == known
                continue
            self.lines = self.lines + 1 if at == self.at else 1
            self.at = at
            yield line


class _Following(NamedTuple):
    """A program that tells what a pod writes."""

    process: subprocess.Popen[bytes]
    reader: threading.Thread
