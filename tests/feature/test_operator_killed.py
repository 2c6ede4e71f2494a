"""The operator as a process of its own: killed, told to stop, started wrongly."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from support.envoy import start_envoy
from support.load import load
from support.operator import EDGE_PORT, edge, respond, serves, until
from support.processes import free_port


class Process:
    """`python -m fastforward_operator` over a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api_port, self.port = free_port(), free_port()
        self.started: list[subprocess.Popen[bytes]] = []
        (folder / "resources").mkdir()

    def start(self, **settings: str) -> subprocess.Popen[bytes]:
        environment = {
            "FF_DIRECTORIES": str(self.folder / "resources"),
            "FF_STATE_DIR": str(self.folder / "state"),
            "FF_API_PORT": str(self.api_port),
            "FF_BIND_ADDRESS": "127.0.0.1",
            "FF_PORTS": json.dumps({str(EDGE_PORT): self.port}),
            **settings,
        }
        command = [sys.executable, "-m", "fastforward_operator"]
        process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE)
        self.started.append(process)
        return process

    def write(self, name: str, document: str) -> None:
        new = self.folder / f".{name}"
        new.write_text(document)
        new.rename(self.folder / "resources" / f"{name}.yaml")

    async def told(self) -> dict[str, int]:
        """How many resources the Envoy was sent on its present stream; empty when it is not there."""
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.api_port}/v1/proxies") as response,
            ):
                nodes = [each for each in (await response.json())["proxies"] if each["state"] == "live"]
        except aiohttp.ClientError:
            return {}
        return {kind: each["told"] for kind, each in nodes[0]["types"].items()} if nodes else {}


@contextmanager
def operator_process(folder: Path) -> Generator[Process]:
    made = Process(folder)
    try:
        yield made
    finally:
        for process in made.started:
            if process.poll() is None:
                process.kill()
                process.communicate()


async def test_killing_and_starting_the_operator_sends_nothing_and_loses_no_request(tmp_path: Path) -> None:
    with operator_process(tmp_path) as operator:
        operator.write("edge", edge("*.example.com"))
        for number in range(50):
            operator.write(f"r{number}", respond(f"r{number}", f"h{number}.example.com", str(number)))
        operator.start()
        envoy = start_envoy("envoy", tmp_path / "envoy", xds_socket=tmp_path / "state" / "xds.sock", port=operator.port)
        try:
            await serves(envoy, "h49.example.com", "49")
            async with load(envoy.port, "h7.example.com") as seen:
                for _ in range(2):
                    operator.started[-1].send_signal(signal.SIGKILL)
                    await asyncio.to_thread(operator.started[-1].communicate)
                    operator.start()
                    told = await until(operator.told, bool)
                    assert {kind: count for kind, count in told.items() if count > 0} == {}
            assert not seen.failed
            operator.write("r7", respond("r7", "h7.example.com", "changed"))
            await serves(envoy, "h7.example.com", "changed")
        finally:
            await asyncio.to_thread(envoy.stop)


async def test_it_stops_when_told_to_and_says_why_it_can_not_start(tmp_path: Path) -> None:
    with operator_process(tmp_path) as operator:
        first = operator.start()
        socket = tmp_path / "state" / "xds.sock"
        await until(lambda: asyncio.sleep(0, socket.exists()), bool)
        assert socket.stat().st_mode & 0o077 == 0
        assert socket.parent.stat().st_mode & 0o077 == 0
        second = operator.start(FF_STATE_DIR=str(tmp_path / "other"))
        _, said = await asyncio.to_thread(second.communicate)
        assert second.returncode == 1
        assert f"The API can't listen on 127.0.0.1:{operator.api_port}" in said.decode()
        assert "Traceback" not in said.decode()
        third = operator.start(FF_DIRECTORIES="")
        _, said = await asyncio.to_thread(third.communicate)
        assert third.returncode == 1
        assert said.decode().startswith("FF_DIRECTORIES: ")
        first.send_signal(signal.SIGTERM)
        _, said = await asyncio.to_thread(first.communicate)
        assert first.returncode == 0
        assert "Traceback" not in said.decode()
