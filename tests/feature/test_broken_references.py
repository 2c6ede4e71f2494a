"""What refers to something that is not there answers 500, is told so, and leaves its neighbours serving."""

import pytest

from support.gateway import Gateway, until
from support.resources import Document, edge, exact, keys_of, on, policy, prefix, proven_by, route, rule, upstream


def test_a_route_to_a_missing_upstream_is_500_and_its_other_rules_serve(gateway: Gateway) -> None:
    origin = gateway.origin("books")
    gateway.apply(
        route("books", rule(prefix("/"), to="missing"), rule(exact("/ok"), says="ok")),
        route("other", rule(prefix("/other"), says="other")),
        expect={("Route", "books"): "UpstreamNotFound"},
    )
    answer = gateway.get()
    assert (answer.status, answer.reason) == (500, "routing/unavailable")
    assert gateway.log_line(answer)["route"] == f"{gateway.namespace}/books"
    assert gateway.get("/ok").body == "ok"
    assert gateway.get("/other").body == "other"
    assert gateway.problems("Route", "books") == {
        "spec.rules[0].upstreams[0]": f"Upstream {gateway.namespace}/missing was not found."
    }
    gateway.apply(upstream("missing", origin.port))
    until(lambda: gateway.get().origin, lambda name: name == "books")


def test_an_upstream_that_goes_away_leaves_500_and_comes_back(gateway: Gateway) -> None:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    assert gateway.get().status == 200
    gateway.delete("Upstream", "books")
    until(lambda: gateway.get().status, lambda status: status == 500)
    gateway.apply(upstream("books", origin.port))
    until(lambda: gateway.get().status, lambda status: status == 200)


def test_an_edge_that_goes_away_takes_its_traffic_along_and_brings_it_back(gateway: Gateway) -> None:
    gateway.apply(edge(gateway.port), route("hello", rule(says="hello")))
    assert gateway.get().body == "hello"
    gateway.delete("Edge", "public")
    until(lambda: connects(gateway), lambda up: not up)
    gateway.apply(edge(gateway.port))
    assert until(gateway.get, lambda answer: answer.status == 200).body == "hello"


def connects(gateway: Gateway) -> bool:
    try:
        gateway.connect().close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("pattern", ["/(", "/(?=a)", "/(a)\\1", "/a{2000}"])
def test_a_regular_expression_that_is_refused_is_told_and_the_other_matches_serve(
    gateway: Gateway, pattern: str
) -> None:
    bad: Document = {"path": {"type": "Regex", "value": pattern}}
    gateway.apply(route("books", rule(bad, exact("/ok"), says="ok")), expect={("Route", "books"): "RegexInvalid"})
    assert gateway.get("/ok").body == "ok"
    assert gateway.get("/a").status == 404


def test_a_broken_security_policy_closes_its_route_and_no_other(gateway: Gateway) -> None:
    gateway.apply(
        route("guarded", rule(prefix("/guarded"), says="secret")),
        route("open", rule(prefix("/open"), says="open")),
        policy("members", on("Route", "guarded"), authentication=proven_by(keys_of("missing"))),
        expect={("AuthPolicy", "members"): "SecretNotFound"},
    )
    until(lambda: gateway.get("/guarded").status, lambda status: status == 500)
    assert gateway.get("/open").body == "open"


def test_a_policy_without_target_is_told_and_changes_nothing(gateway: Gateway) -> None:
    gateway.apply(
        route("books", rule(says="books")),
        policy("lost", on("Route", "missing"), authentication={"mode": "None"}),
        expect={("AuthPolicy", "lost"): "TargetNotFound"},
    )
    assert gateway.get().body == "books"


def test_an_invalid_document_keeps_its_last_good_version_serving(gateway: Gateway) -> None:
    gateway.apply(route("books", rule(says="good")))
    broken = route("books", rule(says="bad", redirect={"path": "/x"}))
    gateway.apply(broken, expect={("Route", "books"): "Invalid"})
    assert gateway.get().body == "good"
    gateway.apply(route("books", rule(says="mended")))
    assert gateway.get().body == "mended"
