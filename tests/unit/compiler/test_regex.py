"""Expressions that stand inside others match the same texts there."""

from __future__ import annotations

import random

import pytest
import re2
from fastforward_compiler.regex import fault_inside, inside

PARTS = (
    *("a", "b", "/", "a", "b", "/", ".", "[ab$^]", r"\$", r"\b"),
    *("^", "$", r"\A", r"\z", "(", "(?:", "(?i:", ")", "|", "?", "*", "+", "{2}", "(?i)", r"\Qa$", r"\E"),
)
OPTIONS = re2.Options()
OPTIONS.log_errors = False


def generated(rng: random.Random) -> list[str]:
    """Expressions that RE2 takes."""
    made = []
    while len(made) < 3000:
        text = "".join(rng.choices(PARTS, k=rng.randint(1, 9)))
        try:
            re2.compile(text, OPTIONS)
        except re2.error:
            continue
        made.append(text)
    return made


def test_it_matches_what_it_matches_alone() -> None:
    rng = random.Random(1)
    texts = ["", *("".join(rng.choices("ab/$^", k=rng.randint(1, 5))) for _ in range(60))]
    taken = [each for each in generated(rng) if not fault_inside(each)]
    assert len(taken) > 1000
    for expression in taken:
        alone = re2.compile(expression, OPTIONS)
        within = re2.compile(f"=(?:{inside(expression)})/", OPTIONS)
        for text in texts:
            matched = alone.fullmatch(text) is not None
            assert (within.fullmatch(f"={text}/") is not None) is matched, (expression, inside(expression), text)


@pytest.mark.parametrize(
    ("expression", "made"),
    [
        ("/a[^$]", "/a[^$]"),
        ("^/a$|^/b$", "(?:)/a(?:)|(?:)/b(?:)"),
        ("/(a$|b)", "/(a(?:)|b)"),
        (r"/\$\z", r"/\$(?:)"),
        (r"/\Qa.b", r"/a\.b"),
    ],
)
def test_anchors_at_the_ends_ask_for_nothing_and_quotes_are_closed(expression: str, made: str) -> None:
    assert (inside(expression), fault_inside(expression)) == (made, "")


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("/a$b", "$ stands elsewhere than at its end"),
        (r"/a\z/b", r"\z stands elsewhere than at its end"),
        ("/(a$)*", "$ stands elsewhere than at its end"),
        ("/a^b", "^ stands elsewhere than at its beginning"),
        ("/(?:a|^b)", "^ stands elsewhere than at its beginning"),
    ],
)
def test_anchors_elsewhere_are_told(expression: str, fault: str) -> None:
    assert fault_inside(expression) == fault
