"""`ff openapi` describes the rules of a host that send messages, in a document that others can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from openapi_spec_validator import validate

from support.credentials import apikeys_data
from support.ff import ff
from support.resources import edge, keys_of, policy, prefix, proven_by, regex, resource, route, rule, secret, upstream

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "required": ["lines"],
    "properties": {"lines": {"items": {"$ref": "#/$defs/line"}}, "first": {"$ref": "#line"}, "more": {"$ref": "#"}},
    "$defs": {"line": {"$anchor": "line", "properties": {"quantity": {"minimum": 1}}}},
}
HOST = "api.example.com"
SENT = {"type": "shop.orders.place", "upstream": {"name": "orders"}}


def write(folder: Path, *rules: dict[str, Any]) -> Path:
    versions = [{"name": "1", "document": json.dumps(ORDER)}]
    documents = [
        edge(8080, hosts=[HOST]),
        upstream("orders", 9, protocol="GRPC"),
        resource("Schema", "order", {"format": "JSONSchema", "versions": versions}),
        route("orders", *rules, hosts=HOST),
        policy("buyers", {"kind": "Route", "name": "orders"}, authentication=proven_by(keys_of())),
        secret("api-keys", apikeys_data(AAAAAAAAAAAA="acme"), "gateway.fastforward.dev/api-keys"),
        resource("Tenant", "acme", {}),
    ]
    for document in documents:
        document["metadata"].setdefault("namespace", "shop")
    (folder / "world.yaml").write_text(yaml.safe_dump_all(documents))
    return folder


def test_rules_are_operations_and_schemas_components(tmp_path: Path) -> None:
    order = {"name": "order"}
    folder = write(
        tmp_path,
        rule(prefix("/orders", methods=["POST", "PUT"]), message={**SENT, "request": order, "reply": order}),
        rule(prefix("/status"), message=SENT),
        rule(regex("/x.*"), message=SENT),
        rule(prefix("/answered"), says="x"),
    )
    document = ff("openapi", HOST, folder, "-o", "json").json
    validate(document)
    assert {path: set(found) for path, found in document["paths"].items()} == {
        "/orders": {"post", "put"},
        "/status": {"get"},
    }
    placed = document["paths"]["/orders"]["post"]
    used = {"$ref": "#/components/schemas/shop.order.1"}
    assert placed["requestBody"]["content"]["application/json"]["schema"] == used
    assert placed["responses"]["200"]["content"]["application/json"]["schema"] == used
    assert placed["security"] == [{"key.x-api-key": []}]
    schema = document["components"]["schemas"]["shop.order.1"]
    assert schema["properties"]["first"] == schema["properties"]["lines"]["items"]
    assert schema["properties"]["first"] == {"$ref": "#/components/schemas/shop.order.1/$defs/line"}
    assert schema["properties"]["more"] == {"$ref": "#/components/schemas/shop.order.1"}
    assert yaml.safe_load(ff("openapi", HOST, folder).out) == document


def test_a_host_without_such_rules_is_told(tmp_path: Path) -> None:
    done = ff("openapi", "other.example.com", write(tmp_path, rule(prefix("/a"), message=SENT)))
    assert done.code == 1
    assert "No rule of other.example.com sends messages" in done.err


def test_a_rule_that_asks_for_a_key_says_so(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        rule(prefix("/orders", methods=["GET", "POST"]), message={**SENT, "idempotency": "Required"}),
        rule(prefix("/carts", methods=["POST"]), message=SENT),
    )
    document = ff("openapi", HOST, folder, "-o", "json").json
    validate(document)
    orders = document["paths"]["/orders"]
    assert "parameters" not in orders["get"]
    assert orders["post"]["parameters"][0]["required"]
    assert "required" not in document["paths"]["/carts"]["post"]["parameters"][0]


def test_a_reply_of_several_is_an_object_of_their_answers(tmp_path: Path) -> None:
    parts = [{"name": "orders", "as": "stock"}, {"name": "orders", "as": "price"}]
    folder = write(
        tmp_path,
        rule(prefix("/all"), message={"type": "shop.books.ask", "gather": {"upstreams": parts}}),
        rule(prefix("/any"), message={"type": "shop.books.ask", "gather": {"upstreams": parts, "require": "Any"}}),
    )
    document = ff("openapi", HOST, folder, "-o", "json").json
    validate(document)
    replies = [document["paths"][path]["get"]["responses"]["200"] for path in ("/all", "/any")]
    assert all(set(reply["headers"]) == {"x-ff-completed", "x-ff-failed"} for reply in replies)
    schemas = [reply["content"]["application/json"]["schema"] for reply in replies]
    assert [schema["required"] for schema in schemas] == [["stock", "price"], []]
    assert set(schemas[1]["properties"]) == {"stock", "price"}


def test_a_command_is_accepted_or_answered(tmp_path: Path) -> None:
    order = {"name": "order"}
    command = {"type": "shop.orders.ship", "delivery": "Command", "request": order, "reply": order}
    document = ff("openapi", HOST, write(tmp_path, rule(prefix("/ship"), message=command)), "-o", "json").json
    validate(document)
    shipped = document["paths"]["/ship"]["post"]
    assert {"200", "202"} <= set(shipped["responses"])
    assert [each["name"] for each in shipped["parameters"]] == ["Idempotency-Key", "Prefer"]
