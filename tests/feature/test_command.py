"""Commands through Envoy, all stages, a real RabbitMQ and a consumer in a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey

from support.client import Response
from support.command_consumer import DONE, ConsumerProcess, consumer_process
from support.command_stack import commanding
from support.gateway import Gateway, Stack, until
from support.rabbitmq import RabbitServer, running_rabbitmq
from support.resources import Document, prefix, resource, route, rule

JSON = {"content-type": "application/json"}
SHIPMENT = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}
TYPE = "shop.orders.ship"
SETTLE_S = 3.0


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


@pytest.fixture(autouse=True)
def shipping(gateway: Gateway) -> None:
    gateway.apply(
        resource(
            "Schema",
            "shipment",
            {"format": "JSONSchema", "versions": [{"name": "1", "document": json.dumps(SHIPMENT)}]},
        ),
        route("shipping", message_rule()),
    )


def message_rule(**message: object) -> Document:
    sent = {"type": TYPE, "delivery": "Command", "request": {"name": "shipment"}, "reply": {"name": "shipment"}}
    return rule(prefix("/shipments"), message={**sent, **message})


@pytest.fixture
def consumer(gateway: Gateway, rabbitmq: RabbitServer, key: OKPKey, tmp_path: Path) -> Generator[ConsumerProcess]:
    destination = f"{gateway.namespace}/{TYPE}"
    with consumer_process(rabbitmq, destination, key.as_dict(private=False), tmp_path) as running:
        yield running


def ship(gateway: Gateway, prefer: str = "", once: str = "", **content: object) -> Response:
    headers = {**JSON, "prefer": prefer, "idempotency-key": once}
    given = {name: value for name, value in headers.items() if value}
    return gateway.request("POST", "/shipments", headers=given, body=json.dumps({"order": 7, **content}).encode())


def test_a_command_is_accepted_and_then_handled(gateway: Gateway, consumer: ConsumerProcess) -> None:
    answer = ship(gateway)
    id_ = answer.header("x-ff-message-id")
    assert (answer.status, json.loads(answer.body)) == (202, {"messageId": id_})
    until(lambda: consumer.ids(DONE) == [id_])


def test_who_prefers_to_wait_gets_the_reply_or_the_error(gateway: Gateway, consumer: ConsumerProcess) -> None:
    answer = ship(gateway, prefer="wait=10")
    assert (answer.status, json.loads(answer.body)) == (200, {"order": 7})
    refused = ship(gateway, prefer="wait=10", refuse="No stock")
    assert (refused.status, json.loads(refused.body)["title"]) == (400, "No stock")
    late = ship(gateway, prefer="wait=1", takes=1.5)
    assert late.status == 202
    until(lambda: consumer.ids(DONE)[-1] == late.header("x-ff-message-id"))


def test_what_breaks_the_schema_is_no_command(gateway: Gateway, consumer: ConsumerProcess) -> None:
    broken = ship(gateway, order="seven")
    assert (broken.status, broken.reason) == (422, "normalization/content-invalid")
    assert ship(gateway, prefer="wait=10").status == 200
    assert len(consumer.ids(DONE)) == 1


def test_the_same_command_is_accepted_once(gateway: Gateway, consumer: ConsumerProcess) -> None:
    first, again = (ship(gateway, once="k") for _ in range(2))
    assert (first.status, again.status, first.body == again.body) == (202, 202, True)
    assert again.header("idempotency-replayed") == "true"
    assert ship(gateway, prefer="wait=10").status == 200
    assert len(consumer.ids(DONE)) == 2


def test_without_rabbitmq_nothing_is_accepted_and_afterwards_all_goes_on(
    gateway: Gateway, rabbitmq: RabbitServer, consumer: ConsumerProcess
) -> None:
    accepted = ship(gateway)
    # Killed sooner after it has made a queue, a RabbitMQ of one node may not find it again.
    time.sleep(SETTLE_S)
    rabbitmq.kill()
    try:
        # Before EntryPoint has noticed, what it sends may have been taken.
        until(lambda: ship(gateway), lambda answer: answer.reason == "dispatch/unavailable")
        answer = ship(gateway, once="k")
        assert (answer.status, answer.reason) == (503, "dispatch/unavailable")
        # Neighbours are not affected.
        assert gateway.get("/nothing").status == 404
    finally:
        rabbitmq.start()
    answer = until(lambda: ship(gateway, once="k"), lambda answer: answer.status == 202, seconds=30, every=0.2)
    wanted = [accepted.header("x-ff-message-id"), answer.header("x-ff-message-id")]
    until(lambda: consumer.ids(DONE) == wanted, seconds=30)


def test_a_command_with_an_upstream_is_refused(gateway: Gateway) -> None:
    named = message_rule(upstream={"name": "nobody"})
    gateway.apply(route("shipping", named), expect={("Route", "shipping"): "Invalid"})
    assert "goes to a queue" in " ".join(gateway.problems("Route", "shipping").values())
