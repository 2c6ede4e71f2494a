"""A real Envoy that serves emitted resources from one static bootstrap, without a control plane.

In: an ir.Delta. Out: a running Envoy and what it logs. Called by tests of emit: whatever an emitted configuration
claims is asked of Envoy itself.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter

from .client import Connection, Headers, Response
from .envoy_validate import ENVOY, static_bootstrap

START_S = 15.0


@dataclass(frozen=True, slots=True)
class StaticEnvoy:
    """One process."""

    port: int
    folder: Path

    def ask(
        self, host: str | None, target: str, headers: Headers = (), *, method: str = "GET", body: bytes | None = None
    ) -> Response:
        """One request on a connection of its own."""
        with Connection(self.port) as connection:
            return connection.request(method, target, host=host, headers=headers, body=body)

    def logged(self, response: Response) -> dict[str, Any]:
        """The line of the access log about an answer, once it is written."""
        request_id = response.header("x-request-id")
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            for line in map(json.loads, self._log().splitlines()):
                if line["requestId"] == request_id:
                    return dict(line)
            time.sleep(0.01)  # Envoy writes the file in its own time
        raise AssertionError(f"no line about {request_id}")

    def _log(self) -> str:
        file = self.folder / "access.log"
        return file.read_text() if file.exists() else ""


@contextlib.contextmanager
def serving(
    delta: ir.Delta,
    port: int,
    folder: Path,
    *,
    decision_socket: str = "/nowhere.sock",
    decision_timeout_ms: int = 500,
) -> Generator[StaticEnvoy]:
    """Runs an Envoy on 127.0.0.1 that serves the Delta, whose Edge listens on `port`."""
    settings = EmitSettings(
        bind_address="127.0.0.1", access_log=str(folder / "access.log"), decision_timeout_ms=decision_timeout_ms
    )
    resources = EnvoyEmitter(settings).apply(delta).upserts
    file = folder / "bootstrap.pb"
    message = static_bootstrap(resources, decision_socket=decision_socket, admin_socket=str(folder / "admin.sock"))
    file.write_bytes(message.SerializeToString(deterministic=True))
    options = ["--concurrency", "1", "-l", "warning", "--disable-hot-restart", "--file-flush-interval-msec", "10"]
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen([ENVOY, "-c", file, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait(process, port, folder)
        yield StaticEnvoy(port, folder)
    finally:
        process.terminate()
        process.wait(START_S)


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        assert process.poll() is None, (folder / "envoy.log").read_text()
        assert time.monotonic() < deadline, "Envoy does not listen"
        time.sleep(0.01)
