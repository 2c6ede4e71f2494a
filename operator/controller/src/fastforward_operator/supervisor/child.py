"""One child process: started, watched, restarted, ended with everything that it started itself.

In: a `ChildSpec`. Out: a running process whose output goes to a log file. Called by supervisor/up.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .orphans import Guard, born_by

_RESTART_DELAY_S = (0.1, 0.5, 1.0, 2.0, 5.0)
_STEADY_S = 30.0
"""Who ran this long was well: the next restart is quick again."""
RUNNING = "running"
"""How the state of a process begins that is there."""
_TAIL_BYTES = 2000
_TAIL_LINES = 12


def _no_preparation() -> None:
    """Nothing to be done before."""


async def _no_farewell() -> None:
    """Nothing to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to run, and how to end it."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Its whole environment."""
    folder: Path | None = None
    """Working directory; the supervisor's own when None."""
    prepare: Callable[[], None] = _no_preparation
    """Called before each start."""
    drain: Callable[[], Awaitable[None]] = _no_farewell
    """Called before SIGTERM; returns when nothing is under way any more, or in bounded time."""
    grace_s: float = 5.0
    """Time between SIGTERM and SIGKILL."""


class ChildError(Exception):
    """A child ended before it was ready, or can't be started; the message says why and what to do."""


class Child:
    """A process of ours, with its log file; the leader of a process group of its own."""

    def __init__(self, spec: ChildSpec, log_folder: Path, guard: Guard) -> None:
        self.spec = spec
        self.log = log_folder / f"{spec.name}.log"
        self.state = "stopped"
        self.restarts = 0
        """Ever since it was first started."""
        self._tries = 0
        self._guard = guard
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = 0.0
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it; raises ChildError when the program can't be run."""
        self.spec.prepare()
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
                    preexec_fn=born_by(os.getpid()),
                )
            except OSError as error:
                raise ChildError(f"{self.spec.name}: {self.spec.command[0]} can't be run: {error.strerror}.") from None
        self._guard.add(self._process.pid)
        self._started_at = time.monotonic()
        self.state = RUNNING

    async def watch(self) -> None:
        """Start it again whenever it ends by itself; returns after `stop`."""
        while not self._stopping.is_set():
            code = await self._process.wait() if self._process else None
            if self._stopping.is_set():
                break
            self._forget_group()
            self._tries = 0 if time.monotonic() - self._started_at > _STEADY_S else self._tries
            self.state = f"ended with {_exit_text(code)}, restarting"
            await self._restart()
            if self.pid is not None:
                # Said in the state itself: who looks now and then may have missed the moment without a process.
                self.state = f"{RUNNING} again after {_exit_text(code)}, restart {self.restarts}"

    async def _restart(self) -> None:
        while not await self._stopped_within(_RESTART_DELAY_S[min(self._tries, len(_RESTART_DELAY_S) - 1)]):
            self._tries += 1
            self.restarts += 1
            async with self._changing:
                if self._stopping.is_set():
                    return
                try:
                    await self.start()
                except ChildError as error:
                    self.state = str(error)
                else:
                    return

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    def check_alive(self) -> None:
        """Raise ChildError, with the end of its log, when it has ended."""
        if self.pid is None:
            code = self._process.returncode if self._process else None
            end = (
                f"The end of its log, {self.log}:\n{self.tail()}" if self.tail() else "It said nothing: run it by hand."
            )
            raise ChildError(f"{self.spec.name} ended with {_exit_text(code)}. {end}")

    async def stop(self) -> None:
        """Let it drain, SIGTERM, the grace time, then SIGKILL to all that is left of its group."""
        self._stopping.set()
        async with self._changing:
            process = self._process
        if process is None:
            return
        if process.returncode is None:
            self.state = "stopping"
            await self.spec.drain()
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.spec.grace_s):
                    await process.wait()
        self.kill()
        await process.wait()
        self.state = "stopped"

    def kill(self) -> None:
        """SIGKILL to its group, now."""
        self._stopping.set()
        self._forget_group()

    def tail(self) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        text = self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        return "\n".join(deque(text.splitlines(), maxlen=_TAIL_LINES))

    def _forget_group(self) -> None:
        """Nothing that it started outlives it."""
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)
            self._guard.remove(self._process.pid)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _exit_text(code: int | None) -> str:
    if code is None:
        return "no exit code"
    return f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit code {code}"
