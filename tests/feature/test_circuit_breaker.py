"""Bounds of a proxy towards an upstream: what exceeds them is refused at once, and others are not held up."""

import threading

from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import Document, prefix, route, rule


def occupy(gateway: Gateway, origin: Origin, requests: int) -> list[threading.Thread]:
    """So many requests under way, of which the origin has received as many as its bounds let through."""
    threads = [threading.Thread(target=gateway.get) for _ in range(requests)]
    for thread in threads:
        thread.start()
    until(lambda: origin.under_way == requests)
    return threads


def bounded(gateway: Gateway, bounds: Document) -> Origin:
    origin = gateway.upstream("books", circuitBreaker=bounds)
    gateway.apply(route("books", rule(to="books")))
    return origin


def test_requests_above_the_bound_are_503_at_once_and_pass_again_after(gateway: Gateway) -> None:
    origin = bounded(gateway, {"maxRequests": 2})
    with origin.held():
        threads = occupy(gateway, origin, 2)
        answer = gateway.get()
        assert (answer.status, answer.origin) == (503, None)
        assert gateway.log_line(answer)["flags"] == "UO"
    for thread in threads:
        thread.join()
    assert gateway.get().status == 200


def test_with_all_connections_taken_few_requests_wait_and_the_others_are_503(gateway: Gateway) -> None:
    """Each of the proxy's two workers may open one connection, whatever the bound."""
    origin = bounded(gateway, {"maxConnections": 1, "maxPendingRequests": 1})
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(gateway.get().status)) for _ in range(10)]
    with origin.held():
        for thread in threads:
            thread.start()
        until(lambda: len(statuses) >= 6)
        assert set(statuses) == {503}
        assert 1 <= origin.under_way <= 2
    for thread in threads:
        thread.join()
    assert statuses.count(200) == len(origin.received)


def test_one_upstream_at_its_bound_leaves_the_others_alone(gateway: Gateway) -> None:
    origin = bounded(gateway, {"maxRequests": 1})
    gateway.upstream("other")
    gateway.apply(route("other", rule(prefix("/other"), to="other")))
    with origin.held():
        threads = occupy(gateway, origin, 1)
        assert gateway.get().status == 503
        assert gateway.get("/other").origin == "other"
    for thread in threads:
        thread.join()
