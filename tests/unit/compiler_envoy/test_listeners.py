"""Listeners, asked of a real Envoy: certificates by server name, trusted hops, upgrades, bounds."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from fastforward_compiler import ir

from support.client import Connection, untrusting
from support.credentials import certificate_pem, private_key_pem
from support.ir_values import ORIGIN, delta, edge, entry, scope, table, upstream
from support.origin import Origin, Received, Reply
from support.static_envoy import StaticEnvoy

Serve = Callable[..., StaticEnvoy]


def certificate(*hosts: str) -> ir.Certificate:
    chain, key = certificate_pem(*hosts), private_key_pem(hosts[0])
    return ir.Certificate(name=f"shop/{hosts[0]}", hosts=hosts, chain=chain.encode(), key=key.encode())


ENTRIES = (
    entry("known", "/known", edge_admission=ir.Admission(deny_addresses=("198.51.100.0/24",)), to=ORIGIN),
    entry("upgraded", "/ws", to=ORIGIN, admission=ir.Admission(max_body_bytes=1)),
    entry("answered", "/"),
)


def world(origin: Origin, made: ir.Edge) -> ir.Delta:
    return delta(
        edges=(made,),
        scopes=(scope("a.test"), scope("*.b.test")),
        tables=(table("a.test", *ENTRIES), table("*.b.test", entry("b"))),
        upstreams=(upstream(port=origin.port),),
    )


@pytest.fixture(scope="module")
def plain(serve: Serve, origin: Origin) -> StaticEnvoy:
    return serve(lambda port: world(origin, edge(port, tenant_header="x-tenant")))


@pytest.fixture(scope="module")
def behind(serve: Serve, origin: Origin) -> StaticEnvoy:
    return serve(lambda port: world(origin, edge(port, trusted_hop_count=1)))


@pytest.fixture(scope="module")
def secure(serve: Serve, origin: Origin) -> StaticEnvoy:
    certificates = (certificate("a.test"), certificate("*.b.test", "a.test"))

    def made(port: int) -> ir.Delta:
        return world(origin, edge(listeners=(ir.Listener(name="https", port=port, certificates=certificates),)))

    return serve(made)


def presented(envoy: StaticEnvoy, name: str) -> tuple[list[str], str | None]:
    """DNS names in the certificate that is shown for a server name, and the protocol agreed on."""
    context = untrusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", envoy.port), 5) as plain_socket,
        context.wrap_socket(plain_socket, server_hostname=name) as secured,
    ):
        shown = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
        names = shown.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert isinstance(names, x509.SubjectAlternativeName)
        return names.get_values_for_type(x509.DNSName), secured.selected_alpn_protocol()


def test_the_certificate_is_picked_by_the_server_name(secure: StaticEnvoy) -> None:
    assert presented(secure, "a.test") == (["a.test"], "h2")
    assert presented(secure, "x.b.test") == (["*.b.test", "a.test"], "h2")


def test_an_unknown_server_name_gets_no_certificate(secure: StaticEnvoy) -> None:
    with pytest.raises((ssl.SSLError, OSError)):
        presented(secure, "c.test")


def test_requests_over_tls_find_their_tables(secure: StaticEnvoy) -> None:
    with Connection(secure.port, server_name="a.test") as connection:
        assert connection.request("GET", "/", host="A.test:8443").body == "answered"
        assert connection.request("GET", "/known", host="a.test").origin == "origin"


def test_an_upstream_behind_tls_is_told_so(secure: StaticEnvoy, origin: Origin) -> None:
    with Connection(secure.port, server_name="a.test") as connection:
        connection.request("GET", "/known", host="a.test")
    assert origin.last.header("x-forwarded-proto") == "https"


def test_the_address_of_a_client_is_that_of_its_connection(plain: StaticEnvoy) -> None:
    assert plain.ask("a.test", "/known", {"x-forwarded-for": "198.51.100.7"}).status == 200


def test_behind_a_trusted_hop_the_address_is_what_the_hop_says(behind: StaticEnvoy) -> None:
    for forwarded, status in [
        ("198.51.100.7", 403),
        ("198.51.100.7, 192.0.2.1", 200),
        ("192.0.2.1, 198.51.100.7", 403),
    ]:
        assert behind.ask("a.test", "/known", {"x-forwarded-for": forwarded}).status == status


def test_behind_a_trusted_hop_the_request_keeps_its_id(behind: StaticEnvoy) -> None:
    request_id = "0af76519-16cd-43dd-8448-eb211c80319c"
    response = behind.ask("a.test", "/known", {"x-request-id": request_id, "x-forwarded-for": "192.0.2.1"})
    assert response.header("x-request-id") == request_id


def test_even_a_trusted_hop_may_not_write_our_own_headers(behind: StaticEnvoy, origin: Origin) -> None:
    behind.ask("a.test", "/known", {"x-ff-tenant": "t1", "x-ff-subject": "root"})
    assert not {name for name in origin.last.names if name.startswith("x-ff-")}


def test_the_tenant_header_of_an_edge_never_reaches_the_upstream(plain: StaticEnvoy, origin: Origin) -> None:
    plain.ask("a.test", "/known", {"x-tenant": "t1"})
    assert origin.last.header("x-tenant") is None


def test_websockets_are_upgraded_though_bodies_are_bounded(plain: StaticEnvoy, origin: Origin) -> None:
    def switch(request: Received) -> Reply:
        upgraded = request.header("upgrade") == "websocket"
        return Reply(status=101 if upgraded else 400, headers=(("connection", "upgrade"), ("upgrade", "websocket")))

    before, origin.answer = origin.answer, switch
    handshake = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "x",
        "sec-websocket-version": "13",
    }
    with Connection(plain.port) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in handshake.items())
        connection.socket.sendall(f"GET /ws HTTP/1.1\r\nhost: a.test\r\n{lines}\r\n".encode())
        answer = connection.socket.recv(4096)
    origin.answer = before
    assert answer.startswith(b"HTTP/1.1 101 ")


def test_a_client_has_the_bounds_of_the_edge(serve: Serve, origin: Origin) -> None:
    bounded = serve(lambda port: world(origin, replace(edge(port), max_headers=20, max_header_bytes=2000)))
    assert bounded.ask("a.test", "/", [("x", "y")] * 10).status == 200
    assert bounded.ask("a.test", "/", [("x", "y")] * 30).status == 431
    assert bounded.ask("a.test", "/", {"x": "y" * 3000}).status == 431


def test_connections_beyond_the_bound_are_closed(serve: Serve, origin: Origin) -> None:
    bounded = serve(lambda port: world(origin, replace(edge(port), max_connections=2)))
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(Connection(bounded.port)) for _ in range(6)]
        answered = 0
        for connection in connections:
            with contextlib.suppress(OSError):
                answered += connection.request("GET", "/", host="a.test").status == 200
    # One less when the connection by which the start was noticed is still on its way out.
    assert 1 <= answered <= 2
