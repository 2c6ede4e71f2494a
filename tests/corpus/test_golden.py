"""Every case of the corpus yields what is pinned beside it."""

from __future__ import annotations

import itertools

import pytest
from fastforward_compiler import Compiler, object_ref
from fastforward_compiler.problem import Reason

from support.golden import CORPUS, OUTPUTS, Case, cases, compile_case, orphans, render

CASES = cases()
NOUNS = (
    "authpolicy",
    "backendtlspolicy",
    "edge",
    "eventhook",
    "gateway",
    "grpcroute",
    "httproute",
    "ratelimit",
    "reference",
    "route",
    "schema",
    "service",
    "shard",
    "table",
    "tenant",
    "upstream",
    "workload",
)
TOLD_BY_PROVIDERS = frozenset({Reason.DUPLICATE})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_outputs_are_those_pinned(case: Case) -> None:
    for name, text in render(compile_case(case)).items():
        assert text == (case.folder / name).read_text(encoding="utf-8"), f"{case.name}/{name}; see make golden"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_objects_that_come_one_by_one_end_the_same(case: Case) -> None:
    expected = compile_case(case)
    compiler = Compiler()
    before = {object_ref(value): value for value in case.objects("before.yaml")}
    compiler.apply(before)
    compiler.apply(dict.fromkeys(before.keys() - set(map(object_ref, case.objects()))))
    fetched = {url: text.encode() for document in case.documents("fetched.yaml") for url, text in document.items()}
    compiler.apply({}, fetched, case.at)
    for value in reversed(case.objects()):
        compiler.apply({object_ref(value): value})
    assert compiler.snapshot() == expected.snapshot
    assert compiler.reports() == expected.reports


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_holds_no_more_than_its_inputs_and_pins(case: Case) -> None:
    assert list(orphans(case)) == []
    assert "status" in case.pins
    assert set(case.pins) <= OUTPUTS.keys()


def test_every_noun_has_cases() -> None:
    by_noun = {noun: list(found) for noun, found in itertools.groupby(CASES, lambda case: case.folder.parent.name)}
    assert by_noun.keys() == set(NOUNS)
    assert min(map(len, by_noun.values())) >= 2
    assert len(CASES) >= 40


def test_titles_differ() -> None:
    assert len({case.title for case in CASES}) == len(CASES)


def test_every_reason_has_a_case() -> None:
    said = "".join(path.read_text(encoding="utf-8") for path in CORPUS.glob("*/*/status.yaml"))
    assert [reason for reason in Reason if f" {reason} at " not in said and reason not in TOLD_BY_PROVIDERS] == []
