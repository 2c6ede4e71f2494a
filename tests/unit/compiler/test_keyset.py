"""Which keys go further: public, asymmetric, whole; and nothing of what else a document holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from fastforward_compiler.translate.certificate import fault_of_key

from support import resources
from support.credentials import apikeys_data, base64url, jwks, public_jwk
from support.resources import on, resource

from .conftest import Bench

Key = dict[str, Any]


def rsa_key(bits: int, algorithm: str = "RS256") -> Key:
    numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
    return {
        "kty": "RSA",
        "alg": algorithm,
        "n": base64url(numbers.n.to_bytes(bits // 8)),
        "e": base64url(numbers.e.to_bytes(3)),
    }


def ed25519_key() -> Key:
    public = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": base64url(public)}


def test_keys_of_every_asymmetric_kind_are_accepted() -> None:
    for key in (public_jwk(), rsa_key(2048), rsa_key(2048, "PS512"), ed25519_key()):
        assert fault_of_key(key) == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kty": "oct", "alg": "HS256", "k": "AAAA"}, "has type oct with algorithm HS256"),
        ({"alg": "none"}, "has type EC with algorithm none"),
        ({"alg": "HS256"}, "has type EC with algorithm HS256"),
        ({"alg": "ES384"}, "has type EC with algorithm ES384"),
        ({"crv": "P-384"}, "has type EC with algorithm ES256"),
        ({"x": "AAAA"}, "is malformed"),
        ({"x": "not base64!"}, "is malformed"),
        ({"x": 5}, "is malformed"),
        ({"y": None}, "is malformed"),
        ({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "AAAA"}, "is malformed"),
        ({"kty": "RSA", "alg": "RS256"}, "is malformed"),
    ],
)
def test_other_keys_are_refused(change: Key, fault: str) -> None:
    assert fault_of_key({**public_jwk(), **change}).startswith(fault)


def test_a_short_rsa_key_is_refused() -> None:
    assert fault_of_key(rsa_key(1024)) == "has fewer than 2048 bits"


def keysets(bench: Bench, document: str) -> list[Any]:
    jwt = {"issuer": "https://issuer", "jwks": {"configMap": {"name": "issuer", "key": "jwks"}}}
    authentication = {"providers": [{"name": "token", "jwt": jwt}]}
    bench.apply(
        resources.config_map("issuer", {"jwks": document}),
        resource("AuthPolicy", "p", {"targets": [on("Edge", "e")], "authentication": authentication}),
    )
    return [json.loads(keyset.jwks)["keys"] for keyset in bench.compiler.snapshot().keysets]


def test_only_public_members_of_good_keys_are_handed_on(bench: Bench) -> None:
    good = {**public_jwk("good"), "d": "private", "x5c": ["AAAA"], "use": "sig"}
    others = [{**public_jwk(), "use": "enc"}, {**public_jwk(), "alg": None}, {**public_jwk(), "kid": 5}, {}]
    assert keysets(bench, json.dumps({"keys": [*others, good]})) == [[{**public_jwk("good"), "use": "sig"}]]


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": {}}', '{"keys": [1]}', "[" * 100_000, '{"keys": []}'])
def test_what_is_no_key_set_yields_none(bench: Bench, document: str) -> None:
    assert keysets(bench, document) == []
    assert "SecretInvalid" in bench.reasons("AuthPolicy", "p")


def test_no_more_keys_are_read_than_any_issuer_has(bench: Bench) -> None:
    keys = [public_jwk()] * 101
    assert [len(found) for found in keysets(bench, json.dumps({"keys": keys}))] == [100]


def policy_by_key(secret: str) -> resources.Document:
    provider = {"name": "key", "apiKey": {"secrets": [{"name": secret}]}}
    spec = {"targets": [on("Edge", "e")], "authentication": {"providers": [provider]}}
    return resource("AuthPolicy", "p", spec)


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "00"},
        {"hash": None},
        {"notAfter": -1},
        {"notAfter": 1 << 63},
        {"notAfter": "tomorrow"},
        {"notAfter": True},
        {"tenant": 5},
        {"tenant": "a\nb"},
        {"roles": "admin"},
        {"permissions": [5]},
    ],
)
def test_a_malformed_api_key_is_left_out_and_told(bench: Bench, change: Key) -> None:
    data = apikeys_data(AAAAAAAAAAAA="acme", BBBBBBBBBBBB="acme")
    data["AAAAAAAAAAAA"] = json.dumps({**json.loads(data["AAAAAAAAAAAA"]), **change})
    bench.apply(resources.secret("keys", data, "gateway.fastforward.dev/api-keys"), policy_by_key("keys"))
    (apikeys,) = bench.compiler.snapshot().apikeys
    assert [key.id for key in apikeys.keys] == ["BBBBBBBBBBBB"]
    assert (
        bench.report("AuthPolicy", "p").problems[-1].message == "Key AAAAAAAAAAAA of Secret default/keys is malformed."
    )


@pytest.mark.parametrize("entry", ["[]", "{", "[" * 100_000])
def test_an_api_key_that_is_no_json_object_is_left_out(bench: Bench, entry: str) -> None:
    data = {**apikeys_data(AAAAAAAAAAAA="acme"), "CCCCCCCCCCCC": entry}
    bench.apply(resources.secret("keys", data, "gateway.fastforward.dev/api-keys"), policy_by_key("keys"))
    assert [len(apikeys.keys) for apikeys in bench.compiler.snapshot().apikeys] == [1]


def test_an_api_key_carries_roles_permissions_and_an_end(bench: Bench) -> None:
    data = apikeys_data(AAAAAAAAAAAA="acme")
    more = {"roles": ["admin"], "permissions": ["a:b"], "notAfter": 1_800_000_000}
    data["AAAAAAAAAAAA"] = json.dumps({**json.loads(data["AAAAAAAAAAAA"]), **more})
    bench.apply(resources.secret("keys", data, "gateway.fastforward.dev/api-keys"), policy_by_key("keys"))
    (key,) = bench.compiler.snapshot().apikeys[0].keys
    assert (key.roles, key.permissions, key.not_after) == (("admin",), ("a:b",), 1_800_000_000)


def test_fetched_keys_are_taken_in_and_the_last_good_ones_replaced(bench: Bench) -> None:
    jwt = {"issuer": "https://issuer", "jwks": {"url": "https://issuer/keys"}}
    spec = {"targets": [on("Edge", "e")], "authentication": {"providers": [{"name": "token", "jwt": jwt}]}}
    bench.apply(resource("AuthPolicy", "p", spec))
    assert bench.reasons("AuthPolicy", "p") == ["TargetNotFound", "KeysUnavailable"]
    bench.apply(fetched={"https://issuer/keys": jwks().encode()})
    assert bench.reasons("AuthPolicy", "p") == ["TargetNotFound"]
    delta = bench.apply(fetched={"https://issuer/keys": jwks("new").encode()})
    assert len(delta.keysets.upserts) == 1
    bench.apply(fetched={"https://issuer/keys": b"nonsense"})
    assert bench.reasons("AuthPolicy", "p") == ["TargetNotFound", "KeysUnavailable"]
    assert bench.report("AuthPolicy", "p").problems[-1].message == (
        "https://issuer/keys is no JSON Web Key Set (RFC 7517)."
    )
    bench.apply(fetched={"https://issuer/keys": b""})
    assert bench.report("AuthPolicy", "p").problems[-1].message == (
        "https://issuer/keys has not answered for longer than maxStale; its last keys are not believed any more."
    )
    bench.apply(fetched={"https://issuer/keys": None})
    assert bench.report("AuthPolicy", "p").problems[-1].message == "https://issuer/keys has not answered yet."
