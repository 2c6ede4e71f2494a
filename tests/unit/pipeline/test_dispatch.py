"""What becomes of a request, and what the upstream sees of it."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

from typing import Any

import pytest
from fastforward_pipeline import Reason, Request, Trail, UpstreamRequest, upstream_request

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    EXACT,
    REGEX,
    apikeys,
    ask,
    auth,
    decided,
    host,
    key_provider,
    plan,
    snapshot,
    split,
    stored_key,
)


def seen(request: Request, path: str = "/", kind: int = 2, **fields: Any) -> UpstreamRequest:
    decision = decided(snapshot(host(plan("a", path, kind, **fields))), request)
    assert decision.allowed
    return upstream_request(decision, request)


@pytest.mark.parametrize(
    ("prefix", "replacement", "asked", "expected"),
    [
        ("/a", "/b", "/a", "/b"),
        ("/a", "/b", "/a/x?q=/a", "/b/x?q=/a"),
        ("/a", "/", "/a/x", "/x"),
        ("/a", "/", "/a", "/"),
        ("/a", "/b/", "/a/x", "/b/x"),
        ("/a", "/b/", "/a", "/b/"),
        ("/", "/b", "/x", "/b/x"),
        ("/", "/b/", "/", "/b/"),
        ("/", "/", "/x", "/x"),
    ],
)
def test_a_prefix_is_replaced_by_whole_segments(prefix: str, replacement: str, asked: str, expected: str) -> None:
    assert seen(ask(asked), prefix, rewrite=pb.Rewrite(prefix=replacement)).path == expected


def test_a_path_or_what_matches_in_it_is_replaced_and_the_query_stays() -> None:
    assert seen(ask("/a/b?q=1"), rewrite=pb.Rewrite(path="/c")).path == "/c?q=1"
    pattern = pb.Rewrite(regex_pattern="/v([0-9])", regex_substitution=r"/version-\1")
    assert seen(ask("/v1/v2?v=/v3"), rewrite=pattern).path == "/version-1/version-2?v=/v3"
    assert seen(ask("/v1"), "/v.", REGEX, rewrite=pb.Rewrite(path="/x")).path == "/x"
    assert seen(ask("/a"), "/a", EXACT).path == "/a"


def test_the_host_is_replaced_or_stays() -> None:
    assert seen(ask()).host == "api.example.com"
    assert seen(ask(), rewrite=pb.Rewrite(host="inner.test")).host == "inner.test"


def test_headers_are_removed_then_set_then_added() -> None:
    changes = pb.HeaderChanges(
        remove=["x-gone", "x-both"],
        set=[pb.HeaderValue(name="x-set", value="new"), pb.HeaderValue(name="x-both", value="set")],
        add=[pb.HeaderValue(name="x-more", value="2"), pb.HeaderValue(name="x-new", value="1")],
    )
    given = {"x-gone": "1", "x-both": "1", "x-set": "old", "x-more": "1", "x-stays": "1", "x-ff-tenant": "forged"}
    assert seen(ask(headers=given), request_headers=changes).headers == {
        "x-both": ("set",),
        "x-set": ("new",),
        "x-more": ("1", "2"),
        "x-new": ("1",),
        "x-stays": ("1",),
        "x-forwarded-for": ("198.51.100.7",),
        "x-forwarded-proto": ("http",),
    }


def test_the_upstream_sees_whose_request_it_is_and_nothing_internal() -> None:
    secret = "s" * 43
    world = snapshot(
        host(plan("a", auth="shop/members")),
        auth("shop/members", providers=[key_provider(any_tenant=True)]),
        apikeys(stored_key("ANN", secret, tenant="acme", subject="ann")),
    )
    request = ask(headers={"x-api-key": f"ffk_ANN_{secret}", "x-ff-subject": "root", "x-ff-table": "bolt"})
    headers = upstream_request(decided(world, request), request).headers
    assert {name: value for name, value in headers.items() if name.startswith("x-ff-")} == {
        "x-ff-tenant": ("acme",),
        "x-ff-subject": ("ann",),
    }


def test_a_request_without_a_rule_goes_nowhere() -> None:
    request = ask(host="other.test")
    with pytest.raises(ValueError, match="nowhere"):
        upstream_request(decided(snapshot(host(plan("a"))), request), request)


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        (pb.Redirect(status=301, scheme="https"), "https://api.example.com/a?q=1"),
        (pb.Redirect(status=302, host="other.test"), "http://other.test/a?q=1"),
        (pb.Redirect(status=303, port=8443, scheme="https"), "https://api.example.com:8443/a?q=1"),
        (pb.Redirect(status=307, path="/b"), "/b?q=1"),
        (pb.Redirect(status=308, path="/b?z=2"), "/b?z=2"),
    ],
)
def test_a_redirect_keeps_what_it_does_not_name(redirect: pb.Redirect, expected: str) -> None:
    decision = decided(snapshot(host(plan("a", redirect=redirect))), ask("/a?q=1"))
    assert (decision.allowed, decision.status) == (True, redirect.status)
    assert decision.response_headers == (("location", expected),)


def test_the_gateways_own_answer_has_body_and_type() -> None:
    answer = pb.Respond(status=418, body="tea", content_type="text/plain")
    decision = decided(snapshot(host(plan("a", respond=answer))), ask())
    assert (decision.status, decision.body) == (418, "tea")
    assert decision.response_headers == (("content-type", "text/plain"),)
    empty = decided(snapshot(host(plan("a", respond=pb.Respond(status=204)))), ask())
    assert (empty.body, empty.response_headers) == ("", ())


def test_a_broken_destination_is_500_and_the_proxy_says_so_itself() -> None:
    world = snapshot(host(plan("a", unavailable=pb.Unavailable(reason="Upstream shop/x was not found."))))
    explained = decided(world, ask())
    assert (explained.allowed, explained.status, explained.reason) == (False, 500, Reason.UNAVAILABLE)
    assert explained.refusal is not None
    assert explained.refusal.detail == "Upstream shop/x was not found."
    live = decided(world, ask(plan="a"))
    assert (live.allowed, live.status) == (True, 500)


def test_a_share_that_is_not_there_is_shown_as_nobodys() -> None:
    world = snapshot(host(plan("a", upstreams=split(("", 1), ("shop/b", 1)))))
    assert [(c.upstream, c.share) for c in decided(world, ask()).candidates] == [("", 0.5), ("shop/b", 0.5)]


CORS = pb.Cors(
    allow_origins=["https://shop.example", "https://*.shop.example"],
    allow_methods=["GET", "PUT"],
    allow_headers=["x-a"],
    expose_headers=["x-b"],
    max_age_seconds=600,
    allow_credentials=True,
)


def preflight(origin: str, **more: str) -> Request:
    return ask(method="OPTIONS", headers={"origin": origin, "access-control-request-method": "PUT", **more})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example", True),
        ("https://a.shop.example", True),
        ("https://a.b.shop.example", True),
        ("https://shop.example.evil.test", False),
        ("https://evilshop.example", False),
        ("https://a/.shop.example", False),
        ("http://shop.example", False),
        ("null", False),
    ],
)
def test_a_preflight_from_an_allowed_origin_is_answered_before_anybody_is_asked_who_he_is(
    origin: str, allowed: bool
) -> None:
    world = snapshot(host(plan("a", cors=CORS, auth="shop/members")), auth("shop/members", providers=[key_provider()]))
    decision = decided(world, preflight(origin))
    assert decision.status == (200 if allowed else 401)
    if allowed:
        assert dict(decision.response_headers) == {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET, PUT",
            "access-control-allow-headers": "x-a",
            "access-control-max-age": "600",
            "access-control-expose-headers": "x-b",
        }


def test_what_is_no_preflight_goes_on() -> None:
    world = snapshot(host(plan("a", cors=pb.Cors(allow_origins=["*"], allow_methods=["GET"]))))
    assert decided(world, preflight("https://any.test")).candidates == ()
    for request in (
        ask(method="OPTIONS", headers={"origin": "https://any.test"}),
        ask(method="OPTIONS", headers={"access-control-request-method": "GET"}),
        ask(headers={"origin": "https://any.test", "access-control-request-method": "GET"}),
    ):
        assert decided(world, request).candidates


def test_answers_to_an_allowed_origin_are_marked_for_its_scripts() -> None:
    world = snapshot(host(plan("a", cors=CORS)))
    marked = dict(decided(world, ask(headers={"origin": "https://shop.example"})).response_headers)
    assert marked == {
        "access-control-allow-origin": "https://shop.example",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-b",
    }
    assert decided(world, ask(headers={"origin": "https://evil.test"})).response_headers == ()
    assert decided(world, ask()).response_headers == ()


def test_the_trail_says_what_the_edge_answers_by_itself() -> None:
    def told(request: Request, **fields: Any) -> list[str]:
        trail = Trail()
        decided(snapshot(host(plan("a", **fields))), request, trail=trail)
        return [finding.detail for finding in trail.findings if finding.verdict == "answered"]

    assert told(preflight("https://shop.example"), cors=CORS) == [
        "the edge answers the preflight from https://shop.example"
    ]
    assert told(ask("/x"), redirect=pb.Redirect(status=302, scheme="https")) == [
        "redirected to https://api.example.com/x"
    ]
    assert told(ask(), respond=pb.Respond(status=204)) == ["answered 204 by the edge"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (pb.MessageDispatch(type="a.b", upstream="shop/orders"), "sent as the message a.b to shop/orders"),
        (pb.MessageDispatch(type="a.b"), "sent as the message a.b to nobody"),
        (
            pb.MessageDispatch(type="a.b", delivery=pb.MESSAGE_DELIVERY_COMMAND),
            "sent as the message a.b to whoever consumes its commands",
        ),
    ],
)
def test_the_trail_tells_who_takes_a_message(message: pb.MessageDispatch, told: str) -> None:
    trail = Trail()
    assert decided(snapshot(host(plan("a", message=message))), ask("/"), trail=trail).allowed
    assert [each.detail for each in trail.findings if each.stage == "dispatch"] == [told]
