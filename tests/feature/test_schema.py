"""Content against Schemas, through Envoy and all stages: what breaks them reaches no target, and no caller."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from fastforward.message.v1 import dispatch_pb2
from support.client import Response
from support.documents import Document
from support.gateway import Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.messages import reply
from support.resources import prefix, resource, route, rule, upstream

ORDER: Document = {
    "type": "object",
    "required": ["sku", "lines"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[a-z]+$"},
        "at": {"type": "string", "format": "date-time"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "$defs": {"line": {"required": ["quantity"], "properties": {"quantity": {"type": "integer", "minimum": 1}}}},
}
RECEIPT: Document = {"required": ["order"], "properties": {"order": {"type": "integer"}}}
FINE = {"sku": "abc", "lines": [{"quantity": 2}]}


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


def schema(name: str, *documents: Document, **spec: object) -> Document:
    versions = [{"name": f"v{place}", "document": json.dumps(each)} for place, each in enumerate(documents, 1)]
    return resource("Schema", name, {"format": "JSONSchema", "versions": versions, **spec})


def orders(**message: object) -> Document:
    sent = {"type": "shop.orders.place", "upstream": {"name": "orders"}, "request": {"name": "order"}, **message}
    return route("orders", rule(prefix("/orders"), message=sent))


@pytest.fixture(autouse=True)
def world(deciding_gateway: Gateway, target: ThreadedTarget) -> None:
    deciding_gateway.apply(
        upstream("orders", target.port, protocol="GRPC"), schema("order", ORDER), schema("receipt", RECEIPT), orders()
    )


def place(gateway: Gateway, content: object) -> Response:
    headers = {"content-type": "application/json"}
    return gateway.request("POST", "/orders", headers=headers, body=json.dumps(content).encode())


def violations(answer: Response) -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = json.loads(answer.body)["errors"]
    return sorted((each["pointer"], each["rule"]) for each in found)


def test_content_that_breaks_its_schema_goes_nowhere_and_each_field_is_told(
    gateway: Gateway, target: ThreadedTarget
) -> None:
    answer = place(gateway, {"sku": "ABC", "lines": [{"quantity": 1}, {"quantity": 0}]})
    assert (answer.status, answer.reason) == (422, "normalization/content-invalid")
    assert violations(answer) == [("/lines/1/quantity", "minimum"), ("/sku", "pattern")]
    assert gateway.log_line(answer)["refusal"] == "normalization/content-invalid"
    assert target.received == []


def test_what_reaches_the_target_is_in_canonical_form_and_says_its_schema(
    gateway: Gateway, target: ThreadedTarget
) -> None:
    assert place(gateway, {**FINE, "at": "2026-01-01T01:00:00+01:00"}).status == 200
    [message] = target.received
    assert message.payload.body == b'{"at":"2026-01-01T00:00:00Z","lines":[{"quantity":2}],"sku":"abc"}'
    assert message.payload.schema.endswith("/order")
    assert message.payload.schema_version == "v1"


def test_unknown_fields_are_what_the_rule_says(gateway: Gateway, target: ThreadedTarget) -> None:
    sent = {**FINE, "lines": [{"quantity": 2, "price": 0}]}
    gateway.apply(orders(unknownFields="Drop"))
    until(lambda: place(gateway, sent).status == 200 and b"price" not in target.received[-1].payload.body)
    gateway.apply(orders(unknownFields="Refuse"))
    answer = until(lambda: place(gateway, sent), lambda found: found.status == 422)
    assert violations(answer) == [("/lines/0/price", "unknownFields")]


def test_a_reply_that_breaks_its_schema_is_the_targets_fault(gateway: Gateway, target: ThreadedTarget) -> None:
    gateway.apply(orders(reply={"name": "receipt"}))
    assert until(lambda: place(gateway, FINE), lambda found: found.status == 200).body == '{"order":7}'
    target.answer = dispatch_pb2.HandleResponse(reply=reply(b'{"order":"of Ann"}'))
    answer = place(gateway, FINE)
    assert (answer.status, answer.reason) == (502, "normalization/reply-malformed")
    assert "Ann" not in answer.body


def test_a_version_that_does_not_fit_is_told_and_the_one_before_serves(gateway: Gateway) -> None:
    broken = {**ORDER, "required": ["sku", "lines", "at"]}
    gateway.apply(schema("order", ORDER, broken), expect={("Schema", "order"): "SchemaIncompatible"})
    assert "/at: is required" in gateway.problems("Schema", "order")["spec.versions[1].document"]
    assert place(gateway, FINE).status == 200
    gateway.apply(schema("order", ORDER, broken, compatibility="Forward"))
    answer = until(lambda: place(gateway, FINE), lambda found: found.status == 422)
    assert violations(answer) == [("", "required")]
