"""No orphan survives the supervisor: what a child gets at its birth, and the guard that watches the supervisor.

In: process groups of children. Out: nothing. Called by supervisor/child and supervisor/up.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: a forked child of a threaded process must not load libraries.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_GUARD = Path(__file__).with_name("guard.py")


def born_by(parent: int) -> Callable[[], None] | None:
    """What a child runs between fork and exec: it dies with its parent (prctl(2), Linux only)."""
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return die_with_parent


class Guard:
    """A process that ends the listed groups when its standard input ends, which is when the supervisor does."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, before any child."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def add(self, group: int) -> None:
        """A child started."""
        self._tell(f"+{group}\n")

    def remove(self, group: int) -> None:
        """A child ended, with its whole group."""
        self._tell(f"-{group}\n")

    def stop(self) -> None:
        """Every child has ended; whatever is still listed ends now."""
        if self._process is None or self._process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process = None

    def _tell(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        # Without it there is still the parent-death signal.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()
