"""JSON Web Tokens, verified by the proxy alone: who may pass, as whom, for which tenants, with which rights."""

import time

import pytest

from support.credentials import jwks
from support.gateway import Gateway, until
from support.http2 import Http2Client
from support.origin import Origin, Reply
from support.resources import (
    config_map,
    edge,
    granted_to,
    issuers,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    secret,
    tokens_of,
)
from support.tokens import bearer

KEYS_OF_B = Reply(headers=(("content-type", "application/json"),), body=jwks("b"))


@pytest.fixture
def origin(gateway: Gateway) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(
        issuers("a", "b", "c"),
        route("books", rule(to="books")),
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
    )
    return origin


def test_without_a_valid_token_nobody_passes(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(tokens_of())))
    answer = gateway.get()
    assert (answer.status, answer.reason) == (401, "authentication/token-missing")
    assert (answer.header("www-authenticate") or "").startswith("Bearer")
    bad = ["Bearer", "Bearer x", "Basic YTpi", "Bearer a.b.c", bearer("b")["authorization"]]
    for value in bad:
        assert gateway.get(headers={"authorization": value}).status == 401, value
    assert origin.received == []
    assert gateway.get(headers=bearer("a")).status == 200
    assert (origin.last.header("authorization") or "").startswith("Bearer ")


def test_the_origin_is_told_tenant_and_subject_and_no_client_can_forge_them(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(tokens_of())))
    forged = {"x-ff-tenant": "globex", "x-ff-subject": "root"}
    gateway.get(headers={**bearer("a", tenant="acme", sub="alice"), **forged})
    assert (origin.last.header("x-ff-tenant"), origin.last.header("x-ff-subject")) == ("acme", "alice")
    gateway.get(headers={**bearer("a", sub="bob"), **forged})
    assert (origin.last.header("x-ff-tenant"), origin.last.header("x-ff-subject")) == (None, "bob")


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": -120}, 401),
        ({"exp": -30}, 200),
        ({"nbf": 120}, 401),
        ({"nbf": 30}, 200),
        ({"aud": "shop"}, 200),
        ({"iss": "https://b"}, 401),
    ],
    ids=["expired", "expired-within-skew", "not-yet", "not-yet-within-skew", "any-audience", "other-issuer"],
)
def test_times_are_judged_with_a_minute_of_tolerance(
    gateway: Gateway, origin: Origin, claims: dict[str, int | str], status: int
) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(tokens_of())))
    now = int(time.time())
    absolute = {name: now + value if isinstance(value, int) else value for name, value in claims.items()}
    assert gateway.get(headers=bearer("a", **absolute)).status == status
    assert len(origin.received) == (1 if status == 200 else 0)


def test_a_token_for_another_audience_is_refused(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of(audiences=["shop", "store"])))
    )
    for aud in ("shop", ["other", "store"]):
        assert gateway.get(headers=bearer("a", aud=aud)).status == 200
    for claims in ({}, {"aud": "other"}, {"aud": []}):
        assert gateway.get(headers=bearer("a", **claims)).status in (401, 403)
    assert len(origin.received) == 2


def test_optional_lets_callers_without_token_pass_but_no_bad_token(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(tokens_of(), mode="Optional")))
    assert gateway.get(headers={"x-ff-tenant": "acme"}).status == 200
    assert origin.last.header("x-ff-tenant") is None
    assert gateway.get(headers=bearer("a", tenant="acme")).status == 200
    assert origin.last.header("x-ff-tenant") == "acme"
    assert gateway.get(headers={"authorization": "Bearer a.b.c"}).status == 401
    assert gateway.get(headers=bearer("a", exp=1)).status == 401


def test_any_of_several_issuers_will_do_each_with_its_own_keys(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(tokens_of("a"), tokens_of("b"))))
    assert gateway.get(headers=bearer("a", tenant="acme")).status == 200
    assert gateway.get(headers=bearer("b", tenant="acme")).status == 200
    assert gateway.get(headers=bearer("c")).status == 401
    assert gateway.get(headers=bearer("b", iss="https://a")).status == 401
    assert len(origin.received) == 2


def test_an_issuer_speaks_for_its_own_tenants_and_their_descendants_alone(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(resource("Tenant", "acme-eu", {"parent": "acme"}))
    providers = (
        tokens_of("a", tenants=("acme",)),
        tokens_of("b", tenants=("globex",)),
        tokens_of("c", tenants=()),
    )
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(*providers)))
    allowed = {("a", "acme"), ("a", "acme-eu"), ("b", "globex")}
    for name in "abc":
        for tenant in ("acme", "acme-eu", "globex", "unknown"):
            answer = gateway.get(headers=bearer(name, tenant=tenant))
            expected = (200, None) if (name, tenant) in allowed else (403, "authentication/tenant-not-allowed")
            assert (answer.status, answer.reason) == expected, (name, tenant)
        assert gateway.get(headers=bearer(name)).status == 200
    assert len(origin.received) == 6


@pytest.mark.parametrize("claim", [["acme"], {"name": "acme"}, 7, True, "", "acme,globex", " acme", "acme "])
def test_a_tenant_claim_that_is_no_name_makes_nobody_that_tenant(
    gateway: Gateway, origin: Origin, claim: object
) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(tokens_of(tenants=("acme",)))))
    answer = gateway.get(headers=bearer("a", tenant=claim))
    assert answer.status == 403 or origin.last.header("x-ff-tenant") is None


def test_roles_and_permissions_decide_what_a_caller_may_do(gateway: Gateway, origin: Origin) -> None:
    grants = granted_to(
        admins={"roles": ["admin", "owner"]},
        writers={"permissions": ["books.write", "books.read"]},
        readers={"roles": ["reader"], "methods": ["GET", "HEAD"]},
        acme={"tenants": ["acme"], "roles": ["guest"]},
    )
    gateway.apply(
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of()), authorization=grants),
    )

    def status(method: str, **claims: object) -> int:
        return gateway.request(method, headers=bearer("a", **claims)).status

    assert status("PUT", roles=["admin"]) == 200
    assert status("PUT", roles=["x", "owner"]) == 200
    assert status("PUT", roles="owner other") == 200
    assert status("PUT", permissions=["books.read", "books.write"]) == 200
    assert status("GET", roles=["reader"]) == 200
    assert status("GET", roles=["guest"], tenant="acme") == 200
    for method, claims in (
        ("PUT", {"roles": ["reader"]}),
        ("PUT", {"permissions": ["books.write"]}),
        ("PUT", {"roles": ["administrator"]}),
        ("PUT", {"roles": [["admin"]]}),
        ("PUT", {"roles": {"admin": True}}),
        ("GET", {"roles": ["guest"], "tenant": "globex"}),
        ("GET", {}),
    ):
        answer = gateway.request(method, headers=bearer("a", **claims))
        assert (answer.status, answer.reason) == (403, "authorization/not-granted"), claims
    assert len(origin.received) == 6


def test_claims_may_be_nested_or_have_other_names(gateway: Gateway, origin: Origin) -> None:
    provider = tokens_of(rolesClaim="realm_access.roles", tenantClaim="org.id")
    gateway.apply(
        policy(
            "members",
            on("Route", "books"),
            authentication=proven_by(provider),
            authorization=granted_to(admins={"roles": ["admin"]}),
        )
    )
    claims = {"realm_access": {"roles": ["admin"]}, "org": {"id": "acme"}}
    assert gateway.get(headers=bearer("a", **claims)).status == 200
    assert origin.last.header("x-ff-tenant") == "acme"
    assert gateway.get(headers=bearer("a", roles=["admin"], tenant="acme")).status == 403


def test_a_policy_may_guard_the_edge_a_route_or_one_rule(gateway: Gateway) -> None:
    gateway.apply(
        edge(gateway.port),
        issuers("a"),
        route("one", rule(prefix("/one"), says="one"), rule(prefix("/open"), says="open", name="open")),
        route("two", rule(prefix("/two"), says="two")),
        policy("members", on("Route", "two"), on("Route", "one", "rule-0"), authentication=proven_by(tokens_of())),
    )
    found = {path: gateway.get(path).status for path in ("/one", "/two", "/open")}
    assert found == {"/one": 401, "/two": 401, "/open": 200}
    gateway.apply(policy("members", on("Edge", "public"), authentication=proven_by(tokens_of())))
    assert {gateway.get(path).status for path in ("/one", "/two", "/open")} == {401}
    gateway.delete("AuthPolicy", "members")
    until(lambda: {gateway.get(path).status for path in ("/one", "/two", "/open")}, lambda seen: seen == {200})


def test_rotated_keys_take_effect_and_withdrawn_ones_are_refused(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(policy("members", on("Route", "books"), authentication=proven_by(tokens_of("a"))))
    assert gateway.get(headers=bearer("a")).status == 200
    as_b = {**bearer("b", iss="https://a")}
    assert gateway.get(headers=as_b).status == 401
    gateway.apply(config_map("keys", {"a": jwks("a", "b"), "b": jwks("b"), "c": jwks("c")}))
    until(lambda: gateway.get(headers=as_b).status == 200)
    assert gateway.get(headers=bearer("a")).status == 200
    gateway.apply(config_map("keys", {"a": jwks("b"), "b": jwks("b"), "c": jwks("c")}))
    until(lambda: gateway.get(headers=bearer("a", sub="new")).status == 401)
    assert len(origin.received) >= 3


def test_keys_may_come_from_a_secret_or_a_url(gateway: Gateway, origin: Origin) -> None:
    from_secret = {**tokens_of("a"), "jwt": {"issuer": "https://a", "jwks": {"secret": {"name": "s", "key": "jwks"}}}}
    served = gateway.origin("issuer", lambda _: KEYS_OF_B)
    url = f"http://127.0.0.1:{served.port}/jwks.json"
    from_url = {**tokens_of("b"), "jwt": {"issuer": "https://b", "jwks": {"url": url}}}
    gateway.apply(
        secret("s", {"jwks": jwks("a")}),
        policy("members", on("Route", "books"), authentication=proven_by(from_secret, from_url)),
    )
    until(lambda: gateway.get(headers=bearer("b")).status == 200)
    assert gateway.get(headers=bearer("a")).status == 200
    assert gateway.get(headers=bearer("c")).status == 401
    assert len(origin.received) >= 2


def test_missing_keys_are_told_and_let_nobody_in(gateway: Gateway, origin: Origin) -> None:
    missing = {**tokens_of("a"), "jwt": {"issuer": "https://a", "jwks": {"configMap": {"name": "none", "key": "a"}}}}
    gateway.apply(
        policy("members", on("Route", "books"), authentication=proven_by(missing)),
        expect={("AuthPolicy", "members"): "SecretNotFound"},
    )
    until(lambda: gateway.get(headers=bearer("a")).status == 500)
    assert gateway.get().status == 500
    assert origin.received == []
    gateway.apply(config_map("none", {"a": jwks("a")}))
    until(lambda: gateway.get(headers=bearer("a")).status == 200)
    assert gateway.get().status == 401


def test_tokens_are_judged_alike_over_http2_and_on_wildcard_and_mixed_case_hosts(
    gateway: Gateway, origin: Origin
) -> None:
    gateway.apply(
        route("books", rule(to="books"), hosts=("*.example.com", "example.com")),
        policy("members", on("Route", "books"), authentication=proven_by(tokens_of())),
    )
    for host in ("example.com", "EXAMPLE.com", "a.example.com", "A.b.Example.com."):
        assert gateway.get(host=host).status == 401, host
        assert gateway.get(host=host, headers=bearer("a")).status == 200, host
        with Http2Client(gateway.port) as client:
            assert client.request("GET", "/", host=host).status == 401, host
            assert client.request("GET", "/", host=host, headers=[*bearer("a").items()]).status == 200, host
    assert len(origin.received) == 8
