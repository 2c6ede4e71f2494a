"""Requests that become messages: through Envoy, all stages and a real gRPC target, and back over REST."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2
from support.client import Response
from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.messages import reply
from support.resources import (
    Document,
    granted_to,
    keys_of,
    limit,
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
KEY = {"x-api-key": f"ffk_{ACME}_{ACME.lower()}", "content-type": "application/json"}
ORDER = b'{"sku": "abc", "quantity": 2}'


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture(autouse=True)
def orders(deciding_gateway: Gateway, target: ThreadedTarget) -> None:
    deciding_gateway.apply(
        secret("api-keys", apikeys_data(**{ACME: "acme"}), KEYS),
        resource("Tenant", "acme", {}),
        upstream("orders", target.port, protocol="GRPC"),
        route("orders", message_rule()),
        policy("buyers", on("Route", "orders"), authentication=proven_by(keys_of())),
    )


def message_rule(**message: object) -> Document:
    sent = {"type": "shop.orders.place", "upstream": {"name": "orders"}, **message}
    return rule(prefix("/orders"), message=sent)


def place(gateway: Gateway, body: bytes = ORDER, **headers: str) -> Response:
    given = {**KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return gateway.request("POST", "/orders?x=1", headers=given, body=body)


def test_a_request_reaches_its_target_as_a_signed_message_and_the_reply_comes_back(
    gateway: Gateway, target: ThreadedTarget
) -> None:
    answer = place(gateway)
    assert (answer.status, json.loads(answer.body)) == (200, {"order": 7})
    [message] = target.received
    header = message.header
    assert (header.type, header.tenant, header.identity.subject) == ("shop.orders.place", "acme", ACME.lower())
    assert (header.source.method, header.source.target, header.source.protocol) == (
        "POST",
        "/orders?x=1",
        envelope_pb2.PROTOCOL_REST,
    )
    assert header.source.address == "127.0.0.1"
    assert header.authorization.count(".") == 2
    assert message.payload.body == b'{"quantity":2,"sku":"abc"}'
    assert header.trace.traceparent
    assert gateway.log_line(answer)["route"].endswith("/orders")


def test_nobody_can_say_by_headers_who_he_is_or_where_he_comes_from(gateway: Gateway, target: ThreadedTarget) -> None:
    place(gateway, x_ff_edge="other/edge", x_ff_address="192.0.2.1", x_ff_tenant="root", x_ff_plan="x")
    [message] = target.received
    assert (message.header.source.address, message.header.tenant) == ("127.0.0.1", "acme")
    assert message.header.source.edge.endswith("/public")
    assert {"x-ff-edge", "x-ff-tenant", "x-api-key"} & {field.name for field in message.header.source.fields} == set()


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        ({"x_api_key": "ffk_no_no"}, ORDER, 401, "authentication/key-unknown"),
        ({}, b"{", 400, "normalization/content-malformed"),
        ({"content_type": "application/json; charset=utf-16"}, ORDER, 400, "normalization/content-malformed"),
    ],
)
def test_what_a_stage_refuses_is_a_problem_and_goes_no_further(
    gateway: Gateway, target: ThreadedTarget, headers: dict[str, str], body: bytes, status: int, reason: str
) -> None:
    answer = place(gateway, body, **headers)
    assert (answer.status, answer.reason) == (status, reason)
    assert answer.header("content-type") == "application/problem+json"
    assert gateway.log_line(answer)["refusal"] == reason
    assert target.received == []


def test_the_same_order_is_placed_once_and_told_again(gateway: Gateway, target: ThreadedTarget) -> None:
    first, again = (place(gateway, idempotency_key="k-1") for _ in range(2))
    assert (first.status, again.status, first.body == again.body) == (200, 200, True)
    assert (first.header("idempotency-replayed"), again.header("idempotency-replayed")) == (None, "true")
    assert len(target.received) == 1
    assert place(gateway, b"{}", idempotency_key="k-1").status == 422


def test_a_target_that_is_gone_is_503_and_the_key_stays_free(gateway: Gateway, target: ThreadedTarget) -> None:
    target.stop()
    answer = place(gateway, idempotency_key="k-2")
    assert (answer.status, answer.reason) == (503, "dispatch/unreachable")
    target.start()
    until(lambda: place(gateway, idempotency_key="k-2"), lambda answer: answer.status == 200)
    assert len(target.received) == 1


def test_a_targets_own_error_names_the_field(gateway: Gateway, target: ThreadedTarget) -> None:
    violation = error_pb2.FieldViolation(pointer="/quantity", description="There is 1.", rule="stock")
    error = error_pb2.Error(code=error_pb2.CODE_FAILED_PRECONDITION, title="Not enough", violations=[violation])
    target.answer = dispatch_pb2.HandleResponse(error=error)
    answer = place(gateway)
    assert (answer.status, json.loads(answer.body)["errors"][0]["pointer"]) == (400, "/quantity")


def test_limits_and_grants_hold_for_messages(gateway: Gateway, target: ThreadedTarget) -> None:
    gateway.apply(limit("few", on("Route", "orders"), requests=2, key=[{"type": "Tenant"}]))
    answers = [place(gateway) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[0].header("x-ratelimit-remaining") == "1"
    assert answers[2].header("retry-after") is not None
    gateway.apply(
        policy(
            "buyers",
            on("Route", "orders"),
            authentication=proven_by(keys_of()),
            authorization=granted_to(admins={"roles": ["admin"]}),
        )
    )
    assert (place(gateway).status, place(gateway).reason) == (403, "authorization/not-granted")
    assert len(target.received) == 2


def test_a_target_that_moves_is_followed(gateway: Gateway, target: ThreadedTarget) -> None:
    with running_target() as other:
        gateway.apply(upstream("orders", other.port, protocol="GRPC"))
        assert place(gateway).status == 200
        assert len(other.received) == 1
    assert target.received == []


def test_an_upstream_that_takes_no_messages_is_told(gateway: Gateway) -> None:
    gateway.apply(upstream("plain", 9))
    gateway.apply(route("orders", message_rule(upstream={"name": "plain"})), expect={("Route", "orders"): "Invalid"})
    assert "GRPC" in gateway.problems("Route", "orders")["spec.rules[0].message.upstream"]
    until(lambda: place(gateway), lambda answer: (answer.status, answer.reason) == (500, "routing/unavailable"))


def test_a_reply_says_its_own_status(gateway: Gateway, target: ThreadedTarget) -> None:
    made = reply()
    made.header.completion.status = 201
    made.header.completion.fields.add(name="location", value="/orders/7")
    target.answer = dispatch_pb2.HandleResponse(reply=made)
    answer = place(gateway)
    assert (answer.status, answer.header("location")) == (201, "/orders/7")
