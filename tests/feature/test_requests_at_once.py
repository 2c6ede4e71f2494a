"""Rate limits that bound requests under way, by key, over all proxies."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from support.client import Response
from support.gateway import Gateway, until
from support.origin import Origin, Reply
from support.resources import Json, limit, on, route, rule


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    origin = deciding_gateway.upstream("books")
    deciding_gateway.apply(route("books", rule(to="books")))
    return origin


def apply(gateway: Gateway, *, most: int, name: str = "at-once", lease: str = "10m", **spec: Json) -> None:
    aimed, concurrency = on("Route", "books"), {"lease": lease}
    gateway.apply(limit(name, aimed, requests=most, enforcement="Exact", concurrency=concurrency, **spec))


@contextmanager
def under_way(gateway: Gateway, origin: Origin, number: int, **headers: str) -> Generator[list[int]]:
    """While the block runs, so many requests are; their statuses afterwards."""
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(gateway.get(headers=headers).status)) for _ in range(number)
    ]
    with origin.held():
        for thread in threads:
            thread.start()
        until(lambda: origin.under_way, lambda found: found == number)
        yield statuses
    for thread in threads:
        thread.join()


def is_free(gateway: Gateway) -> Response:
    return until(gateway.get, lambda answer: answer.status == 200)


def test_what_is_above_the_bound_is_429_and_the_rest_is_served(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=2)
    with under_way(gateway, origin, 2) as statuses:
        refused = gateway.get()
    assert (refused.status, refused.reason) == (429, "ratelimit/too-many-at-once")
    assert refused.header("content-type") == "application/problem+json"
    told = [refused.header(name) for name in ("retry-after", "x-ratelimit-limit", "x-ratelimit-remaining")]
    assert told == ["1", "2", "0"]
    assert gateway.log_line(refused)["refusal"] == "ratelimit/too-many-at-once"
    assert statuses == [200, 200]
    assert is_free(gateway).header("x-ratelimit-remaining") == "1"


def test_one_after_another_always_pass(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=1)
    with gateway.connect() as connection:
        found = [connection.request("GET", "/", host="example.com").status for _ in range(50)]
    assert found == [200] * 50
    assert len(origin.received) == 50


def test_each_key_has_places_of_its_own(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=1, key=[{"type": "Header", "header": "x-caller"}])
    with under_way(gateway, origin, 1, **{"x-caller": "ann"}):
        assert gateway.get(headers={"x-caller": "ann"}).status == 429
        # Nobody answers while others are held: so its connection is left.
        with gateway.connect() as connection:
            connection.socket.sendall(b"GET / HTTP/1.1\r\nhost: example.com\r\nx-caller: bob\r\n\r\n")
            until(lambda: origin.under_way, lambda found: found == 2)


def test_who_goes_away_gives_the_place_back(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=1)
    with origin.held(), gateway.connect() as connection:
        connection.socket.sendall(b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n")
        until(lambda: origin.under_way, lambda found: found == 1)
        assert gateway.get().status == 429
    is_free(gateway)


def test_what_the_proxy_refuses_or_fails_gives_the_place_back(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=1)
    origin.answer = lambda _: Reply(hang_up=True)
    assert gateway.get().status == 503
    origin.answer = lambda _: Reply()
    is_free(gateway)
    # Counted natively, after the decision: the second is refused by the proxy.
    gateway.apply(limit("native", on("Route", "books"), requests=1, window="1h"))
    assert [gateway.get().status for _ in range(4)] == [200, 429, 429, 429]
    assert gateway.get().reason == "ratelimit/exceeded"


def test_a_refusal_costs_no_other_limit_anything(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=1)
    gateway.apply(limit("few", on("Route", "books"), requests=3, window="1h", enforcement="Exact"))
    with under_way(gateway, origin, 1):
        assert [gateway.get().status for _ in range(3)] == [429] * 3
    assert is_free(gateway).header("x-ratelimit-remaining") == "0"


def test_a_place_whose_end_nobody_tells_is_free_after_its_lease(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=1, lease="1s")
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(gateway.get().status))
    with origin.held():
        first.start()
        until(lambda: origin.under_way, lambda found: found == 1)
        assert gateway.get().status == 429
        until(lambda: _passes(gateway, origin))
    first.join()
    assert statuses == [200]


def _passes(gateway: Gateway, origin: Origin) -> bool:
    """Whether one more request comes to the origin, which answers nobody now."""
    with gateway.connect() as connection:
        connection.socket.sendall(b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n")
        connection.socket.settimeout(0.3)
        try:
            return not connection.socket.recv(1)
        except TimeoutError:
            return len(origin.received) + origin.under_way > 1


def test_a_shadowed_limit_hinders_nobody(gateway: Gateway, origin: Origin) -> None:
    apply(gateway, most=1, shadow=True)
    with under_way(gateway, origin, 3) as statuses:
        pass
    assert statuses == [200] * 3
    lines = until(gateway.log_lines, lambda lines: len(lines) == 3)
    shadowed = [line["shadowDecision"] for line in lines if line["shadowDecision"]]
    assert shadowed == [f"RateLimit {gateway.namespace}/at-once ratelimit/too-many-at-once"] * 2
