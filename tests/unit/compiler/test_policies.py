"""How policies combine, what weakens what, and where a rule's stages run."""

from __future__ import annotations

from typing import Any

import pytest
from fastforward_compiler import ir
from fastforward_compiler.problem import Reason
from fastforward_compiler.translate.placement import Needs, place_stages

from support import resources
from support.credentials import apikeys_data, jwks
from support.resources import Document, on, prefix, resource, rule, upstream

from .conftest import Bench

Provider = dict[str, Any]
HOST = "example.com"
WORLD = (
    resources.edge(8080),
    resources.config_map("issuer", {"jwks": jwks(), "other": jwks()}),
    resources.secret("keys", apikeys_data(AAAAAAAAAAAA="t"), "gateway.fastforward.dev/api-keys"),
    resources.secret("more", apikeys_data(AAAAAAAAAAAA="t"), "gateway.fastforward.dev/api-keys"),
    resource("Tenant", "t", {}),
    resource("Tenant", "u", {}),
    upstream("up", 80),
    resources.route("r", rule(to="up", name="main"), hosts=HOST),
)


def token(*, key: str = "jwks", tenants: tuple[str, ...] = ("t",), **jwt: object) -> Provider:
    source = {"configMap": {"name": "issuer", "key": key}}
    return {"name": "token", "tenants": list(tenants), "jwt": {"issuer": "https://issuer", "jwks": source, **jwt}}


def key(*secrets: str, header: str = "x-api-key", tenants: tuple[str, ...] = ("t",)) -> Provider:
    refs = [{"name": name} for name in secrets]
    return {"name": "key", "tenants": list(tenants), "apiKey": {"header": header, "secrets": refs}}


def policy(name: str, target: Document, *providers: Provider, mode: str = "Required", **spec: object) -> Document:
    authentication = {"mode": mode, "providers": list(providers)}
    own = {"authentication": authentication} if providers or mode == "None" else {}
    return resource("AuthPolicy", name, {"targets": [target], **own, **spec})


EDGE, ROUTE = on("Edge", "public"), on("Route", "r")


@pytest.mark.parametrize(
    ("inherited", "own"),
    [
        (token(), token()),
        (token(tenants=("t", "u")), token(tenants=("u",))),
        (token(tenants=("*",)), token(tenants=("t",))),
        (token(), token(tenants=())),
        (token(), token(audiences=["a"])),
        (token(audiences=["a", "b"]), token(audiences=["b"])),
        (token(clockSkew="60s"), token(clockSkew="10s")),
        (key("keys", "more"), key("more")),
    ],
)
def test_an_authentication_may_ask_for_more(bench: Bench, inherited: Provider, own: Provider) -> None:
    bench.apply(*WORLD, policy("e", EDGE, inherited), policy("o", ROUTE, own))
    assert bench.reasons("AuthPolicy", "o") == []
    (auth,) = bench.compiler.snapshot().auths
    assert [provider.policy for provider in auth.providers] == ["default/o"]


@pytest.mark.parametrize(
    ("inherited", "own"),
    [
        (token(), token(tenants=("t", "u"))),
        (token(), token(tenants=("*",))),
        (token(), token(key="other")),
        (token(), token(issuer="https://other")),
        (token(), token(tenantClaim="org")),
        (token(), token(rolesClaim="groups")),
        (token(), token(permissionsClaim="scope")),
        (token(audiences=["a"]), token()),
        (token(audiences=["a"]), token(audiences=["a", "b"])),
        (token(clockSkew="10s"), token(clockSkew="60s")),
        (key("keys"), key("keys", "more")),
        (key("keys"), key("keys", header="x-other")),
        (token(), key("keys")),
        (key("keys"), token()),
    ],
)
def test_an_authentication_that_lets_others_in_is_refused(bench: Bench, inherited: Provider, own: Provider) -> None:
    bench.apply(*WORLD, policy("e", EDGE, inherited), policy("o", ROUTE, own))
    assert bench.reasons("AuthPolicy", "o") == ["WeakensInherited"]
    (auth,) = bench.compiler.snapshot().auths
    assert (auth.name, [provider.policy for provider in auth.providers]) == ("default/e+default/o", ["default/e"])


@pytest.mark.parametrize(
    ("inherited", "own", "effective"),
    [
        ("Required", "Optional", "Required"),
        ("Required", "None", "Required"),
        ("Optional", "None", "Optional"),
        ("Optional", "Required", "Required"),
        ("None", "Optional", "Optional"),
        ("None", "Required", "Required"),
        ("None", "None", "None"),
    ],
)
def test_the_stronger_mode_stays(bench: Bench, inherited: str, own: str, effective: str) -> None:
    def of(name: str, target: Document, mode: str) -> Document:
        return policy(name, target, *([] if mode == "None" else [token()]), mode=mode)

    bench.apply(*WORLD, of("e", EDGE, inherited), of("o", ROUTE, own))
    assert [auth.mode for auth in bench.compiler.snapshot().auths] == [effective]
    assert bench.reasons("AuthPolicy", "o") == ([] if own == effective else ["WeakensInherited"])


def test_a_problem_of_combination_goes_with_what_it_weakened(bench: Bench) -> None:
    bench.apply(*WORLD, policy("e", EDGE, token()), policy("o", ROUTE, mode="None"))
    assert bench.reasons("AuthPolicy", "o") == ["WeakensInherited"]
    bench.delete("AuthPolicy", "e")
    assert bench.reasons("AuthPolicy", "o") == []


def test_a_policy_aimed_at_edge_and_route_counts_once(bench: Bench) -> None:
    document = policy("both", EDGE, token())
    document["spec"]["targets"] = [EDGE, ROUTE]
    bench.apply(*WORLD, document)
    assert bench.report("Route", "r").effective == ("AuthPolicy default/both",)
    assert [auth.name for auth in bench.compiler.snapshot().auths] == ["default/both"]


def test_policies_of_one_edge_combine_oldest_first(bench: Bench) -> None:
    old, young = policy("z", EDGE, token()), policy("a", EDGE, key("keys"))
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    bench.apply(*WORLD, old, young)
    assert [auth.name for auth in bench.compiler.snapshot().auths] == ["default/z+default/a"]
    assert bench.reasons("AuthPolicy", "a") == ["WeakensInherited"]


def test_closed_wins_over_open(bench: Bench) -> None:
    bench.apply(*WORLD, policy("e", EDGE, key("keys"), onFailure="Open"))
    assert bench.entries(HOST)[0].fail_open
    bench.apply(policy("o", ROUTE, authorization={"grants": [{"name": "any"}]}))
    (entry,) = bench.entries(HOST)
    assert (entry.hop, entry.fail_open) == (True, False)


def test_a_tenant_claim_that_the_proxy_cannot_read_takes_the_hop(bench: Bench) -> None:
    bench.apply(*WORLD, policy("e", EDGE, token(tenantClaim="https://example.com/tenant")))
    (entry,) = bench.entries(HOST)
    why = {placed.stage: placed.why for placed in entry.placements}
    assert entry.hop
    assert "AuthPolicy default/e has a tenant claim that the proxy can't read" in why["authentication"]


def test_a_rule_policy_reaches_its_rule_alone(bench: Bench) -> None:
    bench.apply(
        *WORLD,
        resources.route("two", rule(prefix("/a"), to="up", name="a"), rule(to="up", name="b"), hosts="a.example.com"),
        policy("p", on("Route", "two", "a"), token()),
        policy("lost", on("Route", "two", "c"), token()),
    )
    assert [entry.auth for entry in bench.entries("a.example.com")] == ["default/p", ""]
    assert bench.reasons("AuthPolicy", "lost") == ["TargetNotFound"]


def stages(needs: Needs) -> dict[str, str]:
    return {placed.stage: placed.placement for placed in place_stages(needs).placements}


def test_a_stage_runs_in_the_cheapest_place_that_is_right() -> None:
    plain = {"ingress": "native", "normalization": "native", "routing": "native", "dispatch": "native"}
    nothing = dict.fromkeys(("admission", "authentication", "authorization", "tracking"), "none")
    assert stages(Needs()) == plain | nothing
    authenticated = Needs(auth="p", authenticates=True, authorizes=True)
    native = {"authentication": "native", "authorization": "native"}
    assert stages(authenticated) == plain | nothing | native
    inline = {"authentication": "inline", "authorization": "inline"}
    assert stages(authenticated._replace(beyond_proxy="keys")) == plain | nothing | inline
    counted = authenticated._replace(exact_limits=("l",))
    assert stages(counted) == plain | nothing | inline | {"admission": "inline"}


def test_what_becomes_a_call_in_grpc_is_told_of_the_destination() -> None:
    [told] = [placed.why for placed in place_stages(Needs(grpc_web=True)).placements if placed.stage == "dispatch"]
    assert told == "The proxy sends the request to the upstream; calls in gRPC-Web become calls in gRPC."


def test_json_that_becomes_a_call_is_told_of_the_destination() -> None:
    needs = Needs(transcoded="Schema shop/s, version 1")
    [told] = [placed.why for placed in place_stages(needs).placements if placed.stage == "dispatch"]
    assert told.endswith("; JSON becomes calls in gRPC by Schema shop/s, version 1.")


@pytest.mark.parametrize(
    ("needs", "hop", "fail_open"),
    [
        (Needs(), False, False),
        (Needs(auth="p", authenticates=True, auth_open=True), False, False),
        (Needs(native_limits=("l",)), False, False),
        (Needs(beyond_proxy="keys", auth="p"), True, False),
        (Needs(beyond_proxy="keys", auth="p", auth_open=True), True, True),
        (Needs(exact_limits=("l",)), True, False),
        (Needs(exact_limits=("l",), limits_open=True), True, True),
        (Needs(exact_limits=("l",), limits_open=True, auth="p"), True, False),
        (Needs(exact_limits=("l",), limits_open=True, auth="p", auth_open=True), True, True),
        (Needs(shards=True), True, False),
        (Needs(shards=True, auth="p", auth_open=True), True, False),
        (Needs(conditions=("flag",)), True, False),
        (Needs(overtaken=True), True, False),
        (Needs(tenant_header=True), True, False),
    ],
)
def test_a_hop_is_taken_only_when_needed_and_open_only_when_every_policy_says_so(
    needs: Needs, hop: bool, fail_open: bool
) -> None:
    placed = place_stages(needs)
    assert (placed.hop, placed.fail_open) == (hop, fail_open)
    assert [one.stage for one in placed.placements] == list(ir.STAGES)
    assert all(one.why.endswith(".") for one in placed.placements)


@pytest.mark.parametrize(
    ("claim", "path"),
    [
        ("tenant", ("tenant",)),
        ("realm_access.roles", ("realm_access", "roles")),
        ("https://example.com/tenant", ("https://example.com/tenant",)),
        ("example.com/tenant", ("example.com/tenant",)),
        ("urn:example.tenant", ("urn:example.tenant",)),
    ],
)
def test_dots_part_the_names_of_a_claim_but_in_a_url(claim: str, path: tuple[str, ...]) -> None:
    assert ir.claim_path(claim) == path


def test_a_policy_tells_all_that_is_wrong_with_it_also_while_its_keys_are_fetched(bench: Bench) -> None:
    provider = token()
    provider["jwt"]["jwks"] = {"url": "https://issuer/keys"}
    grants = [{"name": "g", "condition": "identity.tenant +"}]
    bench.apply(*WORLD, policy("o", ROUTE, provider, authorization={"grants": grants}))
    assert set(bench.reasons("AuthPolicy", "o")) == {Reason.KEYS_UNAVAILABLE, Reason.EXPRESSION_INVALID}
