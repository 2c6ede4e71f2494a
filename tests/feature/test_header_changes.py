"""Headers are removed, set and added, on the way to the origin and on the way back."""

import pytest

from support.gateway import Gateway
from support.origin import Reply
from support.resources import Document, route, rule

AWKWARD = [
    "100%",
    "%REQ(x-secret)%",
    "%%",
    "%START_TIME%",
    "a, b",
    'it\'s "quoted"',
    "$1 \\1 {x}",
    "%DYNAMIC_METADATA(a:b)%",
]


def pairs(**values: str) -> list[Document]:
    return [{"name": name.replace("_", "-"), "value": value} for name, value in values.items()]


def test_request_headers_are_removed_set_and_added_before_the_origin_sees_them(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    changes = {"remove": ["x-gone", "X-Also-Gone"], "set": pairs(x_set="new", x_made="made"), "add": pairs(x_list="2")}
    gateway.apply(route("books", rule(to="books", requestHeaders=changes)))
    gateway.get(headers={"x-gone": "1", "x-also-gone": "1", "x-set": "old", "x-list": "1", "x-kept": "kept"})
    assert not {"x-gone", "x-also-gone"} & origin.last.names
    assert origin.last.values("x-set") == ["new"]
    assert origin.last.values("x-made") == ["made"]
    assert origin.last.values("x-list") == ["1", "2"]
    assert origin.last.values("x-kept") == ["kept"]


def test_response_headers_are_removed_set_and_added_before_the_client_sees_them(gateway: Gateway) -> None:
    answer = Reply(headers=(("x-gone", "1"), ("x-set", "old"), ("x-list", "1"), ("x-kept", "kept")))
    gateway.upstream("books", lambda _: answer)
    changes = {"remove": ["x-gone"], "set": pairs(x_set="new", x_made="made"), "add": pairs(x_list="2")}
    gateway.apply(route("books", rule(to="books", responseHeaders=changes)))
    seen = gateway.get()
    found = {name: seen.values(name) for name in ("x-gone", "x-set", "x-made", "x-list", "x-kept")}
    assert found == {"x-gone": [], "x-set": ["new"], "x-made": ["made"], "x-list": ["1", "2"], "x-kept": ["kept"]}


def test_removing_and_setting_the_same_header_sets_it(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    changes = {"remove": ["x-a"], "add": pairs(x_a="only")}
    gateway.apply(route("books", rule(to="books", requestHeaders=changes)))
    gateway.get(headers=[("x-a", "1"), ("x-a", "2")])
    assert origin.last.values("x-a") == ["only"]


@pytest.mark.parametrize("value", AWKWARD)
def test_values_are_literal_whatever_signs_they_hold(gateway: Gateway, value: str) -> None:
    origin = gateway.upstream("books")
    changes = {"set": pairs(x_value=value)}
    gateway.apply(route("books", rule(to="books", requestHeaders=changes, responseHeaders=changes)))
    answer = gateway.get(headers={"x-secret": "secret"})
    assert origin.last.header("x-value") == value
    assert answer.header("x-value") == value


def test_an_empty_value_is_a_header_that_is_there_and_empty(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books", requestHeaders={"set": pairs(x_empty="")})))
    gateway.get()
    assert origin.last.header("x-empty") == ""


def test_changes_hold_for_answers_of_the_edge_as_well(gateway: Gateway) -> None:
    gateway.apply(
        route(
            "books",
            rule(says="hello", responseHeaders={"set": pairs(cache_control="no-store")}),
        )
    )
    assert gateway.get().header("cache-control") == "no-store"


@pytest.mark.parametrize("name", ["host", "x-ff-tenant", "x-envoy-original-path", "connection", "Transfer-Encoding"])
def test_headers_of_the_gateway_itself_can_not_be_written(gateway: Gateway, name: str) -> None:
    gateway.apply(
        route("books", rule(says="hello", requestHeaders={"set": [{"name": name, "value": "x"}]})),
        expect={("Route", "books"): "Invalid"},
    )
    assert gateway.get().status == 404
