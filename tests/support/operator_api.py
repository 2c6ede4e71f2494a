"""An operator's HTTP API that says what a test wants, on a real port. Called by tests of commands that ask one."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]


def described(kind: str, name: str, *, refused: str = "", effective: tuple[str, ...] = ()) -> Json:
    """An object as the API tells it; `refused` is what is wrong with it."""
    verdict = ("False", "UpstreamNotFound", refused) if refused else ("True", "ResolvedRefs", "")
    said = (("Accepted", "True", "Accepted", ""), ("ResolvedRefs", *verdict), ("Programmed", "True", "Programmed", ""))
    field = "spec.rules[0].upstreams[0]"
    problem = {"condition": "ResolvedRefs", "reason": verdict[1], "field": field, "message": refused, "at": "a.yaml:9"}
    return {
        "kind": kind,
        "namespace": "shop",
        "name": name,
        "generation": 3,
        "source": "a.yaml:2",
        "conditions": [
            {
                "type": kind_,
                "status": status,
                "reason": reason,
                "message": message,
                "observedGeneration": 3,
                "lastTransitionTime": "2026-01-01T00:00:00.000Z",
            }
            for kind_, status, reason, message in said
        ],
        "problems": [problem] if refused else [],
        "effective": list(effective),
        "proxies": {"ready": 1, "total": 2},
    }


def node(name: str, kind: str, *, refused: str = "") -> Json:
    """A connected node as the API tells it."""
    refusals = {"shop|a#": {"version": "1", "message": refused}} if refused else {}
    channel = {"told": 2, "holds": 2, "unacknowledged": 0, "waiting": 1, "refused": refusals}
    return {"node": name, "kind": kind, "version": "", "state": "live", "types": {"Scope": channel}}


def hop(name: str, **more: object) -> Json:
    """A hop of an EntryPoint as the API tells it."""
    counts = {"inFlight": 1, "waiting": 0, "calls": 7, "failures": 2, "refused": 3, "retries": 0}
    return {"node": "decision", "name": name, "breaker": "open", "limit": 256, **counts, **more}


@contextmanager
def operator_api(  # noqa: PLR0913 - one for each thing that it says
    objects: list[Json],
    nodes: list[Json],
    snapshot: bytes = b"",
    *,
    hops: Sequence[Json] = (),
    messages: Sequence[Json] = (),
    silent: Sequence[str] = (),
    rendered: Sequence[Json] = (),
) -> Generator[str]:
    """Serves; yields the base URL. `silent` are the names of EntryPoints that do not answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            wanted = {name: values[0] for name, values in parse_qs(parts.query).items()}
            found = [one for one in objects if all(one.get(name, value) == value for name, value in wanted.items())]
            answers = {
                "/v1/objects": json.dumps({"objects": found}).encode(),
                "/v1/proxies": json.dumps({"proxies": nodes}).encode(),
                "/v1/hops": json.dumps({"hops": hops, "silent": silent}).encode(),
                "/v1/snapshot": snapshot,
                "/metrics": b"ff_objects 1\n",
                "/v1/render": json.dumps({"resources": rendered}).encode(),
            }
            if parts.path.startswith("/v1/messages/"):
                id_ = unquote(parts.path.removeprefix("/v1/messages/"))
                known = [each for each in messages if id_ in (each["id"], each["requestId"], each["traceId"])]
                answers[parts.path] = json.dumps({"messages": known, "silent": silent}).encode()
            body = answers.get(parts.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """A test's output stays clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def answering(answer: bytes) -> Generator[str]:
    """A program that says the same to everybody and hangs up; yields its base URL."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                """The head of the request is of no interest."""
            self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
