"""A real redis-server for tests, on a free port, that can be frozen, killed and started again.

In: a folder. Out: a running server. Called by the contract suite of counter stores and by tests of EntryPoint.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from support.processes import free_port

START_SECONDS = 10.0


def swallowing(reached: asyncio.Event) -> Callable[..., Awaitable[bytes]]:
    """What a client is asked, and keeps to itself that it was cancelled: asyncio.wait_for does, at the wrong moment."""

    async def ask(*_: object) -> bytes:
        if not reached.is_set():
            reached.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
        raise TimeoutError

    return ask


@dataclass
class RedisServer:
    """Stopped by `running_redis`, whatever state a test left it in."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A plain client, for what a test does behind the store's back."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.fail("redis-server is not installed: run make programs (on Debian: apt-get install redis-server).")
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self.folder}
        command = [program, *(text for name, value in options.items() for text in (f"--{name}", str(value)))]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.005)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As kill -9 does; also ends a frozen one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running_redis(folder: Path) -> Generator[RedisServer]:
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
