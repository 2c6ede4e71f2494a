"""How a message finds an endpoint of its Upstream: by the fields by which requests find theirs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack

import pytest

from support.client import Response
from support.documents import Document
from support.gateway import Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.resources import prefix, resource, route, rule

SENT = {"type": "shop.orders.place", "upstream": {"name": "orders"}}


@pytest.fixture
def targets() -> Generator[list[ThreadedTarget]]:
    with ExitStack() as stack:
        yield [stack.enter_context(running_target()) for _ in range(3)]


def apply(
    gateway: Gateway, targets: list[ThreadedTarget], *, weights: tuple[int, ...] = (1, 1, 1), **spec: object
) -> None:
    endpoints = [
        {"address": "127.0.0.1", "port": target.port, "weight": weight}
        for target, weight in zip(targets, weights, strict=True)
    ]
    upstream = resource("Upstream", "orders", {"endpoints": endpoints, "protocol": "GRPC", **spec})
    gateway.apply(upstream, route("orders", rule(prefix("/orders"), message=SENT)))


def place(gateway: Gateway, **headers: str) -> Response:
    given = {"content-type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
    return gateway.request("POST", "/orders", headers=given, body="{}")


def send(gateway: Gateway, times: int, **headers: str) -> None:
    assert {place(gateway, **headers).status for _ in range(times)} == {200}


def counts(targets: list[ThreadedTarget]) -> list[int]:
    return [len(target.received) for target in targets]


def test_each_endpoint_gets_its_share(deciding_gateway: Gateway, targets: list[ThreadedTarget]) -> None:
    apply(deciding_gateway, targets, weights=(1, 2, 3))
    send(deciding_gateway, 60)
    assert counts(targets) == pytest.approx([10, 20, 30], abs=2)


@pytest.mark.parametrize("policy", ["LeastRequest", "Random"])
def test_nobody_is_forgotten(deciding_gateway: Gateway, targets: list[ThreadedTarget], policy: str) -> None:
    apply(deciding_gateway, targets, loadBalancing={"policy": policy})
    send(deciding_gateway, 60)
    assert min(counts(targets)) >= 5


@pytest.mark.parametrize("hashed", [{"header": "x-cart"}, {"address": True}], ids=["header", "address"])
def test_a_key_goes_to_one_endpoint(deciding_gateway: Gateway, targets: list[ThreadedTarget], hashed: Document) -> None:
    apply(deciding_gateway, targets, loadBalancing={"policy": "RingHash", "hashOn": hashed})
    send(deciding_gateway, 12, x_cart="7")
    assert sorted(counts(targets)) == [0, 0, 12]


def test_an_endpoint_that_dies_is_left_out_and_asked_again_when_it_is_back(
    deciding_gateway: Gateway, targets: list[ThreadedTarget]
) -> None:
    apply(deciding_gateway, targets)
    send(deciding_gateway, 6)
    targets[0].stop()
    before = counts(targets)
    send(deciding_gateway, 20)
    assert counts(targets)[0] == before[0]
    targets[0].start()
    until(lambda: place(deciding_gateway), lambda _: counts(targets)[0] > before[0])


def test_a_cookie_is_nothing_that_messages_have(deciding_gateway: Gateway, targets: list[ThreadedTarget]) -> None:
    apply(deciding_gateway, targets)
    hashed = {"policy": "RingHash", "hashOn": {"cookie": "cart"}}
    endpoints = [{"address": "127.0.0.1", "port": targets[0].port}]
    spec = {"endpoints": endpoints, "protocol": "GRPC", "loadBalancing": hashed}
    deciding_gateway.apply(resource("Upstream", "orders", spec), expect={("Route", "orders"): "Invalid"})
    assert "cookie" in deciding_gateway.problems("Route", "orders")["spec.rules[0].message.upstream"]
    assert until(lambda: place(deciding_gateway), lambda answer: answer.status == 500).reason == "routing/unavailable"
