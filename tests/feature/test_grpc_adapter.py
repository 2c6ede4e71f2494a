"""Public gRPC services through Envoy: calls become messages by the rule's Schema, and answers come back in gRPC."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Generator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from fastforward.message.v1 import dispatch_pb2, envelope_pb2
from support import tools
from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.grpc_schemas import descriptors, messages
from support.grpc_web import BINARY, framed, read_answer
from support.message_target import ThreadedTarget, running_target
from support.messages import reply
from support.resources import (
    Document,
    edge,
    keys_of,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    secret,
    upstream,
)

KEYS = "gateway.fastforward.dev/api-keys"
ACME = "AAAAAAAAAAAA"
KEY = (("x-api-key", f"ffk_{ACME}_{ACME.lower()}"),)
DOCUMENT = descriptors()
TYPES = messages(DOCUMENT)
TIMEOUT_S = 10


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture(autouse=True)
def orders(deciding_gateway: Gateway, target: ThreadedTarget) -> None:
    """Calls come to the adapter's rule; what they are in HTTP are the rules of another host, which wants keys."""
    deciding_gateway.apply(
        secret("api-keys", apikeys_data(**{ACME: "acme"}), KEYS),
        resource("Tenant", "acme", {}),
        upstream("orders", target.port, protocol="GRPC"),
        schema(DOCUMENT),
        route("calls", adapter_rule(), hosts="calls.example.com"),
        route(
            "orders",
            message_rule("/orders", "shop.orders.place", event="shop.orders.placed"),
            message_rule("/batches", "shop.orders.batch"),
            rule(prefix("/events"), message={"type": "shop.orders.placed"}),
            hosts="orders.example.com",
        ),
        policy("buyers", on("Route", "orders"), authentication=proven_by(keys_of())),
    )


def schema(document: bytes, version: str = "v1") -> Document:
    versions = [{"name": version, "document": base64.b64encode(document).decode()}]
    return resource("Schema", "orders", {"format": "Protobuf", "versions": versions})


def adapter_rule() -> Document:
    adapter = {"protocol": "GRPC", "schema": {"name": "orders"}, "host": "orders.example.com"}
    return rule(prefix("/"), adapter=adapter)


def message_rule(path: str, type_: str, **message: str) -> Document:
    return rule(prefix(path), message={"type": type_, "upstream": {"name": "orders"}, **message})


@pytest.fixture
def channel(gateway: Gateway) -> Generator[grpc.Channel]:
    options = [("grpc.default_authority", "calls.example.com"), ("grpc.max_receive_message_length", 16 << 20)]
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as made:
        yield made


def method(channel: grpc.Channel, name: str, kind: str = "unary_unary", asked: str = "Order") -> Any:  # noqa: ANN401
    return getattr(channel, kind)(
        f"/shop.v1.Orders/{name}",
        request_serializer=TYPES[asked].SerializeToString,
        response_deserializer=TYPES["Placed"].FromString,
    )


def order(**fields: object) -> Any:  # noqa: ANN401 - of a type that is made here
    made: Any = TYPES["Order"]
    return made(**fields)


def info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    assert isinstance(error, grpc.Call)
    [packed] = [value for name, value in error.trailing_metadata() if name == "grpc-status-details-bin"]
    return error_details_pb2.ErrorInfo.FromString(status_pb2.Status.FromString(packed).details[0].value)


def code(error: grpc.RpcError) -> grpc.StatusCode:
    assert isinstance(error, grpc.Call)
    return error.code()


def test_a_call_reaches_its_target_as_a_signed_message_and_is_answered(
    channel: grpc.Channel, target: ThreadedTarget
) -> None:
    answer = method(channel, "Place")(order(sku="abc", quantity=2), metadata=KEY, timeout=TIMEOUT_S)
    assert answer.order == 7
    [message] = target.received
    header = message.header
    assert (header.type, header.tenant, header.source.protocol) == (
        "shop.orders.place",
        "acme",
        envelope_pb2.PROTOCOL_GRPC,
    )
    assert (header.source.method, header.source.target) == ("POST", "/orders")
    assert header.source.address == "127.0.0.1"
    assert header.authorization.count(".") == 2
    assert message.payload.body == b'{"quantity":2,"sku":"abc"}'


def test_a_call_in_grpc_web_is_one_like_any_other(deciding_gateway: Gateway, target: ThreadedTarget) -> None:
    deciding_gateway.apply(edge(deciding_gateway.port, grpc={"web": True}))
    body = framed(TYPES["Order"](sku="b-1", quantity=2).SerializeToString())
    headers = {"content-type": BINARY, **dict(KEY)}
    answer = read_answer(
        deciding_gateway.request("POST", "/shop.v1.Orders/Place", host="calls.example.com", headers=headers, body=body)
    )
    assert answer.status == 0
    assert TYPES["Placed"].FromString(answer.messages[0]) == TYPES["Placed"](order=7)
    assert [each.header.source.protocol for each in target.received] == [envelope_pb2.PROTOCOL_GRPC]


def test_without_a_key_the_operation_is_refused_with_details(channel: grpc.Channel, target: ThreadedTarget) -> None:
    forged = (("x-ff-tenant", "acme"), ("x-ff-entry", "x"), ("x-ff-host", "other.example.com"))
    with pytest.raises(grpc.RpcError) as caught:
        method(channel, "Place")(order(), metadata=forged, timeout=TIMEOUT_S)
    assert code(caught.value) is grpc.StatusCode.UNAUTHENTICATED
    assert (info(caught.value).reason, info(caught.value).domain) == (
        "authentication/key-missing",
        "gateway.fastforward.dev",
    )
    assert target.received == []


def test_an_adapter_without_a_host_takes_the_rules_of_the_calls_own(
    gateway: Gateway, channel: grpc.Channel, target: ThreadedTarget
) -> None:
    both = rule(prefix("/"), adapter={"protocol": "GRPC", "schema": {"name": "orders"}})
    gateway.apply(route("calls", message_rule("/orders", "shop.own"), both, hosts="*.example.com"))
    forged = (("x-ff-host", "orders.example.com"),)

    def placed() -> bool:
        try:
            return method(channel, "Place")(order(), metadata=forged, timeout=TIMEOUT_S).order == 7
        except grpc.RpcError:
            return False

    until(placed)
    assert (target.received[-1].header.type, target.received[-1].header.source.host) == (
        "shop.own",
        "calls.example.com",
    )


def test_streams_go_both_ways(channel: grpc.Channel, target: ThreadedTarget) -> None:
    batch = method(channel, "PlaceAll", "stream_unary")(
        iter([order(sku="a"), order(sku="b")]), metadata=KEY, timeout=TIMEOUT_S
    )
    assert batch.order == 7
    assert json.loads(target.received[0].payload.body) == [{"sku": "a"}, {"sku": "b"}]
    talk = method(channel, "Converse", "stream_stream")(
        iter([order(sku="a"), order(sku="b")]), metadata=KEY, timeout=TIMEOUT_S
    )
    assert [each.order for each in talk] == [7, 7]
    target.answer = dispatch_pb2.HandleResponse(reply=reply(b'[{"order": "1"}, {"order": "2"}]'))
    listed = method(channel, "List", "unary_stream", "Which")(TYPES["Which"](), metadata=KEY, timeout=TIMEOUT_S)
    assert [each.order for each in listed] == [1, 2]


def test_events_come_as_they_happen(channel: grpc.Channel) -> None:
    heard = method(channel, "Listen", "unary_stream", "Which")(TYPES["Which"](), metadata=KEY, timeout=TIMEOUT_S)
    heard.initial_metadata()
    method(channel, "Place")(order(), metadata=KEY, timeout=TIMEOUT_S)
    assert next(heard).order == 7
    heard.cancel()


def test_an_order_is_placed_once(channel: grpc.Channel, target: ThreadedTarget) -> None:
    metadata = (*KEY, ("idempotency-key", "k-1"))
    calls = [
        method(channel, "Place").with_call(order(sku="a"), metadata=metadata, timeout=TIMEOUT_S)[1] for _ in range(2)
    ]
    assert ("idempotency-replayed", "true") in list(calls[1].initial_metadata())
    assert len(target.received) == 1


def test_big_messages_and_garbage_are_refused_and_the_next_call_is_served(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        method(channel, "Place")(order(blob=bytes(5 << 20)), metadata=KEY, timeout=TIMEOUT_S)
    assert code(caught.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/shop.v1.Orders/Place")(b"\xff\xff", metadata=KEY, timeout=TIMEOUT_S)
    assert code(caught.value) is grpc.StatusCode.INVALID_ARGUMENT
    assert method(channel, "Place")(order(blob=bytes(1 << 20)), metadata=KEY, timeout=TIMEOUT_S).order == 7


def test_a_target_that_is_gone_is_unavailable(channel: grpc.Channel, target: ThreadedTarget) -> None:
    target.stop()
    with pytest.raises(grpc.RpcError) as caught:
        method(channel, "Place")(order(), metadata=KEY, timeout=TIMEOUT_S)
    assert (code(caught.value), info(caught.value).reason) == (grpc.StatusCode.UNAVAILABLE, "dispatch/unreachable")


def test_grpcurl_learns_the_service_by_reflection(gateway: Gateway) -> None:
    def ask(*arguments: str) -> str:
        command = [str(tools.program("grpcurl")), "-plaintext", "-authority", "calls.example.com", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S).stdout

    address = f"127.0.0.1:{gateway.port}"
    assert "shop.v1.Orders" in ask(address, "list").split()
    assert "rpc Place ( .shop.v1.Order ) returns ( .shop.v1.Placed )" in ask(address, "describe", "shop.v1.Orders")
    key = f"{KEY[0][0]}: {KEY[0][1]}"
    placed = ask("-H", key, "-d", '{"sku": "abc"}', address, "shop.v1.Orders/Place")
    assert json.loads(placed) == {"order": "7"}
    assert json.loads(ask(address, "grpc.health.v1.Health/Check"))["status"] == "SERVING"
