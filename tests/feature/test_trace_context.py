"""W3C trace context: passed on when there is a valid one, made when there is none."""

import re

import pytest

from support.gateway import Gateway
from support.origin import Origin
from support.resources import edge, route, rule

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
VALID = f"00-{TRACE}-00f067aa0ba902b7-01"
PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[01]")


@pytest.fixture
def origin(gateway: Gateway) -> Origin:
    origin = gateway.upstream("books")
    gateway.apply(route("books", rule(to="books")))
    return origin


def trace_of(traceparent: str | None) -> str:
    found = PARENT.fullmatch(traceparent or "")
    assert found is not None, traceparent
    return found[1]


def test_a_trace_that_the_client_began_goes_on(gateway: Gateway, origin: Origin) -> None:
    gateway.get(headers={"traceparent": VALID, "tracestate": "vendor=1"})
    assert trace_of(origin.last.header("traceparent")) == TRACE
    assert (origin.last.header("traceparent") or "").endswith("-01")
    assert origin.last.header("tracestate") == "vendor=1"


def test_a_request_without_a_trace_begins_one(gateway: Gateway, origin: Origin) -> None:
    for _ in range(3):
        gateway.get()
    traces = {trace_of(request.header("traceparent")) for request in origin.received}
    assert len(traces) == 3


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "garbage",
        f"00-{TRACE}-00f067aa0ba902b7",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        f"00-{TRACE}-0000000000000000-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
        f"00-{TRACE}0-00f067aa0ba902b7-01",
    ],
)
def test_a_trace_that_is_none_is_replaced(gateway: Gateway, origin: Origin, bad: str) -> None:
    gateway.get(headers={"traceparent": bad, "tracestate": "vendor=1"})
    assert trace_of(origin.last.header("traceparent")) != TRACE
    assert "tracestate" not in origin.last.names


def test_the_access_log_has_the_same_trace(gateway: Gateway, origin: Origin) -> None:
    for headers in ({}, {"traceparent": VALID}):
        line = gateway.log_line(gateway.get(headers=headers))
        assert trace_of(line["traceparent"]) == trace_of(origin.last.header("traceparent"))


@pytest.mark.parametrize(("request_id", "begun"), [("0a1b2c3d-of-a-proxy", True), ("of-a-proxy", False)])
def test_behind_a_trusted_hop_an_id_that_is_no_number_begins_no_trace(
    gateway: Gateway, origin: Origin, request_id: str, begun: bool
) -> None:
    gateway.apply(edge(gateway.port, trustedHops={"count": 1}))
    gateway.get(headers={"x-request-id": request_id})
    assert origin.last.header("x-request-id") == request_id
    assert ("traceparent" in origin.last.names) == begun
    if begun:
        assert trace_of(origin.last.header("traceparent")).endswith(request_id[:8])
