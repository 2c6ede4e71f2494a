"""The canonical form of content: the same content is the same bytes, and what is none goes no further."""

from __future__ import annotations

import json

import pytest
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.message.content import MAX_DEPTH, canonical
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def made(body: bytes, media_type: str = "application/json") -> bytes:
    content = canonical(media_type, body)
    assert not isinstance(content, Refusal), content
    return content.body


@given(JSON)
def test_the_same_content_is_the_same_bytes_and_means_what_it_did(value: object) -> None:
    try:
        written = [json.dumps(value, ensure_ascii=True, indent=2), json.dumps(value, ensure_ascii=False)]
        forms = {made(text.encode()) for text in written}
    except UnicodeEncodeError:
        return  # a lone surrogate: no UTF-8 has it
    assert len(forms) == 1
    form = forms.pop()
    assert json.loads(form) == value
    assert made(form) == form


@given(st.binary(max_size=60))
def test_any_bytes_are_content_or_refused(body: bytes) -> None:
    outcome = canonical("application/json", body)
    if not isinstance(outcome, Refusal) and body:
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
        ("application/json; charset=utf-16", False),
        ("application/json; charset=latin1", False),
    ],
)
def test_json_is_utf_8_whatever_the_type_says(media_type: str, accepted: bool) -> None:
    assert isinstance(canonical(media_type, b"{}"), Refusal) != accepted


def test_other_content_stays_as_it_is() -> None:
    assert made(b"\x00\xff{", "application/x-protobuf") == b"\x00\xff{"


def test_no_content_has_no_type() -> None:
    content = canonical("application/json", b"")
    assert not isinstance(content, Refusal)
    assert (content.body, content.media_type) == (b"", "")
