"""Stages in a process of their own: they judge as in EntryPoint, and move while requests come through Envoy."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator

import pytest

from support.client import Response
from support.gateway import Gateway, until
from support.ingress import running_stages
from support.message_target import ThreadedTarget, running_target
from support.resources import Document, exact, resource, route, rule, upstream

STAGES = ("normalization", "routing")
ORDER = b'{"sku": "abc", "quantity": 2}'


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture
def stages(deciding_gateway: Gateway) -> Generator[int]:
    with running_stages(deciding_gateway.stack) as port:
        yield port


@pytest.fixture(autouse=True)
def shop(gateway: Gateway, target: ThreadedTarget, stages: int) -> None:
    schema = {"type": "object", "properties": {"quantity": {"type": "integer"}}, "required": ["quantity"]}
    spec: Document = {"format": "JSONSchema", "versions": [{"name": "v1", "document": json.dumps(schema)}]}
    gateway.apply(
        upstream("orders", target.port, protocol="GRPC"),
        upstream("stages", stages, protocol="GRPC"),
        resource("Schema", "order", spec),
        route(
            "shop",
            rule(
                exact("/orders"),
                message={"type": "shop.orders.place", "upstream": {"name": "orders"}, "request": {"name": "order"}},
            ),
        ),
    )


def elsewhere(*stages: str) -> Document:
    return resource("Workload", "stages", {"component": "Stages", "stages": [*stages], "upstream": {"name": "stages"}})


def asked(gateway: Gateway) -> int:
    """How often EntryPoint has asked for stages elsewhere, by its own count."""
    hops = gateway.stack.api("/v1/hops")["hops"]
    return sum(hop["calls"] for hop in hops if hop["name"] == f"stages of {gateway.namespace}/stages")


def place(gateway: Gateway, body: bytes = ORDER) -> Response:
    return gateway.request("POST", "/orders", headers={"content-type": "application/json"}, body=body)


@pytest.mark.parametrize("moved", [STAGES, *((each,) for each in STAGES)], ids="+".join)
def test_stages_judge_elsewhere_as_they_do_here(
    gateway: Gateway, target: ThreadedTarget, moved: tuple[str, ...]
) -> None:
    bodies = (ORDER, b"{", b'{"quantity": "two"}')
    here = [place(gateway, body) for body in bodies]
    assert asked(gateway) == 0
    gateway.apply(elsewhere(*moved))
    there = [place(gateway, body) for body in bodies]
    assert [(each.status, each.reason) for each in there] == [(each.status, each.reason) for each in here]
    assert [each.status for each in there] == [200, 400, 422]
    # What is malformed or invalid never comes as far as to routing.
    assert asked(gateway) == len(bodies) * ("normalization" in moved) + ("routing" in moved)
    first, second = target.received
    assert second.header.routing == first.header.routing
    assert second.payload == first.payload


def test_stages_move_there_and_back_under_load_and_no_request_fails(gateway: Gateway, target: ThreadedTarget) -> None:
    answers: list[int] = []
    ended = threading.Event()

    def load() -> None:
        with gateway.connect() as connection:
            while not ended.is_set():
                headers = {"content-type": "application/json"}
                answer = connection.request("POST", "/orders", host="example.com", headers=headers, body=ORDER)
                answers.append(answer.status)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            before = asked(gateway)
            gateway.apply(elsewhere(*STAGES))
            until(lambda least=before + 40: asked(gateway) > least)
            gateway.delete("Workload", "stages")
            sent = len(answers)
            until(lambda least=sent + 20: len(answers) > least)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {200}
    assert len(target.received) == len(answers)
    assert 0 < asked(gateway) < 2 * len(answers)
