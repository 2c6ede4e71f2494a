"""Starts real bookshops for tests: each is a process of its own on free ports.

In: the program's options. Out: a `Bookshop` that is asked over HTTP, and stopped at the end.
Called by the bookshop's own tests, and by tests that need a real upstream behind the gateway.
"""

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    json: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookshop:
    process: subprocess.Popen[str]
    rest_port: int
    grpc_port: int

    def request(
        self, method: str, target: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=10)
        try:
            connection.request(method, target, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            text = response.read()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=names, json=json.loads(text) if text else None)
        finally:
            connection.close()


@contextmanager
def running(*arguments: str) -> Generator[Bookshop]:
    """A bookshop that answers on both ports; terminated at the end, if it is still there."""
    command = [sys.executable, "-m", "bookshop_app", "--rest-port=0", "--grpc-port=0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ports = re.search(r"http://[0-9.]+:(\d+) and gRPC on [0-9.]+:(\d+)$", line)
            assert ports is not None, f"no bookshop: {line!r}"
            yield Bookshop(process=process, rest_port=int(ports[1]), grpc_port=int(ports[2]))
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
