"""Tokens, grants, the tenant guard and the decision hop, asked of a real Envoy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fastforward_compiler import ir

from support.credentials import jwks
from support.ir_values import ORIGIN, delta, edge, entry, jwt_provider, limit, scope, table, upstream
from support.origin import Loop, Origin, Received, Reply
from support.static_envoy import StaticEnvoy
from support.tokens import bearer

Serve = Callable[..., StaticEnvoy]

ONE, TWO = jwt_provider("one", "t1", "t3"), jwt_provider("two", "t2")
NESTED = jwt_provider("nested", "*", tenant_claim="org.tenant", roles_claim="https://x.test/roles")


def grant(**fields: Any) -> ir.Grant:  # noqa: ANN401 - any field of ir.Grant
    return ir.Grant(name="g", **fields)


def asks(policy: str, *grants: ir.Grant, shadow: bool = False) -> ir.Authorization:
    return ir.Authorization(policy=policy, grants=grants, shadow=shadow)


def auth(name: str, *providers: ir.Provider, mode: str = "Required", **fields: Any) -> ir.Auth:  # noqa: ANN401 - any field of ir.Auth
    return ir.Auth(name=name, mode=ir.Mode(mode), providers=providers, **fields)


AUTHS = (
    auth("one", ONE),
    auth("both", ONE, TWO),
    auth("optional", ONE, mode="Optional"),
    auth("audience", jwt_provider("strict", "*", audiences=("shop", "cart"))),
    auth("nested", NESTED, authorizations=(asks("p", grant(roles=("admin",))),)),
    auth(
        "either",
        ONE,
        authorizations=(
            asks("p", grant(roles=("admin", "root")), grant(permissions=("a:r", "a:w"), methods=("GET",))),
        ),
    ),
    auth("all", ONE, authorizations=(asks("p", grant(roles=("admin",))), asks("q", grant(tenants=("t1",))))),
    auth("shadow", ONE, authorizations=(asks("shop/watch", grant(roles=("nobody",)), shadow=True),)),
    auth("both+admins", ONE, TWO, authorizations=(asks("admins", grant(roles=("admin",))),)),
    auth("anybody", mode="None", authorizations=(asks("p", grant(methods=("GET",))),)),
)
PLAIN = tuple(entry(a.name, f"/{a.name}", auth=a.name) for a in AUTHS)
WORLD: dict[str, tuple[Any, ...]] = {
    "auths": AUTHS,
    "keysets": tuple(ir.KeySet(name=f"keys-{i}", jwks=jwks(i).encode()) for i in ("one", "two", "nested", "strict")),
    "limits": (limit("shop/tenants", 2, "Tenant"),),
    "scopes": (
        scope("plain"),
        scope("many", tenant_tables=("t1", "t2"), auths=("both",)),
        scope("hosted", host_tenant="t1"),
        scope("hop", tenant_tables=("t1",), auths=("both",)),
        scope("*.wild", tenant_tables=("t1",), auths=("both",)),
    ),
    "tables": (
        table("plain", *PLAIN, entry("lost", "/lost", auth="unknown"), entry("sent", "/sent", auth="one", to=ORIGIN)),
        table("many", entry("x", "/x", auth="both"), entry("gate", "/", auth="both", gate=True)),
        table("many", entry("y1", "/y", auth="both"), entry("z1", "/z", auth="both+admins"), tenant="t1"),
        table("many", entry("y2", "/y", auth="both"), tenant="t2"),
        table("hosted", entry("hosted", auth="optional", to=ORIGIN, limits=("shop/tenants",))),
        table(
            "hop",
            entry("ask", "/", hop=True, auth="both"),
            entry("native", "/native", auth="both"),
            entry("open", "/open", hop=True, fail_open=True, to=ORIGIN),
            entry("chosen", "/chosen", hop=True, match={"roles": ("x",)}),
            entry(
                "shard",
                "/shard",
                hop=True,
                destination=ir.ShardDispatch(namespace="shop", purpose="cart", key="tenant"),
            ),
        ),
        table("hop", entry("t1", "/t", auth="both"), entry("t1-hop", "/th", auth="both", hop=True), tenant="t1"),
        table("*.wild", entry("wild", hop=True, auth="both")),
        table("*.wild", entry("wild-t1", "/t", auth="both+admins"), tenant="t1"),
    ),
}


def decide(request: Received) -> Reply:
    """A decision service: the key is the tenant; `boom` breaks it."""
    key = request.header("x-api-key")
    if key is None:
        problem = (("content-type", "application/problem+json"), ("www-authenticate", "Key"), ("x-secret", "s"))
        return Reply(status=401, headers=(*problem, ("x-ff-reason", "authentication/key-missing")), body="{}")
    if key == "boom":
        return Reply(status=500)
    chosen = (("x-ff-select", request.header("x-choose") or "-"), ("x-ff-cluster", ORIGIN))
    return Reply(headers=(("x-ff-tenant", key), ("x-ff-table", key), ("x-ratelimit-limit", "7"), *chosen))


@dataclass(slots=True)
class Decision(Origin):
    """On a Unix socket."""

    path: str = ""

    async def _start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)


@pytest.fixture(scope="module")
def decision() -> Generator[Decision]:
    loop = Loop()
    with TemporaryDirectory() as folder:
        made = Decision("decision", loop, answer=decide, path=str(Path(folder, "d.sock")))
        made.start()
        yield made
        made.stop()
    loop.stop()


@pytest.fixture(scope="module")
def envoy(serve: Serve, origin: Origin, decision: Decision) -> StaticEnvoy:
    def world(port: int) -> ir.Delta:
        return delta(edges=(edge(port),), upstreams=(upstream(port=origin.port),), **WORLD)

    return serve(world, decision_socket=decision.path)


def outcome(
    envoy: StaticEnvoy, host: str, target: str, *headers: dict[str, str], method: str = "GET"
) -> tuple[int, str]:
    """Status, and who answered or why nobody did."""
    merged = {name: value for pairs in headers for name, value in pairs.items()}
    response = envoy.ask(host, target, merged, method=method)
    return response.status, response.reason or response.origin or response.body


MISSING = (401, "authentication/token-missing")
INVALID = (401, "authentication/token-invalid")
FOREIGN = (403, "authentication/tenant-not-allowed")
REFUSED = (403, "authorization/not-granted")
NOWHERE = (404, "routing/no-route")


@pytest.mark.parametrize(
    ("target", "claims", "expected"),
    [
        ("/one", {"tenant": "t1"}, (200, "one")),
        ("/one", {}, (200, "one")),
        ("/one", {"tenant": "t2"}, FOREIGN),
        ("/one", {"tenant": ""}, FOREIGN),
        ("/one", {"tenant": 7}, FOREIGN),
        ("/one", {"tenant": ["t1"]}, FOREIGN),
        ("/one", {"tenant": "t1", "exp": 1}, INVALID),
        ("/one", {"iss": "https://two"}, INVALID),
        ("/either", {"tenant": "t1"}, REFUSED),
        ("/either", {"roles": ["x", "admin"]}, (200, "either")),
        ("/either", {"roles": "x root y"}, (200, "either")),
        ("/either", {"roles": "xroot"}, REFUSED),
        ("/either", {"roles": {"admin": True}}, REFUSED),
        ("/either", {"permissions": ["a:w", "b", "a:r"]}, (200, "either")),
        ("/either", {"permissions": ["a:r"]}, REFUSED),
        ("/all", {"tenant": "t1", "roles": ["admin"]}, (200, "all")),
        ("/all", {"tenant": "t3", "roles": ["admin"]}, REFUSED),
        ("/all", {"tenant": "t1"}, REFUSED),
        ("/shadow", {}, (200, "shadow")),
        ("/lost", {}, (500, "routing/unavailable")),
    ],
)
def test_a_token_is_judged_by_its_claims(
    envoy: StaticEnvoy, target: str, claims: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert outcome(envoy, "plain", target, bearer("one", **claims)) == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"aud": "cart"}, (200, "audience")),
        ({"aud": ["x", "shop"]}, (200, "audience")),
        ({"aud": "other"}, (403, "authentication/audience-not-allowed")),
        ({}, (403, "authentication/audience-not-allowed")),
        ({"aud": "shop", "tenant": "any.one"}, (200, "audience")),
        ({"aud": "shop", "tenant": "t"}, (200, "audience")),
        ({"aud": "shop", "tenant": ""}, (200, "audience")),
        ({"aud": "shop", "tenant": None}, (200, "audience")),
        ({"aud": "shop", "tenant": "-"}, FOREIGN),
        ({"aud": "shop", "tenant": " t1 "}, FOREIGN),
        ({"aud": "shop", "tenant": ["t1"]}, FOREIGN),
    ],
)
def test_audiences_and_names_of_tenants_are_judged(
    envoy: StaticEnvoy, claims: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert outcome(envoy, "plain", "/audience", bearer("strict", **claims)) == expected


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/one", {}, MISSING),
        ("/one", {"authorization": "Bearer x"}, INVALID),
        ("/one", {"authorization": "Basic eDp5"}, MISSING),
        ("/optional", {}, (200, "optional")),
        ("/optional", {"authorization": "Bearer x"}, INVALID),
        ("/anybody", {}, (200, "anybody")),
    ],
)
def test_without_a_good_token_only_optional_lets_pass(
    envoy: StaticEnvoy, target: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert outcome(envoy, "plain", target, headers) == expected


def test_a_token_in_the_query_is_no_token(envoy: StaticEnvoy) -> None:
    token = bearer("one")["authorization"].removeprefix("Bearer ")
    assert outcome(envoy, "plain", f"/one?access_token={token}") == MISSING


def test_each_provider_speaks_for_its_own_tenants(envoy: StaticEnvoy) -> None:
    for issuer, tenant, expected in [
        ("two", "t2", (200, "both")),
        ("two", "t1", FOREIGN),
        ("one", "t3", (200, "both")),
    ]:
        assert outcome(envoy, "plain", "/both", bearer(issuer, tenant=tenant)) == expected


def test_claims_may_be_nested_or_named_by_url(envoy: StaticEnvoy) -> None:
    claims = {"org": {"tenant": "t9"}, "https://x.test/roles": ["admin"]}
    assert outcome(envoy, "plain", "/nested", bearer("nested", **claims)) == (200, "nested")


def test_grants_look_at_methods(envoy: StaticEnvoy) -> None:
    token = bearer("one", permissions=["a:r", "a:w"])
    assert outcome(envoy, "plain", "/either", token, method="POST") == REFUSED
    assert outcome(envoy, "plain", "/anybody", method="POST") == REFUSED


def test_a_shadow_policy_is_reported_and_lets_pass(envoy: StaticEnvoy) -> None:
    line = envoy.logged(envoy.ask("plain", "/shadow", bearer("one")))
    assert (line["status"], line["shadow"]) == (200, "shop/watch")


def test_the_upstream_learns_who_calls_and_nothing_forged(envoy: StaticEnvoy, origin: Origin) -> None:
    forged = {"x-ff-subject": "root", "x-ff-tenant": "t9", "x-ff-anything": "1", "x-envoy-retry-on": "5xx"}
    assert outcome(envoy, "plain", "/sent", bearer("one", tenant="t1"), forged) == (200, "origin")
    seen = origin.last
    assert (seen.header("x-ff-tenant"), seen.header("x-ff-subject")) == ("t1", "user-of-one")
    assert {name for name in seen.names if name.startswith("x-ff-")} == {"x-ff-tenant", "x-ff-subject"}
    assert seen.header("x-envoy-retry-on") is None
    assert seen.header("authorization") is not None


@pytest.mark.parametrize(
    ("host", "target", "issuer", "tenant", "expected"),
    [
        ("many", "/x", "one", "t1", (200, "x")),
        ("many", "/y", "one", "t1", (200, "y1")),
        ("MANY", "/y", "one", "t1", (200, "y1")),
        ("many", "/y", "two", "t2", (200, "y2")),
        ("many", "/y", "two", "t1", FOREIGN),
        ("many", "/x", "two", "t1", FOREIGN),
        ("many", "/y", "one", "t3", NOWHERE),
        ("many", "/q", "one", "t1", NOWHERE),
        ("many", "/z", "one", "t1", REFUSED),
    ],
)
def test_a_tenants_table_is_reached_with_proof_only(
    envoy: StaticEnvoy, host: str, target: str, issuer: str, tenant: str, expected: tuple[int, str]
) -> None:
    assert outcome(envoy, host, target, bearer(issuer, tenant=tenant)) == expected


def test_a_hosts_callers_are_authenticated_whatever_the_path(envoy: StaticEnvoy) -> None:
    forged = {"x-ff-table": "t1", "x-ff-tenant": "t1"}
    for path in ("/x", "/y", "/nosuch"):
        assert outcome(envoy, "many", path, forged) == MISSING


def test_a_tenants_grants_hold_in_its_table(envoy: StaticEnvoy) -> None:
    assert outcome(envoy, "many", "/z", bearer("one", tenant="t1", roles=["admin"])) == (200, "z1")


def test_a_hosts_tenant_needs_no_proof_and_bears_no_other(envoy: StaticEnvoy, origin: Origin) -> None:
    assert outcome(envoy, "hosted", "/") == (200, "origin")
    assert origin.last.header("x-ff-tenant") == "t1"
    assert outcome(envoy, "hosted", "/", bearer("one", tenant="t3")) == (403, "authentication/tenant-conflict")
    assert outcome(envoy, "hosted", "/", bearer("one", tenant="t2")) == FOREIGN
    assert outcome(envoy, "hosted", "/", bearer("one", tenant="t1")) == (200, "origin")
    assert outcome(envoy, "hosted", "/") == (429, "ratelimit/exceeded")


@pytest.mark.parametrize(
    ("host", "target", "headers", "expected"),
    [
        ("hop", "/", {}, (401, "authentication/key-missing")),
        ("hop", "/", {"x-api-key": "t9"}, (200, "ask")),
        ("hop", "/t", {"x-api-key": "t1"}, (200, "t1")),
        ("hop", "/t", {"x-api-key": "t9"}, (200, "ask")),
        ("hop", "/chosen", {"x-api-key": "t9"}, (200, "ask")),
        ("hop", "/chosen", {"x-api-key": "t9", "x-choose": "shop/chosen#chosen.0"}, (200, "chosen")),
        ("hop", "/chosen", {"x-api-key": "t9", "x-ff-select": "shop/chosen#chosen.0"}, (200, "ask")),
        ("hop", "/shard", {"x-api-key": "t9"}, (200, "origin")),
        ("hop", "/native", {"x-api-key": "t1"}, MISSING),
        ("hop", "/t", {"x-api-key": "boom"}, (503, "authentication/decision-unavailable")),
        ("hop", "/open", {"x-api-key": "boom"}, (200, "origin")),
        ("a.wild", "/t", {"x-api-key": "t1"}, (200, "wild-t1")),
        ("A.wild", "/t", {}, (401, "authentication/key-missing")),
    ],
)
def test_the_decision_service_leads_to_tables_rules_and_shards(
    envoy: StaticEnvoy, host: str, target: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert outcome(envoy, host, target, headers) == expected


def test_the_decision_service_is_asked_once_with_what_it_needs(envoy: StaticEnvoy, decision: Decision) -> None:
    before = len(decision.received)
    forged = {"x-ff-plan": "forged", "x-ff-address": "9.9.9.9", "x-ff-peer": "9.9.9.9", "x-ff-body-bytes": "1"}
    assert outcome(envoy, "hop", "/th?q=1", {"x-api-key": "t1", "cookie": "a=b"}, forged, method="PUT") == (
        200,
        "t1-hop",
    )
    assert len(decision.received) == before + 1
    asked = decision.last
    assert (asked.method, asked.target, asked.header("host")) == ("PUT", "/th?q=1", "hop")
    assert (asked.header("x-ff-address"), asked.header("x-ff-peer")) == ("127.0.0.1", "127.0.0.1")
    assert (asked.header("x-ff-listener"), asked.header("x-ff-scope")) == ("http", "shop/public|hop")
    assert asked.header("x-ff-plan") not in (None, "forged")
    assert asked.header("x-ff-body-bytes") is None
    assert asked.header("cookie") == "a=b"


def test_a_refusal_by_the_decision_service_reaches_the_client_without_its_secrets(envoy: StaticEnvoy) -> None:
    response = envoy.ask("hop", "/")
    assert (response.header("content-type"), response.header("www-authenticate")) == ("application/problem+json", "Key")
    assert response.header("x-secret") is None


def test_an_open_failure_is_marked_and_can_not_be_forged(envoy: StaticEnvoy, origin: Origin) -> None:
    envoy.ask("hop", "/open", {"x-api-key": "boom"})
    assert origin.last.header("x-envoy-auth-failure-mode-allowed") == "true"
    envoy.ask("hop", "/open", {"x-api-key": "t9", "x-envoy-auth-failure-mode-allowed": "true"})
    assert origin.last.header("x-envoy-auth-failure-mode-allowed") is None


def test_every_refusal_is_a_problem_document_and_a_line_in_the_log(envoy: StaticEnvoy) -> None:
    response = envoy.ask("plain", "/either", bearer("one", tenant="t1"))
    problem = json.loads(response.content)
    assert response.header("content-type") == "application/problem+json"
    assert (problem["status"], problem["stage"], problem["reason"]) == (403, "authorization", "not-granted")
    line = envoy.logged(response)
    assert problem["requestId"] == line["requestId"]
    expected = {"refusal": "authorization/not-granted", "status": 403, "tenant": "t1", "route": "shop/either"}
    assert {name: line[name] for name in expected} == expected
    assert (line["rule"], line["policies"], line["path"]) == ("either", ["AuthPolicy either"], "/either")
