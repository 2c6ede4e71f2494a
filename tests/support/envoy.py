"""Real Envoys for tests: each a process of its own, configured by an operator over its Unix socket.

In: the operator's socket and a folder. Out: an `Envoy` that is asked over HTTP, frozen, thawed and killed.
Called by feature, security and performance tests. Ports come from the Edge's listeners, which the operator binds
elsewhere by its `ports` setting; each Envoy of a test therefore listens on an address of its own in 127/8.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sysconfig
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from fastforward_compiler.emit.envoy import Place, Trust, bootstrap

ENVOY = Path(sysconfig.get_path("purelib"), "envoy", "_bin", "envoy")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client got."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Envoy:
    """One process."""

    name: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self.folder / "envoy.log").read_text(errors="replace")

    def freeze(self) -> None:
        """Stop it where it stands, sockets open."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it, frozen or not."""
        with contextlib.suppress(ProcessLookupError):
            self.thaw()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    async def get(self, host: str, path: str = "/", **headers: str) -> Answer:
        """One request on a connection of its own; status 0 when it can't be had."""
        url = f"http://127.0.0.1:{self.port}{path}"
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(url, headers={"host": host, **headers}, allow_redirects=False) as response,
            ):
                return Answer(response.status, await response.text(), response.headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Answer(0, str(error))

    async def admin(self, path: str) -> str:
        """A page of Envoy's own console."""
        connector = aiohttp.UnixConnector(path=str(self.folder / "admin.sock"))
        async with aiohttp.ClientSession(connector=connector) as session, session.get(f"http://envoy{path}") as page:
            return await page.text()

    async def counter(self, name: str) -> int:
        """A statistic of Envoy's; 0 when it has none of that name."""
        text = await self.admin(f"/stats?filter=^{name}$")
        return int(text.rpartition(":")[2]) if ":" in text else 0


def start_envoy(
    name: str, folder: Path, *, xds_socket: Path, port: int, decision_sockets: tuple[Path, ...] = ()
) -> Envoy:
    """Start one beside its operator; returns at once."""
    places = tuple(str(path) for path in decision_sockets or (folder / "no-decision.sock",))
    return launch_envoy(name, folder, port=port, xds=f"unix:{xds_socket}", decisions=places)


def launch_envoy(
    name: str, folder: Path, *, port: int, xds: Place, decisions: tuple[Place, ...], trust: Trust | None = None
) -> Envoy:
    """Start one; returns at once."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "bootstrap.json"
    config.write_text(
        bootstrap(
            node_id=name,
            node_cluster="test",
            xds=xds,
            admin=f"unix:{folder / 'admin.sock'}",
            decisions=decisions,
            trust=trust,
        )
    )
    command = [ENVOY, "-c", config, "--concurrency", "1", "-l", "warning", "--disable-hot-restart"]
    with (folder / "envoy.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return Envoy(name=name, folder=folder, port=port, process=process)


class Connection:
    """One kept-alive connection, for asking many times in a row without the cost of a client library."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, host: str, path: str = "/") -> Answer:
        """The answer to one request; opens the connection when it is not."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            await self.close()
        return Answer(int(lines[0].split(" ")[1]), body.decode(), headers)

    async def close(self) -> None:
        """Close it."""
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def connections(port: int, host: str, count: int = 1) -> AsyncGenerator[tuple[Connection, ...]]:
    """Open connections; the kernel spreads them over all Envoys that share the port."""
    made = tuple(Connection(port) for _ in range(count))
    try:
        for connection in made:
            await connection.get(host)
        yield made
    finally:
        for connection in made:
            await connection.close()
