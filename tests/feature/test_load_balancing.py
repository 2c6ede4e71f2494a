"""How an endpoint is chosen among those of an Upstream."""

import time
from collections import Counter
from collections.abc import Callable

import pytest

from support.client import Connection, Response
from support.gateway import Gateway, until
from support.resources import Json, resource, route, rule, upstream

NAMES = ("a", "b", "c")


def apply(gateway: Gateway, policy: str, *, names: tuple[str, ...] = NAMES, **balancing: Json) -> None:
    ports = [gateway.origins[name].port if name in gateway.origins else gateway.origin(name).port for name in names]
    gateway.apply(
        upstream("books", *ports, loadBalancing={"policy": policy, **balancing}), route("books", rule(to="books"))
    )


def ask(gateway: Gateway, requests: int, headers: Callable[[int], dict[str, str]] = lambda _: {}) -> list[Response]:
    with gateway.connect() as connection:
        return [connection.request("GET", "/", host="example.com", headers=headers(n)) for n in range(requests)]


def send(gateway: Gateway) -> Connection:
    """A request whose answer is still to be received."""
    connection = gateway.connect()
    connection.socket.sendall(b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n")
    return connection


def chosen(answers: list[Response]) -> Counter[str | None]:
    return Counter(answer.origin for answer in answers)


def test_round_robin_takes_one_after_the_other(gateway: Gateway) -> None:
    apply(gateway, "RoundRobin")
    order = [answer.origin for answer in ask(gateway, 30)]
    assert Counter(order) == dict.fromkeys(NAMES, 10)
    assert all(len(set(order[start : start + 3])) == 3 for start in range(0, 30, 3))


def test_round_robin_respects_the_weights(gateway: Gateway) -> None:
    endpoints = [
        {"address": "127.0.0.1", "port": gateway.origin(name).port, "weight": weight}
        for name, weight in (("a", 1), ("b", 3))
    ]
    gateway.apply(resource("Upstream", "books", {"endpoints": endpoints}), route("books", rule(to="books")))
    assert chosen(ask(gateway, 80)) == {"a": 20, "b": 60}


def test_least_request_keeps_away_from_a_busy_endpoint(gateway: Gateway) -> None:
    apply(gateway, "LeastRequest", names=("busy", "idle"))
    busy, idle = gateway.origins["busy"], gateway.origins["idle"]
    with busy.held():
        connections = []
        for number in range(1, 61):
            connections.append(send(gateway))
            until(lambda number=number: busy.under_way + len(idle.received) == number)
        # Of two endpoints drawn at random the less busy one is taken: three of four are idle's, give or take.
        assert len(idle.received) > busy.under_way
    for connection in connections:
        assert connection.receive().status == 200
        connection.close()


def test_an_endpoint_that_has_come_gets_more_and_more(gateway: Gateway) -> None:
    apply(gateway, "RoundRobin", names=("old",), slowStart="5s")
    ask(gateway, 1)
    time.sleep(5.5)  # Until then the first one is spared as well.
    apply(gateway, "RoundRobin", names=("old", "new"), slowStart="5s")
    assert 1 <= chosen(ask(gateway, 100))["new"] < 40
    until(lambda: chosen(ask(gateway, 100))["new"] >= 49)


def test_in_panic_those_that_fail_are_asked_too(gateway: Gateway) -> None:
    gone = gateway.origin("gone")
    gone.stop()
    there = gateway.origin("there")
    check = {"type": "TCP", "interval": "50ms", "unhealthyThreshold": 1}
    for threshold, statuses in ((0, {200}), (60, {200, 503})):
        gateway.apply(
            upstream("books", gone.port, there.port, healthCheck=check, loadBalancing={"panicThreshold": threshold}),
            route("books", rule(to="books")),
        )
        until(lambda: {answer.status for answer in ask(gateway, 10)}, lambda seen, want=statuses: seen == want)


def test_random_takes_each_about_as_often(gateway: Gateway) -> None:
    apply(gateway, "Random")
    order = [answer.origin for answer in ask(gateway, 300)]
    # Five standard deviations of a share of one third are 41.
    assert all(60 < count < 140 for count in Counter(order).values()), Counter(order)
    assert any(order[place] == order[place + 1] for place in range(299))


HASHING = pytest.mark.parametrize("policy", ["RingHash", "Maglev"])


@HASHING
def test_a_hash_of_a_header_keeps_a_value_at_its_endpoint(gateway: Gateway, policy: str) -> None:
    apply(gateway, policy, hashOn={"header": "X-User"})
    for user in range(20):
        assert len(chosen(ask(gateway, 4, lambda _, user=user: {"x-user": str(user)}))) == 1, user
    spread = chosen(ask(gateway, 90, lambda number: {"x-user": f"user-{number}"}))
    assert set(spread) == set(NAMES)


@HASHING
def test_an_endpoint_that_goes_leaves_most_other_values_where_they_are(gateway: Gateway, policy: str) -> None:
    def places() -> list[str | None]:
        return [answer.origin for answer in ask(gateway, 60, lambda number: {"x-user": f"user-{number}"})]

    apply(gateway, policy, hashOn={"header": "x-user"})
    before = places()
    apply(gateway, policy, names=("a", "b"), hashOn={"header": "x-user"})
    after = places()
    assert {"a", "b"} == set(after)
    stayed = [new == old for old, new in zip(before, after, strict=True) if old != "c"]
    assert sum(stayed) > 0.6 * len(stayed)


@HASHING
def test_a_hash_of_a_cookie_gives_the_client_one_that_leads_back(gateway: Gateway, policy: str) -> None:
    apply(gateway, policy, hashOn={"cookie": "sticky"})
    for _ in range(5):
        first = gateway.get()
        given = first.header("set-cookie") or ""
        name, _, value = given.partition(";")[0].partition("=")
        assert name == "sticky"
        assert "Max-Age=3600" in given
        again = ask(gateway, 5, lambda _, value=value: {"cookie": f"other=1; sticky={value}"})
        assert chosen(again) == {first.origin: 5}
        assert all(answer.header("set-cookie") is None for answer in again)


def test_a_ring_by_address_keeps_a_client_at_its_endpoint(gateway: Gateway) -> None:
    apply(gateway, "RingHash", hashOn={"address": True})
    found = {}
    for last in range(1, 31):
        with gateway.connect(source=f"127.0.1.{last}") as connection:
            places = {connection.request("GET", "/", host="example.com").origin for _ in range(3)}
        assert len(places) == 1
        found[last] = places.pop()
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("policy", ["RoundRobin", "LeastRequest", "Random"])
def test_an_edited_list_of_endpoints_takes_effect_without_a_lost_request(gateway: Gateway, policy: str) -> None:
    apply(gateway, policy, names=("a",))
    assert chosen(ask(gateway, 5)) == {"a": 5}
    apply(gateway, policy, names=("b",))
    assert chosen(ask(gateway, 5)) == {"b": 5}


def test_endpoints_by_name_are_resolved(gateway: Gateway) -> None:
    origin = gateway.origin("books")
    gateway.apply(
        upstream("books", dns={"host": "localhost", "port": origin.port, "refresh": "1s"}),
        route("books", rule(to="books")),
    )
    assert until(gateway.get, lambda answer: answer.status == 200).origin == "books"
