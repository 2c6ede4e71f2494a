"""`ff up` as a user runs it: the real command, in a process of its own, on free ports.

In: a directory of resources. Out: what it prints, and its state folder. Called by tests of `ff up`.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import free_ports
from support.repository import ROOT

READY_S = 60.0
STOP_S = 20.0
_POLL_S = 0.02
READY = "resources are programmed"
_PORTS = re.compile(r"\b(8080|8443|710[1-4]|7201)\b")


@dataclass
class RunningUp:
    """One `ff up`."""

    process: subprocess.Popen[str]
    directory: Path
    state: Path
    api: str
    ports: dict[str, int]
    """New port by the port that the bookshop has."""
    lines: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def until(self, holds: Callable[[], object], claim: str, seconds: float = READY_S) -> None:
        """Waits; fails with everything that was printed."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s: {claim}\n{self.output}\n{self._logs()}"
            time.sleep(_POLL_S)

    def until_said(self, text: str) -> None:
        """Waits until it is printed; a process that has ended prints nothing more."""
        self.until(lambda: text in self.output or self.process.poll() is not None, f"says {text!r}")
        assert text in self.output, f"{self.output}\n{self._logs()}"

    def pids(self) -> dict[str, int]:
        """Process ids of the children as they were started, by name."""
        found = (re.match(r"([\w-]+): started, process (\d+)", line) for line in self.lines)
        return {match[1]: int(match[2]) for match in found if match is not None}

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends a signal; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def _logs(self) -> str:
        files = sorted((self.state / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-1500:]}" for file in files)


def copy_bookshop(folder: Path) -> tuple[Path, dict[str, int]]:
    """The example with every port replaced by a free one."""
    target = folder / "bookshop"
    source = ROOT / "examples" / "bookshop"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("app", ".*"))
    files = [path for path in target.rglob("*.yaml") if "tests" not in path.parts[len(target.parts) :]]
    named = sorted({port for path in files for port in _PORTS.findall(path.read_text())})
    ports = dict(zip(named, free_ports(len(named)), strict=True))
    for path in files:
        path.write_text(_PORTS.sub(lambda found: str(ports[found[1]]), path.read_text()))
    return target, ports


@contextmanager
def running_up(directory: Path, state: Path, ports: dict[str, int] | None = None) -> Generator[RunningUp]:
    """A started `ff up`, killed at the end if it is still there."""
    (api_port,) = free_ports(1)
    command = [sys.executable, "-m", "fastforward_operator.cli", "up", str(directory), "--state", str(state), "--plain"]
    with subprocess.Popen(
        [*command, "--api-port", str(api_port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        api = f"http://127.0.0.1:{api_port}"
        with following(RunningUp(process=process, directory=directory, state=state, api=api, ports=ports or {})) as up:
            yield up


@contextmanager
def following(running: RunningUp) -> Generator[RunningUp]:
    """Collects what a started process prints, and ends it."""
    process = running.process
    reader = threading.Thread(target=_read, args=(running,), daemon=True)
    reader.start()
    try:
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_S)
            finally:
                process.kill()
        reader.join()


def _read(running: RunningUp) -> None:
    assert running.process.stdout is not None
    for line in running.process.stdout:
        running.lines.append(line.rstrip("\n"))
