"""What a planted defect does is noticed, and ends with the process it was planted in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mutation import report
from mutation.__main__ import draw
from mutation.covering import Coverage, Ran
from mutation.mutant import Mutant
from mutation.operators import find_mutants
from mutation.pool import End, run_forked
from mutation.report import Tally, place_of, read_equivalents, write_report
from mutation.trial import Verdict, _Functions, _same_shape
from support.eventually import eventually
from support.processes import is_running
from support.repository import PACKAGES, ROOT, python_sources

BUCKETS = "dataplane/pipeline/src/fastforward_pipeline/buckets.py"
RAN = {
    "property": Ran(seconds=0.0, is_property=True, lines={"a.py": [2]}),
    "quick": Ran(seconds=0.1, is_property=False, lines={"a.py": [1, 2]}),
    "slow": Ran(seconds=9.0, is_property=False, lines={"a.py": [2]}),
    "other": Ran(seconds=0.2, is_property=False, lines={"b.py": [2]}),
}


def mutants_of(path: str) -> list[Mutant]:
    return find_mutants(path, (ROOT / path).read_bytes())


def mutant_of(path: str, after: str) -> Mutant:
    return next(mutant for mutant in mutants_of(path) if mutant.diff()[1] == after)


def test_a_child_answers_or_raises_or_is_cut_off() -> None:
    def work(task: str) -> str:
        if task == "raise":
            raise LookupError(task)
        while task == "spin":
            pass
        return task.upper()

    ends = {end.task: end for end in run_forked(["say", "raise", "spin"], work, jobs=2, cpu_seconds=lambda _: 0.0)}
    assert ends["say"] == End(task="say", value="SAY")
    assert "LookupError" in ends["raise"].error
    assert ends["spin"].cut


def test_what_a_child_breaks_ends_with_it() -> None:
    here = ["whole"]
    assert [end.cut for end in run_forked([1], lambda _: here.clear(), jobs=1)] == [False]
    assert here == ["whole"]


def test_a_function_that_is_there_already_gets_the_new_code() -> None:
    from fastforward_pipeline import TokenBuckets  # noqa: PLC0415  # it must be there before

    mutant = mutant_of(BUCKETS, "return None")
    functions = _Functions()
    assert _same_shape(mutant)

    def size(changed: bool) -> int | None:
        if changed:
            functions.change(mutant)
        return TokenBuckets().size

    assert {end.task: end.value for end in run_forked([False, True], size, jobs=1)} == {False: 0, True: None}


FRESH_IMPORTS = """
import json
from mutation.operators import find_mutants
from mutation.trial import _attempt_cold
from mutation.pool import run_forked
from support.eventually import eventually
from support.processes import is_running
from support.repository import ROOT

path, test = "{path}", "{test}"
found = find_mutants(path, (ROOT / path).read_bytes())
mutant = next(mutant for mutant in found if mutant.diff()[1] == "_ROUNDING = 1.000000001")
assert mutant.function is None
ends = run_forked([None, mutant], lambda mutant: _attempt_cold(mutant, [test]), jobs=1)
print(json.dumps([end.value for end in ends]))
"""


def test_what_runs_when_a_module_is_imported_is_noticed_only_where_it_is_broken() -> None:
    test = "tests/unit/pipeline/test_buckets.py::test_a_bucket_begins_full_and_gains_evenly"
    code = FRESH_IMPORTS.format(path=BUCKETS, test=test)
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", check=True, capture_output=True, text=True)
    assert json.loads(ran.stdout.splitlines()[-1]) == [None, test]


def test_the_same_seed_draws_the_same_sample() -> None:
    mutants = {"package": mutants_of(BUCKETS)}
    assert draw(mutants, 5, seed=1) == draw(mutants, 5, seed=1) != draw(mutants, 5, seed=2)
    assert len(draw(mutants, 0, seed=1)["package"]) == len(mutants["package"])


def test_tests_that_run_a_line_come_quick_ones_first_and_properties_last() -> None:
    covered = Coverage(RAN, {"a.py": frozenset({7})})
    assert covered.tests_of("a.py", [2]) == ["quick", "slow", "property"]
    assert covered.tests_of("a.py", [1]) == ["quick"]
    assert covered.within(["quick", "slow"], 5.0) == ["quick"]
    assert covered.within(["slow", "quick"], 5.0) == ["slow"]


def test_a_function_that_runs_at_import_is_known() -> None:
    covered = Coverage(RAN, {"a.py": frozenset({7})})
    assert covered.runs_at_import("a.py", range(6, 8))
    assert not covered.runs_at_import("a.py", range(8, 9))
    assert not covered.runs_at_import("b.py", [7])


@pytest.mark.parametrize(("killed", "enough"), [(4, True), (3, False)])
def test_four_of_five_are_wanted(killed: int, enough: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "REPORT", tmp_path / "mutation.json")
    tally = Tally(package="dataplane/pipeline")
    for index, mutant in enumerate(mutants_of(BUCKETS)[:5]):
        tally.add(Verdict(mutant=mutant, noticed_by="test" if index < killed else ""))
    assert write_report([tally], seed=1, equivalent=0) is enough
    written = json.loads((tmp_path / "mutation.json").read_text(encoding="utf-8"))["packages"][0]
    assert (written["killed"], len(written["survivors"])) == (killed, 5 - killed)


def test_what_is_listed_as_equivalent_is_there_and_has_a_reason() -> None:
    listed = read_equivalents()
    pure = [path for package in PACKAGES if package.pure for path in python_sources(package)]
    named = {module for module, _, _ in listed}
    there = {
        place_of(mutant)
        for path in pure
        if (name := str(path.relative_to(ROOT))) in named
        for mutant in mutants_of(name)
    }
    assert [place for place in listed if place not in there] == []
    assert all(reason.endswith(".") for reason in listed.values())


async def test_what_a_child_leaves_running_ends_with_it() -> None:
    def leave(_: int) -> int:
        return subprocess.Popen(["sleep", "600"]).pid

    def nested(_: int) -> list[int]:
        return [end.value for end in run_forked([1, 2], leave, jobs=2, nested=True)]

    (end,) = run_forked([0], nested, jobs=1)
    assert len(end.value) == 2
    await eventually(lambda: not any(map(is_running, end.value)))
