"""Session persistence of Gateway API: clients of a rule stay with the endpoint of the Service that they began with."""

from __future__ import annotations

import re
from collections import Counter

from support.gateway import Gateway, until
from support.gatewayapi import gateway as gateway_of
from support.gatewayapi import gateway_class, http_route, listener, path, pods, rule
from support.resources import Document, Json

NAMES = ("a", "b", "c")
MARK = "[0-9a-f]{16}"


def keeping(gateway: Gateway, **said: Json) -> None:
    """A rule that keeps sessions, and one that does not, for the same Service."""
    ports = [gateway.origin(name).port for name in NAMES]
    kept: Document = rule(path("/shop"), to="books", sessionPersistence=said)
    gateway.apply(
        gateway_class(),
        gateway_of(listener(gateway.port)),
        *pods("books", *ports),
        http_route("books", kept, rule(to="books")),
    )


def origins(gateway: Gateway, at: str = "/shop", **headers: str) -> Counter[str | None]:
    return Counter(gateway.get(at, headers=headers).origin for _ in range(12))


def test_a_client_with_its_cookie_stays(gateway: Gateway) -> None:
    keeping(gateway, sessionName="mine")
    first = gateway.get("/shop/1")
    assert re.fullmatch(f"mine={MARK}; Path=/shop; HttpOnly; SameSite=Lax", first.header("set-cookie") or "")
    cookie = str(first.header("set-cookie")).partition(";")[0]
    assert set(origins(gateway, cookie=cookie)) == {first.origin}
    assert gateway.get("/shop", headers={"cookie": cookie}).header("set-cookie") is None
    assert set(origins(gateway)) == set(NAMES)
    # The other rule keeps nobody.
    assert set(origins(gateway, "/", cookie=cookie)) == set(NAMES)
    assert gateway.get("/").header("set-cookie") is None


def test_a_permanent_cookie_ends_when_it_ends(gateway: Gateway) -> None:
    keeping(gateway, absoluteTimeout="1h", cookieConfig={"lifetimeType": "Permanent"})
    first = gateway.get("/shop")
    expected = f"session-[0-9a-f]{{12}}={MARK}; Path=/shop; Max-Age=3600; HttpOnly; SameSite=Lax"
    assert re.fullmatch(expected, first.header("set-cookie") or "")
    cookie = str(first.header("set-cookie")).partition(";")[0]
    again = gateway.get("/shop", headers={"cookie": cookie})
    assert (again.origin, again.header("set-cookie")) == (first.origin, None)


def test_a_header_does_the_same(gateway: Gateway) -> None:
    keeping(gateway, type="Header", sessionName="X-Mine")
    first = gateway.get("/shop")
    mark = first.header("x-mine") or ""
    assert re.fullmatch(MARK, mark)
    assert set(origins(gateway, **{"x-mine": mark})) == {first.origin}


def test_clients_of_an_endpoint_that_is_gone_go_on_elsewhere(gateway: Gateway) -> None:
    keeping(gateway, sessionName="mine")
    first = gateway.get("/shop")
    cookie = str(first.header("set-cookie")).partition(";")[0]
    gateway.origins[str(first.origin)].stop()
    others = [port for name, port in ((each, gateway.origins[each].port) for each in NAMES) if name != first.origin]
    gateway.apply(*pods("books", *others))
    gateway.delete("EndpointSlice", "books-2")
    again = until(lambda: gateway.get("/shop", headers={"cookie": cookie}), lambda answer: answer.status == 200)
    assert again.origin != first.origin
    assert str(again.header("set-cookie")).startswith("mine=")
