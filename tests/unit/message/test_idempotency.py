"""How idempotency keys are written, and what the keys of parts are made of."""

from __future__ import annotations

import re

import pytest
from fastforward_pipeline.idempotency import MAX_KEY, PATTERN, derive_key, read_key
from hypothesis import given
from hypothesis import strategies as st

_VISIBLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\')


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"k-1"', "k-1"),
        ('"a, b"', "a, b"),
        ("k" * MAX_KEY, "k" * MAX_KEY),
        ("k" * (MAX_KEY + 1), ""),
        ("", ""),
        ('""', ""),
        ('"k', ""),
        ('k"', ""),
        ("k,l", ""),
        ("k l", ""),
        ("k\\l", ""),
        ("k\n", ""),
        ("\u00e9", ""),
    ],
)
def test_a_key_is_a_word_or_a_quoted_string(written: str, key: str) -> None:
    assert read_key(written) == key
    assert bool(re.fullmatch(PATTERN, written)) == bool(key)


@given(st.text(_VISIBLE, min_size=1, max_size=MAX_KEY), st.sampled_from(["2", "stock", "a/b"]))
def test_the_key_of_a_part_is_a_key_of_its_own(key: str, part: str) -> None:
    quoted = f'"{key}"'
    derived = derive_key(quoted, part)
    assert read_key(derived) not in {"", key}
    assert derived == derive_key(quoted, part) != derive_key(quoted, f"{part}x")
    if read_key(key) and len(key) + len(part) < MAX_KEY:
        assert read_key(derive_key(key, part)) == read_key(derived)


@given(st.text(max_size=300))
def test_what_is_no_key_stays_none_in_its_parts(written: str) -> None:
    assert bool(read_key(derive_key(written, "2"))) == bool(read_key(written))
