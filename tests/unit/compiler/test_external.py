"""Services that are asked: which are known to the decision service, when a rule fails open, what is no service."""

from __future__ import annotations

import pytest
from fastforward_compiler.emit.decision import DecisionEmitter

from support import resources
from support.resources import Document, Json, on, policy, reference_grant, rule, upstream

from .conftest import Bench

EDGE, ROUTE = on("Edge", "public"), on("Route", "r")
SHOWING = {"serverName": "guard.internal", "certificate": {"name": "own"}}
WORLD = (
    resources.edge(8080),
    upstream("up", 80),
    upstream("guard", 81),
    resources.route("r", rule(to="up", name="main"), hosts="example.com"),
)


def asking(**fields: Json) -> Document:
    return {"external": {"upstream": {"name": "guard"}, **fields}}


@pytest.mark.parametrize(
    ("policies", "fail_open"),
    [
        ([{"authorization": asking()}], False),
        ([{"authorization": asking(), "onFailure": "Open"}], False),
        ([{"authorization": asking(onFailure="Open")}], False),
        ([{"authorization": asking(onFailure="Open"), "onFailure": "Open"}], True),
        ([{"authorization": asking(), "onFailure": "Open", "shadow": True}], True),
        ([{"authorization": asking(onFailure="Open"), "onFailure": "Open"}, {"authorization": asking()}], False),
    ],
)
def test_a_rule_fails_open_where_both_the_policy_and_its_service_say_so(
    bench: Bench, policies: list[Document], fail_open: bool
) -> None:
    bench.apply(*WORLD, *(policy(f"p{number}", ROUTE, **spec) for number, spec in enumerate(policies)))
    (entry,) = bench.entries()
    assert (entry.hop, entry.fail_open) == (True, fail_open)
    why = {placed.stage: placed.why for placed in entry.placements}
    assert "asks Upstream default/guard" in why["authorization"]


def test_the_upstream_is_told_the_decision_service_for_as_long_as_it_is_asked(bench: Bench) -> None:
    emitter = DecisionEmitter()
    first = emitter.apply(bench.apply(*WORLD))
    assert not any(resource.name.startswith("upstream/") for resource in first.upserts)
    asked = emitter.apply(bench.apply(policy("p", ROUTE, authorization=asking())))
    assert "upstream/default/guard" in {resource.name for resource in asked.upserts}
    assert ("upstream", "default/guard") in bench.report("AuthPolicy", "p").outputs
    moved = emitter.apply(bench.apply(upstream("guard", 82)))
    assert {resource.name for resource in moved.upserts} == {"upstream/default/guard"}
    done = emitter.apply(bench.delete("AuthPolicy", "p"))
    assert "upstream/default/guard" in done.removed


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"endpoints": [{"address": "127.0.0.1", "port": 1}], "protocol": "HTTP2"}, "Invalid"),
        ({"endpoints": [{"address": "127.0.0.1", "port": 1}], "protocol": "GRPC"}, "Invalid"),
        ({"endpoints": [{"address": "127.0.0.1", "port": 1}], "tls": SHOWING}, "Invalid"),
        ({"endpoints": [{"address": "127.0.0.1", "port": 1}], "proxyProtocol": "V2"}, "Invalid"),
        (None, "UpstreamNotFound"),
    ],
)
def test_who_can_not_be_asked_closes_the_rule_but_not_in_the_shadow(
    bench: Bench, fields: Document | None, reason: str
) -> None:
    bench.apply(*WORLD[:2], WORLD[3], *([] if fields is None else [resources.resource("Upstream", "guard", fields)]))
    bench.apply(policy("p", ROUTE, authorization=asking()))
    assert bench.reasons("AuthPolicy", "p") == [reason]
    (entry,) = bench.entries()
    assert type(entry.destination).__name__ == "Unavailable"
    bench.apply(policy("p", ROUTE, authorization=asking(), shadow=True))
    assert bench.reasons("AuthPolicy", "p") == [reason]
    (entry,) = bench.entries()
    assert type(entry.destination).__name__ == "Split"


def test_one_of_another_namespace_needs_its_leave(bench: Bench) -> None:
    abroad = resources.resource("Upstream", "guard", upstream("guard", 83)["spec"], namespace="other")
    bench.apply(*WORLD, abroad)
    bench.apply(policy("p", ROUTE, authorization=asking(upstream={"name": "guard", "namespace": "other"})))
    assert bench.reasons("AuthPolicy", "p") == ["RefNotPermitted"]
    bench.apply(reference_grant("g", "other", from_kind="AuthPolicy", from_namespace="default", to_kind="Upstream"))
    assert bench.reasons("AuthPolicy", "p") == []


def test_what_its_certificate_must_prove_is_told_the_decision_service(bench: Bench) -> None:
    tls = {"serverName": "guard.internal", "pins": ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="]}
    bench.apply(*WORLD[:2], WORLD[3])
    emitted = DecisionEmitter().apply(
        bench.apply(upstream("guard", 81, tls=tls), policy("p", ROUTE, authorization=asking()))
    )
    assert bench.reasons("AuthPolicy", "p") == []
    (told,) = (resource for resource in emitted.upserts if resource.name == "upstream/default/guard")
    wire = told.upstream.tls
    assert (wire.server_name, list(wire.names), list(wire.pins)) == (
        "guard.internal",
        ["guard.internal"],
        ["NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A="],
    )
