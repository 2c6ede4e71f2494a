"""What a client may send at most, and what is refused before it reaches anything."""

import socket

import pytest

from support.client import Connection
from support.gateway import Gateway, until
from support.http2 import Http2Client
from support.origin import Origin
from support.resources import Json, edge, route, rule


@pytest.fixture
def origin(gateway: Gateway) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    return origin


def limit(gateway: Gateway, **limits: Json) -> None:
    gateway.apply(edge(gateway.port, limits=limits))


def test_more_headers_than_allowed_are_431(gateway: Gateway, origin: Origin) -> None:
    limit(gateway, maxHeaders=20)
    headers = [(f"x-{number}", "1") for number in range(15)]
    assert gateway.get(headers=headers).status == 200
    answer = gateway.get(headers=headers + [(f"y-{number}", "1") for number in range(10)])
    assert (answer.status, answer.reason) == (431, "ingress/malformed-request")
    assert len(origin.received) == 1


def test_larger_headers_than_allowed_are_431(gateway: Gateway, origin: Origin) -> None:
    limit(gateway, maxHeaderBytes=4096)
    assert gateway.get(headers={"x-a": "a" * 3500}).status == 200
    assert gateway.get(headers={"x-a": "a" * 4500}).status == 431
    assert gateway.get(headers=[(f"x-{number}", "a" * 500) for number in range(10)]).status == 431
    assert gateway.get(f"/{'a' * 5000}").status == 431
    assert len(origin.received) == 1


def test_sixty_kib_of_headers_pass_by_default_and_more_do_not(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get(headers={"x-a": "a" * 59_000}).status == 200
    assert gateway.get(headers={"x-a": "a" * 62_000}).status == 431
    assert len(origin.received) == 1


def test_a_connection_serves_so_many_requests_and_is_closed(gateway: Gateway, origin: Origin) -> None:
    limit(gateway, maxRequestsPerConnection=3)
    with gateway.connect() as connection:
        answers = [connection.request("GET", "/", host="example.com") for _ in range(3)]
        assert [answer.header("connection") for answer in answers] == [None, None, "close"]
        assert connection.socket.recv(1) == b""
    assert len(origin.received) == 3


def test_more_connections_than_allowed_are_closed_at_once(gateway: Gateway, origin: Origin) -> None:
    limit(gateway, maxConnections=2)
    first, second = gateway.connect(), gateway.connect()
    assert first.request("GET", "/", host="example.com").status == 200
    assert second.request("GET", "/", host="example.com").status == 200
    with gateway.connect() as third, pytest.raises(OSError, match=r"closed|reset|without response"):
        third.request("GET", "/", host="example.com")
    first.close()
    until(lambda: passes(gateway))
    second.close()
    assert len(origin.received) >= 3


def passes(gateway: Gateway) -> bool:
    try:
        return gateway.get().status == 200
    except OSError:
        return False


@pytest.mark.parametrize("name", ["x_tenant", "x_ff_tenant", "_", "content_length"])
def test_header_names_with_underscores_are_refused(gateway: Gateway, origin: Origin, name: str) -> None:
    assert gateway.get(headers={name: "1"}).status == 400
    with Http2Client(gateway.port) as client, pytest.raises(Exception, match="stream"):
        client.request("GET", "/", host="example.com", headers=[(name, "1")])
    assert origin.received == []


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nhost: example.com\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: example.com\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: example.com\r\nx-a: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: example.com\r\nx-a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: example.com\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: example.com\r\ncontent-length: 0x1\r\n\r\nx",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_what_two_parsers_might_read_differently_is_refused(gateway: Gateway, origin: Origin, octets: bytes) -> None:
    with gateway.connect() as connection:
        try:
            status = connection.send(octets).status
        except OSError:
            status = 400
    assert status in (400, 501)
    assert origin.received == []


@pytest.mark.parametrize(
    "hosts", [("example.com", "other.example.com"), ("example.com", "example.com"), ("",), ("a b",)]
)
def test_a_request_has_one_proper_host(gateway: Gateway, origin: Origin, hosts: tuple[str, ...]) -> None:
    with gateway.connect() as connection:
        answer = connection.request("GET", "/", host=None, headers=[("host", host) for host in hosts])
    assert answer.status in (400, 404)
    assert origin.received == []


def test_a_slow_body_is_given_up_after_the_idle_bound(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(edge(gateway.port, timeouts={"streamIdle": "200ms"}))
    with Connection(gateway.port) as connection:
        answer = connection.send(b"POST / HTTP/1.1\r\nhost: example.com\r\ncontent-length: 10\r\n\r\nabc")
    assert answer.status in (408, 504)
    assert origin.received == []


def test_an_edge_without_access_log_writes_no_lines(gateway: Gateway, origin: Origin) -> None:
    assert gateway.log_line(gateway.get())["status"] == 200
    gateway.apply(edge(gateway.port, accessLog=False))
    silent = gateway.get().header("x-request-id")
    gateway.apply(edge(gateway.port, accessLog=True))
    gateway.log_line(gateway.get())
    assert silent not in {line["requestId"] for line in gateway.log_lines()}
    assert len(origin.received) == 3


def test_half_a_request_does_not_hold_up_the_others(gateway: Gateway, origin: Origin) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as half:
        half.sendall(b"GET / HTTP/1.1\r\nhost: exam")
        assert gateway.get().status == 200
    assert len(origin.received) == 1


def test_connect_makes_no_tunnel(gateway: Gateway, origin: Origin) -> None:
    with gateway.connect() as connection:
        assert connection.request("CONNECT", "example.com:443", host="example.com").status == 404
    assert origin.received == []


@pytest.mark.parametrize("host", ["unknown.example.org", "UNKNOWN.example.org", "[2001:db8::1]"])
def test_a_body_that_never_ends_is_not_waited_for_where_no_host_is(gateway: Gateway, origin: Origin, host: str) -> None:
    head = f"POST / HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    with gateway.connect() as connection:
        assert connection.send(head.encode()).status == 404
    assert origin.received == []
