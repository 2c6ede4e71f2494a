"""An operator as a process of its own, which a test kills, freezes and starts again.

In: a folder, a kubeconfig, settings. Out: an `OperatorProcess`. Called by tests of failures.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from support.processes import free_port


@dataclass(slots=True)
class OperatorProcess:
    """One process at a time; what it writes to its state folder stays for the next."""

    folder: Path
    settings: Mapping[str, str]
    tuning: str = ""
    """Python that is run before the operator: for times that are too long for a test."""
    api_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "operator.log").read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "FF_PROVIDER": "kubernetes",
            "FF_STATE_DIR": str(self.folder / "state"),
            "FF_API_PORT": str(self.api_port),
            "FF_BIND_ADDRESS": "127.0.0.1",
            **self.settings,
        }
        program = f"{self.tuning}\nimport sys\nfrom fastforward_operator.__main__ import main\nsys.exit(main())"
        with (self.folder / "operator.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """At once; returns before it is gone."""
        self.send(signal.SIGKILL)

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    async def gone(self) -> None:
        """Until the process has ended."""
        assert self.process is not None
        await asyncio.to_thread(self.process.wait)

    async def stop(self) -> None:
        """End it, frozen or not, as a cluster does."""
        if not self.running:
            return
        self.thaw()
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(10):
                await self.gone()
        except TimeoutError:
            self.kill()
            await self.gone()

    async def is_ready(self) -> bool:
        """Whether everything that there is has been compiled."""
        return await self._says_yes("readyz")

    async def is_alive(self) -> bool:
        """Whether a kubelet would let it live."""
        return await self._says_yes("healthz")

    async def _says_yes(self, name: str) -> bool:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            timeout = aiohttp.ClientTimeout(total=2)
            url = f"http://127.0.0.1:{self.api_port}/{name}"
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
                return answer.status == 200
        return False
