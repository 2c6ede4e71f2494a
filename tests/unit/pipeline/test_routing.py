"""Which rule a request takes, and which shard."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

from dataclasses import replace
from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot, Trail

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    EXACT,
    REGEX,
    SCOPE,
    apikeys,
    ask,
    auth,
    decided,
    gate,
    host,
    key_provider,
    plan,
    snapshot,
    split,
    stored_key,
    tenant,
    text,
)

SECRET = "s" * 43
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}
BOB = {"x-api-key": f"ffk_BOB_{SECRET}"}
KEYS = (
    auth("shop/members", "OPTIONAL", providers=[key_provider(any_tenant=True)]),
    apikeys(
        stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["admin"]),
        stored_key("BOB", SECRET, tenant="bolt", subject="bob"),
    ),
)
MEMBERS: dict[str, Any] = {"auth": "shop/members"}


def test_the_longest_prefix_takes_the_request() -> None:
    world = snapshot(host(plan("books", "/books"), plan("all", "/")))
    assert decided(world, ask("/books/1?x=/")).route == "shop/books"
    assert decided(world, ask("/bookshop")).route == "shop/all"


def test_an_exact_path_comes_before_a_pattern_and_a_pattern_before_a_prefix() -> None:
    world = snapshot(host(plan("one", "/a/b", EXACT), plan("two", "/a/.*", REGEX), plan("three", "/a")))
    routes = [decided(world, ask(path)).route for path in ("/a/b?q", "/a/c", "/a")]
    assert routes == ["shop/one", "shop/two", "shop/three"]


def test_a_rule_of_higher_priority_comes_before_a_longer_path() -> None:
    world = snapshot(host(plan("first", "/", priority=1), plan("second", "/a/b/c")))
    assert decided(world, ask("/a/b/c")).route == "shop/first"


@pytest.mark.parametrize(
    ("conditions", "request_", "fits"),
    [
        ({"methods": ["GET", "HEAD"]}, ask(), True),
        ({"methods": ["POST"]}, ask(), False),
        ({"listener": "https"}, ask(listener="https"), True),
        ({"listener": "https"}, ask(), False),
        ({"headers": [text("x-a", "1")]}, ask(headers={"X-A": "1"}), True),
        ({"headers": [text("x-a", "1")]}, ask(headers={"X-A": "11"}), False),
        ({"headers": [text("x-a", "1")]}, ask(), False),
        ({"headers": [text("x-a", "ab", "PREFIX")]}, ask(headers={"x-a": "abc"}), True),
        ({"headers": [text("x-a", "a.c", "REGEX")]}, ask(headers={"x-a": "abc"}), True),
        ({"headers": [text("x-a", "a.c", "REGEX")]}, ask(headers={"x-a": "abcd"}), False),
        ({"headers": [text("x-a", "", "PRESENT")]}, ask(headers={"x-a": ""}), True),
        ({"headers": [text("x-a", "", "PRESENT")]}, ask(), False),
        ({"headers": [text("host", "api.example.com")]}, ask(), True),
        ({"query": [text("v", "2")]}, ask("/?v=2&v=3"), True),
        ({"query": [text("v", "2")]}, ask("/?v=3&v=2"), False),
        ({"query": [text("v", "a%20b")]}, ask("/?v=a%20b"), True),
        ({"query": [text("v", "a b")]}, ask("/?v=a%20b"), False),
        ({"query": [text("v", "")]}, ask("/?v"), True),
        ({"query": [text("v", "", "PRESENT")]}, ask("/?w=v"), False),
        ({"api_version": "v2"}, ask(headers={"x-api-version": "v2"}), True),
        ({"api_version": "v2"}, ask(headers={"x-api-version": "v1"}), False),
        ({"api_version": "v1"}, ask(), True),
        ({"api_version": "v2"}, ask(), False),
    ],
)
def test_a_rule_takes_a_request_that_fulfils_its_conditions(
    conditions: dict[str, Any], request_: Any, fits: bool
) -> None:
    rules = host(
        plan("special", **conditions), plan("all"), api_version_header="x-api-version", api_version_default="v1"
    )
    assert decided(snapshot(rules), request_).route == ("shop/special" if fits else "shop/all")


def test_repeated_headers_are_joined_before_they_are_compared() -> None:
    world = snapshot(host(plan("both", headers=[text("x-a", "1,2")]), plan("all")))
    assert decided(world, ask(headers={"x-a": "1,2"})).route == "shop/both"
    assert decided(world, replace(ask(), headers={"x-a": ("1", "2")})).route == "shop/both"


def test_a_rule_whose_conditions_fail_lets_a_shorter_prefix_try() -> None:
    world = snapshot(host(plan("deep", "/a/b", methods=["POST"]), plan("shallow", "/a")))
    assert decided(world, ask("/a/b/c")).route == "shop/shallow"


def test_no_rule_is_404_and_says_what_nearly_matched() -> None:
    world = snapshot(host(plan("write", "/books", methods=["POST"]), plan("other", "/authors")))
    trail = Trail()
    decision = decided(world, ask("/books/1"), trail=trail)
    assert (decision.status, decision.reason, decision.route) == (404, Reason.NO_ROUTE, "")
    assert [(m.object, m.field, m.expected, m.got) for m in trail.near_misses] == [
        ("Route shop/write", "rules[main].methods", "POST", "GET"),
        ("Route shop/other", "rules[main].path", "/authors", "/books/1"),
    ]


@pytest.mark.parametrize(
    ("asked", "route"),
    [
        ("a.example.com", "shop/exact"),
        ("b.example.com", "shop/wild"),
        ("a.b.example.com", "shop/wild"),
        ("x.deep.example.com", "shop/deeper"),
        ("example.com", "shop/star"),
        ("elsewhere.test", "shop/star"),
    ],
)
def test_the_exact_host_comes_first_then_the_longest_wildcard(asked: str, route: str) -> None:
    world = snapshot(
        host(plan("exact"), name="a.example.com"),
        host(plan("wild"), name="*.example.com"),
        host(plan("deeper"), name="*.deep.example.com"),
        host(plan("star"), name="*"),
    )
    assert decided(world, ask(host=asked)).route == route


def test_an_unknown_host_is_404() -> None:
    world = snapshot(host(plan("all")))
    assert decided(world, ask(host="other.test")).reason is Reason.NO_ROUTE
    assert decided(world, ask(edge="shop/other")).reason is Reason.NO_ROUTE
    assert decided(world, ask(host="")).reason is Reason.NO_ROUTE


def test_without_an_edge_the_one_that_names_the_host_best_is_asked() -> None:
    world = snapshot(
        host(plan("star"), name="*", edge="shop/a"),
        host(plan("wild"), name="*.example.com", edge="shop/b"),
        host(plan("exact"), edge="shop/c"),
    )
    assert decided(world, ask()).route == "shop/exact"
    assert decided(world, ask(edge="shop/b")).route == "shop/wild"
    assert decided(world, ask(host="x.example.com")).route == "shop/wild"


def tenants_world(*more: Any) -> Snapshot:
    return snapshot(
        host(plan("own", "/books", **MEMBERS), tenant="acme"),
        host(plan("books", "/books", **MEMBERS), plan("all", **MEMBERS)),
        *KEYS,
        tenant("acme"),
        tenant("bolt"),
        *more,
    )


def test_a_tenants_own_rule_comes_before_everybodys() -> None:
    world = tenants_world()
    own = decided(world, ask("/books", headers=ANN))
    assert own.route == "shop/own"
    assert dict(own.request_headers) == {
        "x-ff-table": "acme",
        "x-ff-select": "-",
        "x-ff-tenant": "acme",
        "x-ff-subject": "ann",
        "x-ff-key": "ANN",
    }


def test_what_the_tenants_table_lacks_is_found_in_everybodys() -> None:
    decision = decided(tenants_world(), ask("/authors", headers=ANN))
    assert decision.route == "shop/all"
    assert dict(decision.request_headers)["x-ff-table"] == "-"


def test_another_tenant_never_sees_a_tenants_rule() -> None:
    assert decided(tenants_world(), ask("/books", headers=BOB)).route == "shop/books"
    assert decided(tenants_world(), ask("/books")).route == "shop/books"


def test_a_plan_of_a_tenants_table_is_taken_as_the_proxy_found_it() -> None:
    world = tenants_world()
    assert decided(world, ask("/books", headers=ANN, plan="own")).route == "shop/own"
    assert decided(world, ask("/books", headers=BOB, plan="own")).reason is Reason.TENANT_GUARD
    assert decided(world, ask("/books", plan="own")).reason is Reason.TENANT_GUARD


def test_a_plan_for_everybody_leads_a_known_tenant_to_its_own_rule() -> None:
    assert decided(tenants_world(), ask("/books", headers=ANN, plan="books")).route == "shop/own"
    assert decided(tenants_world(), ask("/books", headers=BOB, plan="books")).route == "shop/books"


def test_a_plan_that_is_not_in_the_snapshot_is_503() -> None:
    decision = decided(tenants_world(), ask("/books", plan="nothing"))
    assert (decision.status, decision.reason) == (503, Reason.PLAN_UNKNOWN)


def test_a_gate_authenticates_and_leads_to_the_tenants_rule_or_404() -> None:
    world = snapshot(
        host(plan("own", "/books", **MEMBERS), tenant="acme"),
        host(gate(**MEMBERS)),
        *KEYS,
    )
    for found in ("", "gate"):
        assert decided(world, ask("/books", headers=ANN, plan=found)).route == "shop/own"
        refused = decided(world, ask("/books", headers=BOB, plan=found))
        assert (refused.status, refused.route) == (404, "")
        assert decided(world, ask("/authors", headers=ANN, plan=found)).reason is Reason.NO_ROUTE
        assert decided(world, ask("/books", headers={"x-api-key": "ffk_ANN_x"}, plan=found)).status == 401


def conditional_world() -> Snapshot:
    return snapshot(
        host(
            plan("admins", "/books", roles=["admin"], **MEMBERS),
            plan("north", "/maps", region="north", **MEMBERS),
            plan("beta", "/beta", flag="beta", **MEMBERS),
            plan("all", **MEMBERS),
            region="south",
        ),
        *KEYS,
        tenant("acme", region="north", flags=["beta"]),
        tenant("bolt"),
    )


@pytest.mark.parametrize("known", ["", "all"])
def test_conditions_on_the_caller_are_judged_when_the_caller_is_known(known: str) -> None:
    world = conditional_world()

    def route(path: str, headers: dict[str, str] | None = None) -> str:
        return decided(world, ask(path, headers=headers, plan=known)).route

    assert [route("/books"), route("/books", BOB), route("/books", ANN)] == ["shop/all", "shop/all", "shop/admins"]
    assert [route("/maps", BOB), route("/maps", ANN)] == ["shop/all", "shop/north"]
    assert [route("/beta", BOB), route("/beta", ANN)] == ["shop/all", "shop/beta"]


def test_the_select_header_leads_the_proxy_to_a_rule_with_conditions_on_the_caller() -> None:
    decision = decided(conditional_world(), ask("/books", headers=ANN, plan="all"))
    assert dict(decision.request_headers)["x-ff-select"] == "shop/admins#main.0"


def test_near_misses_of_conditions_on_the_caller_are_told() -> None:
    trail = Trail()
    for path in ("/books", "/maps", "/beta"):
        decided(conditional_world(), ask(path, headers=BOB), trail=trail)
    assert [(m.field, m.expected, m.got) for m in trail.near_misses] == [
        ("rules[main].roles", "admin", "none"),
        ("rules[main].region", "north", "south"),
        ("rules[main].flag", "beta", "none"),
    ]


def test_a_rule_before_which_nobody_was_authenticated_asks_for_its_own_credentials() -> None:
    world = snapshot(
        host(plan("north", region="north", auth="shop/strict"), plan("all"), region="north"),
        *KEYS,
        auth("shop/strict", "REQUIRED", providers=[key_provider(any_tenant=True)]),
        tenant("acme"),
    )
    assert decided(world, ask()).reason is Reason.KEY_MISSING
    assert decided(world, ask(plan="all")).reason is Reason.KEY_MISSING


def test_a_weighted_split_shows_each_upstream_and_its_share() -> None:
    world = snapshot(host(plan("a", upstreams=split(("shop/new", 1), ("shop/old", 3)))))
    found = decided(world, ask())
    assert [(c.upstream, c.share) for c in found.candidates] == [("shop/new", 0.25), ("shop/old", 0.75)]


def test_a_scope_without_a_table_is_404() -> None:
    world = snapshot(pb.Resource(name=f"scope/{SCOPE}", scope=pb.Scope(edge="shop/public", host="api.example.com")))
    assert decided(world, ask()).reason is Reason.NO_ROUTE


def test_near_misses_before_authentication_say_that_the_caller_is_not_known() -> None:
    trail = Trail()
    world = snapshot(host(plan("admins", "/books", roles=["admin"]), plan("web", "/maps", listener="https")))
    assert decided(world, ask("/books"), trail=trail).status == 404
    assert decided(world, ask("/maps"), trail=trail).status == 404
    found = [(m.field, m.got) for m in trail.near_misses if not m.field.endswith("path")]
    assert found == [("rules[main].roles", "not known before authentication"), ("rules[main].listener", "unknown")]


@pytest.mark.parametrize(
    ("conditions", "request_", "missed"),
    [
        ({"headers": [text("x-a", "1")]}, ask(), ("headers[x-a]", "'1'", "absent")),
        ({"headers": [text("x-a", "1")]}, ask(headers={"x-a": "2"}), ("headers[x-a]", "'1'", "2")),
        ({"query": [text("a", "1")]}, ask("/?a=2&a=1"), ("query[a]", "'1'", "2")),
        ({"query": [text("a", "1")]}, ask(), ("query[a]", "'1'", "absent")),
        ({"api_version": "v2"}, ask(), ("apiVersion", "v2", "v1")),
        ({"listener": "https"}, ask(listener="http"), ("listener", "https", "http")),
        ({"listener": "https"}, ask(listener=""), ("listener", "https", "unknown")),
    ],
)
def test_a_near_miss_names_the_condition_and_what_there_was_instead(
    conditions: dict[str, Any], request_: Any, missed: tuple[str, str, str]
) -> None:
    world = snapshot(host(plan("only", **conditions), api_version_header="x-api-version", api_version_default="v1"))
    trail = Trail()
    assert decided(world, request_, trail=trail).status == 404
    (found,) = trail.near_misses
    assert (found.field.removeprefix("rules[main]."), found.expected, found.got) == missed


def test_near_misses_are_those_of_the_table_of_the_callers_tenant() -> None:
    world = snapshot(
        host(gate("gate", "/books", **MEMBERS), plan("other", "/maps", methods=["PUT"])),
        host(plan("own", "/books", methods=["POST"], tenant="acme", **MEMBERS), tenant="acme"),
        *KEYS,
        tenant("acme"),
    )
    trail = Trail()
    assert decided(world, ask("/books", headers=ANN), trail=trail).reason is Reason.NO_ROUTE
    assert [(missed.object, missed.expected, missed.got) for missed in trail.near_misses] == [
        ("Route shop/own", "POST", "GET")
    ]
