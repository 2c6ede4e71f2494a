"""The canonical form of content: the same content is the same bytes, and what is none goes no further."""

from __future__ import annotations

import json

import pytest
from fastforward_pipeline.compiled.jsonschema import compile_json_schema
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.message.content import MAX_DEPTH, Broken, Content, canonical, judge
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def made(body: bytes, media_type: str = "application/json") -> bytes:
    content = canonical(media_type, body)
    assert isinstance(content, Content), content
    return content.body


def same(left: object, right: object) -> bool:
    """Whether two values are equal, but for digits that a double does not hold."""
    match left, right:
        case list(), list():
            return len(left) == len(right) and all(map(same, left, right))
        case dict(), dict():
            return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
        case float() | int(), float():
            return float(left) == right
    return left == right


@given(JSON)
def test_the_same_content_is_the_same_bytes_and_means_what_it_did(value: object) -> None:
    try:
        written = [json.dumps(value, ensure_ascii=True, indent=2), json.dumps(value, ensure_ascii=False)]
        forms = {made(text.encode()) for text in written}
    except UnicodeEncodeError:
        return  # a lone surrogate: no UTF-8 has it
    assert len(forms) == 1
    form = forms.pop()
    assert same(json.loads(form), value)
    assert made(form) == form


@given(st.binary(max_size=60))
def test_any_bytes_are_content_or_refused(body: bytes) -> None:
    outcome = canonical("application/json", body)
    if isinstance(outcome, Content) and body:
        json.loads(outcome.body)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a":1,"a":2}',
        b"NaN",
        b"Infinity",
        b"1e999",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        pytest.param(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), id="deep"),
        pytest.param(b"[" * 100_000, id="very deep"),
        b"9" * 10_000,
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_what_is_no_strict_json_is_refused(body: bytes) -> None:
    assert isinstance(canonical("application/json", body), Refusal)


@pytest.mark.parametrize(
    ("media_type", "accepted"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json; charset="utf-8"', True),
        ("application/merge-patch+json", True),
        ("application/json; odata.metadata=minimal", True),
        ('application/ld+json; profile="http://example.com/a"; charset=utf-8', True),
        ("application/json; x=1; Charset = latin1", False),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=latin1", False),
    ],
)
def test_json_is_utf_8_whatever_the_type_says(media_type: str, accepted: bool) -> None:
    assert isinstance(canonical(media_type, b"{}"), Refusal) != accepted


@pytest.mark.parametrize(
    ("written", "form"),
    [
        # RFC 8785, appendix B.
        ("0.0", "0"),
        ("-0.0", "0"),
        ("5e-324", "5e-324"),
        ("-1.7976931348623157e308", "-1.7976931348623157e+308"),
        ("9007199254740992", "9007199254740992"),
        ("295147905179352830000.0", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("1E23", "1e+23"),
        ("999999999999999700000.0", "999999999999999700000"),
        ("1e21", "1e+21"),
        ("9.999999999999997e-7", "9.999999999999997e-7"),
        ("0.000001", "0.000001"),
        ("333333333.3333332", "333333333.3333332"),
        ("-0.0000033333333333333333", "-0.0000033333333333333333"),
        ("1424953923781206.2", "1424953923781206.2"),
        ("12.50", "12.5"),
        ("2.0", "2"),
        ("1e2", "100"),
        # Integers keep what a double would lose.
        ("12345678901234567890123", "12345678901234567890123"),
    ],
)
def test_numbers_are_written_as_rfc_8785_has_them(written: str, form: str) -> None:
    assert made(f'{{"n":[{written}]}}'.encode()) == f'{{"n":[{form}]}}'.encode()


@pytest.mark.parametrize("number", [b"1" + b"0" * 309, b"1e400", b"-1e400", b"1" + b"0" * 400 + b".5"])
def test_a_number_that_no_double_holds_is_refused_whatever_the_schema_asks_for(number: bytes) -> None:
    bounded = compile_json_schema(b'{"properties": {"amount": {"maximum": 100}}}', 0)
    assert bounded is not None
    body = b'{"amount":' + number + b"}"
    assert isinstance(canonical("application/json", body), Refusal)
    assert isinstance(judge("application/json", body, bounded), Refusal)
    assert isinstance(judge("application/json", b'{"amount":1e300}', bounded), Broken)


def test_keys_are_ordered_by_utf_16() -> None:
    assert made('{"\ufb33":1,"\U0001f600":2,"a":3}'.encode()) == '{"a":3,"\U0001f600":2,"\ufb33":1}'.encode()


def test_other_content_stays_as_it_is() -> None:
    assert made(b"\x00\xff{", "application/x-protobuf") == b"\x00\xff{"
    kept = canonical("multipart/form-data; boundary=AbC", b"--AbC--")
    assert isinstance(kept, Content)
    assert kept.media_type == "multipart/form-data; boundary=AbC"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Application/FHIR+json; charset=UTF-8; fhirVersion=4.0", "application/fhir+json; fhirVersion=4.0"),
        ("application/json ; charset=utf-8", "application/json"),
        ("application/json; charset=utf-8; ", "application/json"),
    ],
)
def test_json_keeps_the_parameters_that_its_type_has_a_use_for(said: str, kept: str) -> None:
    content = canonical(said, b"{}")
    assert isinstance(content, Content)
    assert content.media_type == kept


def test_no_content_has_no_type() -> None:
    content = canonical("application/json", b"")
    assert isinstance(content, Content)
    assert (content.body, content.media_type) == (b"", "")
