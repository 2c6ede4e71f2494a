"""When rules hold: what schedules say of points in time, and what the compiler makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler import Compiler, compile_world, object_ref
from fastforward_compiler.problem import ObjectRef, Reason
from fastforward_compiler.translate.schedule import Hours, judge, told, written
from hypothesis import given
from hypothesis import strategies as st

from support.resources import Document, edge, route, rule

from .conftest import Bench

NOON, ONE = "2026-12-24T12:00:00Z", "2026-12-24T13:00:00Z"
WEEKDAYS: Document = {"weekly": [{"days": ["Mon", "Tue", "Wed", "Thu", "Fri"], "from": "08:00", "until": "18:00"}]}
NIGHTS: Document = {"weekly": [{"days": ["Thu", "Fri"], "from": "22:00", "until": "06:00"}]}
BERLIN: Document = {"weekly": [{"days": ["Sun"], "from": "02:30", "until": "03:30"}], "zone": "Europe/Berlin"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schedule(document: Document) -> crds.Schedule:
    return crds.Schedule.model_validate(document, by_alias=True, by_name=False)


@pytest.mark.parametrize(
    ("document", "now", "holds", "changes"),
    [
        ({"from": NOON}, "2026-12-24T11:59:59", False, "2026-12-24T12:00:00"),
        ({"from": NOON}, "2026-12-24T12:00:00", True, None),
        ({"until": NOON}, "2026-12-24T11:59:59", True, "2026-12-24T12:00:00"),
        ({"until": NOON}, "2026-12-24T12:00:00", False, None),
        ({"from": NOON, "until": ONE}, "2026-12-24T12:30:00", True, "2026-12-24T13:00:00"),
        ({"from": "2026-12-24T12:00:00+02:00"}, "2026-12-24T09:00:00", False, "2026-12-24T10:00:00"),
        # A Thursday.
        (WEEKDAYS, "2026-12-24T07:00:00", False, "2026-12-24T08:00:00"),
        (WEEKDAYS, "2026-12-24T08:00:00", True, "2026-12-24T18:00:00"),
        (WEEKDAYS, "2026-12-25T18:00:00", False, "2026-12-28T08:00:00"),
        (NIGHTS, "2026-12-25T05:00:00", True, "2026-12-25T06:00:00"),
        (NIGHTS, "2026-12-26T05:59:59", True, "2026-12-26T06:00:00"),
        (NIGHTS, "2026-12-26T06:00:00", False, "2026-12-31T22:00:00"),
        ({"weekly": [{}]}, "2026-12-24T12:00:00", True, None),
        ({"weekly": [{"from": "06:00", "until": "06:00"}]}, "2026-12-24T12:00:00", True, None),
        ({"weekly": [{"days": ["Thu"]}, {"days": ["Fri"]}]}, "2026-12-24T12:00:00", True, "2026-12-26T00:00:00"),
        # Both: it holds where they agree.
        ({**WEEKDAYS, "from": "2026-12-25T20:00:00Z"}, "2026-12-24T12:00:00", False, "2026-12-28T08:00:00"),
        ({**WEEKDAYS, "from": "2026-12-25T10:00:00Z"}, "2026-12-24T12:00:00", False, "2026-12-25T10:00:00"),
        ({**WEEKDAYS, "until": "2026-12-25T10:00:00Z"}, "2026-12-25T09:00:00", True, "2026-12-25T10:00:00"),
        ({**WEEKDAYS, "until": "2026-12-25T20:00:00Z"}, "2026-12-25T19:00:00", False, None),
        ({**WEEKDAYS, "from": "2026-12-25T19:00:00Z", "until": "2026-12-26T19:00:00Z"}, "2026-12-24", False, None),
        # In summer, and on the night when clocks go forward and back.
        (BERLIN, "2026-07-05T00:45:00", True, "2026-07-05T01:30:00"),
        (BERLIN, "2026-03-29T00:00:00", False, "2026-04-05T00:30:00"),
        (BERLIN, "2026-10-25T00:00:00", False, "2026-10-25T00:30:00"),
        (BERLIN, "2026-10-25T01:45:00", True, "2026-10-25T02:30:00"),
    ],
)
def test_a_schedule_says_whether_it_holds_and_when_that_changes(
    document: Document, now: str, holds: bool, changes: str | None
) -> None:
    assert judge(schedule(document), at(now)) == Hours(holds, None if changes is None else at(changes))


minutes = st.integers(0, 23).flatmap(lambda hour: st.integers(0, 59).map(lambda minute: f"{hour:02}:{minute:02}"))
weeks = st.lists(
    st.fixed_dictionaries(
        {
            "days": st.lists(st.sampled_from(crds.WEEKDAYS), min_size=1, max_size=7, unique=True),
            "from": minutes,
            "until": minutes,
        }
    ),
    max_size=3,
)
instants = st.integers(0, 2 * 365 * 86_400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(0, seconds)
)


@given(weekly=weeks, bounds=st.lists(instants, min_size=2, max_size=2, unique=True), now=instants, data=st.data())
def test_until_it_changes_it_stays_as_it_is(
    weekly: list[Document], bounds: list[datetime], now: datetime, data: st.DataObject
) -> None:
    begin, end = (found.isoformat() for found in sorted(bounds))
    zone = data.draw(st.sampled_from(["Europe/Berlin", "America/St_Johns", "UTC"])) if weekly else "UTC"
    found = schedule({"from": begin, "until": end, "weekly": weekly, "zone": zone})
    said = judge(found, now)
    last = said.changes or now + timedelta(days=400)
    if said.changes is not None:
        assert said.changes > now
        assert judge(found, said.changes).holds is not said.holds
    between = data.draw(st.integers(0, int((last - now).total_seconds()) - 1))
    assert judge(found, now + timedelta(seconds=between)) == said


def test_it_is_said_in_words() -> None:
    found = schedule({"from": NOON, "until": ONE, "weekly": [{"days": ["Mon", "Tue"]}], "zone": "Europe/Berlin"})
    assert written(found) == f"from {NOON}, until {ONE}, Mon Tue 00:00-24:00 in Europe/Berlin"
    assert written(schedule({"until": ONE})) == f"until {ONE}"
    noon = at("2026-12-24T12:00:00")
    said = [told("a", Hours(holds, changes)) for holds in (True, False) for changes in (noon, None)]
    assert said == [
        "Rule a holds until 2026-12-24T12:00:00Z.",
        "Rule a holds.",
        "Rule a holds from 2026-12-24T12:00:00Z.",
        "Rule a holds no more.",
    ]


def world(**spec: Any) -> list[Document]:  # noqa: ANN401 - a schedule
    timed = {**rule(says="timed"), "name": "timed", "schedule": spec}
    return [edge(8080), route("timed", timed, {**rule(says="always"), "name": "always"})]


def rules(bench: Bench) -> list[str]:
    return [entry.rule for entry in bench.entries()]


def step(bench: Bench, now: str, *documents: Document) -> datetime | None:
    values = [crds.parse_resource(document) for document in documents]
    return bench.compiler.apply({object_ref(value): value for value in values}, None, at(now)).due


def test_a_rule_comes_and_goes_with_the_time_and_nothing_else(bench: Bench) -> None:
    assert step(bench, "2026-12-24T11:00:00", *world(**{"from": NOON, "until": ONE})) == at("2026-12-24T12:00:00")
    assert rules(bench) == ["always"]
    assert step(bench, "2026-12-24T12:00:00") == at("2026-12-24T13:00:00")
    assert rules(bench) == ["timed"]
    assert bench.reasons("Route", "timed") == []
    assert step(bench, "2026-12-24T13:00:00") is None
    assert rules(bench) == ["always"]
    # A clock that is set back takes rules with it.
    assert step(bench, "2026-12-24T12:30:00") == at("2026-12-24T13:00:00")
    assert rules(bench) == ["timed"]


def test_a_step_between_costs_no_route(bench: Bench) -> None:
    step(bench, "2026-12-24T11:00:00", *world(**{"from": NOON}))
    delta = bench.compiler.apply({}, None, at("2026-12-24T11:30:00"))
    assert (delta.translated, delta.tables.upserts, dict(delta.reports)) == (0, (), {})
    assert bench.compiler.apply({}, None, at("2026-12-24T12:00:00")).translated == 1


def test_a_route_that_goes_or_loses_its_hours_is_waited_for_no_more(bench: Bench) -> None:
    step(bench, "2026-12-24T11:00:00", *world(**{"from": NOON}))
    ref = ObjectRef(kind="Route", namespace="default", name="timed")
    assert bench.compiler.apply({ref: None}).due is None
    step(bench, "2026-12-24T11:00:00", *world(**{"from": NOON}))
    assert step(bench, "2026-12-24T11:00:00", route("timed", rule(says="always"))) is None
    assert bench.report("Route", "timed").verdicts == ()


def test_a_version_that_is_refused_leaves_the_hours_of_the_last_good_one(bench: Bench) -> None:
    step(bench, "2026-12-24T11:00:00", *world(**{"from": NOON}))
    bad = route("timed", {**rule(says="x"), "schedule": {"weekly": [{}], "zone": "Europe/Atlantis"}})
    assert step(bench, "2026-12-24T11:00:01", bad) == at("2026-12-24T12:00:00")
    (found,) = bench.report("Route", "timed").problems
    assert (found.reason, found.field) == (Reason.INVALID, "spec.rules[0].schedule.zone")
    assert found.message == "Europe/Atlantis is no time zone of the IANA database."
    step(bench, "2026-12-24T12:00:00")
    assert rules(bench) == ["timed"]


@pytest.mark.parametrize("text", ["2026-02-30T00:00:00Z", "2026-12-24", "2026-12-24T25:00:00Z", "noon"])
def test_what_is_no_instant_is_refused_by_its_field(bench: Bench, text: str) -> None:
    step(bench, "2026-12-24T11:00:00", *world(**{"from": text}))
    assert [found.field for found in bench.report("Route", "timed").problems] == ["spec.rules[0].schedule.from"]


def test_what_is_wrong_with_a_rule_is_said_before_it_holds(bench: Bench) -> None:
    timed = {**rule(), "upstreams": [{"name": "gone"}], "schedule": {"from": NOON}}
    step(bench, "2026-12-24T11:00:00", edge(8080), route("timed", timed))
    assert bench.reasons("Route", "timed") == [Reason.UPSTREAM_NOT_FOUND]


def test_two_rules_that_always_hold_still_conflict(bench: Bench) -> None:
    always = {**rule(says="a"), "name": "a"}
    step(bench, "2026-12-24T11:00:00", edge(8080), route("a", always, {**rule(says="b"), "schedule": {"from": NOON}}))
    assert bench.reasons("Route", "a") == []
    step(bench, "2026-12-24T12:00:00")
    assert set(bench.reasons("Route", "a")) == {Reason.RULE_CONFLICT}


def test_a_trial_judges_by_the_time(bench: Bench) -> None:
    taken = {**rule(says="taken"), "name": "taken"}
    step(bench, "2026-12-24T11:00:00", edge(8080), route("a", taken))
    value = crds.parse_resource(route("b", {**rule(says="late"), "schedule": {"from": NOON}}))
    assert not isinstance(value, crds.Invalid)
    said = [bench.compiler.judge(object_ref(value), value, now).problems for now in (None, at("2026-12-24T12:00:00"))]
    assert [{found.reason for found in problems} for problems in said] == [set(), {Reason.RULE_CONFLICT}]


def test_the_same_time_gives_the_same_snapshot_whatever_came_before() -> None:
    values = [crds.parse_resource(each) for each in world(**{"from": NOON, "until": ONE})]
    compiler = Compiler()
    for now in ("2026-12-24T11:00:00", "2026-12-24T12:30:00"):
        compiler.apply({object_ref(value): value for value in values}, None, at(now))
        assert compiler.snapshot() == compile_world(values, None, at(now))[0]
