"""One child process: started, watched, restarted, ended. No orphan survives the supervisor.

In: a `ChildSpec`. Out: a running process whose output goes to a log file. Called by supervisor/up.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_RESTART_DELAY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to run, and how to end it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Its whole environment."""
    folder: Path | None = None
    """Working directory; the supervisor's own when None."""
    grace_s: float = 5.0
    """Time between SIGTERM and SIGKILL."""


class ChildError(Exception):
    """A child ended before it was ready, or can't be started; the message says why and what to do."""


class Child:
    """A process of ours, with its log file."""

    def __init__(self, spec: ChildSpec, log_folder: Path, on_change: Callable[[Child], None]) -> None:
        self.spec = spec
        self.log = log_folder / f"{spec.name}.log"
        self.state = "stopped"
        self.restarts = 0
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it; raises ChildError when the program is not there."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.spec.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.spec.folder,
                    env=dict(self.spec.environment),
                    # A group of its own: Ctrl-C reaches the supervisor alone, which then ends the children in order.
                    start_new_session=True,
                    preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                )
            except FileNotFoundError as error:
                raise ChildError(
                    f"{self.spec.name}: the program {self.spec.command[0]} is not there ({error})."
                ) from None
        self._set("running")

    async def watch(self) -> None:
        """Start it again whenever it ends by itself; returns after `stop`."""
        while not self._stopping:
            code = await self._process.wait() if self._process else None
            if self._stopping:
                break
            self._set(f"ended with {_exit_text(code)}, restarting")
            await asyncio.sleep(_RESTART_DELAY_S[min(self.restarts, len(_RESTART_DELAY_S) - 1)])
            if not self._stopping:
                self.restarts += 1
                await self.start()

    def check_alive(self) -> None:
        """Raise ChildError, with the end of its log, when it has ended."""
        if self._process is None or self._process.returncode is not None:
            code = self._process.returncode if self._process else None
            raise ChildError(
                f"{self.spec.name} ended with {_exit_text(code)}.\n{self.tail()}\nIts whole log: {self.log}"
            )

    async def stop(self) -> None:
        """SIGTERM, the grace time, then SIGKILL, to its whole group."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            self._set("stopping")
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.spec.grace_s)
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        self._set("stopped")

    def tail(self) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        text = self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        return "\n".join(deque(text.splitlines(), maxlen=12))

    def _set(self, state: str) -> None:
        self.state = state
        self._on_change(self)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _exit_text(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
