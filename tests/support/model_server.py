"""A model server for tests: answers as OpenAI's chat completions do, and tells how many tokens that was.

In: what the test sets: the tokens to tell, and whether a stream goes on. Out: answers in JSON, or with `"stream": true`
as events, each when the test lets it go. Called by feature and security tests of limits by cost.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.resources import Document, upstream

PATH = "/v1/chat/completions"


class ModelServer(ThreadingHTTPServer):
    """`told` is what each answer tells; a stream sends its last events when `finish` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: dict[str, Any] | None = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
        self.each: dict[str, Any] | None = None
        """What every event of a stream tells, as some servers do."""
        self.headers: dict[str, str] = {}
        self.status = 200
        self.padding = 0
        """Bytes of text before what is told."""
        self.finish = threading.Event()
        self.finish.set()
        self.encodings: list[str | None] = []
        """The Accept-Encoding of each request."""

    @property
    def document(self) -> Document:
        return upstream("models", self.server_port)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def model(self) -> ModelServer:
        """The server, with what the test has set."""
        assert isinstance(self.server, ModelServer)
        return self.server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.model.encodings.append(self.headers["accept-encoding"])
        if asked.get("stream"):
            self._stream()
        else:
            self._answer()

    def _answer(self) -> None:
        said = {"choices": [{"message": {"content": 'the "total_tokens": 99 ' + "x" * self.model.padding}}]}
        if self.model.told is not None:
            said["usage"] = self.model.told
        body = json.dumps(said).encode()
        self._begin("application/json", content_length=str(len(body)))
        self.wfile.write(body)

    def _stream(self) -> None:
        self._begin("text/event-stream", transfer_encoding="chunked")
        self._event({"choices": [{"delta": {"content": "first"}}], "usage": self.model.each})
        self.model.finish.wait(20)
        self._event({"choices": [], "usage": self.model.told})
        self._part(b"data: [DONE]\n\n")
        self._part(b"")

    def _begin(self, kind: str, **headers: str) -> None:
        self.send_response(self.model.status)
        for name, value in {"content-type": kind, **headers, **self.model.headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _event(self, said: dict[str, Any]) -> None:
        self._part(b"data: " + json.dumps(said).encode() + b"\n\n")

    def _part(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server wants it
        """Nothing."""


@contextmanager
def running() -> Generator[ModelServer]:
    with ModelServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.finish.set()
            server.shutdown()
