"""Text of files to plain values: bounds, neighbours, lines."""

import contextlib
import json

import pytest
from fastforward_operator.providers.document import (
    MAX_DEPTH,
    Chunk,
    DocumentError,
    decode_document,
    locate_field,
    split_documents,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def decode(text: str | bytes, *, as_json: bool = False) -> object:
    content = text.encode() if isinstance(text, str) else text
    return decode_document(Chunk(text=content, line=1, json=as_json))


def error_of(text: str | bytes, *, as_json: bool = False) -> tuple[str, int]:
    with pytest.raises(DocumentError) as caught:
        decode(text, as_json=as_json)
    return caught.value.message, caught.value.line


def test_documents_are_split_at_separators_and_know_their_lines() -> None:
    content = b"# comment\n---\na: 1\n--- # second\nb: 2\n---\n# nothing\n---\nc: '---'\n"
    chunks = list(split_documents(content, as_json=False))
    assert [decode_document(chunk) for chunk in chunks] == [{"a": 1}, {"b": 2}, {"c": "---"}]
    assert [chunk.line for chunk in chunks] == [2, 4, 8]


def test_a_separator_inside_a_block_of_text_does_not_split() -> None:
    (chunk,) = split_documents(b"text: |\n  ---\n  x\n", as_json=False)
    assert decode_document(chunk) == {"text": "---\nx\n"}


def test_a_byte_order_mark_and_windows_line_ends_are_no_content() -> None:
    chunks = list(split_documents(b"\xef\xbb\xbfa: 1\r\n---\r\nb: 2\r\n", as_json=False))
    assert [decode_document(chunk) for chunk in chunks] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-17", -17),
        ("0x1f", 31),
        ("0o17", 15),
        ("017", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("yes", True),
        ("Off", False),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ('"yes"', "yes"),
        ("!!str 1", "1"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("22:22", "22:22"),
        ("1_000", "1_000"),
        ("10s", "10s"),
        ("99999999999999999999999999", "99999999999999999999999999"),
    ],
)
def test_plain_words_mean_what_they_mean_to_kubernetes(text: str, value: object) -> None:
    assert decode(f"a: {text}") == {"a": value}


def test_keys_are_words_whatever_they_look_like() -> None:
    assert decode("1: a\nyes: b\n~: c\n") == {"1": "a", "true": "b", "null": "c"}


def test_anchors_and_merge_keys_work() -> None:
    text = "base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\nlist: [*b]\n"
    assert decode(text) == {"base": {"x": 1, "y": 2}, "other": {"x": 1, "y": 3}, "list": [{"x": 1, "y": 2}]}


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\na: 2\n", "Key a is given twice.", 2),
        ("a: [1, 2\nb: 3\n", "Not YAML: ", 2),
        ("a:\n\tb: 1\n", "Not YAML: ", 2),
        ("a: 1\nb: *nothing\n", "Alias *nothing names nothing", 2),
        ("a: &a [*a]\n", "Alias *a names nothing that is complete", 1),
        ("a: !!python/object:os.system x\n", "Tag tag:yaml.org,2002:python/object:os.system is not known.", 1),
        ("? {a: 1}\n: b\n", "A key has to be a word.", 1),
        ("a: 1\n...\nb: 2\n", "Not YAML: did not find expected <document start>.", 3),
        ("<<: 1\n", "Only mappings can be merged.", 2),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, message: str, line: int) -> None:
    said, where = error_of(text)
    assert said.startswith(message)
    assert where == line


def test_text_that_is_not_utf8_is_refused_with_its_line() -> None:
    assert error_of(b"a: 1\nb: \xff\n") == ("The text is not UTF-8.", 2)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "&x [", "? "])
def test_deep_nesting_ends_early_instead_of_exhausting_memory(opening: str) -> None:
    message, _ = error_of(opening * 500_000)
    assert "nested deeper" in message or "Not YAML" in message or "A key has to be a word" in message


def test_nesting_counts_what_aliases_bring() -> None:
    lines = ["a0: &a0 x"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, MAX_DEPTH + 2)]
    message, _ = error_of("\n".join(lines))
    assert message == f"The document is nested deeper than {MAX_DEPTH}."


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 x"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    message, line = error_of("\n".join(lines))
    assert "more than 100000 values" in message
    assert line == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "Key a is given twice."),
        ('{"a": NaN}', "NaN is no JSON value."),
        ('{"a": }', "Not JSON: Expecting value."),
        ("[" * 100_000, "The document is nested too deeply."),
        (f'{{"a": {"9" * 5000}}}', "A number is too long."),
    ],
)
def test_json_has_the_same_bounds(text: str, message: str) -> None:
    assert error_of(text, as_json=True)[0] == message


SPEC = b"""# head
---
# more
kind: Route
spec:
  hosts: [a, b]
  rules:
    - name: one
    - name: two
      upstreams:
        - {name: x, weight: 1}
        - name: y
          weight: 2
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("kind", 4),
        ("spec.hosts", 6),
        ("spec.hosts[1]", 6),
        ("spec.rules[1]", 9),
        ("spec.rules[1].upstreams[1].weight", 13),
        ("spec.rules[1].upstreams[1].nothing.there[3]", 12),
        ("spec.rules[7]", 7),
        ("", 4),
        ("nothing", 4),
    ],
)
def test_the_line_of_a_field_is_found(field: str, line: int) -> None:
    (chunk,) = split_documents(SPEC, as_json=False)
    assert locate_field(chunk, field) == line


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_an_error(content: bytes) -> None:
    for chunk in (*split_documents(content, as_json=False), *split_documents(content, as_json=True)):
        with contextlib.suppress(DocumentError):
            decode_document(chunk)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_what_json_says_is_what_comes_out(value: object) -> None:
    assert decode(json.dumps(value), as_json=True) == value
