"""Copies of requests for Upstreams whose answers nobody sees."""

from support.gateway import Gateway, until
from support.origin import Reply
from support.resources import exact, prefix, reference_grant, route, rule, upstream


def test_a_copy_goes_along_and_its_answer_is_dropped(gateway: Gateway) -> None:
    books = gateway.upstream("books", lambda _: Reply(body="from books"))
    copies = gateway.upstream("copies", lambda _: Reply(status=500, body="from copies"))
    gateway.apply(
        route(
            "books",
            rule(
                prefix("/books"),
                to="books",
                mirrors=[{"name": "copies"}],
                rewrite={"replacePrefix": "/inner"},
                requestHeaders={"set": [{"name": "x-a", "value": "1"}]},
            ),
        )
    )
    answer = gateway.request("POST", "/books/1?q=2", body="content")
    assert (answer.status, answer.content) == (200, b"from books")
    until(lambda: copies.received)
    seen = [(each.last.method, each.last.target, each.last.body, each.last.header("x-a")) for each in (books, copies)]
    assert seen == [("POST", "/inner/1?q=2", b"content", "1")] * 2
    assert copies.last.header("host") == books.last.header("host")


def test_a_share_of_the_requests_is_copied(gateway: Gateway) -> None:
    gateway.upstream("books")
    copies = gateway.upstream("copies")
    gateway.apply(route("books", rule(to="books", mirrors=[{"name": "copies", "percent": 30}])))
    with gateway.connect() as connection:
        for _ in range(300):
            assert connection.request("GET", "/", host="example.com").status == 200
    until(lambda: len(copies.received) > 40)
    assert 40 < len(copies.received) < 150, "30 % of 300, give or take six deviations"


def test_one_that_is_slow_or_away_holds_nobody_up(gateway: Gateway) -> None:
    gateway.upstream("books")
    slow = gateway.upstream("slow")
    gone = gateway.origin("gone")
    gone.stop()
    gateway.apply(
        upstream("gone", gone.port),
        route("books", rule(to="books", mirrors=[{"name": "slow"}, {"name": "gone"}])),
    )
    with slow.held():
        assert gateway.get().status == 200
    until(lambda: slow.received)
    assert gateway.get().status == 200


def test_one_that_is_not_there_is_told_and_the_requests_are_served(gateway: Gateway) -> None:
    gateway.upstream("books")
    copies = gateway.upstream("copies")
    mirrors = [{"name": "nobody"}, {"name": "copies"}, {"name": "theirs", "namespace": "elsewhere"}]
    gateway.apply(
        route("books", rule(exact("/"), to="books", mirrors=mirrors)), expect={("Route", "books"): "RefNotPermitted"}
    )
    assert gateway.get().status == 200
    until(lambda: copies.received)
    problems = gateway.problems("Route", "books")
    assert problems["spec.rules[0].mirrors[0]"].endswith("/nobody was not found.")
    assert "no ReferenceGrant" in problems["spec.rules[0].mirrors[2]"]


def test_one_in_another_namespace_needs_its_consent(gateway: Gateway) -> None:
    gateway.upstream("books")
    copies = gateway.origin("copies")
    theirs = {**upstream("copies", copies.port)}
    theirs["metadata"] = {**theirs["metadata"], "namespace": f"{gateway.namespace}-theirs"}
    grant = reference_grant(
        "routes", f"{gateway.namespace}-theirs", from_kind="Route", from_namespace=gateway.namespace, to_kind="Upstream"
    )
    mirrors = [{"name": "copies", "namespace": f"{gateway.namespace}-theirs"}]
    gateway.apply(theirs, grant, route("books", rule(to="books", mirrors=mirrors)))
    assert gateway.get().status == 200
    until(lambda: copies.received)
