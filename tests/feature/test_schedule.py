"""Rules that hold at some times only: they come and go by the clock, also across a restart of the operator."""

from __future__ import annotations

import http.client
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from support.gateway import DEADLINE_S, STOP_S, Gateway, Stack, running_stack, until
from support.processes import free_port
from support.resources import Document, prefix, route, rule


@pytest.fixture(scope="module")
def own_stack() -> Generator[Stack]:
    with running_stack() as running:
        running.hold_tables()
        yield running


@pytest.fixture
def own_gateway(own_stack: Stack) -> Generator[Gateway]:
    """On processes that may be started again."""
    made = Gateway(own_stack, namespace=f"t{next(own_stack.numbers)}", port=free_port())
    made.begin()
    yield made
    made.end()


def hence(seconds: int) -> str:
    """An instant, as resources write it: they have no fractions of seconds."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def shop(**schedule: object) -> Document:
    closed = {**rule(respond={"status": 503, "body": "closed"}), "name": "closed", "schedule": schedule}
    changes = {"responseHeaders": {"set": [{"name": "retry-after", "value": "60"}]}}
    return route("shop", {**closed, **changes}, {**rule(says="open"), "name": "open"})


def scheduled(gateway: Gateway) -> str:
    """What the status says of hours."""
    conditions = gateway.object("Route", gateway.namespace, "shop")["conditions"]
    return next(each["message"] for each in conditions if each["type"] == "Scheduled")


def metrics(stack: Stack) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", stack.api_port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


def counted(stack: Stack) -> float:
    """How often rules have begun or ended."""
    lines = metrics(stack).splitlines()
    return float(next(line for line in lines if line.startswith("ff_schedule_late_seconds_count ")).split()[1])


def test_a_rule_begins_and_ends_by_the_clock(gateway: Gateway) -> None:
    before = counted(gateway.stack)
    begin, end = hence(3), hence(6)
    gateway.apply(shop(**{"from": begin, "until": end}))
    closed = until(gateway.get, lambda answer: answer.status == 503)
    assert (closed.body, closed.header("retry-after")) == ("closed", "60")
    until(lambda: scheduled(gateway), lambda told: told == f"Rule closed holds until {end.replace('+00:00', 'Z')}.")
    until(gateway.get, lambda answer: answer.body == "open")
    until(lambda: scheduled(gateway), lambda told: told == "Rule closed holds no more.")
    assert counted(gateway.stack) >= before + 2


def test_outside_of_its_hours_the_next_rule_takes_the_request(gateway: Gateway) -> None:
    night = {"weekly": [{"from": "00:00", "until": "24:00"}], "zone": "Europe/Berlin"}
    gateway.apply(
        route(
            "hours",
            {**rule(prefix("/over"), says="over"), "schedule": {"until": "2020-01-01T00:00:00Z"}},
            {**rule(prefix("/to-come"), says="to come"), "schedule": {"from": "2090-01-01T00:00:00Z"}},
            {**rule(prefix("/always"), says="always"), "schedule": night},
            rule(says="next"),
        )
    )
    assert [gateway.get(path).body for path in ("/over", "/to-come", "/always")] == ["next", "next", "always"]


def test_a_route_of_which_nothing_holds_is_fine_and_answers_nothing(gateway: Gateway) -> None:
    gateway.apply(route("shop", {**rule(says="x"), "name": "sale", "schedule": {"from": "2090-01-01T00:00:00Z"}}))
    assert scheduled(gateway) == "Rule sale holds from 2090-01-01T00:00:00Z."
    assert gateway.get().status == 404


def test_a_time_zone_that_is_none_is_refused_by_its_field(gateway: Gateway) -> None:
    bad = shop(weekly=[{}], zone="Europe/Atlantis")
    gateway.apply(bad, expect={("Route", "shop"): "Invalid"})
    (problem,) = gateway.object("Route", gateway.namespace, "shop")["problems"]
    assert problem["field"] == "spec.rules[0].schedule.zone"


def test_what_comes_due_while_the_operator_is_away_is_done_when_it_is_back(own_gateway: Gateway) -> None:
    stack = own_gateway.stack
    due = datetime.now(UTC) + timedelta(seconds=4)
    own_gateway.apply(shop(**{"from": due.isoformat(timespec="seconds")}))
    child = stack.children.pop("operator")
    child.terminate()
    child.wait(STOP_S)
    until(lambda: datetime.now(UTC) > due)
    # The proxy serves on by what it was told last.
    assert own_gateway.get().body == "open"
    stack.start_operator()
    until(lambda: stack.alive() and stack.is_ready())
    assert until(own_gateway.get, lambda answer: answer.status == 503).body == "closed"


def test_what_waits_for_its_time_does_so_across_a_restart(own_gateway: Gateway) -> None:
    stack = own_gateway.stack
    own_gateway.apply(shop(**{"from": hence(6)}))
    child = stack.children.pop("operator")
    child.terminate()
    child.wait(STOP_S)
    stack.start_operator()
    until(lambda: stack.alive() and stack.is_ready())
    assert until(own_gateway.get, lambda answer: answer.status == 503).body == "closed"
