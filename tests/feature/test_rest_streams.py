"""Streams over REST: lists as lines, both ways, and what happens as server-sent events."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Generator
from typing import Any

import pytest

from fastforward.message.v1 import dispatch_pb2
from support.client import Response
from support.credentials import apikeys_data
from support.gateway import Gateway
from support.message_target import ThreadedTarget
from support.messages import reply
from support.processes import free_port
from support.resources import (
    edge,
    exact,
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
TENANTS = {"AAAAAAAAAAAA": "acme", "BBBBBBBBBBBB": "other"}
ACME, OTHER = ({"x-api-key": f"ffk_{key}_{key.lower()}"} for key in TENANTS)
LINES = "application/x-ndjson"
ORDERS = b'{"n": 1}\n\n{"n": [2]}\n"three"\n'


class Echo(ThreadedTarget):
    """Replies with what it was sent."""

    def Handle(self, request: dispatch_pb2.HandleRequest, context: Any) -> dispatch_pb2.HandleResponse:  # noqa: ANN401, N802
        del context
        self.received.append(request.envelope)
        return dispatch_pb2.HandleResponse(reply=reply(request.envelope.payload.body))


@pytest.fixture
def target() -> Generator[Echo]:
    echo = Echo()
    echo.start()
    yield echo
    echo.stop()


@pytest.fixture(autouse=True)
def orders(deciding_gateway: Gateway, target: Echo) -> None:
    sent = {"type": "shop.orders.place", "upstream": {"name": "orders"}, "event": "shop.orders.placed"}
    numbers = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    document = json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **numbers})
    deciding_gateway.apply(
        secret("api-keys", apikeys_data(**TENANTS), KEYS),
        *(resource("Tenant", name, {}) for name in TENANTS.values()),
        upstream("orders", target.port, protocol="GRPC"),
        resource("Schema", "numbers", {"format": "JSONSchema", "versions": [{"name": "v1", "document": document}]}),
        route(
            "orders",
            rule(prefix("/orders"), message=sent),
            rule(prefix("/numbers"), message={**sent, "request": {"name": "numbers"}}),
            rule(exact("/placed"), message={"type": "shop.orders.placed"}),
        ),
        policy("buyers", on("Route", "orders"), authentication=proven_by(keys_of())),
    )


def place(gateway: Gateway, path: str = "/orders", body: bytes = ORDERS, **headers: str) -> Response:
    given = {**ACME, "content-type": LINES, **headers}
    return gateway.request("POST", path, headers=given, body=body)


def test_lines_are_one_message_with_the_list_of_them(gateway: Gateway, target: Echo) -> None:
    answer = place(gateway)
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    [message] = target.received
    assert json.loads(message.payload.body) == json.loads(answer.body) == [{"n": 1}, {"n": [2]}, "three"]
    assert message.payload.media_type == "application/json"


def test_a_list_comes_as_lines_to_whom_likes_them_better(gateway: Gateway) -> None:
    answer = place(gateway, accept=f"application/json;q=0.5, {LINES}")
    assert (answer.status, answer.header("content-type")) == (200, LINES)
    assert answer.content == b'{"n":1}\n{"n":[2]}\n"three"\n'
    assert place(gateway, accept=f"application/json, {LINES};q=0.5").header("content-type") == "application/json"


def test_many_lines_come_and_go(gateway: Gateway) -> None:
    lines = [json.dumps({"n": number}) for number in range(5000)]
    answer = place(gateway, "/numbers", "\n".join(lines).encode(), accept=LINES)
    assert [json.loads(line)["n"] for line in answer.content.splitlines()] == list(range(5000))


@pytest.mark.parametrize(
    ("path", "body", "status", "pointer"),
    [
        ("/orders", b'{"n": 1}\n{"n": 2', 400, "/1"),
        ("/orders", b'{"n": 1}\n1, 2\n', 400, "/1"),
        ("/orders", b'{"n": 1}\n\xff\n', 400, "/1"),
        ("/numbers", b'{"n": 1}\n\n{"n": "x"}\n', 422, "/1/n"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_nothing_is_sent(
    gateway: Gateway, target: Echo, path: str, body: bytes, status: int, pointer: str
) -> None:
    answer = place(gateway, path, body)
    assert answer.status == status
    assert [each["pointer"] for each in json.loads(answer.body)["errors"]] == [pointer]
    assert target.received == []


def test_events_come_to_their_tenant_as_server_sent_events(gateway: Gateway) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    stop = threading.Event()
    try:
        headers = {"host": "example.com", "accept": "text/event-stream", **ACME}
        connection.request("GET", "/placed", headers=headers)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("content-type")) == (200, "text/event-stream")
        assert [answer.readline(), answer.readline()] == [b":\n", b"\n"]
        place(gateway, body=b'"not for acme"', **OTHER)
        placing = threading.Thread(target=_until_heard, args=(gateway, stop))
        placing.start()
        names = [answer.readline().partition(b":")[0] for _ in range(2)]
        assert names == [b"id", b"event"]
        assert answer.readline() == b'data: ["heard"]\n'
        stop.set()
        placing.join()
    finally:
        stop.set()
        connection.close()


def test_nobody_hears_events_in_another_namespace(gateway: Gateway, target: Echo) -> None:
    """There anybody may have a host that says the same tenant, asks for no credentials, and names the same type."""
    evil, port = f"{gateway.namespace}-evil", free_port()
    sent = {"type": "a.b", "upstream": {"name": "own"}, "event": "shop.orders.placed"}
    documents = [
        edge(port, hosts=["evil.example"]),
        resource("Tenant", "acme", {"hosts": ["evil.example"]}),
        upstream("own", target.port, protocol="GRPC"),
        route("own", rule(exact("/own"), message=sent), rule(exact("/placed"), message={"type": "shop.orders.placed"})),
    ]
    for document in documents:
        document["metadata"]["namespace"] = evil
    gateway.apply(*documents)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/placed", headers={"host": "evil.example", "accept": "text/event-stream"})
        answer = connection.getresponse()
        assert [answer.status, answer.readline(), answer.readline()] == [200, b":\n", b"\n"]
        for _ in range(3):
            assert place(gateway, body=b'"of the shop"').status == 200
        headers = {"content-type": LINES}
        own = gateway.request("POST", "/own", host="evil.example", port=port, headers=headers, body=b'"its own"')
        assert own.status == 200
        assert [answer.readline() for _ in range(3)][2] == b'data: ["its own"]\n'
    finally:
        connection.close()


def test_without_asking_for_events_there_is_nothing_to_get(gateway: Gateway) -> None:
    assert gateway.get("/placed", headers={**ACME, "accept": "application/json"}).status == 404


def _until_heard(gateway: Gateway, stop: threading.Event) -> None:
    """Orders again and again: when a listener is there, only it knows."""
    for _ in range(200):
        place(gateway, body=b'"heard"')
        if stop.wait(0.05):
            return
