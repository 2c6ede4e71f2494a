"""Tools that know no kind of ours read our statuses as they are meant: done, on its way, or stuck."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from fastforward_compiler.problem import ConditionType, ObjectRef, Problem, Reason
from fastforward_operator.kubernetes.payload import payload
from fastforward_operator.objectstatus import Condition, ObjectStatus

ROUTE = ObjectRef(kind="Route", namespace="shop", name="cart")
THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FINE = {"Accepted": "True Accepted", "ResolvedRefs": "True ResolvedRefs", "Programmed": "True Programmed"}


def kstatus(document: Mapping[str, Any]) -> str:
    """The rules of kstatus for kinds that it does not know: Current, InProgress or Failed."""
    status = document.get("status", {})
    if status.get("observedGeneration", document["metadata"]["generation"]) != document["metadata"]["generation"]:
        return "InProgress"
    holding = {each["type"] for each in status.get("conditions", ()) if each["status"] == "True"}
    if "Reconciling" in holding:
        return "InProgress"
    return "Failed" if "Stalled" in holding else "Current"


def written(said: Mapping[str, str], *reasons: Reason) -> dict[str, Any]:
    """The status of an object of which this is said, for these Problems."""
    conditions = tuple(
        Condition(type=kind, status=word, reason=reason, message="Why.", observed_generation=3, since=THEN)
        for kind, (word, reason) in ((kind, text.split()) for kind, text in {**FINE, **said}.items())
    )
    problems = tuple(
        Problem(on=ROUTE, condition=ConditionType.ACCEPTED, reason=reason, field="spec", message="Why.")
        for reason in reasons
    )
    status = ObjectStatus(ref=ROUTE, generation=3, source=None, conditions=conditions, problems=problems, effective=())
    return payload(status, (3, 3), {}, THEN)


def read(status: Mapping[str, Any], generation: int = 3) -> str:
    return kstatus({"metadata": {"generation": generation}, "status": status})


def test_what_all_proxies_have_is_done_and_says_nothing_more() -> None:
    status = written({})
    assert read(status) == "Current"
    assert [each["type"] for each in status["conditions"]] == ["Accepted", "ResolvedRefs", "Programmed"]


def test_a_new_version_is_on_its_way_until_it_is_judged() -> None:
    assert read(written({}), generation=4) == "InProgress"
    assert read({"observedGeneration": -1}, generation=1) == "InProgress"


@pytest.mark.parametrize("programmed", ["Unknown Pending", "False NoProxies", "False NoDecisionService"])
def test_what_waits_for_proxies_is_on_its_way(programmed: str) -> None:
    assert read(written({"Programmed": programmed})) == "InProgress"


@pytest.mark.parametrize("reason", [Reason.UPSTREAM_NOT_FOUND, Reason.NO_ENDPOINTS, Reason.REF_NOT_PERMITTED])
def test_what_waits_for_others_is_on_its_way(reason: Reason) -> None:
    assert read(written({"ResolvedRefs": f"False {reason}"}, reason)) == "InProgress"


@pytest.mark.parametrize("reason", [Reason.INVALID, Reason.HOST_CONFLICT, Reason.DUPLICATE])
def test_what_only_its_author_can_mend_is_stuck(reason: Reason) -> None:
    said = {"Accepted": f"False {reason}", "Programmed": f"False {reason}"}
    assert read(written(said, reason)) == "Failed"
    # A reference that is missing besides does not make it better.
    assert read(written({**said, "ResolvedRefs": "False NoEndpoints"}, Reason.NO_ENDPOINTS, reason)) == "Failed"


def test_what_a_proxy_refused_is_stuck() -> None:
    assert read(written({"Programmed": "False Rejected"})) == "Failed"


def test_what_is_missing_besides_hides_no_refusal_by_a_proxy() -> None:
    status = written({"ResolvedRefs": "False NoEndpoints", "Programmed": "False Rejected"}, Reason.NO_ENDPOINTS)
    assert read(status) == "Failed"
    assert status["conditions"][0]["reason"] == "Rejected"


@pytest.mark.parametrize(
    ("besides", "meaning"),
    [({"Programmed": "False Rejected"}, "Failed"), ({"ResolvedRefs": "False SecretNotFound"}, "InProgress")],
)
def test_a_policy_without_a_target_is_not_done_while_something_else_is_wrong(
    besides: Mapping[str, str], meaning: str
) -> None:
    said = {"Accepted": "False TargetNotFound", "Programmed": "False TargetNotFound", **besides}
    assert read(written(said, Reason.TARGET_NOT_FOUND)) == meaning


def test_a_policy_without_a_target_is_done() -> None:
    said = {"Accepted": "False TargetNotFound", "Programmed": "False TargetNotFound"}
    assert read(written(said, Reason.TARGET_NOT_FOUND)) == "Current"


def test_it_says_why_in_the_words_of_the_condition() -> None:
    (stalled,) = (
        each
        for each in written({"Accepted": "False Invalid"}, Reason.INVALID)["conditions"]
        if each["type"] == "Stalled"
    )
    assert stalled == {
        "type": "Stalled",
        "status": "True",
        "observedGeneration": 3,
        "reason": "Invalid",
        "message": "Why.",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
