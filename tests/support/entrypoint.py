"""EntryPoint as a process of its own, and a client that asks it what Envoy would ask.

In: settings. Out: a running decision service on a Unix socket. Called by EntryPoint's tests and by its measurement.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.eventually import eventually
from support.processes import free_ports

STOP_SECONDS = 15.0
MOST_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, object]:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


class Connection:
    """One connection that is kept alive, as Envoy keeps its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        host: str = "shop.example",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Raises OSError or EOFError when the service is not there or goes away before it has answered."""
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(self._path)
        reader, writer = self._streams
        lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *(f"{n}: {v}" for n, v in (headers or {}).items())]
        writer.write(("\r\n".join((*lines, "content-length: 0")) + "\r\n\r\n").encode())
        try:
            answer = await self._read(reader, with_body=method != "HEAD")
        except (OSError, EOFError):
            self.close()
            raise
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    @staticmethod
    async def _read(reader: asyncio.StreamReader, *, with_body: bool) -> Answer:
        async with asyncio.timeout(10):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = await reader.readexactly(int(headers["content-length"])) if with_body else b""
        return Answer(int(status_line.split(" ")[1]), headers, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class EntryPoint:
    """A service in `folder`; `start` may be called again after `kill` or `stop`."""

    folder: Path
    operator: str
    settings: Mapping[str, str] = field(default_factory=dict)
    socket: Path = Path()
    health_port: int = field(default_factory=lambda: free_ports(MOST_WORKERS)[0])  # workers have those after it
    process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        own = {
            "LISTEN": f"unix:{self.socket}",
            "OPERATOR": self.operator,
            "STATE_DIR": str(self.folder / "state"),
            "HEALTH_PORT": str(self.health_port),
            "NODE": "entrypoint-1",
            "LOG_LEVEL": "warning",
            **self.settings,
        }
        return {**os.environ, **{f"FF_ENTRYPOINT_{name}": value for name, value in own.items()}}

    def start(self) -> None:
        command = [sys.executable, "-m", "fastforward_entrypoint"]
        with (self.folder / "entrypoint.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment(), stderr=log)

    async def alive(self) -> None:
        """Returns when /healthz says so."""
        await self._until_answered("/healthz")

    async def ready(self) -> None:
        """Returns when /readyz says so."""
        await self._until_answered("/readyz")

    async def _until_answered(self, target: str) -> None:
        async with asyncio.timeout(60):
            while (await self.health(target))[0] != 200:  # noqa: ASYNC110  # it is another process
                await asyncio.sleep(0.01)

    async def health(self, target: str) -> tuple[int, str]:
        """Asks the health port; status 0 when nobody answers."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.health_port)
        except OSError:
            return 0, ""
        writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            text = (await reader.read()).decode()
            writer.close()
            return int(text.split(" ")[1]), text.partition("\r\n\r\n")[2]
        return 0, ""

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Returns the exit status once the process has ended."""
        process = self.process
        assert process is not None
        await eventually(lambda: process.poll() is not None, seconds=STOP_SECONDS)
        return process.returncode

    def stop(self) -> None:
        """Ends it as a supervisor does."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def running_entrypoint(folder: Path, operator: str, **settings: str) -> Generator[EntryPoint]:
    """A started service; ended at the end, whatever state it is in. Its socket has a short path of its own."""
    with tempfile.TemporaryDirectory(prefix="ff") as short:
        service = EntryPoint(folder, operator, settings, Path(short) / "decision.sock")
        service.start()
        try:
            yield service
        finally:
            service.stop()
