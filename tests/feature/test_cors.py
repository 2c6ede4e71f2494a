"""Cross-origin requests (Fetch standard): preflights are answered at the edge, answers are marked for scripts."""

import pytest

from support.client import Response
from support.gateway import Gateway
from support.origin import Origin
from support.resources import Document, route, rule

SHOP = "https://shop.example.org"
CORS = {
    "allowOrigins": [SHOP, "https://*.partner.example"],
    "allowMethods": ["GET", "PUT"],
    "allowHeaders": ["x-token"],
    "exposeHeaders": ["x-count"],
    "maxAge": "5m",
    "allowCredentials": True,
}


def cors(gateway: Gateway, settings: Document) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books", cors=settings)))
    return origin


def preflight(gateway: Gateway, origin: str, method: str = "PUT") -> Response:
    return gateway.request("OPTIONS", headers={"origin": origin, "access-control-request-method": method})


def test_a_preflight_from_an_allowed_origin_is_answered_without_asking_the_upstream(gateway: Gateway) -> None:
    origin = cors(gateway, CORS)
    answer = preflight(gateway, SHOP)
    assert answer.status == 200
    assert {name: value for name, value in answer.headers if name.startswith("access-control-")} == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "x-token",
        "access-control-max-age": "300",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-count",
    }
    assert origin.received == []


@pytest.mark.parametrize(
    "other",
    [
        "https://evil.example",
        "http://shop.example.org",
        "https://shop.example.org.evil.example",
        "https://shop.example.org:444",
        "https://xshop.example.org",
        "https://partner.example",
        "https://a.partner.example.evil",
        "https://evil.example/.partner.example",
        "null",
    ],
)
def test_another_origin_is_granted_nothing(gateway: Gateway, other: str) -> None:
    cors(gateway, CORS)
    assert preflight(gateway, other).header("access-control-allow-origin") is None
    assert gateway.get(headers={"origin": other}).header("access-control-allow-origin") is None


def test_an_answer_to_an_allowed_origin_is_marked(gateway: Gateway) -> None:
    cors(gateway, CORS)
    answer = gateway.get(headers={"origin": SHOP})
    assert answer.origin == "books"
    assert answer.header("access-control-allow-origin") == SHOP
    assert answer.header("access-control-allow-credentials") == "true"
    assert answer.header("access-control-expose-headers") == "x-count"


def test_a_wildcard_origin_takes_any_label_in_its_place(gateway: Gateway) -> None:
    cors(gateway, CORS)
    for origin in ("https://a.partner.example", "https://b.a.partner.example"):
        assert preflight(gateway, origin).header("access-control-allow-origin") == origin


def test_a_star_takes_every_origin(gateway: Gateway) -> None:
    cors(gateway, {"allowOrigins": ["*"]})
    assert preflight(gateway, "https://anyone.example", "GET").header("access-control-allow-origin") in (
        "*",
        "https://anyone.example",
    )


def test_a_request_without_an_origin_is_nothing_special(gateway: Gateway) -> None:
    cors(gateway, CORS)
    answer = gateway.get()
    assert answer.origin == "books"
    assert not any(name.startswith("access-control-") for name, _ in answer.headers)


def test_options_without_a_requested_method_goes_to_the_upstream(gateway: Gateway) -> None:
    origin = cors(gateway, CORS)
    assert gateway.request("OPTIONS", headers={"origin": SHOP}).origin == "books"
    assert origin.last.method == "OPTIONS"


def test_a_rule_without_cors_grants_nothing(gateway: Gateway) -> None:
    gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    assert preflight(gateway, SHOP).header("access-control-allow-origin") is None
