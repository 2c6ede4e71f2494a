"""Statuses of Gateway API: as its definitions have them, beside what other controllers wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fastforward_compiler import ir
from fastforward_compiler.problem import ObjectRef
from fastforward_crds.gatewayapi import CONTROLLER
from fastforward_operator.kubernetes.payload import differ_in_counts_alone, payload
from fastforward_operator.objectstatus import Condition, ObjectStatus

THEN, NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 4, tzinfo=UTC)
ACCEPTED = ir.Verdict(type="Accepted", holds=True, reason="Accepted", message="")
REFUSED = ir.Verdict(type="Accepted", holds=False, reason="NotAllowedByListeners", message="No.")
UNRESOLVED = ir.Verdict(type="ResolvedRefs", holds=False, reason="BackendNotFound", message="Gone.")
OTHERS = {"parentRef": {"name": "theirs"}, "controllerName": "example.com/other", "conditions": []}


def part(*verdicts: ir.Verdict, name: str = "public", **more: Any) -> ir.Part:  # noqa: ANN401
    return ir.Part(place=(("name", name),), verdicts=verdicts or (ACCEPTED,), **more)


def status(kind: str, *parts: ir.Part, programmed: str = "True", reason: str = "Programmed") -> ObjectStatus:
    conditions = tuple(
        Condition(type=name, status=holds, reason=why, message="", observed_generation=3, since=THEN)
        for name, holds, why in [("Accepted", "True", "Accepted"), ("Programmed", programmed, reason)]
    )
    ref = ObjectRef(kind=kind, namespace="shop", name="x")
    return ObjectStatus(
        ref=ref, generation=3, source=None, conditions=conditions, problems=(), effective=(), parts=parts
    )


def write(told: ObjectStatus, **there: Any) -> Any:  # noqa: ANN401
    return payload(told, (1, 1), there, NOW)


def conditions(of: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in of["conditions"]}


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"])
def test_a_route_has_a_status_for_each_parent_and_leaves_those_of_others_alone(kind: str) -> None:
    stale = {"parentRef": {"name": "left"}, "controllerName": CONTROLLER, "conditions": []}
    made = write(status(kind, part(), part(UNRESOLVED, name="two")), parents=[OTHERS, stale])["parents"]
    assert [each["parentRef"]["name"] for each in made] == ["public", "two", "theirs"]
    assert made[-1] == OTHERS
    assert made[0]["controllerName"] == CONTROLLER
    assert conditions(made[0]) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert conditions(made[1])["ResolvedRefs"] == ("False", "BackendNotFound")
    assert {each["observedGeneration"] for each in made[0]["conditions"]} == {3}


def test_what_proxies_lack_is_pending_and_what_is_refused_never_comes() -> None:
    waiting = write(status("HTTPRoute", part(), programmed="Unknown", reason="Distributing"))["parents"][0]
    assert conditions(waiting)["Programmed"] == ("Unknown", "Pending")
    refused = write(status("HTTPRoute", part(REFUSED, serves=False)))["parents"][0]
    assert conditions(refused)["Programmed"] == ("False", "NotAllowedByListeners")
    unresolved = write(status("HTTPRoute", part(UNRESOLVED, serves=False)))["parents"][0]
    assert conditions(unresolved)["Programmed"] == ("False", "Invalid")


def test_what_is_programmed_tells_how_many_proxies_have_it() -> None:
    attached = status("HTTPRoute", part())
    told = [payload(attached, (have, have), {"parents": [OTHERS]}, NOW) for have in (2, 3)]
    assert [each["parents"][0]["conditions"][1]["message"] for each in told] == [
        "2/2 proxies have it.",
        "3/3 proxies have it.",
    ]
    assert differ_in_counts_alone(*told)
    assert not differ_in_counts_alone(told[0], payload(attached, (2, 2), {}, NOW)), "another's parent"
    assert not differ_in_counts_alone(told[0], write(status("HTTPRoute", part(), programmed="Unknown")))


def test_a_condition_that_stays_keeps_its_time_and_one_that_turns_gets_a_new_one() -> None:
    first = payload(status("HTTPRoute", part(), programmed="Unknown"), (1, 1), {}, THEN)
    second = write(status("HTTPRoute", part()), **first)["parents"][0]
    times = {each["type"]: each["lastTransitionTime"] for each in second["conditions"]}
    assert times == {"Accepted": "2026-01-02T03:04:05Z", "Programmed": "2026-01-02T04:00:00Z"}


def test_the_time_of_another_controllers_parent_is_not_ours() -> None:
    theirs = {
        "parentRef": {"name": "public"},
        "controllerName": "example.com/other",
        "conditions": [{"type": "Accepted", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}],
    }
    made = write(status("HTTPRoute", part()), parents=[theirs])["parents"]
    assert made[0]["conditions"][0]["lastTransitionTime"] == "2026-01-02T04:00:00Z"
    assert made[1] == theirs


def test_a_gateway_tells_its_addresses_and_what_its_listeners_take() -> None:
    listener = part(ACCEPTED, name="http", kinds=("HTTPRoute", "GRPCRoute"), attached=2)
    told = replace(status("Gateway", listener), addresses=("192.0.2.1",), attached_sets=1)
    made = write(told)
    assert made["addresses"] == [{"type": "IPAddress", "value": "192.0.2.1"}]
    assert made["attachedListenerSets"] == 1
    assert conditions(made) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    (http,) = made["listeners"]
    assert (http["name"], http["attachedRoutes"]) == ("http", 2)
    assert [kind["kind"] for kind in http["supportedKinds"]] == ["HTTPRoute", "GRPCRoute"]


def test_an_address_that_is_none_is_a_host_name_and_no_more_are_told_than_there_may_be() -> None:
    told = replace(status("Gateway"), addresses=("2001:db8::1", "lb-1.example.com"))
    assert write(told)["addresses"] == [
        {"type": "IPAddress", "value": "2001:db8::1"},
        {"type": "Hostname", "value": "lb-1.example.com"},
    ]
    many = replace(told, addresses=tuple(f"192.0.2.{number}" for number in range(20)))
    assert len(write(many)["addresses"]) == 16


def test_a_class_is_accepted_and_lists_its_features_in_order() -> None:
    made = write(status("GatewayClass"))
    assert conditions(made) == {"Accepted": ("True", "Accepted")}
    names = [each["name"] for each in made["supportedFeatures"]]
    assert names == sorted(names)
    assert {"Gateway", "HTTPRoute"} <= set(names)


def test_a_policy_has_a_status_for_each_gateway_without_programmed() -> None:
    others = {"ancestorRef": {"name": "theirs"}, "controllerName": "example.com/other", "conditions": []}
    made = write(status("BackendTLSPolicy", part()), ancestors=[others])["ancestors"]
    assert conditions(made[0]) == {"Accepted": ("True", "Accepted")}
    assert made[1] == others


MANY = [("HTTPRoute", "parents", "parentRef", 32), ("BackendTLSPolicy", "ancestors", "ancestorRef", 16)]


@pytest.mark.parametrize(("kind", "places", "field", "most"), MANY)
def test_no_more_places_are_told_than_there_may_be_and_those_of_others_stay(
    kind: str, places: str, field: str, most: int
) -> None:
    """A status with more is refused as a whole."""
    others = [{field: {"name": f"theirs-{n}"}, "controllerName": "example.com/other"} for n in range(2)]
    told = status(kind, *(part(name=f"p{number}") for number in range(most + 1)))
    made = write(told, **{places: others})[places]
    assert [each[field]["name"] for each in made[: most - 2]] == [f"p{number}" for number in range(most - 2)]
    assert made[most - 2 :] == others
    assert write(told, **{places: made})[places] == made
    # A further one comes before them: what was told stays.
    more = replace(told, parts=(part(name="first"), *told.parts))
    assert write(more, **{places: made})[places] == made
    # Where one went, another one is told.
    fewer = write(replace(more, parts=more.parts[:1] + more.parts[2:]), **{places: made})[places]
    assert [each[field]["name"] for each in fewer[:2]] == ["first", "p1"]
    assert len(fewer) == most
    full = [{**others[0], field: {"name": f"theirs-{n}"}} for n in range(most)]
    assert write(told, **{places: full})[places] == full


def test_a_message_of_a_part_is_as_short_as_any_other() -> None:
    told = write(status("HTTPRoute", part(replace(REFUSED, message="x" * 5000))))["parents"][0]
    assert {len(each["message"]) for each in told["conditions"] if each["type"] == "Accepted"} == {1024}


def test_no_more_policies_are_told_than_there_may_be() -> None:
    told = replace(status("Route"), effective=tuple(f"RateLimit r{number}" for number in range(300)))
    assert write(told)["effectivePolicies"] == list(told.effective[:256])
