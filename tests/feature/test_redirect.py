"""Answers that send the client elsewhere."""

from urllib.parse import urljoin

import pytest

from support.gateway import Gateway
from support.resources import Document, prefix, route, rule


def location(gateway: Gateway, target: str, **redirect: object) -> tuple[int, str | None]:
    gateway.apply(route("moved", rule(prefix("/old"), redirect=redirect)))
    answer = gateway.get(target)
    return answer.status, answer.header("location")


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ({"path": "/new"}, "/new?q=1"),
        ({"host": "example.org"}, "http://example.org/old/x?q=1"),
        ({"scheme": "https"}, "https://example.com/old/x?q=1"),
        ({"port": 8443}, "http://example.com:8443/old/x?q=1"),
        (
            {"scheme": "https", "host": "example.org", "port": 444, "path": "/new"},
            "https://example.org:444/new?q=1",
        ),
    ],
    ids=["path", "host", "scheme", "port", "all"],
)
def test_parts_that_are_set_are_replaced_and_the_others_and_the_query_stay(
    gateway: Gateway, redirect: Document, expected: str
) -> None:
    assert location(gateway, "/old/x?q=1", **redirect) == (302, expected)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_status_is_the_one_asked_for(gateway: Gateway, status: int) -> None:
    assert location(gateway, "/old", path="/new", status=status) == (status, "/new")


def test_a_redirect_to_https_asks_no_origin_whatever_the_method(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("moved", rule(prefix("/old"), redirect={"scheme": "https", "status": 308}), rule(to="books")))
    answer = gateway.request("POST", "/old", body="x")
    assert (answer.status, answer.header("location")) == (308, "https://example.com/old")
    assert origin.received == []


def test_a_redirect_on_the_same_host_keeps_the_port_that_the_client_used(gateway: Gateway) -> None:
    gateway.apply(route("moved", rule(prefix("/old"), redirect={"path": "/new"})))
    found = gateway.get("/old", host="Example.com:8080").header("location")
    assert urljoin("http://Example.com:8080/old", found) == "http://Example.com:8080/new"


@pytest.mark.parametrize("target", ["/old/%0d%0aset-cookie:x", "/old?x=%0d%0aset-cookie:x", "//evil.example/../old"])
def test_a_redirect_carries_nothing_that_a_client_smuggles_into_the_path(gateway: Gateway, target: str) -> None:
    gateway.apply(route("moved", rule(prefix("/old"), redirect={"scheme": "https"})))
    answer = gateway.get(target)
    assert answer.header("set-cookie") is None
    assert (answer.header("location") or "https://example.com/").startswith("https://example.com/")
