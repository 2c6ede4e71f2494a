"""Whose request it is: credentials, host and trusted peer agree, or the request is refused."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

from typing import Any

import pytest
from fastforward_pipeline import Reason, Request, Snapshot, Trail

from support.decision_snapshots import (
    apikeys,
    ask,
    auth,
    decided,
    host,
    key_provider,
    plan,
    snapshot,
    stored_key,
    tenant,
)

SECRET = "s" * 43
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}
PEER = "10.0.0.7"
TRUSTING: dict[str, Any] = {"tenant_header": "x-tenant", "trusted": ["10.0.0.0/8"]}


def world(**scope: Any) -> Snapshot:
    return snapshot(
        host(plan("a", auth="shop/members"), **scope),
        auth("shop/members", "OPTIONAL", providers=[key_provider(any_tenant=True)]),
        apikeys(stored_key("ANN", SECRET, tenant="acme")),
        tenant("acme"),
    )


def named(name: str, peer: str = PEER, **more: str) -> Request:
    return ask(headers={"x-tenant": name, **more}, peer=peer)


@pytest.mark.parametrize(
    ("scope", "request_", "expected"),
    [
        ({}, ask(), ""),
        ({}, ask(headers=ANN), "acme"),
        ({"host_tenant": "acme"}, ask(), "acme"),
        ({"host_tenant": "acme"}, ask(headers=ANN), "acme"),
        (TRUSTING, named("acme"), "acme"),
        (TRUSTING, named("acme", **ANN), "acme"),
        (TRUSTING, named(""), ""),
        (TRUSTING, named("acme", "192.0.2.1"), ""),
        (TRUSTING, named("bolt", "192.0.2.1", **ANN), "acme"),
        (TRUSTING, named("acme", ""), ""),
        ({}, named("acme"), ""),
        ({"host_tenant": "acme", **TRUSTING}, named("acme", **ANN), "acme"),
    ],
)
def test_the_tenant_is_what_somebody_trustworthy_says(scope: dict[str, Any], request_: Request, expected: str) -> None:
    decision = decided(world(**scope), request_)
    assert decision.allowed
    assert decision.tenant == expected
    assert dict(decision.request_headers).get("x-ff-tenant", "") == expected


@pytest.mark.parametrize(
    ("scope", "request_"),
    [
        ({"host_tenant": "bolt"}, ask(headers=ANN)),
        (TRUSTING, named("bolt", **ANN)),
        ({"host_tenant": "bolt", **TRUSTING}, named("acme")),
    ],
)
def test_two_tenants_are_a_conflict(scope: dict[str, Any], request_: Request) -> None:
    decision = decided(world(**scope), request_)
    assert (decision.status, decision.reason, decision.tenant) == (403, Reason.TENANT_CONFLICT, "")


def test_the_trail_says_who_says_so() -> None:
    trail = Trail()
    decided(world(host_tenant="acme", **TRUSTING), named("acme", **ANN), trail=trail)
    (told,) = [finding for finding in trail.findings if finding.object == "Tenant shop/acme"]
    assert told.detail == (
        "the request is the tenant acme's: "
        "the API key and the host api.example.com and the trusted header x-tenant says so"
    )
