"""The page of what failures do says what the figures say, and gives reasons for shortfalls alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from perf import reliability

from support.faults.figures import Figures, requests, smaller
from support.repository import ROOT

WHY = reliability.FAULTS["operator-killed"].why


def taken(folder: Path, monkeypatch: pytest.MonkeyPatch, *, holds: bool, note: str = "", busy: str = "") -> str:
    """The page after a test told this of an operator that is killed."""
    monkeypatch.setenv("FF_FIGURES", str(folder))
    Figures().put("operator-killed", {"points": "3"}, holds=holds, note=note)
    before: dict[str, Any] = {"operator-killed": {"holds": False, "note": "from before", "taken": {"beside": ""}}}
    return reliability.page(reliability.gather(folder, before, busy))


def test_the_page_is_made_from_the_figures() -> None:
    faults = json.loads((ROOT / "docs/performance/reliability.json").read_text())["faults"]
    assert (ROOT / "docs/operations/reliability.md").read_text() == reliability.page(faults)


def test_why_a_promise_does_not_hold_is_told_while_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert WHY in taken(tmp_path, monkeypatch, holds=False)
    assert WHY not in taken(tmp_path, monkeypatch, holds=True)


def test_a_note_goes_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Of three writes." in taken(tmp_path, monkeypatch, holds=True, note="Of three writes.")
    page = taken(tmp_path, monkeypatch, holds=True)
    assert "Of three writes." not in page
    assert "from before" not in page


def test_what_ran_beside_is_told_of_each_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "| yes |" in taken(tmp_path, monkeypatch, holds=True)
    assert "| yes \\* |" in taken(tmp_path, monkeypatch, holds=True, busy="other work ran on the machine")


def test_a_smaller_test_says_so() -> None:
    assert smaller(10, 10, "routes") == ""
    assert smaller(1000, 10_000, "routes") == "1,000 routes instead of 10,000."


def test_failed_requests_are_counted_and_not_their_kinds() -> None:
    assert requests([{"requests": 5, "failed": {"503 ": 2, "0 ": 1}}, {"requests": 1, "failed": {}}]) == "6, failed: 3"
