"""Policies of ours on Gateway API: whom they reach, what a change to them touches, what admission says."""

from __future__ import annotations

import json

import fastforward_crds as crds
import pytest
from fastforward_compiler import ir, object_ref
from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge, workload_names
from fastforward_compiler.fleets import Fleets
from fastforward_compiler.problem import is_refused

from support import gatewayapi
from support.gatewayapi import at, foreign, listener, parent, path, pods, rule
from support.resources import Document, Json, granted_to, issuers, limit, policy, proven_by, tokens_of

from .conftest import Bench

EVERYBODY: Document = {"namespaces": {"from": "All"}}
OUTER, INNER = "default/public~gateway@80", "default/public~gateway@81"


def gateway(**spec: Json) -> Document:
    return gatewayapi.gateway(
        listener(80, allowedRoutes=EVERYBODY), listener(81, "inner", allowedRoutes=EVERYBODY), **spec
    )


WORLD = (
    gatewayapi.gateway_class(),
    gateway(),
    *pods("up", 8080),
    issuers("a", "b"),
    gatewayapi.http_route("books", rule(path("/a"), to="up", name="a"), rule(to="up"), hosts=("example.com",)),
)


GATEWAY, ROUTE = at("Gateway", "public"), at("HTTPRoute", "books")


def guard(name: str, *targets: Document, issuer: str = "a", **spec: Json) -> Document:
    return policy(name, *targets, authentication=proven_by(tokens_of(issuer)), **spec)


def auths(bench: Bench, place: str = OUTER, host: str = "example.com") -> list[str]:
    return [entry.auth.replace("default/", "") for entry in bench.entries(host, edge=place)]


@pytest.mark.parametrize(
    ("target", "outer", "inner"),
    [
        (GATEWAY, ["p", "p"], ["p", "p"]),
        (at("Gateway", "public", "inner"), ["", ""], ["p", "p"]),
        (ROUTE, ["p", "p"], ["p", "p"]),
        (at("HTTPRoute", "books", "a"), ["p", ""], ["p", ""]),
        (at("HTTPRoute", "books", "rule-1"), ["", "p"], ["", "p"]),
        (at("GRPCRoute", "books"), ["", ""], ["", ""]),
        (at("Gateway", "other"), ["", ""], ["", ""]),
        ({"kind": "Route", "name": "books"}, ["", ""], ["", ""]),
    ],
)
def test_a_policy_reaches_its_target_and_nothing_else(
    bench: Bench, target: Document, outer: list[str], inner: list[str]
) -> None:
    bench.apply(*WORLD, guard("p", target), limit("l", target, requests=1))
    assert (auths(bench), auths(bench, INNER)) == (outer, inner)
    limits = [["default/l"] if name else [] for name in outer]
    assert [list(entry.limits) for entry in bench.entries(edge=OUTER)] == limits


def test_a_gateways_policy_reaches_routes_of_other_namespaces_and_theirs_do_not_reach_back(bench: Bench) -> None:
    abroad = gatewayapi.http_route("far", rule(), hosts=("far.example.com",), parents=(parent(namespace="default"),))
    abroad["metadata"]["namespace"] = "other"
    foreign_policy = guard("p", GATEWAY, issuer="b")
    foreign_policy["metadata"]["namespace"] = "other"
    bench.apply(*WORLD, abroad, guard("g", GATEWAY), foreign_policy)
    assert auths(bench, host="far.example.com") == ["g"]
    assert auths(bench) == ["g", "g"]


def test_listeners_of_a_set_have_the_gateways_policy_and_none_by_their_name(bench: Bench) -> None:
    listeners = foreign("ListenerSet", "more", {"parentRef": parent(), "listeners": [listener(82, "inner")]})
    route = gatewayapi.http_route("set", rule(), parents=(parent("more", kind="ListenerSet"),))
    bench.apply(*WORLD, gateway(allowedListeners={"namespaces": {"from": "Same"}}), listeners, route)
    bench.apply(guard("whole", GATEWAY), guard("named", at("Gateway", "public", "inner")))
    assert auths(bench, "default/public~gateway@82", "*") == ["whole"]
    assert auths(bench, INNER) == ["whole+named"] * 2


def test_what_a_policy_says_changes_without_translating_a_route_and_sends_its_tables(bench: Bench) -> None:
    def apply(role: str, requests: int) -> list[ir.Delta]:
        grants = guard("p", GATEWAY, authorization=granted_to(only={"roles": [role]}))
        return [bench.apply(grants), bench.apply(limit("l", ROUTE, requests=requests))]

    bench.apply(*WORLD)
    apply("admin", 1)
    for delta in apply("reader", 2):
        assert delta.translated == 1
        assert {table.scope for table in delta.tables.upserts} == {f"{OUTER}|example.com", f"{INNER}|example.com"}


def test_a_gateways_own_proxies_are_told_of_its_policies_and_no_others(bench: Bench) -> None:
    other = gatewayapi.gateway(listener(90), name="other")
    documents = (*WORLD, other, guard("p", GATEWAY), guard("q", at("Gateway", "other"), issuer="b"))
    parts = Fleets().split(bench.apply(*documents, limit("l", ROUTE, requests=1)))
    part = parts["default/public~gateway"]
    assert [auth.name for auth in part.auths.upserts] == ["default/p"]
    assert [limit_.name for limit_ in part.limits.upserts] == ["default/l"]
    assert [keys.name for keys in part.keysets.upserts] == ["configmap/default/keys/a"]
    assert parts["default/other~gateway"].auths.upserts == ()


@pytest.mark.parametrize(("named", "asked"), [("", "default/public"), ("system/all", "system/all")])
def test_a_gateways_proxies_ask_the_workload_of_the_installation_or_of_their_name(
    bench: Bench, named: str, asked: str
) -> None:
    bench.apply(*WORLD)
    (edge,) = bench.compiler.snapshot().edges
    settings = PodSettings(namespace="pods", envoy_image="envoy:1", decision_image="decision:1", decision=named)
    assert f"{workload_names(asked).base}.pods.svc" in json.dumps(emit_edge(edge, settings))


def test_a_target_that_comes_and_goes_is_told(bench: Bench) -> None:
    bench.apply(*WORLD, guard("p", GATEWAY, ROUTE, at("HTTPRoute", "books", "a")))
    assert bench.reasons("AuthPolicy", "p") == []
    bench.delete("HTTPRoute", "books")
    assert bench.reasons("AuthPolicy", "p") == ["TargetNotFound"] * 2
    bench.apply(gatewayapi.http_route("books", rule(), hosts=("example.com",)))
    assert bench.reasons("AuthPolicy", "p") == ["TargetNotFound"]
    bench.delete("GatewayClass", "fastforward", "")
    assert bench.reasons("AuthPolicy", "p") == ["TargetNotServed"] * 3
    bench.apply(*WORLD)
    assert bench.reasons("AuthPolicy", "p") == []
    assert auths(bench) == ["p", "p"]


def test_an_invalid_policy_closes_what_it_is_aimed_at_until_it_is_mended(bench: Bench) -> None:
    broken = policy("p", at("Gateway", "public", "inner"), nonsense=True)
    bench.apply(*WORLD, broken)
    assert all(isinstance(entry.destination, ir.Unavailable) for entry in bench.entries(edge=INNER))
    assert auths(bench) == ["", ""]
    assert ("table", f"{INNER}|example.com#") in bench.report("AuthPolicy", "p").outputs
    bench.apply(guard("p", at("Gateway", "public", "inner")))
    assert auths(bench, INNER) == ["p", "p"]


WEAK = policy("weak", ROUTE, authentication={"mode": "None"})


@pytest.mark.parametrize(
    ("candidate", "refused"),
    [
        (WEAK, ["WeakensInherited"]),
        (guard("weak", at("HTTPRoute", "books", "a"), issuer="b"), ["WeakensInherited"]),
        (guard("weak", at("Gateway", "public", "inner"), issuer="b"), ["WeakensInherited"]),
        (guard("strong", ROUTE), []),
        (guard("lost", at("Gateway", "public", "lost"), at("HTTPRoute", "lost")), []),
        (guard("theirs", at("Gateway", "theirs")), []),
        (limit("lost", at("GRPCRoute", "lost"), requests=1), []),
    ],
)
def test_admission_refuses_what_weakens_and_nothing_that_others_can_mend(
    bench: Bench, candidate: Document, refused: list[str]
) -> None:
    theirs = gatewayapi.gateway(listener(83), name="theirs")
    theirs["spec"]["gatewayClassName"] = "theirs"
    bench.apply(*WORLD, theirs, guard("gateway", GATEWAY))
    value = crds.parse_resource(candidate)
    judgement = bench.compiler.judge(object_ref(value), value)
    assert judgement.complete
    assert [each.reason for each in judgement.problems if is_refused(each)] == refused
    bench.apply(candidate)
    assert bench.report(value.kind, object_ref(value).name).problems == judgement.problems
