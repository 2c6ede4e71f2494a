"""What the bookshop says over WebSocket."""

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support.bookshop import Bookshop, running


def test_echo_returns_text_as_text_and_binary_as_binary(bookshop: Bookshop) -> None:
    with connect(f"ws://127.0.0.1:{bookshop.rest_port}/ws/echo", proxy=None) as socket:
        assert socket.response is not None
        assert socket.response.headers["x-served-by"] == "catalog-v7"
        socket.send("text")
        assert socket.recv(timeout=5) == "text"
        socket.send(b"\x00\xff")
        assert socket.recv(timeout=5) == b"\x00\xff"


def test_prices_tells_all_prices_and_then_each_change_of_its_tenant_alone(bookshop: Bookshop) -> None:
    uri = f"ws://127.0.0.1:{bookshop.rest_port}/ws/prices"
    with connect(uri, proxy=None, additional_headers={"x-ff-tenant": "globex"}) as socket:
        first = json.loads(socket.recv(timeout=5))
        assert first == {"type": "prices", "prices": {"styles": 799, "orient": 999, "whose-body": 849}}
        bookshop.request("PUT", "/admin/stock/moby", body='{"price_cents": 1}')
        globex = {"x-ff-tenant": "globex"}
        bookshop.request("PUT", "/admin/stock/styles", body='{"price_cents": 699}', headers=globex)
        change = json.loads(socket.recv(timeout=5))
        assert change == {"type": "change", "book": "styles", "price_cents": 699, "previous_price_cents": 799}


def test_a_tenant_without_catalogue_gets_no_prices(bookshop: Bookshop) -> None:
    uri = f"ws://127.0.0.1:{bookshop.rest_port}/ws/prices"
    with (
        pytest.raises(InvalidStatus) as refusal,
        connect(uri, proxy=None, additional_headers={"x-ff-tenant": "nobody"}),
    ):
        pass
    assert refusal.value.response.status_code == 404


def test_no_ws_turns_the_websockets_off() -> None:
    with running("--no-ws") as shop:
        assert shop.request("GET", "/ws/echo").status == 404
