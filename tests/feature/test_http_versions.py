"""HTTP/1.1 and HTTP/2, on both sides of the gateway."""

import pytest

from support.gateway import Gateway
from support.http2 import Http2Client, Http2Origin, StreamResetError
from support.resources import edge, prefix, route, rule, upstream


def test_a_clear_text_listener_speaks_http2_with_prior_knowledge(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books"), hosts="shop.example.com"))
    with Http2Client(gateway.port) as client:
        answer = client.request("POST", "/a?q=1", host="SHOP.example.com:8080", headers=[("x-a", "1")], body=b"body")
        assert (answer.status, answer.origin) == (200, "books")
        assert client.request("GET", "/", host="other.example.com").status == 404
    seen = origin.received[0]
    assert (seen.method, seen.target, seen.version, seen.body) == ("POST", "/a?q=1", "HTTP/1.1", b"body")
    assert seen.header("x-a") == "1"


def test_many_requests_share_one_http2_connection(gateway: Gateway) -> None:
    gateway.apply(route("books", *(rule(prefix(f"/{n}"), says=str(n)) for n in range(50))))
    with Http2Client(gateway.port) as client:
        streams = {n: client.begin("GET", f"/{n}", host="example.com") for n in range(50)}
        assert {n: client.receive(stream).body for n, stream in streams.items()} == {n: str(n) for n in range(50)}


def test_an_upstream_may_be_spoken_to_in_http2(gateway: Gateway) -> None:
    origin = gateway.origin("books", kind=Http2Origin)
    gateway.apply(upstream("books", origin.port, protocol="HTTP2"), route("books", rule(to="books")))
    answer = gateway.request("POST", "/a?q=1", body="body", headers={"x-a": "1"})
    assert answer.origin == "books"
    assert (origin.last.version, origin.last.target, origin.last.body) == ("HTTP/2", "/a?q=1", b"body")
    assert origin.last.header(":authority") == "example.com"
    with Http2Client(gateway.port) as client:
        assert client.request("GET", "/", host="example.com").origin == "books"


def test_http_1_0_is_refused(gateway: Gateway) -> None:
    gateway.apply(route("hello", rule(says="hello")))
    with gateway.connect() as connection:
        assert connection.send(b"GET / HTTP/1.0\r\nhost: example.com\r\n\r\n").status == 426


def test_a_connection_is_kept_alive(gateway: Gateway) -> None:
    gateway.apply(route("hello", rule(says="hello")))
    with gateway.connect() as connection:
        assert [connection.request("GET", "/", host="example.com").body for _ in range(20)] == ["hello"] * 20


def test_a_chunked_body_arrives_whole(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    chunks = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
    gateway.request("POST", headers={"transfer-encoding": "chunked"}, body=chunks)
    assert origin.last.body == b"hello world"


def test_connections_to_the_upstream_are_used_again(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    with gateway.connect() as connection:
        for _ in range(10):
            connection.request("GET", "/", host="example.com")
    assert {request.connection for request in origin.received} == {0}


def test_no_more_http2_streams_than_the_edge_allows_run_at_once(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(edge(gateway.port, limits={"maxConcurrentStreams": 2}), route("books", rule(to="books")))
    with Http2Client(gateway.port) as client:
        client.request("GET", "/", host="example.com")
        assert client.max_concurrent_streams == 2
        client.ignore_settings()
        with origin.held():
            streams = [client.begin("GET", "/", host="example.com") for _ in range(3)]
            with pytest.raises(StreamResetError):
                client.receive(streams[-1])


@pytest.mark.parametrize(
    "headers",
    [
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("connection", "close")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"), ("X-Upper", "1")],
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"), (":authority", "b")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), ("x-a", "1\r\nx-b: 2")],
        [(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")],
        [(":scheme", "http"), (":path", "/"), (":authority", "a")],
    ],
    ids=["connection", "upper-case", "two-authorities", "line-break", "empty-path", "no-method"],
)
def test_malformed_http2_requests_are_reset(gateway: Gateway, headers: list[tuple[str, str]]) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    with Http2Client(gateway.port) as client, pytest.raises((StreamResetError, ConnectionError)):
        client.receive(client.send(headers))
    assert origin.received == []
