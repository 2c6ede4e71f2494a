"""A collector of OpenTelemetry, as far as spans go: takes OTLP over HTTP, and reads it by OpenTelemetry's own types.

In: requests. Out: the spans, in the order in which they came. Called by tests of traces.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from .processes import free_port


@dataclass(frozen=True, slots=True)
class Span:
    """As it was told. Ids in hexadecimal digits."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, str]
    resource: dict[str, str]


@dataclass
class Collector:
    """`status` is what it answers; spans are kept when that is 200."""

    port: int = field(default_factory=free_port)
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    requests: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, media_type: str | None, body: bytes) -> int:
        """One request."""
        self.requests += 1
        if self.status != 200:
            return self.status
        if (path, media_type) != ("/v1/traces", "application/x-protobuf"):
            return 404
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        for told in request.resource_spans:
            resource = _pairs(told.resource.attributes)
            # Those types come with Envoy's, and know what is now `scope_spans` by its name of old.
            scopes = told.instrumentation_library_spans
            self.spans += [_span(span, resource) for scope in scopes for span in scope.spans]
        return 200


@contextmanager
def running_collector(port: int = 0) -> Generator[Collector]:
    """Runs one on the loopback."""
    collector = Collector(port) if port else Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(collector.take(self.path, self.headers["content-type"], body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """A test's output stays clean."""

    with ThreadingHTTPServer(("127.0.0.1", collector.port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _span(span: Any, resource: dict[str, str]) -> Span:  # noqa: ANN401 - its wire types have no type stubs
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failed=span.status.code == 2,
        attributes=_pairs(span.attributes),
        resource=resource,
    )


def _pairs(attributes: Any) -> dict[str, str]:  # noqa: ANN401 - as above
    return {each.key: each.value.string_value for each in attributes}
