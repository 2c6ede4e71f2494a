"""Paths are matched exactly, by whole segments, or by regular expression; the query is no part of them."""

import pytest

from support.gateway import Gateway
from support.resources import exact, prefix, regex, route, rule


def test_an_exact_path_is_that_path_alone(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(exact("/books"), says="books")))
    assert gateway.get("/books").body == "books"
    for other in ("/", "/book", "/books/", "/books/1", "/bookshelf", "/BOOKS", "/books;v=1"):
        assert gateway.get(other).status == 404, other


def test_a_prefix_matches_whole_segments(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(prefix("/books"), says="books")))
    for path in ("/books", "/books/", "/books/1", "/books/1/pages", "/books/.hidden"):
        assert gateway.get(path).body == "books", path
    for other in ("/", "/book", "/bookshelf", "/books.json", "/books-old", "/Books", "/x/books"):
        assert gateway.get(other).status == 404, other


def test_a_prefix_written_with_a_slash_at_its_end_is_the_same_prefix(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(prefix("/books/"), says="books")))
    assert gateway.get("/books/1").body == "books"
    assert gateway.get("/bookshelf").status == 404


def test_a_regular_expression_matches_the_whole_path(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(regex("/books/[0-9]+"), says="book")))
    assert gateway.get("/books/42").body == "book"
    for other in ("/books/", "/books/x", "/books/42/", "/books/42x", "/x/books/42"):
        assert gateway.get(other).status == 404, other


@pytest.mark.parametrize("query", ["?", "?page=2", "?a=/books/7&b=?", "?x=%2F..%2F", "?page=2?more"])
def test_the_query_is_no_part_of_any_path(gateway: Gateway, query: str) -> None:
    gateway.apply(
        route(
            "books",
            rule(exact("/exact"), says="exact"),
            rule(prefix("/prefix"), says="prefix"),
            rule(regex("/regex/[a-z]+"), says="regex"),
            rule(exact("/"), says="home"),
        )
    )
    expected = {"/exact": "exact", "/prefix": "prefix", "/prefix/x": "prefix", "/regex/abc": "regex", "/": "home"}
    assert {path: gateway.get(path + query).body for path in expected} == expected
    assert gateway.get(f"/none{query}").status == 404


def test_a_query_never_makes_a_path_match(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(exact("/secret"), says="no"), rule(regex("/.*/secret"), says="no")))
    for target in ("/x?/secret", "/x?/y/secret", "/?path=/a/secret"):
        assert gateway.get(target).status == 404, target


def test_the_origin_gets_the_query_as_it_was_written(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(prefix("/books"), to="books")))
    for query in ("", "?", "?a=1&a=2", "?q=%20+%2F", "?x=//y/../z"):
        gateway.get(f"/books/1{query}")
        assert origin.last.target == f"/books/1{query}"
