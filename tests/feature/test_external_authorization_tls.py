"""A service that is asked by TLS: one that proves to be it lets pass, any other one is not asked and nobody passes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.credentials import certificate_pem, private_key_pem
from support.gateway import Gateway
from support.resources import config_map, edge, on, policy, route, rule, upstream

HOST = "guard.example.com"


class _Guard(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(403 if "secret" in self.path else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:  # ty: ignore[incompatible-method-override]
        """Says nothing."""


@pytest.fixture
def guard(tmp_path: Path) -> Generator[int]:
    """The port of a service that speaks TLS, and keeps everybody from what is secret."""
    (tmp_path / "pair.pem").write_text(certificate_pem(HOST) + private_key_pem(HOST))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Guard)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_only_who_proves_to_be_the_service_decides(deciding_gateway: Gateway, guard: int) -> None:
    gateway = deciding_gateway
    gateway.upstream("books")
    tls = {"serverName": HOST, "authorities": [{"name": "right"}]}
    asking = {"external": {"upstream": {"name": "guard"}, "timeout": "5s"}}
    gateway.apply(
        edge(gateway.port),
        route("books", rule(to="books")),
        config_map("right", {"ca.crt": certificate_pem(HOST)}),
        config_map("wrong", {"ca.crt": certificate_pem("somebody.else")}),
        upstream("guard", guard, tls=tls),
        policy("guarded", on("Route", "books"), authorization=asking),
    )
    assert gateway.get("/books").status == 200
    assert gateway.get("/secret").status == 403
    for other in ({"authorities": [{"name": "wrong"}]}, {"names": ["other.example.com"]}, {"pins": ["A" * 43 + "="]}):
        gateway.apply(upstream("guard", guard, tls={**tls, **other}))
        assert gateway.get("/books").status == 503
    gateway.apply(upstream("guard", guard, tls=tls))
    assert gateway.get("/books").status == 200
