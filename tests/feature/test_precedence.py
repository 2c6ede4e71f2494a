"""Of several rules that match, which one a request takes: the order that the reference documents."""

import pytest

from support.gateway import Gateway
from support.resources import Document, exact, prefix, regex, resource, route, rule

X = {"name": "x-a", "value": "1"}
Y = {"name": "x-b", "value": "1"}
BOTH = {"x-a": "1", "x-b": "1"}


def test_priority_comes_before_any_other_order(gateway: Gateway) -> None:
    gateway.apply(
        route("low", rule(exact("/books/1"), says="exact"), priority=-10),
        route("normal", rule(prefix("/books"), says="prefix")),
        route("high", rule(regex("/b.*/2"), says="regex"), priority=10),
    )
    assert gateway.get("/books/1").body == "prefix"
    assert gateway.get("/books/2").body == "regex"


def test_many_priorities_are_tried_from_the_highest_down(gateway: Gateway) -> None:
    gateway.apply(
        *(
            route(
                f"at-{level}",
                rule(prefix("/", headers=[{"name": "x-max", "type": "Regex", "value": levels}]), says=str(level)),
                priority=level,
            )
            for level in range(-10, 11)
            for levels in ["|".join(str(n) for n in range(level, 11))]
        )
    )
    for level in range(-10, 11):
        assert gateway.get(headers={"x-max": str(level)}).body == str(level)


def test_exact_comes_before_regex_and_regex_before_prefix(gateway: Gateway) -> None:
    gateway.apply(
        route("books", rule(prefix("/books/new"), says="prefix"), rule(regex("/books/[a-z0-9]+"), says="regex")),
        route("one", rule(exact("/books/1"), says="exact")),
    )
    assert gateway.get("/books/1").body == "exact"
    assert gateway.get("/books/new").body == "regex"
    assert gateway.get("/books/new/x").body == "prefix"


def test_the_longer_path_comes_first(gateway: Gateway) -> None:
    gateway.apply(
        route(
            "books",
            rule(prefix("/"), says="/"),
            rule(prefix("/a"), says="/a"),
            rule(prefix("/a/b"), says="/a/b"),
            rule(prefix("/a/b/c"), says="/a/b/c"),
            rule(regex("/r/.*"), says="short"),
            rule(regex("/r/x.*"), says="long"),
        )
    )
    expected = {"/x": "/", "/a/x": "/a", "/a/bc": "/a", "/a/b/x": "/a/b", "/a/b/c/d": "/a/b/c"}
    assert {path: gateway.get(path).body for path in expected} == expected
    assert gateway.get("/r/xy").body == "long"
    assert gateway.get("/r/y").body == "short"


@pytest.mark.parametrize(
    ("fewer", "more", "headers"),
    [
        (exact("/a"), exact("/a", methods=["GET"]), {}),
        (exact("/a"), exact("/a", headers=[X]), BOTH),
        (exact("/a", headers=[X]), exact("/a", headers=[X, Y]), BOTH),
        (exact("/a"), exact("/a", query=[{"name": "q", "value": "1"}]), {}),
        (exact("/a", headers=[X, Y]), exact("/a", methods=["GET"]), BOTH),
        (exact("/a", query=[{"name": "q", "value": "1"}]), exact("/a", headers=[X]), BOTH),
        (exact("/a"), exact("/a", apiVersion="v1"), {"x-api-version": "v1"}),
    ],
    ids=["method", "header", "headers", "query", "method-before-headers", "header-before-query", "api-version"],
)
def test_more_conditions_come_first(gateway: Gateway, fewer: Document, more: Document, headers: dict[str, str]) -> None:
    gateway.apply(
        route("a", rule(fewer, says="fewer"), rule(more, says="more")),
        route("b", rule(fewer, says="fewer"), rule(more, says="more"), hosts="b.example.com"),
    )
    assert gateway.get("/a?q=1", headers=headers).body == "more"


def test_where_conditions_fail_the_next_best_rule_takes_the_request(gateway: Gateway) -> None:
    gateway.apply(
        route(
            "books",
            rule(exact("/a/b", headers=[X]), says="exact"),
            rule(regex("/a/.*", headers=[Y]), says="regex"),
            rule(prefix("/a/b", methods=["POST"]), says="long prefix"),
            rule(prefix("/a"), says="short prefix"),
        ),
        route("last", rule(says="last"), priority=-1),
    )
    assert gateway.get("/a/b", headers=BOTH).body == "exact"
    assert gateway.get("/a/b", headers={"x-b": "1"}).body == "regex"
    assert gateway.request("POST", "/a/b").body == "long prefix"
    assert gateway.get("/a/b").body == "short prefix"
    assert gateway.get("/b").body == "last"


def test_of_equal_matches_the_older_route_takes_the_request_and_the_younger_is_told(gateway: Gateway) -> None:
    def claim(name: str, created: str) -> Document:
        spec = route(name, rule(exact("/a"), says=name))["spec"]
        return resource("Route", name, spec, creationTimestamp=created)

    old, young = claim("z-old", "2026-01-01T00:00:00Z"), claim("a-young", "2026-02-01T00:00:00Z")
    gateway.apply(young)
    assert gateway.get("/a").body == "a-young"
    gateway.apply(old, young, expect={("Route", "a-young"): "RuleConflict"})
    assert gateway.get("/a").body == "z-old"
    assert "z-old" in gateway.problems("Route", "a-young")["spec.rules[0].matches[0]"]
    gateway.delete("Route", "z-old")
    gateway.apply(young)
    assert gateway.get("/a").body == "a-young"


def test_position_decides_nothing_but_between_equals(gateway: Gateway) -> None:
    rules = [rule(exact("/a"), says="exact"), rule(prefix("/a"), says="prefix"), rule(prefix("/"), says="root")]
    gateway.apply(
        route("up", *rules, hosts="up.example.com"), route("down", *reversed(rules), hosts="down.example.com")
    )
    for path in ("/a", "/a/b", "/b"):
        assert gateway.get(path, host="up.example.com").body == gateway.get(path, host="down.example.com").body
