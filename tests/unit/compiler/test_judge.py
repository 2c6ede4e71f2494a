"""A candidate is judged as it would be, and nothing else notices."""

from __future__ import annotations

from random import Random
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, object_ref, trial
from fastforward_compiler.problem import ObjectRef, Problem
from fastforward_compiler.translate.route import ROUTE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import gatewayapi_worlds, worlds
from support.golden import Case, cases
from support.resources import Document, edge, issuers, on, policy, prefix, proven_by, route, rule, tokens_of
from support.worlds import Batch, Object

SLOW = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def everything(compiler: Compiler) -> dict[Any, Any]:
    """All that a compiler holds."""
    cells = compiler._cells
    assert not any(cells._dirty)
    assert not cells._orphans
    assert not cells._before
    return {
        key: (cell.value, {each.key for each in cell.reads}, {each.key for each in cell.readers}, cell.gifts)
        for key, cell in cells._cells.items()
    }


def compiled(batches: list[Batch]) -> Compiler:
    compiler = Compiler()
    for batch in batches:
        compiler.apply(batch)
    return compiler


def problems(compiler: Compiler, ref: ObjectRef) -> tuple[Problem, ...]:
    found = compiler.reports().get(ref)
    return found.problems if found is not None else ()


@SLOW
@given(worlds.histories(), worlds.objects(), st.randoms(use_true_random=False))
def test_a_candidate_is_judged_as_if_it_were_there(history: list[Batch], candidate: Object, random: Random) -> None:
    judge_and_compare(history, candidate, random)


GATEWAYS = worlds.histories(of=gatewayapi_worlds.objects(), on=gatewayapi_worlds.ground)


@settings(SLOW, max_examples=100)
@given(GATEWAYS, gatewayapi_worlds.objects(), st.randoms(use_true_random=False))
def test_a_candidate_beside_gateways_is_judged_as_if_it_were_there(
    history: list[Batch], candidate: Object, random: Random
) -> None:
    judge_and_compare(history, candidate, random)


def judge_and_compare(history: list[Batch], candidate: Object, random: Random) -> None:
    judge, other = compiled(history), compiled(history)
    ref = object_ref(candidate)
    if random.random() < 0.7:
        ref, candidate = random.choice([(r, o) for b in history for r, o in b.items() if o] or [(ref, candidate)])
    held = everything(judge)
    judgement = judge.judge(ref, candidate)
    assert everything(judge) == held
    assert judgement.complete
    assert judgement.before == problems(other, ref)
    other.apply({ref: candidate})
    invalid = [each for each in problems(other, ref) if each.reason == "Invalid"]
    assert list(judgement.problems) == (invalid or list(problems(other, ref)))


@pytest.mark.parametrize("case", cases(), ids=[case.name for case in cases()])
def test_each_object_of_the_corpus_is_judged_as_it_is_when_all_are_there(case: Case) -> None:
    objects = case.objects()
    expected = compiled([{object_ref(each): each for each in objects}])
    for candidate in objects:
        ref = object_ref(candidate)
        compiler = compiled([{object_ref(each): each for each in objects if object_ref(each) != ref}])
        if isinstance(candidate, crds.Resource) and ref.kind in ("Secret", "ConfigMap", "ReferenceGrant"):
            continue
        found = set(problems(expected, ref))
        judged = set(compiler.judge(ref, candidate).problems)
        assert judged == (
            found if isinstance(candidate, crds.Resource) else {x for x in found if x.reason == "Invalid"}
        )


def many(count: int) -> list[Document]:
    return [route(f"r{n}", rule(prefix(f"/{n}"), says="x"), hosts="a.example.com") for n in range(count)]


def apply(compiler: Compiler, *documents: Document) -> None:
    compiler.apply({object_ref(each): each for each in map(crds.parse_resource, documents)})


def on_edge(name: str, mode: str, provider: str = "a", **metadata: str) -> Document:
    found = policy(name, on("Edge", "public"), authentication=proven_by(tokens_of(provider), mode=mode))
    return {**found, "metadata": {**found["metadata"], **metadata}}


def judged(compiler: Compiler, document: Document) -> tuple[list[str], bool]:
    candidate = crds.parse_resource(document)
    judgement = compiler.judge(object_ref(candidate), candidate)
    return [str(each.reason) for each in judgement.problems], judgement.complete


def test_a_policy_that_concerns_more_routes_than_are_looked_at_is_judged_by_some() -> None:
    compiler = Compiler()
    apply(compiler, edge(80), issuers("a", "b"), on_edge("old", "Required", creationTimestamp="2026-01-01T00:00:00Z"))
    apply(compiler, *many(2 * trial.MOST_COUNTED))
    held = everything(compiler)
    assert judged(compiler, on_edge("weak", "Optional")) == (["WeakensInherited"], False)
    assert judged(compiler, on_edge("strong", "Required")) == ([], False)
    assert everything(compiler) == held
    # Where all that differs is what the policy says, no Route is looked at.
    assert judged(compiler, on_edge("old", "Optional", creationTimestamp="2026-01-01T00:00:00Z")) == ([], True)


def test_a_candidate_that_a_rule_fails_on_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler()
    apply(compiler, edge(80), *many(3))
    held = everything(compiler)
    changed = route("r0", rule(prefix("/changed"), says="x"), hosts="a.example.com")

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ROUTE, "make", fail)
    with pytest.raises(ZeroDivisionError):
        judged(compiler, changed)
    monkeypatch.undo()
    assert everything(compiler) == held
    assert judged(compiler, changed) == ([], True)


def test_what_is_wrong_with_the_version_before_is_told_beside() -> None:
    compiler = Compiler()
    apply(compiler, edge(80), route("r", rule(prefix("/"), says="x"), hosts="other.org"))
    candidate = crds.parse_resource(route("r", rule(prefix("/b"), says="x"), hosts=("other.org", "else.org")))
    judgement = compiler.judge(object_ref(candidate), candidate)
    assert [each.field for each in judgement.before] == ["spec.hosts[0]"]
    assert [each.field for each in judgement.problems] == ["spec.hosts[0]", "spec.hosts[1]"]


@pytest.mark.parametrize("count", [10, 500])
def test_a_question_costs_what_it_touches_not_what_there_is(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = Compiler()
    own = [route(f"r{n}", rule(prefix("/"), says="x"), hosts=f"h{n}.example.com") for n in range(count)]
    apply(compiler, edge(80), *own)
    made: list[object] = []
    make = trial.Trial._make
    monkeypatch.setattr(trial.Trial, "_make", lambda self, key: (made.append(key[0]), make(self, key)))
    for candidate in (route("r3", rule(prefix("/b"), says="x"), hosts="h3.example.com"), edge(81), edge(80, name="e")):
        assert judged(compiler, candidate)[1]
    assert len(made) < 25
