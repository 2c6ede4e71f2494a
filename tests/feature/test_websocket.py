"""WebSocket through the gateway."""

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from support.bookshop import Bookshop
from support.client import Connection
from support.gateway import Gateway
from support.resources import edge, prefix, route, rule, upstream


def open_socket(gateway: Gateway, path: str = "/ws/echo", **headers: str) -> ClientConnection:
    plain = Connection(gateway.port).socket
    return connect(f"ws://example.com{path}", sock=plain, additional_headers=headers, proxy=None)


@pytest.fixture
def shop(gateway: Gateway, bookshop: Bookshop) -> Gateway:
    gateway.apply(upstream("shop", bookshop.rest_port), route("ws", rule(prefix("/ws"), to="shop")))
    return gateway


def test_messages_go_both_ways(shop: Gateway) -> None:
    with open_socket(shop) as socket:
        for message in ("hello", "again", "ä" * 10_000):
            socket.send(message)
            assert socket.recv() == message
        socket.send(b"\x00\xff")
        assert socket.recv() == b"\x00\xff"


def test_the_upstream_may_speak_first(shop: Gateway) -> None:
    with open_socket(shop, "/ws/prices") as socket:
        assert "prices" in str(socket.recv())


def test_the_handshake_is_matched_like_any_request(shop: Gateway) -> None:
    condition = {"headers": [{"name": "x-room", "value": "1"}]}
    shop.apply(
        route("ws", rule(prefix("/ws", **condition), to="shop"), rule(prefix("/other"), says="no socket here")),
    )
    with open_socket(shop, **{"x-room": "1"}) as socket:
        socket.send("x")
        assert socket.recv() == "x"
    for path in ("/ws/echo", "/other"):
        with pytest.raises(InvalidStatus):
            open_socket(shop, path)


def test_an_open_socket_outlives_the_bound_on_requests(shop: Gateway) -> None:
    shop.apply(route("ws", rule(prefix("/ws"), to="shop", timeout={"request": "100ms"})))
    with open_socket(shop) as socket:
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.4)
        socket.send("still here")
        assert socket.recv() == "still here"


def test_a_quiet_socket_is_closed_after_the_idle_bound(shop: Gateway) -> None:
    shop.apply(edge(shop.port, timeouts={"streamIdle": "200ms"}))
    with open_socket(shop) as socket, pytest.raises(Exception, match="no close frame"):
        socket.recv(timeout=5)


def test_an_open_socket_survives_changes_of_its_route(shop: Gateway) -> None:
    with open_socket(shop) as socket:
        for number in range(3):
            headers = {"set": [{"name": "x-number", "value": str(number)}]}
            shop.apply(route("ws", rule(prefix("/ws"), to="shop", requestHeaders=headers)))
            socket.send(str(number))
            assert socket.recv() == str(number)


def test_other_upgrades_are_not_passed_on(shop: Gateway) -> None:
    answer = shop.get("/ws/echo", headers={"connection": "upgrade", "upgrade": "foo"})
    assert answer.status == 403
