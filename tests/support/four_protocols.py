"""One operation, POST /orders, over each of the four protocols, and what its caller is told, in one form.

In: what the rule of /orders says of its message. Out: documents for the gateway; functions that send the operation.
Called by feature tests of what must be alike over all protocols.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from support.documents import Document
from support.gateway import Gateway
from support.grpc_schemas import descriptors, messages
from support.resources import exact, prefix, resource, route, rule

SDL = """
type Query { order: Order @http(method: "GET", path: "/orders") }
type Mutation { placeOrder(input: OrderInput!): Order @http(method: "POST", path: "/orders") }
input OrderInput { sku: String! }
type Order { order: Int, note: String, messageId: String }
"""
ORDER = {"sku": "abc"}
_CALLS = descriptors()
_TYPES = messages(_CALLS)
_TIMEOUT_S = 10


@dataclass(frozen=True)
class Told:
    """What a caller is told. `code` is gRPC's word, or the status of HTTP where the protocol has one."""

    code: str
    reason: str = ""
    content: object = None
    pointers: tuple[str, ...] = ()
    """Of what is wrong in detail; gRPC has paths."""
    headers: Mapping[str, str] = field(default_factory=dict)


def world(message: Document) -> list[Document]:
    """The rules: the operation's own, and those of the adapters that find it in requests."""
    return [
        _schema("graph", "GraphQL", SDL),
        _schema("calls", "Protobuf", base64.b64encode(_CALLS).decode()),
        route(
            "shop",
            rule(exact("/orders", methods=["POST"]), message=message),
            rule(exact("/live"), adapter={"protocol": "WebSocket"}),
            rule(exact("/graphql"), adapter={"protocol": "GraphQL", "schema": {"name": "graph"}}),
            rule(prefix("/shop.v1.Orders"), adapter={"protocol": "GRPC", "schema": {"name": "calls"}}),
        ),
    ]


def _schema(name: str, format_: str, document: str) -> Document:
    return resource("Schema", name, {"format": format_, "versions": [{"name": "v1", "document": document}]})


def over_rest(gateway: Gateway, key: str = "", prefer: str = "") -> Told:
    """By HTTP."""
    headers = {"content-type": "application/json", **_wishes(key, prefer)}
    answer = gateway.request("POST", "/orders", headers=headers, body=json.dumps(ORDER))
    content = json.loads(answer.body) if answer.body else None
    if answer.status < 300:
        return Told(str(answer.status), content=content, headers=dict(answer.headers))
    return Told(str(answer.status), answer.reason or "", pointers=_pointers(content))


def over_websocket(gateway: Gateway, key: str = "", prefer: str = "") -> Told:
    """As a frame."""
    frame = {"id": "1", "method": "POST", "path": "/orders", "body": ORDER, "headers": _wishes(key, prefer)}
    opened = socket.create_connection(("127.0.0.1", gateway.port))
    with connect("ws://example.com/live", sock=opened, subprotocols=[Subprotocol("fastforward.v1.json")]) as connection:
        connection.send(json.dumps(frame))
        answer = json.loads(connection.recv(timeout=_TIMEOUT_S))
    if answer["status"] < 300:
        return Told(str(answer["status"]), content=answer["body"], headers=answer["headers"])
    error = answer["error"]
    return Told(str(answer["status"]), f"{error['stage']}/{error['reason']}", pointers=_pointers(error))


def over_graphql(gateway: Gateway, key: str = "", prefer: str = "") -> Told:
    """As a mutation."""
    query = "mutation ($o: OrderInput!) { placeOrder(input: $o) { order note messageId } }"
    headers = {"content-type": "application/json", **_wishes(key, prefer)}
    asked = json.dumps({"query": query, "variables": {"o": ORDER}})
    response = gateway.request("POST", "/graphql", headers=headers, body=asked)
    if response.status != 200:
        return Told(str(response.status), response.reason or "")
    answer = json.loads(response.body)
    if "errors" not in answer:
        found = answer["data"]["placeOrder"]
        return Told("OK", content={name: value for name, value in found.items() if value is not None})
    told = answer["errors"][0]["extensions"]
    return Told(told["code"], told["reason"], pointers=_pointers(told))


def over_grpc(gateway: Gateway, key: str = "", prefer: str = "") -> Told:
    """As a call."""
    order, placed = _TYPES["Order"], _TYPES["Placed"]
    metadata = tuple(_wishes(key, prefer).items())
    options = [("grpc.default_authority", "example.com")]
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as channel:
        place: Any = channel.unary_unary(
            "/shop.v1.Orders/Place",
            request_serializer=order.SerializeToString,
            response_deserializer=placed.FromString,
        )
        try:
            answer, call = place.with_call(order(**ORDER), metadata=metadata, timeout=_TIMEOUT_S)
        except grpc.RpcError as error:
            return _of_grpc(error)
    content = {each.name: value for each, value in answer.ListFields()}
    return Told("OK", content=content, headers=dict(call.initial_metadata()))


def _wishes(key: str, prefer: str) -> dict[str, str]:
    return {name: value for name, value in (("idempotency-key", key), ("prefer", prefer)) if value}


def _of_grpc(error: grpc.RpcError) -> Told:
    assert isinstance(error, grpc.Call)
    details = [value for name, value in error.trailing_metadata() if name == "grpc-status-details-bin"]
    packed = details[0] if details else b""  # what the proxy itself refuses has none
    info, found = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(packed).details:
        detail.Unpack(info)
        detail.Unpack(found)
    return Told(error.code().name, info.reason, pointers=tuple(f"/{each.field}" for each in found.field_violations))


def _pointers(content: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    return tuple(each["pointer"] for each in content.get("errors", ()))


PROTOCOLS: Mapping[str, Callable[..., Told]] = {
    "REST": over_rest,
    "WebSocket": over_websocket,
    "GraphQL": over_graphql,
    "gRPC": over_grpc,
}
"""The functions by protocol; each takes a gateway, an idempotency key, and a preference (RFC 7240)."""
