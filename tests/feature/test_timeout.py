"""An upstream may take so long and no longer."""

import time

from support.gateway import Gateway, until
from support.resources import edge, exact, route, rule


def test_a_request_that_takes_longer_is_answered_504_in_time(gateway: Gateway) -> None:
    origin = gateway.upstream("slow")
    gateway.apply(route("slow", rule(to="slow", timeout={"request": "200ms"})))
    with origin.held():
        began = time.monotonic()
        answer = gateway.get()
        took = time.monotonic() - began
    assert (answer.status, answer.reason) == (504, "dispatch/timeout")
    # Envoy counts from when its loop woke up, which may be some milliseconds before it read the request.
    assert 0.18 <= took < 2
    assert gateway.get().status == 200


def test_the_bound_is_over_all_tries_together(gateway: Gateway) -> None:
    origin = gateway.upstream("slow")
    retry = {"attempts": 10, "retryOn": ["gateway-error"], "perTryTimeout": "100ms"}
    gateway.apply(route("slow", rule(to="slow", timeout={"request": "350ms"}, retry=retry)))
    with origin.held():
        assert gateway.get().status == 504
    assert 2 <= len(origin.received) <= 4


def test_each_rule_has_its_own_bound(gateway: Gateway) -> None:
    origin = gateway.upstream("slow")
    gateway.apply(
        route(
            "slow",
            rule(exact("/short"), to="slow", timeout={"request": "100ms"}),
            rule(exact("/long"), to="slow", timeout={"request": "10s"}),
        )
    )
    with gateway.connect() as patient:
        with origin.held():
            assert gateway.get("/short").status == 504
            patient.socket.sendall(b"GET /long HTTP/1.1\r\nhost: example.com\r\n\r\n")
            until(lambda: origin.under_way == 2)
        assert patient.receive().status == 200


def test_a_stream_without_any_byte_ends_after_the_idle_bound(gateway: Gateway) -> None:
    origin = gateway.upstream("slow")
    gateway.apply(route("slow", rule(to="slow", timeout={"request": "0s", "idle": "200ms"})))
    with origin.held():
        assert gateway.get().status == 504


def test_the_edges_idle_bound_holds_where_the_rule_has_none(gateway: Gateway) -> None:
    origin = gateway.upstream("slow")
    gateway.apply(
        edge(gateway.port, timeouts={"streamIdle": "200ms"}), route("slow", rule(to="slow", timeout={"request": "0s"}))
    )
    with origin.held():
        assert gateway.get().status == 504


def test_a_client_that_does_not_finish_its_headers_is_sent_away(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port, timeouts={"requestHeaders": "200ms"}), route("hello", rule(says="hello")))
    with gateway.connect() as connection:
        assert connection.send(b"GET / HTTP/1.1\r\nhost: example.com\r\n").status == 408


def test_a_connection_without_requests_is_closed(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port, timeouts={"connectionIdle": "200ms"}), route("hello", rule(says="hello")))
    with gateway.connect() as connection:
        assert connection.request("GET", "/", host="example.com").body == "hello"
        assert connection.socket.recv(1) == b""
