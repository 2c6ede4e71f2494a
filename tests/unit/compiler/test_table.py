"""Order, conflicts and gates of a table, and what a conditional rule overtakes."""

from __future__ import annotations

from itertools import permutations

import pytest
from fastforward_compiler import ir

from support import resources
from support.credentials import apikeys_data
from support.resources import Document, exact, on, prefix, regex, resource, rule

from .conftest import Bench

HOST = "example.com"


def route(name: str, *rules: Document, created: str = "", **spec: object) -> Document:
    document = resources.route(name, *rules, hosts=HOST, **spec)
    document["metadata"]["creationTimestamp"] = created
    return document


def order(bench: Bench) -> list[str]:
    return [entry.route.removeprefix("default/") or entry.id for entry in bench.entries(HOST)]


LADDER = (
    route("priority", rule(prefix("/"), says="x"), priority=1),
    route("exact", rule(exact("/a"), says="x")),
    route("long-regex", rule(regex("/a/[a-z]+"), says="x")),
    route("regex", rule(regex("/.*"), says="x")),
    route("long", rule(prefix("/a/b"), says="x")),
    route("methods", rule(prefix("/a", methods=["GET"]), says="x")),
    route("headers", rule(prefix("/a", headers=[{"name": "a"}, {"name": "b"}]), says="x")),
    route("header", rule(prefix("/a", headers=[{"name": "a"}]), says="x")),
    route("queries", rule(prefix("/a", query=[{"name": "a"}, {"name": "b"}]), says="x")),
    route("query", rule(prefix("/a", query=[{"name": "a"}]), says="x")),
    route("version", rule(prefix("/a", apiVersion="v1"), says="x")),
    route("conditions", rule(prefix("/a", roles=["r"], flag="f"), says="x")),
    route("condition", rule(prefix("/a", flag="f"), says="x")),
    route("old", rule(prefix("/a"), says="x"), created="2026-01-01T00:00:00Z"),
    route("short", rule(prefix("/"), says="x")),
)


def test_every_step_of_the_order_holds_and_the_order_of_arrival_does_not_matter(bench: Bench) -> None:
    names = [document["metadata"]["name"] for document in LADDER]
    bench.apply(resources.edge(8080), *LADDER[::-1])
    assert order(bench) == names


def test_the_listener_counts_before_every_other_condition(bench: Bench) -> None:
    listening = route("listening", rule(prefix("/a"), says="x"), edges=[{"name": "public", "listener": "http"}])
    bench.apply(resources.edge(8080), route("methods", rule(prefix("/a", methods=["GET"]), says="x")), listening)
    assert order(bench) == ["listening", "methods"]


@pytest.mark.parametrize("arrival", list(permutations(range(3))))
def test_of_equal_matches_the_oldest_then_the_first_by_name_is_reached(bench: Bench, arrival: tuple[int, ...]) -> None:
    routes = (
        route("b", rule(prefix("/a"), says="b"), created="2026-01-01T00:00:00Z"),
        route("c", rule(prefix("/a"), says="c"), created="2026-01-01T00:00:00Z"),
        route("a", rule(prefix("/a"), says="a")),
    )
    bench.apply(resources.edge(8080))
    for place in arrival:
        bench.apply(routes[place])
    assert order(bench) == ["b"]
    assert bench.reasons("Route", "b") == []
    told = {name: bench.report("Route", name).problems[0].message for name in ("a", "c")}
    assert (
        told["a"]
        == "Never reached on host example.com: Route default/b, which is older, has the same match in its rule rule-0."
    )
    assert "default/b, which comes first by name," in told["c"]


def test_the_loser_is_reached_once_the_winner_goes(bench: Bench) -> None:
    bench.apply(resources.edge(8080), route("a", rule(says="a")), route("b", rule(says="b")))
    bench.delete("Route", "a")
    assert order(bench) == ["b"]
    assert bench.reasons("Route", "b") == []


def test_equal_matches_at_different_priorities_are_no_conflict(bench: Bench) -> None:
    bench.apply(resources.edge(8080), route("a", rule(says="a")), route("b", rule(says="b"), priority=1))
    assert order(bench) == ["b", "a"]
    assert bench.reasons("Route", "a") == []


FLAGGED = {"flag": "beta"}


@pytest.mark.parametrize(
    ("conditional", "other", "overtaken"),
    [
        (prefix("/a", **FLAGGED), prefix("/a"), True),
        (prefix("/a", **FLAGGED), prefix("/"), True),
        (prefix("/a/b", **FLAGGED), prefix("/a"), True),
        (prefix("/a", **FLAGGED), prefix("/b"), False),
        (prefix("/a", **FLAGGED), prefix("/ab"), False),
        (exact("/a", **FLAGGED), prefix("/a"), True),
        (exact("/a", **FLAGGED), prefix("/a/b"), False),
        (exact("/a", **FLAGGED), exact("/a"), True),
        (exact("/a", **FLAGGED), exact("/b"), False),
        (prefix("/a", **FLAGGED), exact("/a"), False),
        (prefix("/a", **FLAGGED), prefix("/a", methods=["GET"]), False),
        (regex("/a", **FLAGGED), prefix("/b"), True),
        (exact("/a", **FLAGGED), regex("/b"), True),
    ],
)
def test_a_rule_takes_the_hop_when_a_conditional_one_may_overtake_it(
    bench: Bench, conditional: Document, other: Document, overtaken: bool
) -> None:
    bench.apply(resources.edge(8080), route("r", rule(conditional, says="x"), rule(other, says="y")))
    entries = {entry.rule: entry for entry in bench.entries(HOST)}
    assert entries["rule-0"].hop
    assert entries["rule-1"].hop is overtaken


def test_with_very_many_conditional_rules_all_that_follows_takes_the_hop(bench: Bench) -> None:
    rules = [rule(exact(f"/{number}", **FLAGGED), says="x") for number in range(64)]
    bench.apply(resources.edge(8080), route("a", *rules), route("b", rule(exact("/x", flag="x"), says="x")))
    bench.apply(route("z", rule(prefix("/z"), says="z")))
    assert all(entry.hop for entry in bench.entries(HOST))


@pytest.mark.parametrize(
    ("conditional", "behind", "gates"),
    [
        (prefix("/a", **FLAGGED), prefix("/"), []),
        (prefix("/a", **FLAGGED), prefix("/a"), []),
        (exact("/a/b", **FLAGGED), prefix("/a"), []),
        (prefix("/a", **FLAGGED), prefix("/a/b"), ["gate Prefix /a"]),
        (prefix("/a", **FLAGGED), prefix("/a", methods=["GET"]), ["gate Prefix /a"]),
        (exact("/a", **FLAGGED), prefix("/ab"), ["gate Exact /a"]),
        (regex("/a.*", **FLAGGED), prefix("/a"), ["gate Regex /a.*"]),
        (regex("/a.*", **FLAGGED), prefix("/"), []),
    ],
)
def test_a_gate_stands_where_nothing_else_would_lead_to_a_conditional_rule(
    bench: Bench, conditional: Document, behind: Document, gates: list[str]
) -> None:
    bench.apply(resources.edge(8080), route("r", rule(conditional, says="x"), rule(behind, says="y")))
    found = [entry for entry in bench.entries(HOST) if entry.gate]
    assert [entry.id for entry in found] == gates
    assert {(entry.route, entry.rule) for entry in found} <= {("", "")}


def test_a_gate_is_closed_when_what_guards_it_is_broken(bench: Bench) -> None:
    provider = {"name": "key", "apiKey": {"secrets": [{"name": "keys"}]}}
    policy = resource(
        "AuthPolicy", "p", {"targets": [on("Edge", "public")], "authentication": {"providers": [provider]}}
    )
    tenant = resource("Tenant", "t", {})
    bench.apply(resources.edge(8080), policy, tenant, route("r", rule({"tenants": ["t"]}, says="x")))
    (gate,) = bench.entries(HOST)
    assert gate.destination == ir.Unavailable(reason="AuthPolicy default/p has no usable provider.")
    bench.apply(resources.secret("keys", apikeys_data(AAAAAAAAAAAA="t"), "gateway.fastforward.dev/api-keys"))
    (gate,) = bench.entries(HOST)
    assert (gate.destination, gate.auth, gate.hop) == (ir.Respond(status=404), "default/p", True)


def test_a_scope_names_what_may_have_authenticated_a_tenants_request(bench: Bench) -> None:
    def policy(name: str, target: Document) -> Document:
        return resource("AuthPolicy", name, {"targets": [target], "authorization": {"grants": [{"name": "all"}]}})

    bench.apply(
        resources.edge(8080),
        resource("Tenant", "t", {}),
        policy("edge", on("Edge", "public")),
        policy("own", on("Route", "r", "own")),
        route("r", rule({"tenants": ["t"]}, says="x"), rule(prefix("/own"), says="y", name="own")),
    )
    (scope,) = bench.compiler.snapshot().scopes
    assert scope.auths == ("default/edge", "default/edge+default/own")
