"""What the origin sees instead of what the client asked for: prefix, path, pattern, host."""

import pytest

from support.gateway import Gateway
from support.origin import Origin
from support.resources import Document, exact, prefix, regex, route, rule, template


def rewritten(gateway: Gateway, match: Document, rewrite: Document) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(match, to="books", rewrite=rewrite)))
    return origin


def seen(gateway: Gateway, origin: Origin, *targets: str) -> dict[str, str]:
    found = {}
    for target in targets:
        assert gateway.get(target).status == 200, target
        found[target] = origin.last.target
    return found


@pytest.mark.parametrize(
    ("matched", "replacement", "expected"),
    [
        ("/a", "/b", {"/a": "/b", "/a/": "/b/", "/a/x": "/b/x", "/a/x/y?q=1": "/b/x/y?q=1", "/a?q=/a": "/b?q=/a"}),
        ("/a", "/", {"/a": "/", "/a/": "/", "/a/x": "/x", "/a/x/?q": "/x/?q", "/a?q": "/?q"}),
        ("/a", "/b/", {"/a": "/b/", "/a/": "/b/", "/a/x": "/b/x"}),
        ("/", "/base", {"/": "/base/", "/x": "/base/x", "/x/y?q=1": "/base/x/y?q=1"}),
        ("/", "/", {"/": "/", "/x?q": "/x?q"}),
        ("/a/b", "/a", {"/a/b": "/a", "/a/b/a/b": "/a/a/b"}),
        ("/a.b", "/c$1", {"/a.b/x": "/c$1/x"}),
    ],
)
def test_the_matched_prefix_is_replaced_and_the_rest_stays(
    gateway: Gateway, matched: str, replacement: str, expected: dict[str, str]
) -> None:
    origin = rewritten(gateway, prefix(matched), {"replacePrefix": replacement})
    assert seen(gateway, origin, *expected) == expected


@pytest.mark.parametrize(
    ("matched", "replacement", "expected"),
    [
        (
            "/users/{user}/orders/{order}",
            "/v2/{order}/of/{user}",
            {"/users/a/orders/1": "/v2/1/of/a", "/users/a%20b/orders/x.y?q=/users": "/v2/x.y/of/a%20b?q=/users"},
        ),
        ("/files/{name}.json", "/{name}", {"/files/a.json": "/a", "/files/a.json.json": "/a.json"}),
        ("/old/{rest...}", "/new/{rest}", {"/old/": "/new/", "/old/a/b": "/new/a/b"}),
        (r"/a.b/{c}", r"/\1/{c}\0/{c}", {"/a.b/x": r"/\1/x\0/x"}),
        ("/{a}/fixed", "/fixed", {"/x/fixed?y": "/fixed?y"}),
    ],
)
def test_a_path_is_made_of_what_the_match_has_caught(
    gateway: Gateway, matched: str, replacement: str, expected: dict[str, str]
) -> None:
    origin = rewritten(gateway, template(matched), {"template": replacement})
    assert seen(gateway, origin, *expected) == expected


@pytest.mark.parametrize(
    ("matched", "replacement", "field", "told"),
    [
        ("/a/{b}", "/{c}", "rewrite.template", "does not catch c; it catches b"),
        ("/a/{b}/{b}", "/{b}", "matches[0].path.value", "it catches b twice"),
        ("".join(f"/{{n{number}}}" for number in range(10)), "/{n1}", "rewrite.template", "room for 9"),
    ],
)
def test_a_template_that_can_not_be_is_told(
    gateway: Gateway, matched: str, replacement: str, field: str, told: str
) -> None:
    gateway.upstream("books")
    gateway.apply(
        route("books", rule(template(matched), to="books", rewrite={"template": replacement})),
        expect={("Route", "books"): "RegexInvalid"},
    )
    assert told in gateway.problems("Route", "books")[f"spec.rules[0].{field}"]


def test_the_whole_path_is_replaced_and_the_query_stays(gateway: Gateway) -> None:
    origin = rewritten(gateway, prefix("/a"), {"replacePath": "/new/place"})
    expected = {"/a": "/new/place", "/a/b/c": "/new/place", "/a?q=1&r=/a": "/new/place?q=1&r=/a", "/a/?": "/new/place?"}
    assert seen(gateway, origin, *expected) == expected


def test_a_pattern_is_replaced_wherever_it_is_found_with_its_groups(gateway: Gateway) -> None:
    origin = rewritten(
        gateway, prefix("/"), {"regex": {"pattern": "/v([0-9]+)/([a-z]+)", "substitution": r"/\2/version/\1"}}
    )
    expected = {
        "/v2/books": "/books/version/2",
        "/v2/books?x=/v3/y": "/books/version/2?x=/v3/y",
        "/v1/a/v2/b": "/a/version/1/b/version/2",
        "/none": "/none",
    }
    assert seen(gateway, origin, *expected) == expected


def test_an_exact_and_a_regex_match_may_be_rewritten_too(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(
        route(
            "books",
            rule(exact("/e"), to="books", rewrite={"replacePath": "/exact"}),
            rule(regex("/r/.*"), to="books", rewrite={"replacePath": "/regex"}),
        )
    )
    assert seen(gateway, origin, "/e?q", "/r/x?q") == {"/e?q": "/exact?q", "/r/x?q": "/regex?q"}


def test_the_host_is_replaced(gateway: Gateway) -> None:
    origin = rewritten(gateway, prefix("/"), {"host": "internal.example.net"})
    assert gateway.get("/", host="example.com").status == 200
    assert origin.last.header("host") == "internal.example.net"


def test_the_rewritten_path_decides_no_route(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(
        route("books", rule(prefix("/a"), to="books", rewrite={"replacePath": "/b"}), rule(prefix("/b"), says="never"))
    )
    assert gateway.get("/a").origin == "books"
    assert origin.last.target == "/b"


def test_the_access_log_shows_the_path_that_the_client_asked_for(gateway: Gateway) -> None:
    rewritten(gateway, prefix("/a"), {"replacePrefix": "/b"})
    assert gateway.log_line(gateway.get("/a/x?q=1"))["path"] == "/a/x?q=1"
