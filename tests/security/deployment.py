"""A small deployment compiled in the test's own process: a real Envoy, a decision service, origins.

In: documents as users write them; faults, planted by the test with monkeypatch before it deploys. Out: a `Deployment`
to attack, and the verdict of `decide` on the same requests. Called by every check here. Why not the operator: what it
publishes is made by the same compiler and emitters, and here a broken one takes a line.
"""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fastforward_crds as crds
from fastforward_compiler import ir
from fastforward_compiler.compile import Compiler, object_ref
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_operator.cli.simulation import Judged, judge
from fastforward_pipeline import Request, Snapshot, TokenBuckets, make_headers

from security.decider import Decider, deciding
from support.client import Connection, Response
from support.http2 import Http2Client, StreamResetError
from support.origin import Answer, Loop, Origin, Reply
from support.processes import free_port
from support.resources import Document, edge, upstream
from support.static_envoy import StaticEnvoy, serving

PATIENT_MS = 10_000
HOST = "shop.example.com"
Pairs = Sequence[tuple[str, str]]
NOTHING = Response(status=0, headers=(), content=b"")
"""What stands for a connection that Envoy closes without an answer."""


def greet(_: object) -> Reply:
    """An origin's answer."""
    return Reply(body="reached")


@dataclass(slots=True)
class Deployment:
    """What is attacked."""

    envoy: StaticEnvoy
    decider: Decider
    snapshot: Snapshot
    origins: dict[str, Origin]
    problems: tuple[str, ...]

    @property
    def received(self) -> int:
        """How many requests the origins have got."""
        return sum(len(origin.received) for origin in self.origins.values())

    def get(self, target: str = "/", headers: Pairs = (), *, method: str = "GET", host: str = HOST) -> Response:
        """One request over HTTP/1.1."""
        with Connection(self.envoy.port) as connection:
            try:
                return connection.request(method, target, host=host, headers=headers)
            except (OSError, http.client.HTTPException):
                return NOTHING

    def get2(self, target: str = "/", headers: Pairs = (), *, method: str = "GET", host: str = HOST) -> Response:
        """One request over HTTP/2."""
        with Http2Client(self.envoy.port) as connection:
            try:
                return connection.request(method, target, host=host, headers=headers)
            except (OSError, StreamResetError):
                return NOTHING

    def judge(
        self,
        target: str = "/",
        headers: Pairs = (),
        *,
        method: str = "GET",
        host: str = HOST,
        address: str = "127.0.0.1",
    ) -> Judged:
        """What `decide` makes of the same request."""
        request = Request(
            method=method,
            host=host,
            path=target,
            now=time.time(),
            headers=make_headers(headers),
            address=address,
            peer="127.0.0.1",
            listener="http",
            body_bytes=0,
        )
        return judge(self.snapshot, request, TokenBuckets())


@contextlib.contextmanager
def deploying(
    *documents: Document,
    origins: Iterable[str] = (),
    answer: Answer = greet,
    edge_spec: Document | None = None,
    decision_timeout_ms: int = PATIENT_MS,
) -> Generator[Deployment]:
    """A running deployment of the documents, an Edge and an Upstream for each name of `origins`."""
    loop, port = Loop(), free_port()
    running = {name: Origin(name=name, loop=loop, answer=answer) for name in origins}
    for origin in running.values():
        origin.start()
    upstreams = [upstream(name, origin.port) for name, origin in running.items()]
    delta, problems = compiled([edge(port, **(edge_spec or {})), *upstreams, *documents])
    snapshot = Snapshot.empty().apply(DecisionEmitter().apply(delta).upserts)
    try:
        with tempfile.TemporaryDirectory(prefix="ff") as name:
            folder = Path(name)
            with (
                deciding(folder / "decision.sock", snapshot, loop) as decider,
                serving(
                    delta,
                    port,
                    folder,
                    decision_socket=str(decider.socket),
                    decision_timeout_ms=decision_timeout_ms,
                ) as envoy,
            ):
                yield Deployment(envoy, decider, snapshot, running, problems)
    finally:
        for origin in running.values():
            origin.stop()
        loop.stop()


def compiled(documents: Iterable[Document]) -> tuple[ir.Delta, tuple[str, ...]]:
    """The documents compiled from nothing, and what is wrong with them."""
    objects = [crds.parse_resource(located(document)) for document in documents]
    delta = Compiler().apply({object_ref(one): one for one in objects})
    reports = [report for report in delta.reports.values() if report is not None]
    return delta, tuple(f"{p.reason} {p.field} {p.message}" for report in reports for p in report.problems)


def located(document: Document) -> Document:
    """The document in its namespace."""
    return {**document, "metadata": {"namespace": "default", **document["metadata"]}}
