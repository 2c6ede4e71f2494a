"""Requests that pages of others forge are refused before the upstream sees them; those of one's own pages are not."""

import pytest

from support.gateway import Gateway
from support.origin import Origin
from support.resources import Document, on, resource, route, rule

HOST = "example.com"
FOREIGN = {"origin": "https://evil.example"}


def guarded(gateway: Gateway, settings: Document) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books", csrf=settings)))
    return origin


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        FOREIGN,
        {},
        {"origin": "null"},
        {"origin": ""},
        {"origin": f"https://{HOST}.evil.example"},
        {"origin": f"https://evil{HOST}"},
        {"origin": f"https://evil.example/{HOST}"},
        {"origin": f"https://{HOST}@evil.example"},
        {"origin": "https://sub.example.com"},
        {"referer": "https://evil.example/?https://example.com/"},
        {"origin": "https://evil.example", "referer": f"https://{HOST}/"},
    ],
)
def test_what_a_page_of_others_sends_is_refused(gateway: Gateway, method: str, headers: dict[str, str]) -> None:
    origin = guarded(gateway, {})
    answer = gateway.request(method, host=HOST, headers=headers)
    assert (answer.status, answer.reason) == (403, "admission/page-foreign")
    assert answer.header("content-type") == "application/problem+json"
    assert gateway.log_line(answer)["refusal"] == "admission/page-foreign"
    assert origin.received == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": f"https://{HOST}"},
        {"origin": f"http://{HOST}:8443"},
        {"referer": f"https://{HOST}/books/1?a=b"},
        {"origin": "https://pages.partner.example"},
        {"origin": "https://a.b.friends.example:444"},
    ],
)
def test_ones_own_pages_and_those_that_are_named_may(gateway: Gateway, headers: dict[str, str]) -> None:
    guarded(gateway, {"hosts": ["pages.partner.example", "*.friends.example"]})
    assert gateway.request("POST", host=HOST, headers=headers).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_what_changes_nothing_passes(gateway: Gateway, method: str) -> None:
    guarded(gateway, {})
    assert gateway.request(method, host=HOST, headers=FOREIGN).status == 200


def test_a_host_below_a_wildcard_is_its_own_alone(gateway: Gateway) -> None:
    guarded(gateway, {})
    own, sibling = {"origin": "https://a.example.com"}, {"origin": "https://b.example.com"}
    assert gateway.request("POST", host="a.example.com", headers=own).status == 200
    assert gateway.request("POST", host="a.example.com", headers=sibling).status == 403


def test_in_the_shadow_it_is_counted_and_passes(gateway: Gateway) -> None:
    guarded(gateway, {"shadow": True})
    before = gateway.stack.envoy_stats("csrf.request_invalid")
    assert gateway.request("POST", host=HOST, headers=FOREIGN).status == 200
    assert gateway.stack.envoy_stats("csrf.request_invalid") != before


def test_a_rule_behind_the_decision_service_refuses_alike_and_spends_no_token(deciding_gateway: Gateway) -> None:
    gateway = deciding_gateway
    origin = gateway.upstream("books")
    budget = {"requests": 1, "window": "1h"}
    spec = {"targets": [on("Route", "books")], "budget": budget, "enforcement": "Exact"}
    gateway.apply(route("books", rule(to="books", csrf={})), resource("RateLimit", "one", spec))
    for _ in range(3):
        answer = gateway.request("POST", host=HOST, headers=FOREIGN)
        assert (answer.status, answer.reason) == (403, "admission/page-foreign")
    assert gateway.request("POST", host=HOST, headers={"origin": f"https://{HOST}"}).status == 200
    assert len(origin.received) == 1
