"""A match may name methods; a request with another one goes on looking."""

from support.gateway import Gateway
from support.resources import exact, prefix, route, rule


def test_only_the_methods_named_match(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(exact("/books", methods=["GET", "POST"]), says="books")))
    assert gateway.request("GET", "/books").body == "books"
    assert gateway.request("POST", "/books").body == "books"
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert gateway.request(method, "/books").status == 404, method


def test_head_is_a_method_of_its_own(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(exact("/books", methods=["GET"]), says="books")))
    assert gateway.request("HEAD", "/books").status == 404


def test_another_method_falls_back_to_the_next_best_rule(gateway: Gateway) -> None:
    gateway.apply(
        route(
            "books",
            rule(exact("/books/new", methods=["POST"]), says="create"),
            rule(prefix("/books", methods=["GET"]), says="read"),
            rule(prefix("/"), says="any"),
        )
    )
    assert gateway.request("POST", "/books/new").body == "create"
    assert gateway.request("GET", "/books/new").body == "read"
    assert gateway.request("DELETE", "/books/new").body == "any"


def test_the_origin_gets_the_method_and_the_body(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        gateway.request(method, "/books", body=f"from {method}")
        assert (origin.last.method, origin.last.body) == (method, f"from {method}".encode())
