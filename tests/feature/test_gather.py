"""One message to several targets, over each protocol through Envoy: a reply, whole or in part, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from fastforward.message.v1 import dispatch_pb2, error_pb2
from support.documents import Document
from support.four_protocols import PROTOCOLS, Told, over_rest, world
from support.gateway import Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.messages import reply
from support.resources import upstream

Send = Callable[..., Told]
PARTS = [{"name": "orders", "as": "order"}, {"name": "notes", "as": "note"}]


@pytest.fixture
def orders() -> Generator[ThreadedTarget]:
    with running_target() as running:
        running.answer = dispatch_pb2.HandleResponse(reply=reply(b"7"))
        yield running


@pytest.fixture
def notes() -> Generator[ThreadedTarget]:
    with running_target() as running:
        running.answer = dispatch_pb2.HandleResponse(reply=reply(b'"soon"'))
        yield running


@pytest.fixture(params=PROTOCOLS)
def send(request: pytest.FixtureRequest) -> Send:
    return PROTOCOLS[request.param]


def apply(gateway: Gateway, orders: ThreadedTarget, notes: ThreadedTarget, **gather: object) -> None:
    sent: Document = {"type": "shop.orders.place", "gather": {"upstreams": PARTS, **gather}}
    gateway.apply(
        upstream("orders", orders.port, protocol="GRPC"), upstream("notes", notes.port, protocol="GRPC"), *world(sent)
    )


def test_all_answers_are_one_reply(
    deciding_gateway: Gateway, orders: ThreadedTarget, notes: ThreadedTarget, send: Send
) -> None:
    apply(deciding_gateway, orders, notes)
    told = send(deciding_gateway)
    assert told.content == {"order": 7, "note": "soon"}
    assert told.headers.get("x-ff-completed", "true") == "true"
    assert (len(orders.received), len(notes.received)) == (1, 1)


def test_a_part_that_fails_is_left_out_where_the_rest_is_enough(
    deciding_gateway: Gateway, orders: ThreadedTarget, notes: ThreadedTarget, send: Send
) -> None:
    apply(deciding_gateway, orders, notes, require="Any")
    notes.stop()
    told = send(deciding_gateway)
    assert told.content == {"order": 7}
    if told.headers:
        assert told.headers["x-ff-completed"] == "false"
        assert told.headers["x-ff-failed"] == '"note";reason="dispatch/unreachable"'


def test_too_few_answers_are_none_and_each_failure_has_its_reason(
    deciding_gateway: Gateway, orders: ThreadedTarget, notes: ThreadedTarget, send: Send
) -> None:
    apply(deciding_gateway, orders, notes, require="Some", least=2)
    error = error_pb2.Error(code=error_pb2.CODE_NOT_FOUND, reason="shop/no-note", title="No note")
    notes.answer = dispatch_pb2.HandleResponse(error=error)
    told = send(deciding_gateway)
    assert told.code in {"503", "UNAVAILABLE"}
    assert (told.reason, told.pointers) == ("dispatch/incomplete", ("/note",))


def test_an_upstream_that_takes_no_messages_is_told_and_the_others_serve(
    deciding_gateway: Gateway, orders: ThreadedTarget, notes: ThreadedTarget
) -> None:
    apply(deciding_gateway, orders, notes)
    gateway = deciding_gateway
    gateway.apply(
        *world({"type": "a.b", "gather": {"upstreams": [*PARTS, {"name": "nobody", "as": "x"}], "require": "Any"}}),
        expect={("Route", "shop"): "UpstreamNotFound"},
    )
    assert "nobody" in gateway.problems("Route", "shop")["spec.rules[0].message.gather.upstreams[2]"]
    told = until(lambda: over_rest(gateway), lambda told: told.headers.get("x-ff-completed") == "false")
    assert told.content == {"order": 7, "note": "soon"}
    gateway.apply(
        *world({"type": "a.b", "gather": {"upstreams": [*PARTS, {"name": "nobody", "as": "x"}]}}),
        expect={("Route", "shop"): "UpstreamNotFound"},
    )
    assert until(lambda: over_rest(gateway), lambda told: told.code == "500").reason == "routing/unavailable"
