"""Who is let in by one rule and led to another must satisfy both."""

# ruff: noqa: ANN401 - fields of messages and requests are handed on as they are

from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot

from support.decision_snapshots import (
    apikeys,
    ask,
    auth,
    decided,
    grants,
    host,
    key_provider,
    pb,
    plan,
    snapshot,
    stored_key,
    tenant,
)

SECRET = "s" * 43
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}


def key(id_: str, header: str = "x-api-key") -> dict[str, str]:
    return {header: f"ffk_{id_}_{SECRET}"}


def world(final_auth: pb.Resource, **final: Any) -> Snapshot:
    """Everybody is led in by shop/members; a rule of tenant acme is governed by `final_auth`."""
    return snapshot(
        host(plan("own", "/books", auth=final_auth.name.removeprefix("auth/"), **final), tenant="acme"),
        host(plan("all", auth="shop/members", admission=pb.Admission(deny_addresses=["10.0.0.0/8"]))),
        auth("shop/members", "OPTIONAL", providers=[key_provider(any_tenant=True)]),
        final_auth,
        apikeys(
            stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["reader"]),
            stored_key("BOB", SECRET, tenant="bolt", subject="bob"),
            stored_key("BOT", SECRET, subject="bot", roles=["robot"]),
        ),
        tenant("acme"),
    )


def stricter(*authorizations: pb.Authorization, mode: str = "REQUIRED", header: str = "x-second") -> pb.Resource:
    providers = [key_provider("second", header=header, any_tenant=True)]
    return auth("shop/strict", mode, providers=providers, authorizations=authorizations)


def test_the_second_rule_asks_for_its_own_credentials() -> None:
    strict = world(stricter())
    assert decided(strict, ask("/books", headers=ANN)).reason is Reason.KEY_MISSING
    decision = decided(strict, ask("/books", headers={**ANN, **key("ANN", "x-second")}))
    assert (decision.allowed, decision.route) == (True, "shop/own")


def test_what_the_second_credentials_prove_counts() -> None:
    robots = stricter(grants(pb.Grant(name="robots", roles=["robot"])))
    decision = decided(world(robots), ask("/books", headers={**ANN, **key("BOT", "x-second")}))
    assert decision.identity is not None
    assert (decision.allowed, decision.identity.subject, decision.tenant) == (True, "bot", "acme")


def test_credentials_of_another_tenant_are_a_conflict() -> None:
    decision = decided(world(stricter()), ask("/books", headers={**ANN, **key("BOB", "x-second")}))
    assert (decision.status, decision.reason) == (403, Reason.TENANT_CONFLICT)


@pytest.mark.parametrize("mode", ["OPTIONAL", "NONE"])
def test_a_second_rule_that_asks_nobody_leaves_the_caller_known(mode: str) -> None:
    readers = stricter(grants(pb.Grant(name="readers", roles=["reader"])), mode=mode)
    assert decided(world(readers), ask("/books", headers=ANN)).allowed


def test_policies_that_authenticate_alike_ask_once() -> None:
    alike = auth(
        "shop/alike",
        "OPTIONAL",
        providers=[key_provider(any_tenant=True)],
        authorizations=[grants(pb.Grant(name="readers", roles=["reader"]))],
    )
    assert decided(world(alike), ask("/books", headers=ANN)).allowed


def test_policies_of_the_second_rule_that_are_not_in_the_snapshot_fail_closed() -> None:
    lost = world(stricter()).apply([], ["auth/shop/strict"])
    assert decided(lost, ask("/books", headers=ANN)).reason is Reason.NOT_READY


def test_admission_of_both_rules_holds() -> None:
    both = world(stricter(mode="NONE"), admission=pb.Admission(deny_addresses=["192.0.2.0/24"]))
    found = [decided(both, ask("/books", headers=ANN, address=a)) for a in ("10.0.0.1", "192.0.2.1", "198.51.100.1")]
    assert [decision.status for decision in found] == [403, 403, 200]
    assert [decision.refusal and decision.refusal.object for decision in found] == [
        "Route shop/all",
        "Route shop/own",
        None,
    ]
