"""A match may ask for query parameters; the first value of each counts, undecoded."""

import pytest

from support.gateway import Gateway
from support.resources import prefix, route, rule


def apply_match(gateway: Gateway, **condition: str) -> None:
    gateway.apply(
        route(
            "match",
            rule(prefix("/books", query=[{"name": "v", **condition}]), says="match"),
            rule(prefix("/books"), says="other"),
        )
    )


def matched(gateway: Gateway, *targets: str) -> dict[str, str]:
    return {target: gateway.get(f"/books{target}").body for target in targets}


def test_an_exact_value_wherever_in_the_query_it_stands(gateway: Gateway) -> None:
    apply_match(gateway, value="2")
    yes = ("?v=2", "?a=1&v=2", "?v=2&a=1", "/x?v=2", "?vv=1&v=2", "?v=2&v=3")
    no = ("", "?", "?v=", "?v", "?v=22", "?vv=2", "?xv=2", "?v=3&v=2", "?a=v=2", "?V=2", "?v=2;a=1")
    assert matched(gateway, *yes) == dict.fromkeys(yes, "match")
    assert matched(gateway, *no) == dict.fromkeys(no, "other")


def test_present_asks_only_for_the_name(gateway: Gateway) -> None:
    apply_match(gateway, type="Present")
    yes, no = ("?v", "?v=", "?v=1", "?a&v"), ("", "?a=v", "?vv", "/v", "?av")
    assert matched(gateway, *yes) == dict.fromkeys(yes, "match")
    assert matched(gateway, *no) == dict.fromkeys(no, "other")


def test_prefix_and_pattern_look_at_the_value_alone(gateway: Gateway) -> None:
    gateway.apply(
        route(
            "match",
            rule(prefix("/a", query=[{"name": "v", "type": "Prefix", "value": "be"}]), says="match"),
            rule(prefix("/b", query=[{"name": "v", "type": "Regex", "value": "[0-9]{1,2}"}]), says="match"),
        )
    )
    for target in ("/a?v=beta", "/a?v=be", "/b?v=7", "/b?x=y&v=42&z"):
        assert gateway.get(target).body == "match", target
    for target in ("/a?v=alpha", "/a?v=&be", "/b?v=777", "/b?v=x", "/b?v=7x&y=1"):
        assert gateway.get(target).status == 404, target


@pytest.mark.parametrize("value", ["a.b", "a+b", "(x)", "100%25", "a*", "[x]", "$1", "a|b", "^"])
def test_signs_that_mean_something_in_patterns_are_plain_text_in_values(gateway: Gateway, value: str) -> None:
    apply_match(gateway, value=value)
    assert matched(gateway, f"?v={value}") == {f"?v={value}": "match"}
    assert matched(gateway, "?v=axb", "?v=aab") == {"?v=axb": "other", "?v=aab": "other"}


def test_several_parameters_must_all_hold(gateway: Gateway) -> None:
    gateway.apply(
        route("match", rule(prefix("/", query=[{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]), says="both"))
    )
    assert gateway.get("/?b=2&a=1").body == "both"
    assert gateway.get("/?a=1").status == 404
    assert gateway.get("/?a=1&b=1").status == 404
