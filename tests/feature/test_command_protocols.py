"""One command over each of the four protocols, through Envoy, a real RabbitMQ and its consumer: in each one's words."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from support.command_consumer import DONE, consumer_process
from support.command_stack import commanding
from support.documents import Document
from support.four_protocols import PROTOCOLS, world
from support.gateway import Gateway, Stack, until
from support.rabbitmq import RabbitServer, running_rabbitmq
from support.resources import resource

TYPE = "shop.orders.place"
PLACED = """{"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}"""
TAKEN = {"REST": "202", "WebSocket": "202", "GraphQL": "OK", "gRPC": "OK"}
DONE_CODE = {"REST": "200", "WebSocket": "200", "GraphQL": "OK", "gRPC": "OK"}


@pytest.fixture(scope="module")
def rabbitmq() -> Generator[RabbitServer]:
    with running_rabbitmq() as server:
        yield server


@pytest.fixture(scope="module")
def key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", auto_kid=True)


@pytest.fixture(scope="module")
def stack(
    stack: Stack, rabbitmq: RabbitServer, key: OKPKey, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Stack]:
    with commanding(stack, rabbitmq, key, tmp_path_factory.mktemp("seal")) as running:
        yield running


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def commands(gateway: Gateway) -> None:
    placed = resource("Schema", "placed", {"format": "JSONSchema", "versions": [{"name": "1", "document": PLACED}]})
    message: Document = {"type": TYPE, "delivery": "Command", "reply": {"name": "placed"}}
    gateway.apply(placed, *world(message))


def test_a_command_is_taken_and_told_by_the_id_under_which_it_is_handled(
    gateway: Gateway, rabbitmq: RabbitServer, key: OKPKey, tmp_path: Path, protocol: str
) -> None:
    told = PROTOCOLS[protocol](gateway)
    assert told.code == TAKEN[protocol]
    assert isinstance(told.content, dict)
    [(name, id_)] = told.content.items()
    assert name in {"messageId", "message_id"}
    destination = f"{gateway.namespace}/{TYPE}"
    with consumer_process(rabbitmq, destination, key.as_dict(private=False), tmp_path) as consumer:
        until(lambda: consumer.ids(DONE) == [id_])


def test_who_prefers_to_wait_gets_what_became_of_it(
    gateway: Gateway, rabbitmq: RabbitServer, key: OKPKey, tmp_path: Path, protocol: str
) -> None:
    destination = f"{gateway.namespace}/{TYPE}"
    known = key.as_dict(private=False)
    with consumer_process(rabbitmq, destination, known, tmp_path, reply={"order": 7}):
        told = PROTOCOLS[protocol](gateway, prefer="wait=8")
    assert (told.code, told.content) == (DONE_CODE[protocol], {"order": 7})
    with consumer_process(rabbitmq, destination, known, tmp_path, refuse="No stock"):
        refused = PROTOCOLS[protocol](gateway, prefer="wait=8")
    assert refused.code in {"400", "FAILED_PRECONDITION"}
    with consumer_process(rabbitmq, destination, known, tmp_path, reply={"order": "seven"}):
        broken = PROTOCOLS[protocol](gateway, prefer="wait=8")
    assert (broken.code, broken.reason) in {
        ("502", "normalization/reply-malformed"),
        ("INTERNAL", "normalization/reply-malformed"),
    }


def test_the_same_command_is_the_same_over_all_protocols(
    gateway: Gateway, rabbitmq: RabbitServer, key: OKPKey, tmp_path: Path
) -> None:
    told = [send(gateway, "k-1") for send in PROTOCOLS.values()]
    ids = {value for each in told if isinstance(each.content, dict) for value in each.content.values()}
    assert len(ids) == 1
    destination = f"{gateway.namespace}/{TYPE}"
    with consumer_process(rabbitmq, destination, key.as_dict(private=False), tmp_path, reply={"order": 7}) as consumer:
        PROTOCOLS["REST"](gateway, prefer="wait=8")
    assert len(consumer.ids(DONE)) == 2
