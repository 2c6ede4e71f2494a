"""TLS ends at the edge: the certificate is picked by the server name, and renewed without a lost connection."""

import ssl

import pytest

from support.client import Connection, untrusting
from support.credentials import certificate_pem, tls_data
from support.gateway import Gateway, until
from support.http2 import Http2Client
from support.processes import free_port
from support.resources import Document, edge, exact, route, rule, secret


@pytest.fixture
def https() -> int:
    return free_port()


def certificate(name: str, *hosts: str) -> Document:
    return secret(name, tls_data(*hosts), "kubernetes.io/tls")


def tls_edge(gateway: Gateway, port: int, *secrets: str, **tls: object) -> Document:
    tls = {"certificates": [{"name": name} for name in secrets], **tls}
    listeners = [
        {"name": "http", "port": gateway.port},
        {"name": "https", "port": port, "protocol": "HTTPS", "tls": tls},
    ]
    return edge(gateway.port, listeners=listeners)


def shown(port: int, server_name: str) -> bytes | None:
    """The certificate of a handshake."""
    with Connection(port, server_name=server_name) as connection:
        assert isinstance(connection.socket, ssl.SSLSocket)
        return connection.socket.getpeercert(binary_form=True)


def accepts(port: int) -> bool:
    try:
        return shown(port, "shop.example.com") is not None
    except OSError:
        return False


def der(*hosts: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate_pem(*hosts))


def test_the_server_name_picks_the_certificate(gateway: Gateway, https: int) -> None:
    gateway.apply(
        certificate("shop", "shop.example.com"),
        certificate("any", "*.example.com", "example.com"),
        tls_edge(gateway, https, "shop", "any"),
        route("hello", rule(says="hello")),
    )
    assert shown(https, "shop.example.com") == der("shop.example.com")
    assert shown(https, "SHOP.example.com") == der("shop.example.com")
    for name in ("other.example.com", "example.com"):
        assert shown(https, name) == der("*.example.com", "example.com")
    assert gateway.get(host="shop.example.com", port=https, server_name="shop.example.com").body == "hello"


def test_a_server_name_that_no_certificate_has_gets_no_handshake(gateway: Gateway, https: int) -> None:
    gateway.apply(certificate("shop", "shop.example.com"), tls_edge(gateway, https, "shop"))
    assert shown(https, "shop.example.com") is not None
    for name in ("example.org", "a.shop.example.com"):
        with pytest.raises(OSError, match=r"reset|EOF|closed"):
            shown(https, name)


def test_clear_text_is_not_answered_on_a_tls_port(gateway: Gateway, https: int) -> None:
    gateway.apply(certificate("shop", "shop.example.com"), tls_edge(gateway, https, "shop"))
    with Connection(https) as connection, pytest.raises(OSError, match=r"reset|closed|without response"):
        connection.request("GET", "/", host="shop.example.com")


def test_a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(gateway: Gateway, https: int) -> None:
    gateway.apply(
        certificate("shop", "shop.example.com"), tls_edge(gateway, https, "shop"), route("hello", rule(says="hello"))
    )
    with Connection(https, server_name="shop.example.com") as old:
        assert old.request("GET", "/", host="shop.example.com").body == "hello"
        gateway.apply(secret("shop", tls_data("shop.example.com", "new.example.com"), "kubernetes.io/tls"))
        renewed = der("shop.example.com", "new.example.com")
        until(lambda: shown(https, "shop.example.com"), lambda seen: seen == renewed)
        answer = old.request("GET", "/", host="shop.example.com")
        assert (answer.body, answer.header("connection")) == ("hello", None)


def test_a_certificate_that_is_no_good_is_told_and_clear_text_goes_on_until_it_is_mended(
    gateway: Gateway, https: int
) -> None:
    gateway.apply(
        certificate("shop", "shop.example.com"), tls_edge(gateway, https, "shop"), route("hello", rule(says="hello"))
    )
    mismatched = {**tls_data("shop.example.com"), "tls.key": tls_data("other.example.com")["tls.key"]}
    gateway.apply(secret("shop", mismatched, "kubernetes.io/tls"))
    until(
        lambda: gateway.object("Edge", gateway.namespace, "public"),
        lambda found: "SecretInvalid" in {condition["reason"] for condition in found["conditions"]},
    )
    assert gateway.get(host="shop.example.com").body == "hello"
    gateway.apply(certificate("shop", "shop.example.com"))
    until(lambda: accepts(https))
    assert gateway.get(host="shop.example.com", port=https, server_name="shop.example.com").body == "hello"


def test_http2_and_http1_are_agreed_upon_in_the_handshake(gateway: Gateway, https: int) -> None:
    gateway.apply(
        certificate("shop", "shop.example.com"), tls_edge(gateway, https, "shop"), route("hello", rule(says="hello"))
    )
    with Http2Client(https, server_name="shop.example.com") as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "h2"
        assert client.request("GET", "/", host="shop.example.com").body == "hello"


def test_a_minimum_version_refuses_older_ones(gateway: Gateway, https: int) -> None:
    gateway.apply(certificate("shop", "shop.example.com"), tls_edge(gateway, https, "shop", minVersion="1.3"))
    assert shown(https, "shop.example.com") is not None
    context = untrusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Connection(https) as connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection.socket, server_hostname="shop.example.com")


def test_a_missing_certificate_is_told_and_clear_text_goes_on(gateway: Gateway, https: int) -> None:
    gateway.apply(
        tls_edge(gateway, https, "missing"),
        route("hello", rule(says="hello")),
        expect={("Edge", "public"): "SecretNotFound"},
    )
    assert gateway.get().body == "hello"


def test_the_origin_is_told_which_scheme_the_client_used(gateway: Gateway, https: int) -> None:
    origin = gateway.upstream("books")
    gateway.apply(
        certificate("shop", "shop.example.com"), tls_edge(gateway, https, "shop"), route("books", rule(to="books"))
    )
    gateway.get(host="shop.example.com", port=https, server_name="shop.example.com")
    assert origin.last.header("x-forwarded-proto") == "https"
    gateway.get(host="shop.example.com")
    assert origin.last.header("x-forwarded-proto") == "http"


def test_a_route_to_one_listener_may_send_clear_text_to_https(gateway: Gateway, https: int) -> None:
    to_https = rule(redirect={"scheme": "https", "status": 301})
    gateway.apply(
        certificate("shop", "shop.example.com"),
        tls_edge(gateway, https, "shop"),
        route("secure", rule(exact("/a"), says="safe"), edges=[{"name": "public", "listener": "https"}]),
        route("redirect", to_https, edges=[{"name": "public", "listener": "http"}]),
    )
    answer = gateway.get("/a", host="shop.example.com")
    assert (answer.status, answer.header("location")) == (301, "https://shop.example.com/a")
    assert gateway.get("/a", host="shop.example.com", port=https, server_name="shop.example.com").body == "safe"
