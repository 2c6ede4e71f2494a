"""The examples of programs beside the gateway: a CDN forgets what an event tells has changed, DNS follows the Edges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from support.client import Connection
from support.credentials import webhook_key
from support.gateway import Gateway, until
from support.message_target import running_target
from support.processes import free_ports
from support.repository import ROOT
from support.resources import edge, prefix, resource, route, rule, secret, upstream

EXAMPLES = ROOT / "examples" / "hooks"
CHANGED = "shop.books.changed"
TOKEN = "cdn-token"


class Cdn(ThreadingHTTPServer):
    """A small CDN: it keeps what it has fetched by its tag until that is purged, and may be away."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Purge)
        self.kept = {"order-7": "old", "order-8": "old"}
        self.status = 200
        self.asked: list[dict[str, list[str]]] = []


class _Purge(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        cdn = self.server
        assert isinstance(cdn, Cdn)
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        cdn.asked.append(asked)
        allowed = (self.path, self.headers["authorization"]) == ("/purge", f"Bearer {TOKEN}")
        status = cdn.status if allowed else 403
        if status == 200:
            for tag in asked["tags"]:
                cdn.kept.pop(tag, None)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server wants it
        """Nothing."""


@pytest.fixture
def cdn() -> Generator[Cdn]:
    with Cdn(0) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


@contextmanager
def receiving(cdn: Cdn, port: int, token: str = TOKEN) -> Generator[None]:
    command = [sys.executable, str(EXAMPLES / "cdn_purge.py"), "--port", str(port), "--tag", "order-{order}"]
    command += ["--cdn", f"http://127.0.0.1:{cdn.server_port}"]
    environment = {**os.environ, "HOOK_KEY": webhook_key("cdn"), "CDN_TOKEN": token}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _listens(port), seconds=30)
            yield
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        Connection(port).socket.close()
    except OSError:
        return False
    return True


def post(port: int, body: bytes, *, key: str = "cdn", seconds: int | None = None) -> int:
    """The receiver's status for a webhook that somebody else's library signs."""
    at = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    signature = Webhook(webhook_key(key)).sign("evt-1", at, body.decode())
    headers = {"webhook-id": "evt-1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    with Connection(port) as connection:
        return connection.request("POST", "/hooks/books", host="hooks", headers=headers, body=body).status


def test_what_has_changed_is_purged_and_a_cdn_that_is_away_is_asked_again(deciding_gateway: Gateway, cdn: Cdn) -> None:
    gateway, (port,) = deciding_gateway, free_ports(1)
    with running_target() as target, receiving(cdn, port):
        message = {"type": "shop.books.change", "upstream": {"name": "books"}, "event": CHANGED}
        hook = {
            "events": [CHANGED],
            "upstream": {"name": "purge"},
            "path": "/hooks/books",
            "secret": {"name": "purge"},
            "retry": {"firstWait": "20ms", "longestWait": "100ms"},
        }
        gateway.apply(
            upstream("books", target.port, protocol="GRPC"),
            upstream("purge", port),
            route("books", rule(prefix("/books"), message=message)),
            secret("purge", {"current": webhook_key("cdn")}, "gateway.fastforward.dev/webhook-keys"),
            resource("EventHook", "purge", hook),
        )
        cdn.status = 503
        answer = gateway.request("POST", "/books", headers={"content-type": "application/json"}, body=b'{"sku": "abc"}')
        assert answer.status == 200
        until(lambda: len(cdn.asked) >= 2)
        assert "order-7" in cdn.kept
        cdn.status = 200
        until(lambda: "order-7" not in cdn.kept)
    assert cdn.kept == {"order-8": "old"}
    assert cdn.asked[0] == {"tags": ["order-7"]}


def test_nobody_else_has_anything_purged(cdn: Cdn) -> None:
    (port,) = free_ports(1)
    body = json.dumps({"type": CHANGED, "data": {"order": 8}}).encode()
    with receiving(cdn, port):
        assert post(port, body, key="others") == 401
        assert post(port, body, seconds=1_700_000_000) == 401
        with Connection(port) as connection:
            assert connection.request("POST", "/", host="hooks", body=body).status == 401
        assert post(port, b'{"data": {"sku": 1}}') == 400
        assert post(port, b"[]") == 400
        assert cdn.asked == []
        assert post(port, body) == 204
    assert "order-8" not in cdn.kept


def test_a_cdn_that_refuses_is_told_of_again(cdn: Cdn) -> None:
    (port,) = free_ports(1)
    with receiving(cdn, port, token="wrong"):
        assert post(port, b'{"data": {"order": 8}}') == 503
    assert "order-8" in cdn.kept


def write_records(gateway: Gateway, path: Path, *options: str) -> str:
    ff = f"{sys.executable} -m fastforward_operator.cli"
    environment = {**os.environ, "FF_API": f"http://127.0.0.1:{gateway.stack.api_port}"}
    command = [sys.executable, str(EXAMPLES / "dns_records.py"), str(path), "--once", "--ff", ff, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_records_follow_the_edges(gateway: Gateway, tmp_path: Path) -> None:
    zone, hosts, told = tmp_path / "edges.zone", tmp_path / "hosts", tmp_path / "told"
    there = ("--address", "192.0.2.7", "--address", "2001:db8::7")
    named = ("--zone", "shop.example.com", "--then", f"touch {told}")
    gateway.apply(edge(gateway.port, hosts=["api.shop.example.com", "*.shop.example.com", "other.example.com"]))
    write_records(gateway, zone, *there, *named)
    assert zone.read_text().splitlines() == [
        f"{host}. 60 IN {record}"
        for host in ("*.shop.example.com", "api.shop.example.com")
        for record in ("A 192.0.2.7", "AAAA 2001:db8::7")
    ]
    assert told.exists()
    told.unlink()
    assert write_records(gateway, zone, *there, *named) == ""
    assert not told.exists(), "nothing has changed"
    write_records(gateway, hosts, "--address", "192.0.2.7")
    assert {"192.0.2.7 api.shop.example.com", "192.0.2.7 other.example.com"} <= set(hosts.read_text().splitlines())
    gateway.apply(edge(gateway.port, hosts=["api.shop.example.com"]))
    write_records(gateway, zone, *there[:2], *named)
    assert zone.read_text() == "api.shop.example.com. 60 IN A 192.0.2.7\n"


def test_an_operator_that_is_away_takes_no_record_away(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("192.0.2.7 api.shop.example.com\n")
    (nobody,) = free_ports(1)
    ff = f"{sys.executable} -m fastforward_operator.cli"
    environment = {**os.environ, "FF_API": f"http://127.0.0.1:{nobody}"}
    command = [sys.executable, str(EXAMPLES / "dns_records.py"), str(path), "--once", "--ff", ff]
    said = subprocess.run(
        [*command, "--address", "192.0.2.9"], env=environment, capture_output=True, text=True, check=True
    )
    assert "not asked" in said.stdout
    assert path.read_text() == "192.0.2.7 api.shop.example.com\n"
