"""A match may ask for headers: their value, its beginning, a pattern, or that they are there."""

import pytest

from support.client import Headers
from support.gateway import Gateway
from support.resources import exact, prefix, route, rule

COLOUR = "x-colour"


def apply_match(gateway: Gateway, **condition: str) -> None:
    header = {"name": COLOUR, **condition}
    gateway.apply(route("match", rule(prefix("/", headers=[header]), says="match"), rule(prefix("/"), says="other")))


def asked_with(gateway: Gateway, *values: str, name: str = COLOUR) -> str:
    headers: Headers = [(name, value) for value in values]
    return gateway.get(headers=headers).body


def test_an_exact_value_is_that_value_in_that_case(gateway: Gateway) -> None:
    apply_match(gateway, value="Red")
    assert asked_with(gateway, "Red") == "match"
    for value in ("red", "Redder", "", "Blue", "Red,"):
        assert asked_with(gateway, value) == "other", value
    assert asked_with(gateway) == "other"


def test_header_names_have_no_case(gateway: Gateway) -> None:
    gateway.apply(route("match", rule(prefix("/", headers=[{"name": "X-Colour", "value": "red"}]), says="match")))
    assert asked_with(gateway, "red", name="x-coLOUR") == "match"


def test_a_prefix_is_the_beginning_of_the_value(gateway: Gateway) -> None:
    apply_match(gateway, type="Prefix", value="dark ")
    assert asked_with(gateway, "dark red") == "match"
    for value in ("dark", "a dark red", "darkred"):
        assert asked_with(gateway, value) == "other", value


def test_a_pattern_matches_the_whole_value(gateway: Gateway) -> None:
    apply_match(gateway, type="Regex", value="(dark )?red|blue")
    for value in ("red", "dark red", "blue"):
        assert asked_with(gateway, value) == "match", value
    for value in ("redder", "not blue", ""):
        assert asked_with(gateway, value) == "other", value


def test_present_asks_only_that_it_is_there(gateway: Gateway) -> None:
    apply_match(gateway, type="Present")
    assert asked_with(gateway, "anything") == "match"
    assert asked_with(gateway, "") == "match"
    assert asked_with(gateway) == "other"


def test_an_empty_exact_value_is_a_header_that_is_there_and_empty(gateway: Gateway) -> None:
    apply_match(gateway, value="")
    assert asked_with(gateway, "") == "match"
    assert asked_with(gateway, "red") == "other"
    assert asked_with(gateway) == "other"


def test_a_header_sent_twice_is_its_values_joined_by_a_comma(gateway: Gateway) -> None:
    apply_match(gateway, value="red,blue")
    assert asked_with(gateway, "red", "blue") == "match"
    assert asked_with(gateway, "blue", "red") == "other"
    assert asked_with(gateway, "red") == "other"


def test_all_headers_of_a_match_must_hold_and_any_match_of_a_rule_will_do(gateway: Gateway) -> None:
    both = [{"name": "x-a", "value": "1"}, {"name": "x-b", "value": "2"}]
    gateway.apply(
        route("match", rule(exact("/", headers=both), exact("/", headers=[{"name": "x-c", "value": "3"}]), says="yes"))
    )
    assert gateway.get(headers={"x-a": "1", "x-b": "2"}).body == "yes"
    assert gateway.get(headers={"x-c": "3"}).body == "yes"
    assert gateway.get(headers={"x-a": "1"}).status == 404
    assert gateway.get(headers={"x-a": "1", "x-b": "3"}).status == 404


@pytest.mark.parametrize("name", ["x-ff-scope", "x-ff-table", "x-ff-tenant", "x-envoy-anything"])
def test_headers_of_the_gateway_itself_never_come_from_a_client(gateway: Gateway, name: str) -> None:
    gateway.apply(
        route("match", rule(exact("/", headers=[{"name": name, "value": "mine"}]), says="forged"), rule(says="other"))
    )
    assert gateway.get(headers={name: "mine"}).body == "other"
