"""What is secret is taken out wherever it stands, however it is written, and names stay."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastforward_operator.cli.redaction import REDACTED, Scrubber
from fastforward_operator.supervisor.apikey import new_api_key
from hypothesis import given
from hypothesis import strategies as st

PLANTED = f"Pl4nted/{secrets.token_urlsafe(12)}+='\"%"
PLAIN = secrets.token_urlsafe(24)


def pem(form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


@pytest.mark.parametrize(
    "written",
    [
        PLANTED,
        json.dumps(PLANTED)[1:-1],
        quote(PLANTED, safe=""),
        base64.b64encode(PLANTED.encode()).decode(),
        base64.urlsafe_b64encode(PLANTED.encode()).decode().rstrip("="),
        PLANTED.encode().hex(),
    ],
    ids=["plain", "JSON", "URL", "base64", "base64url", "hex"],
)
def test_a_known_secret_is_found_however_it_is_written(written: str) -> None:
    scrubber = Scrubber()
    scrubber.learn(PLANTED)
    assert scrubber.scrub(f"before {written} after") == f"before {REDACTED} after"


def test_secrets_inside_a_secret_are_known_as_well() -> None:
    scrubber = Scrubber()
    scrubber.learn_document({"kind": "Secret", "stringData": {"a": json.dumps({"hash": PLAIN, "tenant": "acme"})}})
    scrubber.learn_document({"kind": "Secret", "data": {"b": base64.b64encode(b"\x00\xff\x01binary").decode()}})
    assert scrubber.scrub(f"{PLAIN} of acme") == f"{REDACTED} of acme"
    assert scrubber.scrub(b"\x00\xff\x01binary".hex()) == REDACTED


def test_each_line_of_a_key_is_known() -> None:
    text, scrubber = pem(), Scrubber()
    scrubber.learn(text)
    assert scrubber.scrub(f"x {text.splitlines()[1]} y") == f"x {REDACTED} y"


@pytest.mark.parametrize(
    "line",
    [
        "authorization: Bearer <S>",
        "Authorization: Basic <S>",
        "cookie: a=<S>; b=<S>",
        "x-api-key: <S>",
        '{"headers": {"Authorization": "Bearer <S>"}}',
        '{\\"x-api-key\\": \\"<S>\\"}',
        "https://user:<S>@example.com/keys",
        "redis://:<S>@redis:6379/0",
        "/orders?page=1&token=<S>",
        "/orders?sig=<S>#there",
        "/orders?$filter=email%20eq%20<S>",
        "/orders?a:b=<S>&c",
        "/orders?q=O'Reilly-<S>",
        "/orders?q=a?b=<S>#<S>",
        '{"path":"/orders?k=ab\\"<S>","status":200}',
        '{"log":"{\\"path\\":\\"/orders?k=<S>\\"}"}',
        "redis://user:O'Reilly-<S>@redis:6379/0",
        "FF_REDIS_PASSWORD=<S>",
        'FF_REDIS_PASSWORD="a <S>"',
        "FF_REDIS_PASSWORD='a <S>'",
        "database:\n  password: <S>",
        "database:\n  password: a <S>",
        "database:\n  password: 'it''s <S>'",
        'database:\n- password: "it\\"s <S>"',
        "database:\n  password: |\n    a\n\n    <S>\n  user: me",
        "spring.datasource.password = a <S>",
        '{"log":"password: <S>"}',
        '{"log":"password: \\"<S>\\""}',
        '{"log":"x\\npassword: <S>\\ny"}',
        '{"password": "ab\\"<S>"}',
        '{\\"password\\": \\"ab\\\\\\"<S>\\"}',
        '{\\\\\\"password\\\\\\": \\\\\\"<S>\\\\\\"}',
        "{'password': '<S>', 'a': 1}",
        "{'authorization': '<S>'}",
        "password: O'Reilly-<S>",
        'cookie: a="b"; c="<S>"',
        'authorization: Digest username="me", response="<S>"',
        "x-api-key: O'Reilly-<S>",
        'x-api-key: "<S>"',
        '{"log":"cookie: a=\\"<S>\\"; b=<S>","x":1}',
        "- name: X-Backend-Token\n  value: <S>",
        '{"name":"X-Backend-Token","value":"<S>"}',
        '{\\"key\\": \\"DB_PASSWORD\\", \\"value\\": \\"<S>\\"}',
        "requirepass <S>",
        'user me\nmasterauth "<S>"',
        "sentinel auth-pass main <S>",
        "client_secret=<S>",
        "SECRET_KEY=<S>",
        "django:\n  secret_key: <S>",
        "tokenValue: <S>",
        "signingKey=<S>",
        '{"client_secret": "<S>"}',
        '{"kty":"oct","k":"<S>"}',
        '{\\"kty\\":\\"EC\\",\\"d\\":\\"<S>\\"}',
    ],
)
def test_what_looks_like_credentials_is_taken_out_unknown(line: str) -> None:
    assert PLAIN not in Scrubber().scrub(line.replace("<S>", PLAIN))


@pytest.mark.parametrize("piece", ["a-", "a.", "-eyJaaaaaa", "eyJa", "a://", "?a", "password", "a: ", "'", "\\\\'"])
def test_a_text_that_a_client_made_long_is_gone_through_once(piece: str) -> None:
    """One that is gone through from each of its places takes minutes, and a log may have thousands."""
    text = piece * (300_000 // len(piece))
    assert Scrubber().scrub(f"GET /{text}")


@pytest.mark.parametrize(
    "line",
    [
        "database:\n  secret: {name: keys}\n  tokens: [a]\n  password:\n  user: me",
        "shop/token::10.0.0.1:80::cx_active::0",
        "https://shop-token:8080/path",
        "secretName: keys and tokenEndpoint: https://issuer.example",
        "Secret shop/keys was not found: it has no key pepper.",
        '{"token":null,"secret":{"name":"keys"},"status":200}',
        "the password is wrong",
    ],
)
def test_what_only_names_a_secret_stays(line: str) -> None:
    assert Scrubber().scrub(line) == line


def test_of_a_sentence_one_word_is_taken_out() -> None:
    assert Scrubber().scrub("spec.token: must be set") == f"spec.token: {REDACTED} be set"


def test_what_stands_beside_credentials_stays() -> None:
    text = "a: 1\npassword: |\n  one\n  two\nb: 2\n{'token': 'x', 'c': 3}\n{\"token\": \"x\", \"d\": 4}\n"
    left = "a: 1\npassword: [redacted]\nb: 2\n{'token': '[redacted]', 'c': 3}\n{\"token\": \"[redacted]\", \"d\": 4}\n"
    assert Scrubber().scrub(text) == left
    assert Scrubber().scrub(left) == left


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ('{"path":"/a?b=c&d=\\"e","status":200}', '{"path":"/a?b=[redacted]&d=[redacted]","status":200}'),
        ("GET /a?b&c=d HTTP/1.1", "GET /a?b&c=[redacted] HTTP/1.1"),
        ("Is it so? a = b", "Is it so? a = b"),
    ],
)
def test_of_a_query_only_values_are_taken_out(line: str, left: str) -> None:
    assert Scrubber().scrub(line) == left


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH])
def test_private_keys_are_taken_out_unknown(form: PrivateFormat) -> None:
    text = pem(form)
    body = text.splitlines()[1]
    assert body not in Scrubber().scrub(text)
    assert body not in Scrubber().scrub(json.dumps(text))
    encoded = base64.b64encode(text.encode()).decode()
    assert encoded[40:80] not in Scrubber().scrub(encoded)


def test_api_keys_and_tokens_are_taken_out_unknown() -> None:
    key = new_api_key()
    assert Scrubber().scrub(key.text) == f"ffk_{key.id}_{REDACTED}"
    token = ".".join(
        base64.urlsafe_b64encode(json.dumps({"alg": part * 9}).encode()).decode().rstrip("=") for part in "abc"
    )
    assert Scrubber().scrub(f"got {token}.") == f"got {REDACTED}"


@pytest.mark.parametrize(
    "value",
    [
        {"set": [{"name": "Authorization", "value": f"Basic {PLAIN}"}]},
        {"name": "x-api-key", "string_match": {"exact": PLAIN}},
        {"header": {"key": "Cookie", "value": PLAIN}},
        {"set": {"authorization": PLAIN}},
        {"set": [{"name": "X-Backend-Token", "value": PLAIN}]},
        {"headers": [{"name": "X-Secret-Header", "value": PLAIN, "type": "Exact"}]},
        {"header": {"key": "x-backend-token", "value": PLAIN}},
        {"header": {"key": "x-backend-token", "raw_value": base64.b64encode(PLAIN.encode()).decode()}},
        {"name": "x-backend-token", "stringMatch": {"exact": PLAIN}},
        {"name": "x-backend-token", "string_match": {"safe_regex": {"regex": PLAIN}}},
        {"header": "x-backend-token", "value": PLAIN},
        {"input": {"name": "i", "typed_config": {"header_name": "x-backend-token"}}, "value_match": {"exact": PLAIN}},
        {
            "input": {"name": "i", "typedConfig": {"headerName": "cookie"}},
            "valueMatch": {"safeRegex": {"regex": PLAIN}},
        },
        {"key": "DB_PASSWORD", "value": {"stringValue": PLAIN}},
        {"password": PLAIN},
        {"clientSecret": PLAIN},
        {"list": [{"accessToken": PLAIN}]},
    ],
)
def test_fields_that_hold_credentials_by_their_name_are_blanked(value: object) -> None:
    cleaned = json.dumps(Scrubber().clean(value))
    assert PLAIN not in cleaned
    assert base64.b64encode(PLAIN.encode()).decode() not in cleaned


def test_names_stay() -> None:
    value = {
        "secret": {"name": "keys", "key": "a"},
        "secretName": "keys",
        "tokenEndpoint": "https://issuer.example/token",
        "header": "x-api-key",
        "hosts": ["shop.example.com"],
        "routes": [{"name": "shop/token-route", "match": {"prefix": "/token"}, "route": {"cluster": "shop/token"}}],
        "requestHeaders": {"set": [{"name": "x-tenant", "value": "acme"}], "remove": ["x-backend-token"]},
        "match": {"input": {"typed_config": {"header_name": "x-tenant"}}, "value_match": {"exact": "acme"}},
        "filters": [{"name": "secret-filter", "typed_config": {"stat_prefix": "in"}}],
        "message": "Secret shop/keys was not found.",
        "count": 7,
    }
    assert Scrubber().clean(value) == value


def test_a_secret_that_repeats_a_name_does_not_take_the_name_out() -> None:
    scrubber = Scrubber()
    scrubber.learn("bookshop")
    scrubber.spare("bookshop")
    assert scrubber.scrub("Route bookshop/books") == "Route bookshop/books"


def test_of_a_secret_only_names_stay() -> None:
    document = {
        "kind": "Secret",
        "metadata": {
            "name": "keys",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLAIN, "note": PLAIN},
            "managedFields": [{"x": 1}],
        },
        "data": {"a": PLAIN},
        "stringData": {"b": "short"},
    }
    assert Scrubber().clean_document(document) == {
        "kind": "Secret",
        "metadata": {"name": "keys", "annotations": {"note": REDACTED}},
        "data": {"a": REDACTED},
        "stringData": {"b": REDACTED},
    }


@pytest.mark.parametrize("kind", ["secret", "SECRET", " Secret "])
def test_a_secret_is_one_however_its_kind_is_written(kind: str) -> None:
    document = {"kind": kind, "data": {"a": base64.b64encode(PLAIN.encode()).decode()}, "stringdata": {"b": PLANTED}}
    assert Scrubber().clean_document(document) == {
        "kind": kind,
        "data": {"a": REDACTED},
        "stringdata": {"b": REDACTED},
    }
    scrubber = Scrubber()
    scrubber.learn_document(document)
    assert scrubber.scrub(f"{PLAIN} {PLANTED}") == f"{REDACTED} {REDACTED}"


@pytest.mark.parametrize(
    "data", [[PLAIN], PLAIN, {"a": [PLAIN]}, {"a": {"b": PLAIN}}], ids=["list", "text", "texts", "deeper"]
)
def test_of_a_secret_with_data_of_another_form_nothing_stays(data: object) -> None:
    document = {"kind": "Secret", "metadata": {"name": "a", "annotations": [PLAIN]}, "stringData": data}
    scrubber = Scrubber()
    scrubber.learn_document(document)
    assert scrubber.scrub(PLAIN) == REDACTED
    assert PLAIN not in json.dumps(Scrubber().clean_document(document))
    assert PLAIN not in json.dumps(Scrubber().clean_document({"kind": "Secret", "metadata": [data]}))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = dict.fromkeys(("metadata", "data", "stringData", "spec", "annotations"), VALUES)


@given(st.fixed_dictionaries({}, optional={**FIELDS, "kind": st.just("Secret") | VALUES}))
def test_whatever_a_document_is_it_can_be_cleaned(document: dict[str, Any]) -> None:
    scrubber = Scrubber()
    for nested in (document, {**document, "metadata": document}):
        scrubber.learn_document(nested)
        scrubber.clean_document(nested)


@pytest.mark.parametrize("text", ["[" * 100_000, json.dumps({"a": f"\ud800{PLAIN}"})], ids=["deep", "half"])
def test_a_secret_that_is_strange_json_is_known_as_a_text(text: str) -> None:
    scrubber = Scrubber()
    scrubber.learn(text)
    assert scrubber.scrub(text) == REDACTED


def test_of_the_binary_data_of_a_config_map_only_names_stay() -> None:
    encoded = base64.b64encode(f"password: {PLAIN}".encode()).decode()
    document = {"kind": "ConfigMap", "data": {"a": "b"}, "binaryData": {"c": encoded}}
    assert Scrubber().clean_document(document) == {**document, "binaryData": {"c": REDACTED}}


def test_what_kubectl_remembers_of_an_object_goes() -> None:
    remembered = {"kubectl.kubernetes.io/last-applied-configuration": "everything"}
    document = {"kind": "Route", "metadata": {"name": "a", "annotations": remembered}}
    assert Scrubber().clean_document(document) == {"kind": "Route", "metadata": {"name": "a"}}
