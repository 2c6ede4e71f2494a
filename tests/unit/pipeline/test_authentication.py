"""Who the caller is: API keys, several proofs at once, what is missing, what is told."""

import pytest
from fastforward_pipeline import Reason, Snapshot, SnapshotError, Trail

from support.decision_snapshots import NOW, apikeys, ask, decided, key_provider, snapshot, stored_key
from support.known_callers import (
    BOTH,
    FIRST,
    FORGER,
    ISSUER,
    JWT_ONLY,
    KEYS,
    OPTIONAL,
    SECOND,
    SECRET,
    bearer,
    call,
    key,
    world,
)

TRUE = ISSUER.token()


def test_an_api_key_stands_for_whom_it_was_made_for() -> None:
    decision = call(BOTH, key("ANN"))
    assert decision.identity is not None
    assert (decision.tenant, decision.identity.subject, decision.identity.key_id) == ("acme", "ann", "ANN")
    assert (decision.identity.roles, decision.identity.permissions) == ({"reader"}, {"books:read"})
    assert dict(decision.request_headers)["x-ff-key"] == "ANN"
    assert call(BOTH, key("BOT")).tenant == ""


@pytest.mark.parametrize(
    "value",
    ["", "ffk_", "ffk_ANN", "ffk_ANN_", "ffk__x", "ANN", f"ffk_ANN_{SECRET}x", f"ffk_NIL_{SECRET}", "ffk_ANN_\ud800"],
)
def test_a_key_that_is_malformed_or_unknown_or_wrong_is_refused_in_one_way(value: str) -> None:
    for mode in ("REQUIRED", "OPTIONAL"):
        decision = call(world(KEYS, mode=mode), {"x-api-key": value})
        assert (decision.status, decision.reason) == (401, Reason.KEY_UNKNOWN)
        assert decision.response_headers == (("www-authenticate", 'ApiKey realm="api.example.com"'),)


def test_a_key_expires_to_the_second_and_speaks_for_its_tenants_alone() -> None:
    assert call(BOTH, key("OLD")).reason is Reason.KEY_EXPIRED
    assert call(BOTH, key("NEW")).allowed
    assert call(BOTH, key("NEW"), now=NOW + 0.5).reason is Reason.KEY_EXPIRED
    assert call(BOTH, key("BOB")).reason is Reason.TENANT_NOT_ALLOWED


def test_of_several_providers_of_one_header_any_one_suffices() -> None:
    both = world(KEYS, key_provider("bolts", tenants=["bolt"]))
    assert call(both, key("ANN")).tenant == "acme"
    assert call(both, key("BOB")).tenant == "bolt"
    assert call(both, key("OLD")).reason is Reason.KEY_EXPIRED
    assert call(both, key("NIL")).reason is Reason.KEY_UNKNOWN


def test_a_secret_that_is_gone_ends_its_keys() -> None:
    assert call(BOTH.apply([], ["apikeys/shop/keys"]), key("ANN")).reason is Reason.KEY_UNKNOWN


def test_a_key_in_the_authorization_header_is_no_token() -> None:
    mixed = world(FIRST, key_provider(header="Authorization", tenants=["acme"]))
    assert call(mixed, {"authorization": f"Bearer ffk_ANN_{SECRET}"}).tenant == "acme"
    assert call(mixed, {"authorization": f"ffk_ANN_{SECRET}"}).tenant == "acme"
    assert call(mixed, bearer(ISSUER.token(tenant="acme"))).identity is not None


def test_two_proofs_must_be_good_and_of_one_tenant() -> None:
    good = bearer(ISSUER.token(tenant="acme"))
    assert call(BOTH, {**good, **key("ANN")}).allowed
    assert call(BOTH, {**good, **key("BOT")}).reason is Reason.TENANT_CONFLICT
    assert call(BOTH, {**good, **key("NIL")}).reason is Reason.KEY_UNKNOWN
    assert call(BOTH, {**bearer(FORGER.token()), **key("ANN")}).reason is Reason.TOKEN_INVALID


def test_what_is_missing_is_said_and_challenged_for() -> None:
    realm, url = 'realm="api.example.com"', 'realm="http://api.example.com/"'
    for snapshot_, reason, challenges in (
        (JWT_ONLY, Reason.TOKEN_MISSING, [f"Bearer {url}"]),
        (world(KEYS), Reason.KEY_MISSING, [f"ApiKey {realm}"]),
        (BOTH, Reason.CREDENTIALS_MISSING, [f"Bearer {url}", f"ApiKey {realm}"]),
    ):
        decision = call(snapshot_, {})
        assert (decision.status, decision.reason) == (401, reason)
        assert [value for _, value in decision.response_headers] == challenges
    bad = call(JWT_ONLY, bearer("x.y.z"))
    assert bad.response_headers == (("www-authenticate", f'Bearer {url}, error="invalid_token"'),)


def test_where_proof_is_optional_the_caller_may_be_nobody() -> None:
    decision = call(OPTIONAL, {})
    assert decision.allowed
    assert dict(decision.request_headers) == {"x-ff-table": "-", "x-ff-select": "-"}


def test_where_nobody_is_asked_credentials_are_not_looked_at() -> None:
    nobody = world(FIRST, KEYS, mode="NONE")
    decision = call(nobody, {"authorization": "Bearer x", **key("NIL")})
    assert decision.allowed
    assert decision.identity is not None
    assert decision.identity.provider is None


def test_policies_that_are_not_in_the_snapshot_fail_closed() -> None:
    lost = JWT_ONLY.apply([], ["auth/shop/members"])
    assert call(lost, bearer(TRUE)).reason is Reason.NOT_READY


def test_the_trail_says_who_and_by_what() -> None:
    def told(headers: dict[str, str], snapshot_: Snapshot = BOTH) -> list[str]:
        trail = Trail()
        decided(snapshot_, ask(headers=headers), trail=trail)
        return [finding.detail for finding in trail.findings if finding.stage == "authentication"]

    assert told(key("ANN"))[0] == "the caller is ann, by the API key ANN"
    assert told(bearer(ISSUER.token(sub=None)))[0] == "the caller is without subject, by a token"
    assert told({}, OPTIONAL) == ["the caller is anonymous"]
    assert told({}, world(mode="NONE")) == ["no credentials are asked for"]
    assert told(bearer(SECOND.token())) == ["no provider has the token's issuer"]


def test_a_token_of_another_issuer_is_a_near_miss() -> None:
    trail = Trail()
    decided(JWT_ONLY, ask(headers=bearer(SECOND.token())), trail=trail)
    assert [(m.field, m.expected, m.got) for m in trail.near_misses] == [
        ("spec.authentication.providers[issuer].jwt.issuer", "https://issuer.example", "https://second.example")
    ]


def test_api_keys_with_a_weak_pepper_or_a_stunted_hash_are_refused() -> None:
    with pytest.raises(SnapshotError, match="pepper"):
        snapshot(apikeys(pepper=b"short"))
    stunted = stored_key("ANN", SECRET)
    stunted.hash = stunted.hash[:8]
    with pytest.raises(SnapshotError, match="hash"):
        snapshot(apikeys(stunted))
