"""Who the caller is: tokens as the proxy verifies them, API keys, what is missing and what is wrong."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from fastforward_pipeline import Decision, Reason, Snapshot, SnapshotError, Trail
from fastforward_pipeline.compiled import keyset as keysets
from fastforward_pipeline.compiled.keyset import compile_keyset
from support.decision_snapshots import (
    NOW,
    apikeys,
    ask,
    auth,
    decided,
    host,
    jwt_provider,
    key_provider,
    keyset,
    plan,
    snapshot,
    stored_key,
)
from support.forged_jwts import Forgery, Issuer, compact, forgeries, part, signer

ISSUER, FORGER = Issuer(now=NOW), Issuer(now=NOW)
SECOND = Issuer(name="https://second.example", now=NOW)
FORGERIES = forgeries(ISSUER, FORGER)
SECRET = "s" * 43
FIRST = jwt_provider(tenants=["acme", "acme-eu"])
OTHER = jwt_provider("second", issuer="https://second.example", audiences=[], keyset="second", tenants=["bolt"])
KEYS = key_provider(tenants=["acme"])


def world(*providers: Any, mode: str = "REQUIRED", jwks: bytes | None = None, keys: Any = ()) -> Snapshot:
    stored = keys or (
        stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["reader"], permissions=["books:read"]),
        stored_key("OLD", SECRET, tenant="acme", not_after=NOW - 1),
        stored_key("NEW", SECRET, tenant="acme", not_after=NOW),
        stored_key("BOB", SECRET, tenant="bolt"),
        stored_key("BOT", SECRET, subject="bot"),
    )
    return snapshot(
        host(plan("books", auth="shop/members")),
        auth("shop/members", mode, providers=providers or (FIRST,)),
        keyset(ISSUER.jwks() if jwks is None else jwks),
        keyset(SECOND.jwks(), "second"),
        apikeys(*stored),
    )


JWT_ONLY = world()
OPTIONAL = world(FIRST, mode="OPTIONAL")
BOTH = world(FIRST, KEYS)


def call(snapshot_: Snapshot, headers: Mapping[str, str], **fields: Any) -> Decision:
    return decided(snapshot_, ask(headers=headers, **fields))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
@pytest.mark.parametrize("snapshot_", [JWT_ONLY, OPTIONAL, world(FIRST, OTHER)], ids=["required", "optional", "two"])
def test_a_forged_token_is_refused(snapshot_: Snapshot, forgery: Forgery) -> None:
    decision = call(snapshot_, {"authorization": forgery.authorization})
    assert (decision.allowed, decision.status) == (False, forgery.status), forgery.why
    assert decision.stage == "authentication"


def test_there_are_more_than_sixty_forgeries_each_with_its_name() -> None:
    assert len({forgery.name for forgery in FORGERIES}) == len(FORGERIES) > 60


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
def test_a_true_token_is_believed(kid: str) -> None:
    decision = call(JWT_ONLY, bearer(ISSUER.token(kid, tenant="acme", roles=["reader"])))
    assert decision.allowed
    assert (decision.tenant, decision.identity and decision.identity.subject) == ("acme", "ann")
    assert dict(decision.request_headers)["x-ff-subject"] == "ann"


# What the real proxy accepts and refuses, one by one.
TRUE = ISSUER.token()
HEADER, PAYLOAD, SIGNATURE = TRUE.split(".")
AUTHORIZATIONS = {
    "as-it-should-be": (f"Bearer {TRUE}", 200),
    "two-spaces": (f"Bearer  {TRUE}", 200),
    "junk-before-the-scheme": (f"xBearer {TRUE}", 200),
    "after-another-scheme": (f"Basic abc, Bearer {TRUE}", 200),
    "junk-before-the-token": (f'Bearer "{TRUE}', 200),
    "lower-case": (f"bearer {TRUE}", 401),
    "upper-case": (f"BEARER {TRUE}", 401),
    "without-space": (f"Bearer{TRUE}", 401),
    "tab": (f"Bearer\t{TRUE}", 401),
    "other-scheme": ("Basic abc", 401),
    "empty": ("", 401),
    "only-the-scheme": ("Bearer", 401),
    "no-token-at-all": ("Bearer !!!", 401),
    "token-alone": (TRUE, 401),
    "comma-behind": (f"Bearer {TRUE},", 401),
    "word-behind": (f"Bearer {TRUE} x", 401),
    "quoted": (f'Bearer "{TRUE}"', 401),
    "equals-sign-behind": (f"Bearer {TRUE}=", 401),
    "twice": (f"Bearer {TRUE},Bearer {TRUE}", 401),
    "scheme-twice": (f"Bearer Bearer {TRUE}", 401),
    "good-and-bad": (f"Bearer {TRUE},Bearer x", 401),
    "padded-signature": (f"Bearer {HEADER}.{PAYLOAD}.{SIGNATURE}==", 200),
}


@pytest.mark.parametrize("case", AUTHORIZATIONS)
def test_the_scheme_is_read_as_the_proxy_reads_it(case: str) -> None:
    value, status = AUTHORIZATIONS[case]
    assert call(JWT_ONLY, {"authorization": value}).status == status


@pytest.mark.parametrize("value", ["bearer x", "Basic abc", "", "Bearer"])
def test_what_is_no_bearer_token_is_as_good_as_none(value: str) -> None:
    assert call(JWT_ONLY, {"authorization": value}).reason is Reason.TOKEN_MISSING
    assert call(OPTIONAL, {"authorization": value}).allowed


CLAIMS = {
    "no-expiry": ({"exp": None}, 200),
    "expiry-zero": ({"exp": 0}, 200),
    "expiry-with-fraction": ({"exp": NOW + 60.5}, 200),
    "expired-within-the-skew": ({"exp": NOW - 60}, 200),
    "expired-beyond-the-skew": ({"exp": NOW - 61}, 401),
    "expiry-far": ({"exp": 2**63}, 200),
    "expiry-too-far": ({"exp": 2**64}, 401),
    "expiry-a-truth-value": ({"exp": True}, 401),
    "soon-within-the-skew": ({"nbf": NOW + 60}, 200),
    "soon-beyond-the-skew": ({"nbf": NOW + 61}, 401),
    "issued-tomorrow": ({"iat": NOW + 86400}, 200),
    "issued-never": ({"iat": None}, 200),
    "issued-before-time": ({"iat": -1}, 401),
    "no-subject": ({"sub": None}, 200),
    "empty-subject": ({"sub": ""}, 200),
    "audience-in-a-list": ({"aud": ["bank", "shop"]}, 200),
    "audience-with-scheme": ({"aud": "https://shop/"}, 200),
    "audience-with-slash": ({"aud": "shop/"}, 200),
    "audience-with-slashes": ({"aud": "shop//"}, 403),
    "audience-in-capitals": ({"aud": "Shop"}, 403),
    "audience-and-a-number": ({"aud": ["shop", 1]}, 401),
    "tenant-of-nobody": ({"tenant": None}, 200),
    "tenant-below": ({"tenant": "acme-eu"}, 200),
    "tenant-of-others": ({"tenant": "bolt"}, 403),
    "tenant-in-a-list": ({"tenant": ["acme"]}, 403),
    "tenant-a-number": ({"tenant": 7}, 403),
    "tenant-empty": ({"tenant": ""}, 403),
    "tenant-with-space": ({"tenant": " acme"}, 403),
    "tenant-everybody": ({"tenant": "-"}, 403),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_claims_are_judged_as_the_proxy_judges_them(case: str) -> None:
    claims, status = CLAIMS[case]
    assert call(JWT_ONLY, bearer(ISSUER.token(**claims))).status == status


RAW = {
    "null-expiry": (b'"exp":null', 401),
    "null-subject": (b'"sub":null', 401),
    "expiry-with-exponent": (b'"exp":1e10', 200),
    "expiry-not-a-number": (b'"exp":NaN', 401),
    "expiry-infinite": (b'"exp":Infinity', 401),
    "name-twice": (b'"iss":"https://issuer.example"', 401),
    "big-number": (b'"n":123456789012345678901234567890', 200),
    "huge-number": (b'"n":' + b"1" * 5000, 401),
    "half-a-surrogate": (b'"x":"\\ud800"', 401),
    "escaped-text": (b'"x":"\\u00e9"', 200),
    "control-character": (b'"x":"\x01"', 200),
    "deep": (b'"x":' + b"[" * 90 + b"]" * 90, 200),
    "bottomless": (b'"x":' + b"[" * 3000 + b"]" * 3000, 401),
}


@pytest.mark.parametrize("case", RAW)
def test_json_is_read_as_the_proxy_reads_it(case: str) -> None:
    raw, status = RAW[case]
    claims = {name: value for name, value in ISSUER.claims().items() if f'"{name}":'.encode() not in raw}
    base = part_bytes({**claims, "iss": ISSUER.name})
    token = ISSUER.signing(ISSUER.header(), base[:-1] + b"," + raw + b"}")
    assert call(JWT_ONLY, bearer(token)).status == status


def part_bytes(value: object) -> bytes:
    text = part(value)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


HEADERS = {
    "no-kid": ({"alg": "RS256"}, 200),
    "empty-kid": ({"alg": "RS256", "kid": ""}, 200),
    "null-kid": (b'{"alg":"RS256","kid":null}', 401),
    "algorithm-twice": (b'{"alg":"none","alg":"RS256","kid":"rsa"}', 401),
    "byte-order-mark": (b'\xef\xbb\xbf{"alg":"RS256","kid":"rsa"}', 401),
    "space-around": (b' {"alg":"RS256","kid":"rsa"} ', 200),
    "odd-type": ({"alg": "RS256", "kid": "rsa", "typ": 5}, 200),
    "jku-beside-a-true-signature": ({"alg": "RS256", "kid": "rsa", "jku": "http://127.0.0.1:1/"}, 200),
    "crit": ({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, 401),
    "b64": ({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False}, 401),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_truly_signed_header_is_read_as_the_proxy_reads_it_but_for_crit(case: str) -> None:
    header, status = HEADERS[case]
    assert call(JWT_ONLY, bearer(ISSUER.signing(header, ISSUER.claims()))).status == status


def test_each_issuer_is_judged_by_its_own_provider() -> None:
    two = world(FIRST, OTHER)
    assert call(two, bearer(SECOND.token(tenant="bolt", aud=None))).tenant == "bolt"
    assert call(two, bearer(SECOND.token(tenant="acme"))).reason is Reason.TENANT_NOT_ALLOWED
    assert call(two, bearer(ISSUER.token(tenant="acme"))).tenant == "acme"
    assert call(JWT_ONLY, bearer(SECOND.token())).reason is Reason.TOKEN_INVALID


def test_of_two_providers_with_one_issuer_any_may_accept() -> None:
    again = jwt_provider("again", audiences=["bank"], any_tenant=True)
    two = world(FIRST, again)
    assert call(two, bearer(ISSUER.token(aud="bank", tenant="bolt"))).tenant == "bolt"
    assert call(two, bearer(ISSUER.token(aud="else"))).reason is Reason.AUDIENCE_NOT_ALLOWED


def test_a_provider_for_any_tenant_may_name_any_and_none() -> None:
    anybody = world(jwt_provider(any_tenant=True))
    assert call(anybody, bearer(ISSUER.token(tenant="zeta"))).tenant == "zeta"
    assert call(anybody, bearer(ISSUER.token(tenant=""))).tenant == ""
    assert call(anybody, bearer(ISSUER.token(tenant="-"))).reason is Reason.TENANT_NOT_ALLOWED


def test_claims_are_found_by_path_in_nested_objects_and_by_url() -> None:
    nested = jwt_provider(
        any_tenant=True, tenant_claim="org.name", roles_claim="https://a.b/roles", permissions_claim="scope"
    )
    token = ISSUER.token(org={"name": "acme"}, **{"https://a.b/roles": ["x", 1, "y"], "scope": "read write"})
    decision = call(world(nested), bearer(token))
    assert decision.identity is not None
    assert (decision.tenant, decision.identity.roles, decision.identity.permissions) == (
        "acme",
        {"x", "y"},
        {"read", "write"},
    )
    odd = ISSUER.token(org="acme", scope=7)
    plain = call(world(nested), bearer(odd)).identity
    assert plain is not None
    assert (plain.tenant, plain.permissions) == ("", frozenset())


def test_keys_that_are_gone_verify_nothing_more() -> None:
    token = ISSUER.token()
    before = world()
    assert call(before, bearer(token)).allowed
    after = before.apply([keyset(FORGER.jwks())])
    assert call(after, bearer(token)).reason is Reason.TOKEN_INVALID
    assert call(before.apply([], ["keyset/main"]), bearer(token)).reason is Reason.NOT_READY


def test_a_verified_token_is_remembered_and_still_expires() -> None:
    token = ISSUER.token(exp=NOW + 100)
    again = world()
    assert call(again, bearer(token)).allowed
    remembered = again.keysets["main"].find(token)
    assert remembered is not None
    assert call(again, bearer(token)).identity is not None
    assert call(again, bearer(token), now=NOW + 161).reason is Reason.TOKEN_INVALID
    assert again.keysets["main"].find(token) is remembered


def test_a_forged_token_is_never_remembered() -> None:
    again = world()
    forged = FORGER.token()
    assert call(again, bearer(forged)).status == 401
    assert again.keysets["main"].find(forged) is None


def test_the_longest_unused_token_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keysets, "CAPACITY", 2)
    again = world()
    first, second, third = (ISSUER.token(jti=str(number)) for number in range(3))
    for token in (first, second, first, third):
        assert call(again, bearer(token)).allowed
    found = again.keysets["main"].find
    assert [found(token) is not None for token in (first, second, third)] == [True, False, True]


@pytest.mark.parametrize(
    "jwks",
    [
        b'{"keys":[]}',
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}',
        b'{"keys":[{"kty":"RSA","n":"!","e":"AQAB"},{"kty":"EC","crv":"P-256"},{"kty":"EC","crv":"secp256k1"}]}',
        b'{"keys":[{"kty":"OKP","crv":"P-256","x":"AA"}]}',
    ],
)
def test_a_key_set_without_usable_keys_verifies_nothing(jwks: bytes) -> None:
    assert call(world(jwks=jwks), bearer(TRUE)).reason is Reason.TOKEN_INVALID


@pytest.mark.parametrize("jwks", [b"", b"[]", b"{}", b'{"keys":1}', b'{"keys":[1]}', b"\xff"])
def test_what_is_no_key_set_is_refused(jwks: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|codec|Expecting"):
        compile_keyset(jwks)


def test_a_key_without_algorithm_serves_every_one_of_its_type_and_encryption_keys_none() -> None:
    key = ISSUER.keys["rsa"].as_dict(private=False)
    del key["alg"]
    free = world(jwks=json.dumps({"keys": [key]}).encode())
    for alg in ("RS256", "RS512", "PS384"):
        token = compact({"alg": alg, "kid": "rsa"}, ISSUER.claims(), signer(alg, ISSUER.keys["rsa"]))
        assert call(free, bearer(token)).allowed
    closed = world(jwks=json.dumps({"keys": [{**key, "use": "enc"}]}).encode())
    assert call(closed, bearer(TRUE)).status == 401


def key(id_: str, secret: str = SECRET) -> dict[str, str]:
    return {"x-api-key": f"ffk_{id_}_{secret}"}


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
    realm = 'realm="api.example.com"'
    for snapshot_, reason, challenges in (
        (JWT_ONLY, Reason.TOKEN_MISSING, [f"Bearer {realm}"]),
        (world(KEYS), Reason.KEY_MISSING, [f"ApiKey {realm}"]),
        (BOTH, Reason.CREDENTIALS_MISSING, [f"Bearer {realm}", f"ApiKey {realm}"]),
    ):
        decision = call(snapshot_, {})
        assert (decision.status, decision.reason) == (401, reason)
        assert [value for _, value in decision.response_headers] == challenges
    bad = call(JWT_ONLY, bearer("x.y.z"))
    assert bad.response_headers == (("www-authenticate", f'Bearer {realm}, error="invalid_token"'),)


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
