"""Which shard a request goes to: its tenant's home, or else where its key hashes to."""

from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot, Trail

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.decision_snapshots import (
    apikeys,
    ask,
    auth,
    decided,
    host,
    key_provider,
    plan,
    shard,
    shards,
    snapshot,
    stored_key,
    tenant,
)

SECRET = "s" * 43
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}
KEYS = (
    auth("shop/members", "OPTIONAL", providers=[key_provider(any_tenant=True)]),
    apikeys(stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["admin"])),
)
MEMBERS: dict[str, Any] = {"auth": "shop/members"}


def sharded(key: str = "tenant", **tenant_fields: str) -> Snapshot:
    return snapshot(
        host(plan("data", shards=pb.ShardDispatch(namespace="shop", purpose="db", key=key), **MEMBERS)),
        *KEYS,
        tenant("acme", **tenant_fields),
        shards(
            one=shard(db="shop/db-one"), two=shard(db="shop/db-two"), old=shard("DRAINING", db="shop/db-old", web="x")
        ),
    )


def test_a_tenant_with_a_home_goes_there_whatever_its_state() -> None:
    decision = decided(sharded(shard="old"), ask(headers=ANN))
    assert decision.shard == "old"
    assert dict(decision.request_headers)["x-ff-cluster"] == "shop/db-old"


def test_without_a_home_the_key_is_hashed_over_active_shards() -> None:
    world = sharded()
    shards_ = {decided(world, ask(headers=ANN)).shard for _ in range(3)}
    assert len(shards_) == 1
    assert shards_ < {"one", "two"}
    assert decided(sharded("subject"), ask(headers=ANN)).shard in {"one", "two"}
    assert decided(sharded("header:x-user"), ask(headers={"x-user": "7"})).shard in {"one", "two"}


@pytest.mark.parametrize("key", ["tenant", "subject", "header:x-user"])
def test_a_request_without_the_key_of_its_shard_is_400(key: str) -> None:
    decision = decided(sharded(key), ask())
    assert (decision.status, decision.reason) == (400, Reason.SHARD_KEY_MISSING)


def test_a_home_that_is_not_there_is_never_replaced_by_another_shard() -> None:
    decision = decided(sharded(shard="gone"), ask(headers=ANN))
    assert (decision.status, decision.reason) == (503, Reason.SHARD_UNAVAILABLE)


def test_a_home_that_is_not_known_is_never_replaced_by_a_shard_that_the_key_hashes_to() -> None:
    for key in ("tenant", "subject", "header:x-user"):
        trail = Trail()
        decision = decided(sharded(key, shard="~"), ask(headers={**ANN, "x-user": "7"}), trail=trail)
        assert (decision.status, decision.reason) == (503, Reason.SHARD_UNAVAILABLE)
        assert "the home shard of tenant acme is not known" in trail.findings[-1].detail


@pytest.mark.parametrize("home", ["one", "two", "missing", "~"])
def test_a_shard_of_another_namespace_is_no_home_though_it_has_the_name(home: str) -> None:
    def world(**tenant_fields: str) -> Snapshot:
        dispatch = pb.ShardDispatch(namespace="team", purpose="db", key="tenant")
        found = shards("team", one=shard(db="team/db-one"), two=shard(db="team/db-two"))
        return snapshot(host(plan("data", shards=dispatch, **MEMBERS)), *KEYS, tenant("acme", **tenant_fields), found)

    trail = Trail()
    hashed = decided(world(), ask(headers=ANN)).shard
    assert hashed in {"one", "two"}
    assert decided(world(shard=home), ask(headers=ANN), trail=trail).shard == hashed
    told = [found.detail for found in trail.findings if found.object.startswith("Shard")]
    assert told == ["it is where tenant 'acme' hashes to: the home of tenant acme is among the Shards of shop"]


def test_a_namespace_without_active_shards_is_503() -> None:
    dispatch = pb.ShardDispatch(namespace="shop", purpose="db", key="subject")
    rules = host(plan("data", shards=dispatch, **MEMBERS))
    for more in ((), (shards(one=shard("CANARY", db="x")),), (shards(one=shard(web="x")),)):
        world = snapshot(rules, *KEYS, *more)
        assert decided(world, ask(headers=ANN)).reason is Reason.SHARD_UNAVAILABLE


def test_the_trail_says_how_the_shard_was_found() -> None:
    def told(world: Snapshot) -> list[str]:
        trail = Trail()
        decided(world, ask(headers=ANN), trail=trail)
        return [f"{found.object}: {found.detail}" for found in trail.findings if found.object.startswith("Shard")]

    assert told(sharded(shard="old")) == ["Shard shop/old: it is the home of tenant acme"]
    (hashed,) = told(sharded("subject"))
    assert hashed.endswith(": it is where subject 'ann' hashes to")
