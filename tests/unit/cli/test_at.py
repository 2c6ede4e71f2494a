"""Commands that compile resources do so for any time, with `--at`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.ff import ff
from support.resources import Document, edge, route, rule, upstream

BEFORE, THEN = "2026-12-24T17:59:59Z", "2026-12-24T19:00:00+01:00"


def shop(says: str = "Back at noon.") -> list[Document]:
    closed = {**rule(says=says), "name": "closed", "schedule": {"from": "2026-12-24T18:00:00Z"}}
    return [edge(8080), upstream("shop", 9001), route("shop", closed, {**rule(to="shop"), "name": "open"})]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "shop", shop())


def written(folder: Path, documents: list[Document]) -> Path:
    folder.mkdir()
    for place, document in enumerate(documents):
        (folder / f"{place}.json").write_text(json.dumps(document))
    return folder


def test_a_request_is_explained_as_of_then(folder: Path) -> None:
    url = "http://example.com/"
    told = {
        at: ff("explain", "request", "GET", url, "--from", folder, "--at", at, "-o", "json").json
        for at in (BEFORE, THEN)
    }
    assert {at: said["rule"] for at, said in told.items()} == {BEFORE: "open", THEN: "closed"}


def test_a_route_tells_when_its_rules_hold(folder: Path) -> None:
    said = ff("explain", "route", "shop", "--from", folder, "--at", THEN)
    assert "  holds from 2026-12-24T18:00:00Z\n" in said.out
    assert "closed" not in ff("explain", "route", "shop", "--from", folder, "--at", BEFORE).out


def test_configuration_is_rendered_as_of_then(folder: Path) -> None:
    made = {at: ff("render", folder, "--at", at, "-o", "json").out for at in (BEFORE, THEN)}
    assert {at: "Back at noon." in text for at, text in made.items()} == {BEFORE: False, THEN: True}


def test_differences_are_those_of_then(folder: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other", shop("closed for good"))
    assert [ff("diff", folder, other, "--at", at).code for at in (BEFORE, THEN)] == [0, 1]


def test_tests_of_routes_have_a_time_each(folder: Path) -> None:
    case = 'name: {rule}\n    at: "{at}"\n    request: {{url: http://example.com/}}\n    expect: {{rule: {rule}}}\n'
    cases = "".join(f"  - {case.format(rule=rule, at=at)}" for rule, at in (("open", BEFORE), ("closed", THEN)))
    (folder / "hours.test.yaml").write_text(f"tests:\n{cases}")
    said = ff("test", folder)
    assert (said.code, "2 tests, none failed." in said.out) == (0, True), said.out


def test_what_is_no_time_is_one_sentence(folder: Path) -> None:
    said = ff("render", folder, "--at", "noon")
    assert (said.code, said.out) == (1, "")
    assert said.err == "--at 'noon' is no point in time: write it as 2026-12-24T18:00:00Z.\n"


def test_a_time_without_offset_is_in_utc(folder: Path) -> None:
    assert "Back at noon." in ff("render", folder, "--at", "2026-12-24T18:00:00", "-o", "json").out


def test_a_running_operator_tells_of_now_alone() -> None:
    said = ff("explain", "request", "GET", "http://example.com/", "--at", THEN)
    assert said.code == 1
    assert said.err == "A running operator tells of now alone: with --at, name a directory with --from.\n"
