"""Rules that send messages or name adapters, their Schemas and EventHooks, with every field. Called by full_world."""

from __future__ import annotations

import base64
import json

from google.protobuf import descriptor_pb2

from . import called_shop
from .credentials import webhook_key
from .documents import Document
from .resources import resource, secret, upstream

ORDER = {"type": "object", "properties": {"book": {"type": "string"}}}
STRICT = {**ORDER, "required": ["book"]}
SDL = """
directive @http(method: String!, path: String!) on FIELD_DEFINITION
type Query { orders: [String!] @http(method: "GET", path: "/orders") }
"""


def at(name: str) -> list[Document]:
    return [{"path": {"value": f"/{name}"}}]


def rules() -> list[Document]:
    schema: Document = {"name": "order", "namespace": "shop", "version": "1"}
    taker = {"name": "taker", "namespace": "shop"}
    limits = {"depth": 5, "complexity": 50, "aliases": 3, "batch": 2, "pageSize": 20, "introspection": True}
    return [
        {
            "name": "sent",
            "message": {
                "type": "shop.orders.place",
                "upstream": taker,
                "event": "shop.orders.placed",
                "request": schema,
                "reply": schema,
                "unknownFields": "Drop",
                "idempotency": "Required",
            },
        },
        {
            "name": "gathered",
            "matches": at("gathered"),
            "message": {
                "type": "shop.books.ask",
                "gather": {
                    "upstreams": [{**taker, "as": "stock"}, {**taker, "as": "price"}],
                    "deadline": "2s",
                    "require": "Some",
                    "least": 1,
                },
            },
        },
        {"name": "ordered", "matches": at("ordered"), "message": {"type": "shop.orders.ship", "delivery": "Command"}},
        {"name": "heard", "matches": at("heard"), "message": {"type": "shop.orders.placed"}},
        {
            "name": "graph",
            "matches": at("graph"),
            "adapter": {
                "protocol": "GraphQL",
                "schema": {"name": "graph", "namespace": "shop", "version": "1"},
                "host": "api.example.com",
                "graphql": limits,
            },
        },
        {"name": "calls", "matches": at("calls"), "adapter": {"protocol": "GRPC", "schema": {"name": "calls"}}},
        {
            "name": "frames",
            "matches": at("frames"),
            "adapter": {"protocol": "WebSocket", "origins": ["https://*.example.org"]},
        },
    ]


def schemas() -> list[Document]:
    descriptors = descriptor_pb2.FileDescriptorSet(file=[descriptor_pb2.FileDescriptorProto(name="shop.proto")])
    calls = base64.b64encode(descriptors.SerializeToString()).decode()
    return [
        _schema("order", "JSONSchema", json.dumps(STRICT), json.dumps(ORDER), compatibility="Backward"),
        _schema("graph", "GraphQL", SDL, SDL.replace("Query {", "Query { me: String")),
        _schema("calls", "Protobuf", calls),
        _schema("services", "Protobuf", base64.b64encode(called_shop.DESCRIPTORS).decode()),
    ]


def _schema(name: str, format_: str, *documents: str, **spec: object) -> Document:
    versions = [{"name": str(number), "document": text} for number, text in enumerate(documents, 1)]
    return resource("Schema", name, {"format": format_, "versions": versions, **spec})


def hooks() -> list[Document]:
    spec = {
        "events": ["shop.orders.placed"],
        "upstream": {"name": "receiver", "namespace": "shop"},
        "path": "/hooks",
        "secret": {"name": "hook", "namespace": "shop"},
        "tls": {"serverName": "hooks.example.com"},
        "timeout": "1s",
        "retry": {"tries": 3, "firstWait": "1s", "longestWait": "10s"},
        "deadLetters": {"kept": 5},
    }
    keys = secret("hook", {"current": webhook_key("full")}, "gateway.fastforward.dev/webhook-keys")
    return [resource("EventHook", "warehouse", spec), upstream("receiver", 8080), keys]


def target() -> Document:
    spec = {"component": "Target", "upstream": {"name": "taker"}, "encoding": "JSON"}
    return resource("Workload", "called", spec)


def stages() -> Document:
    how = {"timeout": "1s", "tries": 3, "concurrent": 10, "queue": 20}
    taken = ["normalization", "routing"]
    spec = {
        "component": "Stages",
        "stages": taken,
        "upstream": {"name": "taker", "namespace": "shop"},
        "resilience": how,
    }
    return resource("Workload", "stages", spec)


def ingress() -> Document:
    spec = {"component": "Ingress", "adapters": ["WebSocket"], "upstream": {"name": "frames", "namespace": "shop"}}
    return resource("Workload", "ingress", spec)


def pods() -> Document:
    spec = {"component": "Ingress", "adapters": ["GRPC"], "decision": {"name": "decision", "namespace": "shop"}}
    return resource("Workload", "calls", spec)
