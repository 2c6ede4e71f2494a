"""An edge bounds the requests under way by how long they take: above, they are refused, and nothing waits."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import edge, route, rule


@pytest.fixture
def books(gateway: Gateway) -> Origin:
    return gateway.upstream("books")


def bound(gateway: Gateway, *, most: int) -> None:
    concurrency = {"least": most, "most": most}
    gateway.apply(
        edge(gateway.port, adaptiveConcurrency=concurrency),
        route("books", rule(to="books"), admission={"denyAddresses": ["127.0.0.9"]}),
    )


@contextmanager
def under_way(gateway: Gateway, books: Origin, number: int) -> Generator[list[int]]:
    """While the block runs, so many requests are; their statuses afterwards."""
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(gateway.get().status)) for _ in range(number)]
    with books.held():
        for thread in threads:
            thread.start()
        until(lambda: books.under_way, lambda found: found == number)
        yield statuses
    for thread in threads:
        thread.join()


def test_what_is_above_the_bound_is_503_and_the_rest_is_served(gateway: Gateway, books: Origin) -> None:
    bound(gateway, most=2)
    with under_way(gateway, books, 2) as statuses:
        refused = gateway.get()
    assert (refused.status, refused.reason) == (503, "dispatch/overloaded")
    assert refused.header("content-type") == "application/problem+json"
    assert gateway.log_line(refused)["refusal"] == "dispatch/overloaded"
    assert statuses == [200, 200]
    # Whoever has been served makes room for the next one.
    until(lambda: gateway.get().status, lambda status: status == 200)


def test_who_is_not_let_in_is_told_so_whatever_is_under_way(gateway: Gateway, books: Origin) -> None:
    bound(gateway, most=1)
    with under_way(gateway, books, 1), gateway.connect(source="127.0.0.9") as denied:
        assert denied.request("GET", "/", host="example.com").status == 403


def test_an_edge_without_it_has_no_such_bound(gateway: Gateway, books: Origin) -> None:
    gateway.apply(route("books", rule(to="books")))
    with under_way(gateway, books, 5) as statuses:
        pass
    assert statuses == [200] * 5
