"""Faults put in on purpose: delays and aborts, for shares of requests that meet conditions."""

import time
from collections import Counter

import pytest

from support.gateway import Gateway
from support.resources import exact, limit, on, route, rule

DELAY_S = 0.3


def test_an_abort_answers_in_place_of_the_upstream(gateway: Gateway) -> None:
    books = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books", fault={"abort": {"status": 418}})))
    assert (gateway.get().status, books.received) == (418, [])


@pytest.mark.parametrize("destination", [{"to": "books"}, {"says": "here"}])
def test_a_delay_comes_before_the_answer(gateway: Gateway, destination: dict[str, str]) -> None:
    gateway.upstream("books")
    gateway.apply(route("books", rule(fault={"delay": {"duration": f"{int(DELAY_S * 1000)}ms"}}, **destination)))
    begun = time.monotonic()
    assert gateway.get().status == 200
    # Two clocks: a timer of the proxy may end a little before ours says so.
    assert 0.9 * DELAY_S <= time.monotonic() - begun < 10 * DELAY_S


def test_a_share_of_the_requests_fails(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(route("books", rule(to="books", fault={"abort": {"percent": 30}})))
    with gateway.connect() as connection:
        seen = Counter(connection.request("GET", "/", host="example.com").status for _ in range(300))
    assert set(seen) == {200, 503}
    assert 40 < seen[503] < 150, "30 % of 300, give or take six deviations"


@pytest.mark.parametrize(
    ("condition", "meets", "misses"),
    [
        ({"value": "yes"}, "yes", "yesno"),
        ({"type": "Prefix", "value": "yes"}, "yesno", "no"),
        ({"type": "Regex", "value": "y.s"}, "yes", "yess"),
        ({"type": "Present"}, "", None),
    ],
)
def test_only_requests_that_meet_the_conditions_fail(
    gateway: Gateway, condition: dict[str, str], meets: str, misses: str | None
) -> None:
    gateway.upstream("books")
    fault = {"abort": {}, "headers": [{"name": "X-Chaos", **condition}]}
    gateway.apply(route("books", rule(to="books", fault=fault)))
    asked = [{} if value is None else {"x-chaos": value} for value in (meets, misses)]
    assert [gateway.get(headers=headers).status for headers in asked] == [503, 200]


def test_a_condition_that_can_not_be_judged_is_told_as_one_of_a_match_is(gateway: Gateway) -> None:
    gateway.upstream("books")
    fault = {"abort": {}, "headers": [{"name": "a", "type": "Regex", "value": "("}]}
    gateway.apply(
        route("books", rule(exact("/"), to="books", fault=fault)), expect={("Route", "books"): "RegexInvalid"}
    )
    assert gateway.get(headers={"a": "("}).status == 404
    assert list(gateway.problems("Route", "books")) == ["spec.rules[0].fault.headers[0].value"]


def test_nobody_switches_faults_on_from_outside(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    forged = {"x-envoy-fault-abort-request": "503", "x-envoy-fault-delay-request": "5000"}
    begun = time.monotonic()
    assert gateway.get(headers=forged).status == 200
    assert time.monotonic() - begun < 4.5


def test_what_fails_so_has_counted(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(route("books", rule(to="books", fault={"abort": {}})), limit("two", on("Route", "books"), requests=2))
    assert [gateway.get().status for _ in range(3)] == [503, 503, 429]
