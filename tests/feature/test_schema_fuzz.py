"""Content that machines make up from the description of a host: what fits its Schema passes, all else reaches nobody.

Schemathesis makes requests from `ff openapi`, good ones and bad ones; another implementation of JSON Schema than the
gateway's says of everything that reached the target whether it fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from schemathesis import GenerationMode
from schemathesis.core import NOT_SET

from support.client import Connection, Response
from support.documents import Document
from support.ff import ff
from support.gateway import Gateway
from support.message_target import ThreadedTarget, running_target
from support.resources import exact, resource, route, rule, upstream

EXAMPLES = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
ORDER: Document = {
    "type": "object",
    "required": ["sku", "lines"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[a-z]{1,8}$"},
        "kind": {"enum": ["gift", "plain", None]},
        "lines": {"type": "array", "minItems": 1, "maxItems": 5, "items": {"$ref": "#/$defs/line"}},
        "price": {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "string", "minLength": 2}]},
    },
    "additionalProperties": False,
    "$defs": {
        "line": {
            "type": "object",
            "required": ["quantity"],
            "properties": {"quantity": {"type": "integer", "minimum": 1, "maximum": 99}, "weight": {"type": "number"}},
        }
    },
}
JUDGE = Draft202012Validator(ORDER, format_checker=FormatChecker())


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


Contents = Callable[[GenerationMode], st.SearchStrategy[object]]


@pytest.fixture
def contents(deciding_gateway: Gateway, target: ThreadedTarget) -> Contents:
    """What schemathesis makes up for POST /orders."""
    gateway, versions = deciding_gateway, [{"name": "1", "document": json.dumps(ORDER)}]
    sent = {"type": "shop.orders.place", "upstream": {"name": "orders"}, "request": {"name": "order"}}
    gateway.apply(
        upstream("orders", target.port, protocol="GRPC"),
        resource("Schema", "order", {"format": "JSONSchema", "versions": versions}),
        route("orders", rule(exact("/orders", methods=["POST"]), message=sent), hosts="example.com"),
    )
    described = ff("openapi", "example.com", gateway.stack.resources / gateway.namespace, "-o", "json").json
    operation: Any = schemathesis.openapi.from_dict(described)["/orders"]["POST"]
    return lambda mode: operation.as_strategy(generation_mode=mode).map(lambda case: case.body)


def written(content: object) -> bytes:
    """As a client sends it; some is no JSON, and some is nothing."""
    if content is NOT_SET:
        return b""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def meant(body: bytes) -> object:
    """The content, with numbers as doubles hold them."""
    return json.loads(body, parse_int=float)


def fits(body: bytes) -> bool:
    try:
        return JUDGE.is_valid(json.loads(body))
    except ValueError:
        return False


def place(connection: Connection, body: bytes) -> Response:
    headers = {"content-type": "application/json"}
    return connection.request("POST", "/orders", host="example.com", headers=headers, body=body)


def test_what_fits_passes_and_reaches_the_target_as_it_was(
    gateway: Gateway, target: ThreadedTarget, contents: Contents
) -> None:
    with gateway.connect() as connection:

        @given(contents(GenerationMode.POSITIVE))
        @EXAMPLES
        def check(content: object) -> None:
            answer = place(connection, written(content))
            assert answer.status == 200, answer.body
            assert meant(target.received[-1].payload.body) == meant(written(content))

        check()
    assert len(target.received) >= 50


def test_what_does_not_fit_reaches_nobody(gateway: Gateway, target: ThreadedTarget, contents: Contents) -> None:
    refused: list[int] = []
    with gateway.connect() as connection:

        @given(contents(GenerationMode.NEGATIVE))
        @EXAMPLES
        def check(content: object) -> None:
            seen, body = len(target.received), written(content)
            answer, passes = place(connection, body), fits(body)
            assert (answer.status == 200) == passes, answer.body
            assert len(target.received) == seen + passes
            if not passes:
                refused.append(answer.status)

        check()
    assert all(fits(message.payload.body) for message in target.received)
    assert len(refused) >= 20
    assert set(refused) <= {400, 422}
