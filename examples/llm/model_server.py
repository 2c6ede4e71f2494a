"""A model server with OpenAI's chat completions, and a model that says again what it is told, a word at a time.

In: `POST /v1/chat/completions`, with `"stream": true` or without. Out: an answer in JSON, or events; both say what the
answer cost, in tokens: a word is one. Run by `ff up examples/llm`. Nothing but the standard library.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATH = "/v1/chat/completions"


def words_of(asked: dict[str, Any]) -> list[str]:
    """The words of all messages. Raises KeyError, TypeError and AttributeError for what is no such request."""
    return [word for message in asked["messages"] for word in message["content"].split()]


def usage(prompt: int, completion: int) -> dict[str, int]:
    """What an answer tells of its cost."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """The whole answer."""
    words = words_of(asked)
    message = {"role": "assistant", "content": " ".join(words)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice], "usage": usage(len(words), len(words))}


def events(asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same in parts; the last one tells the cost, to whom it is asked for."""
    words = words_of(asked)
    for word in words:
        yield {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": f"{word} "}}]}
    if asked.get("stream_options", {}).get("include_usage"):
        yield {"object": "chat.completion.chunk", "choices": [], "usage": usage(len(words), len(words))}


class Handler(BaseHTTPRequestHandler):
    """One connection; `pause` seconds pass before each event."""

    protocol_version = "HTTP/1.1"
    pause = 0.0

    def do_GET(self) -> None:
        """Says that it is there."""
        self._send(200, b"ok", "text/plain")

    def do_POST(self) -> None:
        """Answers."""
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        try:
            asked = json.loads(body)
            words_of(asked)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._send(400, b'{"error": {"message": "send messages with content"}}', "application/json")
            return
        if self.path != PATH:
            self._send(404, b'{"error": {"message": "there is no such path"}}', "application/json")
        elif asked.get("stream"):
            self._stream(asked)
        else:
            self._send(200, json.dumps(answer(asked)).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, asked: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events(asked):
            time.sleep(self.pause)
            self._part(f"data: {json.dumps(event)}\n\n".encode())
        self._part(b"data: [DONE]\n\n")
        self._part(b"")

    def _part(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.flush()


def main() -> None:
    """Serves until it is ended."""
    options = argparse.ArgumentParser(description="A model server that says again what it is told.")
    options.add_argument("--port", type=int, default=7301)
    options.add_argument("--pause", type=float, default=0.05, help="seconds before each event")
    given = options.parse_args()
    Handler.pause = given.pause
    with ThreadingHTTPServer(("127.0.0.1", given.port), Handler) as server:
        server.daemon_threads = True
        server.serve_forever()


if __name__ == "__main__":
    main()
