"""Tokens: refused and believed as the proxy refuses and believes them, and remembered once they are verified."""

import base64
import json
from typing import Any

import pytest
from fastforward_pipeline import Reason, Snapshot
from fastforward_pipeline.compiled import keyset as keysets
from fastforward_pipeline.compiled.keyset import compile_keyset
from fastforward_pipeline.compiled.token import parse_token

from support.decision_snapshots import NOW, jwt_provider, keyset
from support.forged_jwts import Forgery, compact, forgeries, part, signer
from support.known_callers import FIRST, FORGER, ISSUER, JWT_ONLY, OPTIONAL, OTHER, SECOND, bearer, call, world

FORGERIES = forgeries(ISSUER, FORGER)


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


CLAIMS: dict[str, tuple[dict[str, Any], int]] = {
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


@pytest.mark.parametrize("claim", [["acme"], {"name": "acme"}, True])
def test_where_any_tenant_may_be_named_it_is_a_text_all_the_same(claim: object) -> None:
    decision = call(world(jwt_provider(any_tenant=True)), bearer(ISSUER.token(tenant=claim)))
    assert decision.reason is Reason.TENANT_NOT_ALLOWED


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


def test_a_signature_that_a_key_can_not_even_judge_is_no_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object) -> bool:
        raise ValueError("no")

    monkeypatch.setattr(keysets.JWSRegistry.algorithms["RS256"], "verify", raising)
    assert call(world(), bearer(TRUE)).reason is Reason.TOKEN_INVALID


def test_a_tenant_claim_within_something_else_is_none() -> None:
    nested = world(jwt_provider(any_tenant=True, tenant_claim="org.name"))
    assert call(nested, bearer(ISSUER.token(org=["acme"]))).tenant == ""


def test_a_key_with_an_algorithm_serves_no_other() -> None:
    key = ISSUER.keys["rsa"].as_dict(private=False)
    named = world(jwks=json.dumps({"keys": [{**key, "alg": "RS512"}]}).encode())
    for alg, status in (("RS512", 200), ("RS256", 401), ("PS512", 401)):
        token = compact({"alg": alg, "kid": "rsa"}, ISSUER.claims(), signer(alg, ISSUER.keys["rsa"]))
        assert call(named, bearer(token)).status == status, alg


@pytest.mark.parametrize(
    ("token", "wrong"),
    [
        (f"{HEADER}.{PAYLOAD}", "it has not three parts"),
        (f"!.{PAYLOAD}.{SIGNATURE}", "its header is not base64url"),
        (f"{HEADER}.!.{SIGNATURE}", "its payload is not base64url"),
        (f"{HEADER}.{PAYLOAD}.!", "its signature is not base64url"),
        (f"bm8.{PAYLOAD}.{SIGNATURE}", "its header is not JSON"),
        (f"{HEADER}.bm8.{SIGNATURE}", "its payload is not JSON"),
        (f"W10.{PAYLOAD}.{SIGNATURE}", "its header is no JSON object"),
        (f"{HEADER}.W10.{SIGNATURE}", "its payload is no JSON object"),
    ],
)
def test_a_malformed_token_is_told_by_its_part(token: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{wrong}$"):
        parse_token(token)
