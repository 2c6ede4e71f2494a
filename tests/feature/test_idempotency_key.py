"""Idempotency keys over all protocols: asked for by a rule, refused when they are none, one key for one operation."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from fastforward.message.v1 import dispatch_pb2
from support.documents import Document
from support.four_protocols import PROTOCOLS, Told, over_rest, world
from support.gateway import Gateway
from support.message_target import ThreadedTarget, running_target
from support.messages import reply
from support.resources import upstream

Send = Callable[..., Told]


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture(params=PROTOCOLS)
def send(request: pytest.FixtureRequest) -> Send:
    return PROTOCOLS[request.param]


def apply(gateway: Gateway, target: ThreadedTarget, **message: object) -> None:
    sent: Document = {"type": "shop.orders.place", "upstream": {"name": "orders"}, **message}
    gateway.apply(upstream("orders", target.port, protocol="GRPC"), *world(sent))


def test_a_rule_that_asks_for_a_key_takes_no_message_without_one(
    deciding_gateway: Gateway, target: ThreadedTarget, send: Send
) -> None:
    apply(deciding_gateway, target, idempotency="Required")
    refused = send(deciding_gateway)
    assert (refused.code, refused.reason) in {
        ("400", "tracking/key-required"),
        ("INVALID_ARGUMENT", "tracking/key-required"),
    }
    assert target.received == []
    assert send(deciding_gateway, "k-1").content == {"order": 7}
    assert len(target.received) == 1


@pytest.mark.parametrize("key", ["k,l", "k" * 256, '"k'], ids=["two", "long", "half quoted"])
def test_a_key_that_is_none_is_refused(deciding_gateway: Gateway, target: ThreadedTarget, send: Send, key: str) -> None:
    apply(deciding_gateway, target)
    refused = send(deciding_gateway, key)
    assert (refused.code, refused.reason) in {
        ("400", "tracking/key-malformed"),
        ("INVALID_ARGUMENT", "tracking/key-malformed"),
    }
    assert target.received == []


def test_a_key_is_the_same_with_quotes_and_without_over_all_protocols(
    deciding_gateway: Gateway, target: ThreadedTarget, send: Send
) -> None:
    apply(deciding_gateway, target)
    assert over_rest(deciding_gateway, '"k-2"').content == send(deciding_gateway, "k-2").content == {"order": 7}
    assert len(target.received) == 1


def test_a_reply_that_breaks_its_schema_is_a_bad_gateway(
    deciding_gateway: Gateway, target: ThreadedTarget, send: Send
) -> None:
    apply(deciding_gateway, target)
    target.answer = dispatch_pb2.HandleResponse(reply=reply(b'{"order":'))
    told = send(deciding_gateway)
    assert (told.code, told.reason) in {
        ("502", "normalization/reply-malformed"),
        ("INTERNAL", "normalization/reply-malformed"),
    }
