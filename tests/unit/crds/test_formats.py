"""How texts are written: patterns that RE2 and pydantic read alike, durations with bounds."""

from __future__ import annotations

from typing import Annotated

import pytest
import re2
from cel import cel  # the engine: the package's own __init__.py may be that of xds-protos
from fastforward_crds import milliseconds
from fastforward_crds.durations import Duration, Within
from fastforward_crds.formats import DURATION, FORMATS, HOST, Format
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

PERIOD = Within("1ms", "5s")


def accepts(adapter: TypeAdapter[str], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_format_accepts_its_example_and_nothing_longer_than_it_says(form: Format) -> None:
    assert accepts(TypeAdapter(Annotated[str, form]), form.example)
    assert not accepts(TypeAdapter(Annotated[str, form]), "a" * (form.max_length + 1))
    assert not accepts(TypeAdapter(Annotated[str, form]), form.example + "\n")


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@settings(deadline=None)
@given(data=st.data())
def test_re2_and_pydantic_agree_on_the_pattern(form: Format, data: st.DataObject) -> None:
    fitting = st.from_regex(form.pattern.removesuffix("$") + r"\Z")
    text = data.draw(fitting | fitting.map(lambda text: text[:-1]) | st.text(max_size=8) | st.just("a\n"))
    if len(text) <= form.max_length:
        assert accepts(TypeAdapter(Annotated[str, form]), text) is (re2.search(form.pattern, text) is not None)


def test_formats_differ_in_name() -> None:
    assert len({form.name for form in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("a", True),
        ("*.a", True),
        ("*", True),
        ("a.*", False),
        ("*a", False),
        ("A", False),
        ("a:80", False),
        ("a.", False),
        (".a", False),
        ("", False),
        ("a_b", False),
        ("a" * 63, True),
        ("a" * 64, False),
    ],
)
def test_hosts(host: str, fits: bool) -> None:
    assert accepts(TypeAdapter(Annotated[str, HOST]), host) is fits


@pytest.mark.parametrize(
    ("text", "length"),
    [("0s", 0), ("250ms", 250), ("10s", 10_000), ("1m30s", 90_000), ("1h1m1s1ms", 3_661_001), ("1m1m", 120_000)],
)
def test_a_duration_has_its_length(text: str, length: int) -> None:
    assert milliseconds(text) == length


@pytest.mark.parametrize("text", ["", "5", "-1s", "1.5s", "1d", "1s ", "1h1h1h1h1h", "123456s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    assert not accepts(TypeAdapter(Duration), text)


@pytest.mark.parametrize(
    ("text", "fits"), [("0s", False), ("1ms", True), ("5s", True), ("5000ms", True), ("5001ms", False)]
)
def test_a_duration_keeps_its_bounds_in_python_and_in_cel(text: str, fits: bool) -> None:
    assert accepts(TypeAdapter(Annotated[str, DURATION, PERIOD]), text) is fits
    assert cel.evaluate(PERIOD.expression, {"self": text}) is fits


@settings(deadline=None)
@given(st.from_regex(DURATION.pattern.removesuffix("$") + r"\Z"))
def test_every_duration_fits_the_wire(text: str) -> None:
    assert not accepts(TypeAdapter(Duration), text) or milliseconds(text) < 1 << 32
