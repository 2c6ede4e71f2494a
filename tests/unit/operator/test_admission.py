"""Verdicts: what is refused, what is looked at again, and what is nobody's business."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler import Judgement
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_operator.admission.callers import Callers
from fastforward_operator.admission.judge import Judge
from fastforward_operator.admission.review import Asked, ReviewError
from fastforward_operator.admission.webhook import by_kind

DOCUMENT = {
    "apiVersion": crds.API_VERSION,
    "kind": "Upstream",
    "metadata": {"name": "u", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"endpoints": [{"address": "10.0.0.1", "port": 80}]},
}
REF = ObjectRef(kind="Upstream", namespace="shop", name="u")
TAKEN = problem(REF, Reason.HOST_CONFLICT, "spec.hosts[0]", "Taken.")
WRONG = problem(REF, Reason.INVALID, "spec", "Wrong.")
LATER = problem(REF, Reason.UPSTREAM_NOT_FOUND, "spec.upstream", "Not there.")


class Compiler:
    """Says what it was told to, one after the other."""

    def __init__(self, *said: Iterable[Problem], before: tuple[Problem, ...] = (), complete: bool = True) -> None:
        self._said = [tuple(each) for each in said]
        self._before, self._complete = before, complete
        self.asked: list[crds.Resource | crds.Invalid] = []

    async def judge(self, ref: ObjectRef, value: crds.Resource | crds.Invalid) -> Judgement:
        assert ref == REF
        self.asked.append(value)
        said = self._said[min(len(self.asked), len(self._said)) - 1]
        return Judgement(said, self._before, self._complete)


def asked(**changed: Any) -> Asked:  # noqa: ANN401
    told: dict[str, Any] = {
        "uid": "u",
        "operation": "CREATE",
        "kind": "Upstream",
        "name": "u",
        "namespace": "shop",
        "subresource": "",
        "new": DOCUMENT,
        "old": None,
    }
    return Asked(**{**told, **changed})


def judge(compiler: Compiler, *namespaces: str) -> Judge:
    return Judge(ask=compiler.judge, namespaces=namespaces, again_s=0.0)


async def test_what_others_stand_in_the_way_of_is_looked_at_again() -> None:
    mended, still = Compiler([TAKEN], []), Compiler([TAKEN], [TAKEN])
    assert (await judge(mended).answer(asked())).allowed
    assert (await judge(still).answer(asked())).refused == (TAKEN,)
    assert len(mended.asked) == len(still.asked) == 2


async def test_what_is_wrong_by_itself_is_refused_at_once() -> None:
    compiler = Compiler([WRONG, LATER])
    answer = await judge(compiler).answer(asked())
    assert (answer.refused, answer.warned, len(compiler.asked)) == ((WRONG,), (LATER,), 1)


async def test_what_was_wrong_before_is_a_warning() -> None:
    answer = await judge(Compiler([TAKEN, WRONG], before=(TAKEN,))).answer(asked(operation="UPDATE", old={"spec": {}}))
    assert (answer.refused, answer.warned) == ((WRONG,), (TAKEN,))


async def test_a_new_object_is_younger_than_whatever_is_there() -> None:
    compiler = Compiler([])
    await judge(compiler).answer(asked())
    await judge(compiler).answer(asked(operation="UPDATE", old={"spec": {}}))
    created = [each.metadata.creation_timestamp for each in compiler.asked if isinstance(each, crds.Resource)]
    assert created == ["", "2026-01-01T00:00:00Z"]


async def test_namespaces_that_are_not_watched_are_not_judged() -> None:
    compiler = Compiler([WRONG])
    assert (await judge(compiler, "other").answer(asked())).allowed
    assert not (await judge(compiler, "other", "shop").answer(asked())).allowed


async def test_a_kind_that_this_version_does_not_know_is_taken_and_told() -> None:
    answer = await judge(Compiler([WRONG])).answer(asked(kind=""))
    assert answer.allowed
    assert "not judged" in answer.remarks[0]


async def test_a_part_of_the_truth_is_told_as_such() -> None:
    answer = await judge(Compiler([], complete=False)).answer(asked())
    assert answer.allowed
    assert "only some" in answer.remarks[0]


@pytest.mark.parametrize("changed", [{"kind": "Route"}, {"namespace": "other"}])
async def test_another_object_than_the_one_asked_about_is_no_review(changed: dict[str, str]) -> None:
    with pytest.raises(ReviewError, match="not the one"):
        await judge(Compiler([])).answer(asked(**changed))


def test_the_api_server_is_known_by_any_of_its_names(client: Any) -> None:  # noqa: ANN401
    callers = Callers(client, name="api")
    subject = ((("organizationName", "api"),), (("commonName", "api"),))
    assert callers.admits({"subject": subject})
    assert callers.admits({"subjectAltName": (("DNS", "other"), ("DNS", "api"))})
    assert callers.admits({"subjectAltName": (("URI", "api"),)})
    assert not callers.admits({"subject": subject[:1], "subjectAltName": (("email", "api"), ("DNS", "api.example"))})
    assert not callers.admits({})
    assert not callers.admits(None)
    assert Callers(client, anybody=True).admits(None)


@pytest.fixture
def client() -> None:
    """Nobody asks it."""


def test_names_and_addresses_are_told_apart() -> None:
    assert by_kind(["a.example", "127.0.0.1", "::1"]) == (("a.example",), ("127.0.0.1", "::1"))
