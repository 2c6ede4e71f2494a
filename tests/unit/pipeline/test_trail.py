"""The Trail: what `explain` shows of a decision."""

import json
from typing import Any

import pytest
from fastforward_pipeline import Trail
from fastforward_pipeline.trail import MAX_NEAR_MISSES, STAGES, NearMiss, Verdict

from support.decision_snapshots import (
    apikeys,
    ask,
    auth,
    decided,
    grants,
    host,
    key_provider,
    limit,
    pb,
    plan,
    snapshot,
    stored_key,
    tenant,
)

SECRET = "s" * 43
ANN = {"x-api-key": f"ffk_ANN_{SECRET}"}
PLACED = [
    pb.StagePlacement(stage="authentication", placement=pb.PLACEMENT_INLINE, why="API keys are judged in the hop."),
    pb.StagePlacement(stage="dispatch", placement=pb.PLACEMENT_NATIVE, why="The proxy sends it."),
    pb.StagePlacement(stage="tracking", placement=pb.PLACEMENT_NONE, why="Nothing to track."),
]
WORLD = snapshot(
    host(
        plan("write", "/books", methods=["POST"]),
        plan("books", "/books", auth="shop/members", limits=["shop/limit"], placements=PLACED),
    ),
    auth(
        "shop/members",
        providers=[key_provider(any_tenant=True)],
        authorizations=[grants(pb.Grant(name="readers", roles=["reader"]))],
    ),
    apikeys(
        stored_key("ANN", SECRET, tenant="acme", subject="ann", roles=["reader"]),
        stored_key("EVE", SECRET, tenant="acme", subject="eve"),
    ),
    limit(),
    tenant("acme"),
)


def explained(**request: object) -> dict[str, object]:
    given: dict[str, Any] = {"headers": ANN, **request}
    trail = Trail()
    decision = decided(WORLD, ask("/books/1", **given), trail=trail)
    told = trail.to_dict(decision)
    assert json.loads(json.dumps(told)) == told
    return told


def stage(told: dict[str, object], name: str) -> dict[str, object]:
    stages = told["stages"]
    assert isinstance(stages, list)
    (found,) = [one for one in stages if one["stage"] == name]
    return found


def test_an_allowed_request_is_told_stage_by_stage() -> None:
    told = explained(request_id="r-1")
    assert {name: told[name] for name in ("verdict", "status", "route", "rule", "upstream", "tenant", "subject")} == {
        "verdict": "allowed",
        "status": 200,
        "route": "shop/books",
        "rule": "main",
        "upstream": "shop/books",
        "tenant": "acme",
        "subject": "ann",
    }
    stages = told["stages"]
    assert isinstance(stages, list)
    assert tuple(one["stage"] for one in stages) == STAGES
    assert {one["verdict"] for one in stages} == {Verdict.PASSED}
    assert stage(told, "authentication")["placement"] == "inline"
    assert stage(told, "authentication")["why"] == "API keys are judged in the hop."
    assert stage(told, "ingress")["placement"] == ""


def test_rate_limits_are_told_with_admission() -> None:
    (finding,) = stage(explained(), "admission")["findings"]  # ty: ignore[not-iterable]
    assert finding["object"] == "RateLimit shop/limit"


def test_a_near_miss_says_which_rule_failed_on_what() -> None:
    assert stage(explained(), "routing")["nearMisses"] == [
        {"object": "Route shop/write", "field": "rules[main].methods", "expected": "POST", "got": "GET"}
    ]


def test_a_refusal_names_object_field_and_remedy() -> None:
    told = explained(headers={"x-api-key": f"ffk_EVE_{SECRET}"})
    assert (told["verdict"], told["status"], told["reason"]) == ("refused", 403, "authorization/not-granted")
    assert told["remedy"] == "Give the caller what one of the policy's grants asks for."
    found = stage(told, "authorization")
    assert found["verdict"] == Verdict.REFUSED
    assert found["findings"] == [
        {
            "verdict": "refused",
            "detail": "none of its 1 grants allows it",
            "object": "AuthPolicy shop/members",
            "field": "spec.authorization.grants",
        }
    ]
    assert found["nearMisses"] == [
        {
            "object": "AuthPolicy shop/members",
            "field": "spec.authorization.grants[readers].roles",
            "expected": "reader",
            "got": "none",
        }
    ]
    assert stage(told, "dispatch")["verdict"] == Verdict.SKIPPED


def test_a_request_for_nobody_has_a_trail_too() -> None:
    told = explained(host="nobody.test")
    assert (told["route"], told["plan"], told["upstream"], told["subject"]) == ("", "", "", "")


def test_near_misses_are_few() -> None:
    trail = Trail()
    for number in range(MAX_NEAR_MISSES + 5):
        trail.miss(NearMiss(stage="routing", object=str(number), field="", expected="", got=""))
    assert len(trail.near_misses) == MAX_NEAR_MISSES


def test_a_decision_is_the_same_with_and_without_a_trail() -> None:
    for headers in (ANN, {}, {"x-api-key": "x"}):
        request = ask("/books", headers=headers)
        one, other = decided(WORLD, request), decided(WORLD, request, trail=Trail())
        assert (one.status, one.reason, one.request_headers) == (other.status, other.reason, other.request_headers)


@pytest.mark.parametrize(
    ("request_id", "headers", "detail"),
    [
        ("r-1", {"traceparent": "00-1-2-01"}, "request id r-1 and trace context 00-1-2-01"),
        ("r-1", {}, "request id r-1"),
        ("", {"traceparent": "00-1-2-01"}, "trace context 00-1-2-01"),
        ("", {}, "the proxy gives it a request id"),
    ],
)
def test_tracking_tells_by_what_a_request_is_found_again(request_id: str, headers: dict[str, str], detail: str) -> None:
    (finding,) = stage(explained(request_id=request_id, headers=ANN | headers), "tracking")["findings"]  # ty: ignore[not-iterable]
    assert finding["detail"] == detail


def test_an_allowed_request_was_refused_by_no_stage() -> None:
    assert decided(WORLD, ask("/books", headers=ANN)).stage == ""
    assert decided(WORLD, ask("/books")).stage == "authentication"
