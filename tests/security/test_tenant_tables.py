"""A tenant's rules serve that tenant: no other issuer, no other tenant, no way around leads there."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import entry as emit_entry
from fastforward_compiler.emit.envoy import grant as emit_grant
from fastforward_pipeline.compiled.authpolicy import Provider

from security.deployment import HOST, Deployment, Pairs, deploying
from security.policies import api_keys, by_key, by_token, key_text, keys, policy
from support import tokens
from support.resources import Document, prefix, resource, route, rule

WILD = "any.wild.example.com"
THERE: Document = {"name": "public", "namespace": "default"}
OPEN: Document = {"routeNamespaces": {"from": "All"}}


class Try(NamedTuple):
    """One attempt to get at the tenant acme's rules."""

    name: str
    headers: Pairs
    target: str = "/own"


def bearer(issuer: str, **claims: object) -> Pairs:
    return tuple(tokens.bearer(issuer, **claims).items())


def tries() -> list[Try]:
    """None of these callers is acme."""
    return [
        Try("nobody", ()),
        Try("foreign issuer", bearer("foreign", tenant="acme")),
        Try("foreign issuer, below", bearer("foreign", tenant="acme"), "/own/deep"),
        Try("foreign issuer, tenant in a list", bearer("foreign", tenant=["acme"])),
        Try("issuer without tenants", bearer("plain", tenant="acme")),
        Try("another tenant", bearer("foreign", tenant="bolt")),
        Try("no tenant", bearer("main")),
        Try("tenant null", bearer("main", tenant=None)),
        Try("tenant in a list", bearer("main", tenant=["acme"])),
        Try("tenant in an object", bearer("main", tenant={"acme": "acme"})),
        Try("tenant in capitals", bearer("main", tenant="ACME")),
        Try("tenant with a space", bearer("main", tenant=" acme")),
        Try("tenant with a space behind", bearer("main", tenant="acme ")),
        Try("tenant with a comma", bearer("main", tenant="acme,bolt")),
        Try("everybody's table", bearer("main", tenant="-")),
        Try("wrong signature", [("authorization", bearer("main", tenant="acme")[0][1][:-8] + "AAAAAAAA")]),
        Try("two tokens", (*bearer("foreign", tenant="acme"), *bearer("foreign", tenant="acme"))),
        Try("foreign token and header", (*bearer("foreign", tenant="bolt"), ("x-ff-tenant", "acme"))),
        Try("only headers", (("x-ff-tenant", "acme"), ("x-ff-table", "acme"))),
        Try("another tenant's key", (("x-api-key", key_text("BOLTKEYBOLTK")),)),
        Try("no key", (("x-api-key", "ffk_ACMEKEYACMEK_wrong"),)),
    ]


def documents(*, hop: bool) -> list[Document]:
    """A host, and a wildcard one, where acme has rules of its own; foreign may only speak for bolt."""
    providers = [by_token("main", "acme"), by_token("foreign", "bolt"), by_token("plain")]
    if hop:
        providers.append(by_key("acme", "bolt"))
    hosts = (HOST, "*.wild.example.com")
    return [
        keys("main", "foreign", "plain"),
        *([api_keys(ACMEKEYACMEK="acme", BOLTKEYBOLTK="bolt")] if hop else []),
        resource("Tenant", "acme", {}),
        resource("Tenant", "bolt", {}),
        policy("callers", ("Edge", "public"), "Optional", *providers),
        route("shop", rule(prefix("/"), to="shop"), hosts=hosts),
        route("own", rule(prefix("/own", tenants=["acme"]), to="acme"), hosts=hosts),
    ]


@pytest.fixture(scope="module", params=["native", "hop"])
def deployment(request: pytest.FixtureRequest) -> Generator[Deployment]:
    with deploying(*documents(hop=request.param == "hop"), origins=("shop", "acme")) as running:
        assert running.problems == ()
        yield running


def intruders(deployment: Deployment) -> list[str]:
    """Whoever got at acme's origin, or into acme's rules by the evaluator."""
    seen = []
    for each in tries():
        for host in (HOST, HOST.upper(), WILD):
            asked = (deployment.get, deployment.get2) if host == HOST else (deployment.get,)
            seen += [
                f"{each.name} on {host}" for get in asked if get(each.target, each.headers, host=host).origin == "acme"
            ]
        judged = deployment.judge(each.target, each.headers)
        seen += [f"{each.name} in decide"] if judged.proxied and judged.decision.route == "default/own" else []
    return seen


def test_nobody_else_gets_at_a_tenants_rules(deployment: Deployment) -> None:
    assert intruders(deployment) == []
    assert deployment.origins["acme"].received == []


@pytest.mark.parametrize("host", [HOST, HOST.upper(), WILD])
def test_the_tenant_itself_does(deployment: Deployment, host: str) -> None:
    assert deployment.get("/own", bearer("main", tenant="acme"), host=host).origin == "acme"
    assert deployment.judge("/own", bearer("main", tenant="acme")).decision.route == "default/own"
    deployment.origins["acme"].received.clear()


@pytest.mark.parametrize("claims", [{"tenant": "acme"}, {"tenant": "none-such"}])
def test_everybodys_rules_are_closed_to_tokens_that_overstep_too(
    deployment: Deployment, claims: dict[str, object]
) -> None:
    for target in ("/", "/own", "/other"):
        assert deployment.get(target, bearer("foreign", **claims)).status == 403
        assert deployment.judge(target, bearer("foreign", **claims)).decision.status == 403


def test_the_check_sees_a_build_without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> Sequence[tuple[str, object]]:
        return ()

    monkeypatch.setattr(emit_grant, "emit_guard", nothing)
    with deploying(*documents(hop=False), origins=("shop", "acme")) as broken:
        assert "foreign issuer on shop.example.com" in intruders(broken)


def test_the_check_sees_an_evaluator_without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Provider, "may_speak_for", lambda *_: True)
    with deploying(*documents(hop=True), origins=("shop", "acme")) as broken:
        seen = intruders(broken)
        assert {"foreign issuer on shop.example.com", "foreign issuer in decide"} <= set(seen)


def stronger_own_rules() -> list[Document]:
    """A Route replaces the Edge's policy by a laxer one; acme's rules, of another Route, keep the Edge's."""
    return [
        keys("main", "lax"),
        resource("Tenant", "acme", {}),
        policy("strict", ("Edge", "public"), "Required", by_token("main", "acme"), overridable=True),
        policy("lax", ("Route", "shop"), "Optional", by_token("lax", "*")),
        route("shop", rule(prefix("/"), to="shop")),
        route("own", rule(prefix("/own", tenants=["acme"]), to="acme")),
    ]


def test_a_token_that_only_everybodys_rule_believes_opens_no_tenants_rule() -> None:
    with deploying(*stronger_own_rules(), origins=("shop", "acme")) as running:
        lax = bearer("lax", tenant="acme")
        answer, judged = running.get("/own", lax), running.judge("/own", lax).decision
        assert (answer.origin, judged.allowed) == (None, False)
        assert running.get("/", lax).origin == "shop"


def test_a_narrower_policy_on_everybodys_rule_keeps_no_tenant_out_of_its_own() -> None:
    strict = policy("strict", ("Edge", "public"), "Required", by_token("main", "acme"))
    narrow = policy("narrow", ("Route", "shop"), "Required", by_token("main", "acme", audiences=["shop"]))
    own = bearer("main", tenant="acme", aud="shop")
    made = [*stronger_own_rules()[:2], strict, narrow, *stronger_own_rules()[-2:]]
    with deploying(*made, origins=("shop", "acme")) as running:
        assert running.get("/own", own).origin == "acme"
        assert running.judge("/own", own).decision.route == "default/own"


def test_the_check_sees_a_build_that_believes_everybodys_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    own = emit_entry.believed
    monkeypatch.setattr(emit_entry, "believed", lambda _, setting: own(None, setting))
    with deploying(*stronger_own_rules(), origins=("shop", "acme")) as broken:
        assert broken.get("/own", bearer("lax", tenant="acme")).origin == "acme"


def test_a_tenants_rule_admits_whom_its_route_admits() -> None:
    admission = {"denyAddresses": ["127.0.0.0/8"], "contentTypes": ["application/json"]}
    strict = route("own", rule(prefix("/own", tenants=["acme"]), to="acme"), hosts=HOST, admission=admission)
    own = bearer("main", tenant="acme")
    with deploying(*documents(hop=False)[:-1], strict, origins=("shop", "acme")) as running:
        answer, judged = running.get("/own", own), running.judge("/own", own).decision
        assert (answer.status, answer.reason) == (403, "admission/address-denied")
        assert (judged.status, str(judged.reason)) == (403, "admission/address-denied")
        assert running.get("/", own).origin == "shop"


def foreign_policy(*, hop: bool) -> list[Document]:
    """A namespace that the Edge takes Routes of: there a policy of its own, with keys of its own, says it may speak."""
    claims = [by_token("evil", "*"), by_token("other", "acme")]
    theirs = [
        keys("evil", "other"),
        resource("Tenant", "acme", {}),
        policy("evil", ("Route", "evil"), "Optional", *claims, *([by_key("acme")] if hop else [])),
        *([api_keys(EVILKEYEVILK="acme")] if hop else []),
        route(
            "evil",
            rule(prefix("/own/evil"), says="evil"),
            hosts=HOST,
            edges=[{"name": "public", "namespace": "default"}],
        ),
    ]
    return [{**document, "metadata": {**document["metadata"], "namespace": "evil"}} for document in theirs]


def two_namespaces(*, hop: bool) -> list[Document]:
    return [
        keys("main"),
        resource("Tenant", "acme", {}),
        policy("callers", ("Route", "shop"), "Optional", by_token("main", "acme")),
        route("shop", rule(prefix("/"), to="shop"), hosts=HOST),
        route("own", rule(prefix("/own", tenants=["acme"]), to="acme"), hosts=HOST),
        *foreign_policy(hop=hop),
    ]


@pytest.mark.parametrize("hop", [False, True])
def test_nobody_speaks_for_the_tenants_of_another_namespace(*, hop: bool) -> None:
    with deploying(*two_namespaces(hop=hop), origins=("shop", "acme"), edge_spec=OPEN) as running:
        assert [problem.partition(":")[0] for problem in running.problems] == [
            f"TenantNotAllowed spec.authentication.providers[{place}].tenants"
            " It speaks for no tenant on Edge default/public"
            for place in range(3 if hop else 2)
        ]
        keyed = [(("x-api-key", key_text("EVILKEYEVILK")),)] if hop else []
        for headers in (bearer("evil", tenant="acme"), bearer("other", tenant="acme"), *keyed):
            answer, judged = running.get("/own/evil", headers), running.judge("/own/evil", headers).decision
            assert (answer.status, answer.reason) == (403, "authentication/tenant-not-allowed")
            assert (judged.status, str(judged.reason)) == (403, "authentication/tenant-not-allowed")
        for headers in (bearer("evil"), bearer("evil", sub="somebody")):
            assert running.get("/own/evil", headers).body == "evil"
            assert running.judge("/own/evil", headers).decision.route == "evil/evil"
        assert running.get("/own/evil", bearer("main", tenant="acme")).status == 401
        assert running.get("/own", bearer("main", tenant="acme")).origin == "acme"
        assert len(running.origins["acme"].received) == 1


def test_the_check_sees_a_build_that_hears_policies_of_any_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ir.Provider, "at", lambda own, _: own)
    monkeypatch.setattr(Provider, "is_of", lambda *_: True)
    with deploying(*two_namespaces(hop=False), origins=("shop", "acme"), edge_spec=OPEN) as broken:
        evil = bearer("evil", tenant="acme")
        assert broken.get("/own/evil", evil).origin == "acme"
        assert broken.judge("/own/evil", evil).decision.route == "default/own"
