"""What is written as YAML is read as it was: by our own reader, by PyYAML, and by Kubernetes."""

import pytest
import yaml
from fastforward_operator.providers.document import Chunk, decode_document
from fastforward_operator.providers.dump import dump_documents
from hypothesis import given
from hypothesis import strategies as st

LIKE_NUMBERS = ("1e3", "12345e67", "1E-3", "-5e1", "0o17", "0x1F", "12", "1.5", ".5e1", "+1.", "08", "1_0e3", "9" * 25)
LIKE_WORDS = ("", "~", "null", "true", "No", "on", "y", "N", "2001-01-01", "1:30", "<<", "=")
NUMBERS = st.from_regex(r"[-+]?[0-9._]{0,4}[eExo]?[-+]?[0-9a-f]{0,4}", fullmatch=True)
TEXTS = st.one_of(NUMBERS, st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])))


@pytest.mark.parametrize("text", [*LIKE_NUMBERS, *LIKE_WORDS])
def test_a_text_that_looks_like_something_else_is_quoted(text: str) -> None:
    quoted = "'" + text + "'"
    assert dump_documents({"value": text, "list": [text]}) == f"value: {quoted}\nlist:\n- {quoted}\n"


@pytest.mark.parametrize("value", ["plain", "a.b/c", "1.2.3.4", "10Mi", "-x", 5, 1.5, True, None])
def test_what_it_is_goes_without_saying(value: object) -> None:
    assert "'" not in dump_documents({"value": value})


@given(st.dictionaries(TEXTS, st.one_of(TEXTS, st.booleans(), st.none(), st.lists(TEXTS, max_size=3)), max_size=3))
def test_what_is_written_is_what_is_read(value: object) -> None:
    text = dump_documents(value)
    assert decode_document(Chunk(text=text.encode(), line=1)) == value
    assert yaml.safe_load(text) == value


def test_what_occurs_twice_is_written_twice() -> None:
    twice = {"a": [1]}
    assert dump_documents([twice, twice], twice) == "- a:\n  - 1\n- a:\n  - 1\n---\na:\n- 1\n"
