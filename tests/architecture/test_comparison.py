"""The comparison with other gateways says yes of us only where a test shows it."""

import re

import pytest

from support.repository import ROOT

PAGE = ROOT / "docs" / "comparison.md"
HEAD = "| Capability | FastForward |"
VERDICTS = ("yes", "paid", "part", "\N{EN DASH}")


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith(HEAD)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_there_is_a_row_for_every_capability_once() -> None:
    names = [row[0] for row in rows()]
    assert len(names) > 50
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_what_is_said_is_a_verdict_and_ours_names_a_test_that_is_there(row: list[str]) -> None:
    ours, *theirs = row[1:]
    assert len(theirs) == 4
    assert all(cell.split(":")[0] in VERDICTS for cell in theirs), theirs
    if ours == "no":
        return
    assert re.match("(yes|part): ", ours), ours
    named = re.findall(r"`(tests/[^`]+)`", ours)
    assert named or "](performance.md)" in ours, ours
    assert all((ROOT / path).is_file() and "def test_" in (ROOT / path).read_text() for path in named), named
