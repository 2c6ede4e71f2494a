"""Clients that prove by certificate who they are."""

import socket
import ssl
from pathlib import Path

import pytest

from support.credentials import certificate_pem, private_key_pem, tls_data
from support.gateway import Gateway
from support.processes import free_port
from support.resources import Document, config_map, edge, route, rule, secret

HOST, CLIENT, STRANGER = "secure.example.com", "client.example.com", "stranger.example.com"


def serve(gateway: Gateway, port: int, mode: str, *, expect: str = "Programmed", authority: str = "clients") -> None:
    clients = {"authorities": [{"name": authority}], "mode": mode}
    tls: Document = {"certificates": [{"name": "tls"}], "clients": clients}
    listener = {"name": "https", "port": port, "protocol": "HTTPS", "tls": tls}
    gateway.apply(
        secret("tls", tls_data(HOST), "kubernetes.io/tls"),
        config_map("clients", {"ca.crt": certificate_pem(CLIENT)}),
        edge(port, hosts=[HOST], listeners=[listener]),
        expect={("Edge", "public"): expect},
    )


def ask(port: int, client: str, folder: Path, headers: str = "") -> bytes:
    """What an HTTP/1.1 client reads that shows a certificate, or none. Raises OSError when it is not let in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        path = folder / f"{client}.pem"
        path.write_text(certificate_pem(client) + private_key_pem(client))
        context.load_cert_chain(path)
    plain = socket.create_connection(("127.0.0.1", port), 10)
    with context.wrap_socket(plain, server_hostname=HOST) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nhost: {HOST}\r\n{headers}connection: close\r\n\r\n".encode())
        read = b"".join(iter(lambda: connection.recv(65536), b""))
    if not read:
        raise ConnectionResetError("closed")
    return read


@pytest.mark.parametrize(
    ("mode", "client", "let_in"),
    [
        ("Required", CLIENT, True),
        ("Required", STRANGER, False),
        ("Required", "", False),
        ("Optional", CLIENT, True),
        ("Optional", STRANGER, False),
        ("Optional", "", True),
    ],
)
def test_who_is_let_in(gateway: Gateway, tmp_path: Path, mode: str, client: str, *, let_in: bool) -> None:
    port = free_port()
    serve(gateway, port, mode)
    books = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books"), hosts=HOST))
    forged = "x-forwarded-client-cert: By=root\r\n"
    if not let_in:
        with pytest.raises(OSError, match=r"."):
            ask(port, client, tmp_path, forged)
        assert books.received == []
        return
    assert b" 200 " in ask(port, client, tmp_path, forged)
    told = books.last.header("x-forwarded-client-cert")
    assert (f"DNS={CLIENT}" in str(told), "By=root" in str(told)) == (bool(client), False)


def test_without_its_authorities_nobody_is_let_in(gateway: Gateway, tmp_path: Path) -> None:
    port = free_port()
    serve(gateway, port, "Optional", expect="SecretNotFound", authority="nobody")
    assert list(gateway.problems("Edge", "public")) == ["spec.listeners[0].tls.clients.authorities[0]"]
    with pytest.raises(OSError, match=r"."):
        ask(port, "", tmp_path)
