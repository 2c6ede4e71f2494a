"""A program that starts others: frozen, thawed and killed with all of them. Called by postgresql and rabbitmq."""

from __future__ import annotations

import contextlib
import signal
import subprocess

import psutil


class ProcessFamily:
    """`process` is its first; None while it does not run."""

    process: subprocess.Popen[bytes] | None = None

    def _signal(self, number: signal.Signals) -> None:
        """And what it has started, which may be in sessions of its own."""
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        for process in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """As kill -9 does; also ends a frozen one."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
