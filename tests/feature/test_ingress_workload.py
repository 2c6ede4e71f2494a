"""Adapters in a process of their own, behind Envoy: the same answers, and they move while requests are under way."""

from __future__ import annotations

import base64
import json
import socket as sockets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from fastforward.message.v1 import envelope_pb2
from support.client import Response
from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.grpc_schemas import descriptors, messages
from support.ingress import running_ingress
from support.message_target import ThreadedTarget, running_target
from support.resources import Document, exact, keys_of, on, policy, proven_by, resource, route, rule, secret, upstream

KEYS = "gateway.fastforward.dev/api-keys"
ACME = "AAAAAAAAAAAA"
KEY = {"x-api-key": f"ffk_{ACME}_{ACME.lower()}"}
PLACED = "shop.orders.placed"
ORDER = b'{"sku": "abc", "quantity": 2}'
SDL = """
type Query { ping: Boolean @http(method: "GET", path: "/ping") }
type Mutation { placeOrder(input: OrderInput!): Order @http(method: "POST", path: "/orders") }
input OrderInput { sku: String!, quantity: Int! }
type Order { order: Int }
"""
MUTATION = 'mutation { placeOrder(input: {sku: "abc", quantity: 2}) { order } }'
SCHEMA = descriptors()
TYPES = messages(SCHEMA)


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture
def ingress(deciding_gateway: Gateway) -> Generator[int]:
    with running_ingress(deciding_gateway.stack) as port:
        yield port


@pytest.fixture(autouse=True)
def shop(gateway: Gateway, target: ThreadedTarget, ingress: int) -> None:
    calls = {"protocol": "GRPC", "schema": {"name": "calls"}, "host": "example.com"}
    gateway.apply(
        secret("api-keys", apikeys_data(**{ACME: "acme"}), KEYS),
        resource("Tenant", "acme", {}),
        upstream("orders", target.port, protocol="GRPC"),
        upstream("ingress", ingress),
        upstream("ingress-calls", ingress, protocol="GRPC"),
        schema("graph", "GraphQL", SDL),
        schema("calls", "Protobuf", base64.b64encode(SCHEMA).decode()),
        route(
            "shop",
            rule(exact("/graphql"), adapter={"protocol": "GraphQL", "schema": {"name": "graph"}}),
            rule(exact("/live"), adapter={"protocol": "WebSocket"}),
            rule(
                exact("/orders"),
                message={"type": "shop.orders.place", "upstream": {"name": "orders"}, "event": PLACED},
            ),
            rule(exact("/orders/placed"), message={"type": PLACED}),
        ),
        route("calls", rule(adapter=calls), hosts="calls.example.com"),
        policy("members", on("Route", "shop"), authentication=proven_by(keys_of())),
    )


def schema(name: str, format_: str, document: str) -> Document:
    return resource("Schema", name, {"format": format_, "versions": [{"name": "v1", "document": document}]})


def adapting(*adapters: str, to: str = "ingress", name: str = "adapters") -> Document:
    return resource("Workload", name, {"component": "Ingress", "adapters": [*adapters], "upstream": {"name": to}})


def handled(gateway: Gateway, upstream: str = "ingress") -> int:
    """Requests that Envoy has sent to the Upstream, by its own count."""
    said = gateway.stack.envoy_stats(f"^cluster.{gateway.namespace}/{upstream}.upstream_rq_total$")
    return int(said.rpartition(": ")[2] or 0)


def place(gateway: Gateway, body: bytes = ORDER, **headers: str) -> Response:
    given = {**KEY, "content-type": "application/json", **headers}
    return gateway.request("POST", "/orders", headers=given, body=body)


def ask(gateway: Gateway) -> Any:  # noqa: ANN401 - JSON
    given = {**KEY, "content-type": "application/json"}
    return json.loads(gateway.request("POST", "/graphql", headers=given, body=json.dumps({"query": MUTATION})).body)


@contextmanager
def connected(gateway: Gateway) -> Generator[ClientConnection]:
    socket = sockets.create_connection(("127.0.0.1", gateway.port))
    protocols = [Subprotocol("fastforward.v1.json")]
    with connect("ws://example.com/live", sock=socket, subprotocols=protocols, additional_headers=KEY) as connection:
        yield connection


def say(connection: ClientConnection, **frame: object) -> Any:  # noqa: ANN401 - JSON
    connection.send(json.dumps(frame))
    return json.loads(connection.recv(timeout=10))


def test_messages_are_made_elsewhere_and_judged_here(gateway: Gateway, target: ThreadedTarget) -> None:
    here = [place(gateway), place(gateway, b"{"), place(gateway, **{"x-api-key": "ffk_no_no"})]
    assert handled(gateway) == 0
    gateway.apply(adapting("REST"))
    there = [place(gateway), place(gateway, b"{"), place(gateway, **{"x-api-key": "ffk_no_no"})]
    assert [(each.status, each.reason) for each in there] == [(each.status, each.reason) for each in here]
    assert handled(gateway) == 3
    first, second = (message.header for message in target.received)
    assert (second.type, second.tenant, second.source.address) == (first.type, "acme", "127.0.0.1")
    assert second.authorization.count(".") == 2
    keyed = [place(gateway, **{"idempotency-key": "k-1"}) for _ in range(2)]
    assert [each.header("idempotency-replayed") for each in keyed] == [None, "true"]


def test_graphql_and_connections_are_served_elsewhere_and_hear_of_what_happens(
    gateway: Gateway, target: ThreadedTarget
) -> None:
    gateway.apply(adapting("GraphQL", "WebSocket"))
    assert ask(gateway) == {"data": {"placeOrder": {"order": 7}}}
    with connected(gateway) as connection:
        assert say(connection, id="e", listen={"method": "GET", "path": "/orders/placed"})["status"] == 200
        assert place(gateway).status == 200, "over REST, in EntryPoint"
        assert json.loads(connection.recv(timeout=10))["event"]["body"] == {"order": 7}
        assert say(connection, id="1", method="GET", path="/orders/placed")["status"] == 404
    assert handled(gateway) == 2
    assert [message.header.source.protocol for message in target.received] == [
        envelope_pb2.PROTOCOL_GRAPHQL,
        envelope_pb2.PROTOCOL_REST,
    ]


def test_calls_are_served_elsewhere(gateway: Gateway, target: ThreadedTarget) -> None:
    gateway.apply(adapting("GRPC", to="ingress-calls"))
    options = [("grpc.default_authority", "calls.example.com")]
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as channel:
        call: Any = channel.unary_unary(
            "/shop.v1.Orders/Place",
            request_serializer=TYPES["Order"].SerializeToString,
            response_deserializer=TYPES["Placed"].FromString,
        )
        made: Any = TYPES["Order"]
        assert call(made(sku="abc"), metadata=tuple(KEY.items()), timeout=10).order == 7
        with pytest.raises(grpc.RpcError) as refused:
            call(made(sku="abc"), timeout=10)
    assert isinstance(refused.value, grpc.Call)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert handled(gateway, "ingress-calls") == 2
    assert target.received[0].header.source.protocol == envelope_pb2.PROTOCOL_GRPC


@pytest.mark.parametrize(
    ("workload", "reason", "told"),
    [
        (adapting("REST", to="nobody"), "UpstreamNotFound", "not found"),
        (adapting("REST", to="ingress-calls"), "Invalid", "HTTP1"),
        (adapting("GRPC"), "Invalid", "GRPC"),
    ],
    ids=["nobody", "calls", "requests"],
)
def test_one_that_can_have_no_requests_is_told_and_entrypoint_has_them(
    gateway: Gateway, workload: Document, reason: str, told: str
) -> None:
    gateway.apply(workload, expect={("Workload", "adapters"): reason})
    assert told in gateway.problems("Workload", "adapters")["spec.upstream"]
    assert place(gateway).status == 200
    assert handled(gateway) == 0


def test_adapters_move_there_and_back_under_load_and_no_request_fails(gateway: Gateway, target: ThreadedTarget) -> None:
    answers: list[int] = []
    ended, elsewhere = threading.Event(), 0

    def load() -> None:
        with gateway.connect() as connection:
            while not ended.is_set():
                given = {**KEY, "content-type": "application/json"}
                answer = connection.request("POST", "/orders", host="example.com", headers=given, body=ORDER)
                answers.append(answer.status)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = handled(gateway)
        gateway.apply(adapting("REST"))
        until(lambda least=before + 20: handled(gateway) > least)
        elsewhere = handled(gateway)
        gateway.delete("Workload", "adapters")
        sent = len(answers)
        until(lambda least=sent + 20: len(answers) > least)
    ended.set()
    for thread in threads:
        thread.join()
    assert set(answers) == {200}
    assert len(target.received) == len(answers)
    assert 0 < elsewhere < len(answers)
