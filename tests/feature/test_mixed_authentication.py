"""Tokens and API keys on the same rule."""

import pytest

from support.credentials import apikeys_data
from support.gateway import Gateway
from support.origin import Origin
from support.resources import issuers, keys_of, on, policy, proven_by, resource, route, rule, secret, tokens_of
from support.tokens import bearer

ID = "AAAAAAAAAAAA"
KEY = {"x-api-key": f"ffk_{ID}_{ID.lower()}"}


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Origin:
    gateway = deciding_gateway
    origin = gateway.upstream("books")
    gateway.apply(
        issuers("a", "b"),
        secret("api-keys", apikeys_data(**{ID: "acme"}), "gateway.fastforward.dev/api-keys"),
        *(resource("Tenant", name, {}) for name in ("acme", "globex")),
        route("books", rule(to="books")),
        policy(
            "members",
            on("Route", "books"),
            authentication=proven_by(tokens_of(tenants=("acme", "globex")), keys_of()),
        ),
    )
    return origin


def test_either_proof_will_do(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get(headers=KEY).status == 200
    assert origin.last.header("x-ff-tenant") == "acme"
    assert gateway.get(headers=bearer("a", tenant="globex")).status == 200
    assert origin.last.header("x-ff-tenant") == "globex"


def test_without_either_both_are_named(gateway: Gateway, origin: Origin) -> None:
    answer = gateway.get()
    assert (answer.status, answer.reason) == (401, "authentication/credentials-missing")
    challenges = ", ".join(answer.values("www-authenticate"))
    assert "Bearer" in challenges
    assert "ApiKey" in challenges
    assert origin.received == []


def test_a_bad_proof_beside_a_good_one_is_refused(gateway: Gateway, origin: Origin) -> None:
    for headers in (
        {**KEY, "authorization": "Bearer a.b.c"},
        {**KEY, **bearer("b")},
        {**bearer("a", tenant="acme"), "x-api-key": "ffk_AAAAAAAAAAAA_wrong"},
    ):
        assert gateway.get(headers=headers).status == 401
    assert origin.received == []


def test_two_proofs_must_be_of_one_tenant(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get(headers={**KEY, **bearer("a", tenant="acme")}).status == 200
    answer = gateway.get(headers={**KEY, **bearer("a", tenant="globex")})
    assert (answer.status, answer.reason) == (403, "authentication/tenant-conflict")
    assert len(origin.received) == 1


def test_tokens_are_held_to_the_same_rules_as_where_the_proxy_judges_them(gateway: Gateway, origin: Origin) -> None:
    assert gateway.get(headers=bearer("a", exp=1)).status == 401
    assert gateway.get(headers=bearer("b", iss="https://a")).status == 401
    assert gateway.get(headers=bearer("a", tenant="initech")).status == 403
    assert origin.received == []
