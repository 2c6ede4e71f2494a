"""HTTP/3: a listener of TLS serves the same over QUIC, and tells clients so."""

from __future__ import annotations

import socket

import pytest

from support.credentials import certificate_pem, tls_data
from support.gateway import Gateway, until
from support.http2 import Http2Client
from support.http3 import ClosedError, Http3Client
from support.processes import free_port
from support.resources import (
    Document,
    Json,
    edge,
    exact,
    issuers,
    limit,
    on,
    policy,
    proven_by,
    route,
    rule,
    secret,
    tokens_of,
)
from support.tokens import bearer

HOST = "shop.example.com"


@pytest.fixture
def https() -> int:
    return free_port()


def certificate(name: str, *hosts: str) -> Document:
    return secret(name, tls_data(*hosts), "kubernetes.io/tls")


def quic_edge(gateway: Gateway, port: int, *secrets: str, http3: bool = True, **spec: Json) -> Document:
    tls = {"certificates": [{"name": name} for name in secrets]}
    secure = {"name": "https", "port": port, "protocol": "HTTPS", "tls": tls, "http3": http3}
    return edge(gateway.port, listeners=[{"name": "http", "port": gateway.port}, secure], **spec)


def connect(port: int, server_name: str = HOST, *, trusted: str = "", timeout_s: float = 10) -> Http3Client:
    return Http3Client(port, server_name=server_name, trusted=trusted, timeout_s=timeout_s)


def test_requests_and_bodies_go_over_quic_as_over_tls(gateway: Gateway, https: int) -> None:
    origin = gateway.upstream("books")
    gateway.apply(certificate("shop", HOST), quic_edge(gateway, https, "shop"), route("books", rule(to="books")))
    with connect(https) as client:
        for size in (0, 10, 300_000):
            answer = client.request("POST", f"/a?size={size}", host=HOST, headers=[("x-a", "1")], body=b"x" * size)
            assert answer.status == 200
            received = origin.last
            assert (received.target, len(received.body), received.header("x-a")) == (f"/a?size={size}", size, "1")
            assert received.header("x-forwarded-proto") == "https"
    assert gateway.log_line(answer)["protocol"] == "HTTP/3"


def test_answers_tell_where_http3_is_and_the_upstreams_own_word_is_none(gateway: Gateway, https: int) -> None:
    gateway.apply(
        certificate("shop", HOST),
        quic_edge(gateway, https, "shop"),
        route("hello", rule(exact("/a"), says="hello", responseHeaders={"set": [{"name": "alt-svc", "value": "x"}]})),
    )
    told = f'h3=":{https}"; ma=86400'
    for target in ("/a", "/nowhere"):
        answer = gateway.get(target, host=HOST, port=https, server_name=HOST)
        assert [value for name, value in answer.headers if name == "alt-svc"] == [told]
        with Http2Client(https, server_name=HOST) as client:
            assert client.request("GET", target, host=HOST).header("alt-svc") == told
        with connect(https) as quic:
            assert quic.request("GET", target, host=HOST).header("alt-svc") == told
    # In clear text there is nothing to tell.
    assert gateway.get("/nowhere", host=HOST).header("alt-svc") is None


def test_the_server_name_picks_the_certificate(gateway: Gateway, https: int) -> None:
    gateway.apply(
        certificate("shop", HOST),
        certificate("any", "*.example.com"),
        quic_edge(gateway, https, "shop", "any"),
        route("hello", rule(says="hello")),
    )
    for name, trusted in ((HOST, HOST), ("other.example.com", "*.example.com")):
        with connect(https, name, trusted=certificate_pem(trusted)) as client:
            assert client.request("GET", "/", host=name).body == "hello"
    with pytest.raises(ClosedError):
        connect(https, "other.example.com", trusted=certificate_pem(HOST))
    with pytest.raises(ClosedError):
        connect(https, "example.org", timeout_s=2)


def test_a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(gateway: Gateway, https: int) -> None:
    gateway.apply(certificate("shop", HOST), quic_edge(gateway, https, "shop"), route("hello", rule(says="hello")))
    with connect(https) as old:
        assert old.request("GET", "/", host=HOST).body == "hello"
        gateway.apply(certificate("shop", HOST, "new.example.com"))
        renewed = certificate_pem(HOST, "new.example.com")

        def shown() -> bool:
            try:
                connect(https, trusted=renewed).__exit__(None, None, None)
            except ClosedError:
                return False
            return True

        until(shown)
        assert old.request("GET", "/", host=HOST).body == "hello"


def test_policies_bounds_and_limits_hold(gateway: Gateway, https: int) -> None:
    gateway.upstream("books")
    gateway.apply(
        certificate("shop", HOST),
        issuers("a"),
        quic_edge(gateway, https, "shop", admission={"maxBodyBytes": 100}),
        route("books", rule(to="books")),
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of())),
        limit("few", on("Route", "books"), requests=3),
    )
    token = list(bearer("a").items())
    with connect(https) as client:
        refused = client.request("GET", "/", host=HOST)
        assert (refused.status, refused.reason) == (401, "authentication/token-missing")
        large = client.request("POST", "/", host=HOST, headers=[*token, ("content-length", "101")], body=b"x" * 101)
        assert (large.status, large.reason) == (413, "admission/body-too-large")
        assert [client.request("GET", "/", host=HOST, headers=token).status for _ in range(4)] == [200] * 3 + [429]


def test_forged_headers_are_taken_away(gateway: Gateway, https: int) -> None:
    origin = gateway.upstream("books")
    gateway.apply(certificate("shop", HOST), quic_edge(gateway, https, "shop"), route("books", rule(to="books")))
    with connect(https) as client:
        forged = [("x-ff-tenant", "acme"), ("x-forwarded-for", "203.0.113.9"), ("x-envoy-original-path", "/x")]
        assert client.request("GET", "/", host=HOST, headers=forged).status == 200
    assert origin.last.header("x-ff-tenant") is None
    assert "203.0.113.9" not in (origin.last.header("x-forwarded-for") or "")


def test_nothing_is_taken_before_the_handshake_has_ended(gateway: Gateway, https: int) -> None:
    gateway.apply(certificate("shop", HOST), quic_edge(gateway, https, "shop"), route("hello", rule(says="hello")))
    with connect(https) as client:
        assert client.request("GET", "/", host=HOST).body == "hello"
        client.wait(lambda: bool(client.tickets))
        [ticket, *_] = client.tickets
    assert ticket.max_early_data_size is None
    # Who sends early all the same is not heard early.
    ticket.max_early_data_size = 0xFFFFFFFF
    with Http3Client(https, server_name=HOST, ticket=ticket) as again:
        assert not again.early_data_accepted
        assert again.request("GET", "/", host=HOST).body == "hello"


def test_a_listener_that_no_longer_speaks_it_is_told_and_gone(gateway: Gateway, https: int) -> None:
    gateway.apply(certificate("shop", HOST), quic_edge(gateway, https, "shop"), route("hello", rule(says="hello")))
    with connect(https) as client:
        assert client.request("GET", "/", host=HOST).body == "hello"
    gateway.apply(quic_edge(gateway, https, "shop", http3=False))
    until(lambda: gateway.get(host=HOST, port=https, server_name=HOST).header("alt-svc"), lambda told: told is None)

    def is_gone() -> bool:
        try:
            connect(https, timeout_s=1).__exit__(None, None, None)
        except ClosedError:
            return True
        return False

    until(is_gone)


def test_a_port_that_is_taken_is_told_in_the_status(gateway: Gateway, https: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", https))
        gateway.write(certificate("shop", HOST))
        gateway.write(quic_edge(gateway, https, "shop"))
        found = until(
            lambda: gateway.object("Edge", gateway.namespace, "public"),
            lambda object_: "Rejected" in str(object_.get("conditions")),
        )
        assert found
