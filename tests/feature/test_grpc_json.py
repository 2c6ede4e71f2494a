"""gRPC by way of JSON: a rule's requests become calls by a Schema, and what is answered becomes JSON."""

from __future__ import annotations

import json
from collections.abc import Generator

import grpc
import pytest

from support.called_shop import DESCRIPTORS, HUGE, MISSING, SERVICE, SOURCE, CalledShop, called_shop, shop_schema
from support.client import Response
from support.gateway import Gateway, until
from support.grpc_schemas import descriptors, messages
from support.processes import free_port
from support.resources import (
    Document,
    Json,
    edge,
    issuers,
    limit,
    on,
    policy,
    prefix,
    proven_by,
    resource,
    route,
    rule,
    tokens_of,
    upstream,
)
from support.tokens import bearer

TYPES = messages(DESCRIPTORS)
TYPED = {"content-type": "application/json"}


@pytest.fixture
def shop() -> Generator[CalledShop]:
    with called_shop() as running:
        yield running


@pytest.fixture(autouse=True)
def calls(gateway: Gateway, shop: CalledShop) -> None:
    gateway.apply(
        edge(gateway.port, grpc={"transcoding": True}), upstream("shop", shop.port, protocol="GRPC"), shop_schema()
    )


def calling(*matches: Document, transcode: Document | None = None, **fields: Json) -> Document:
    said = {"schema": {"name": "shop"}, **(transcode or {})}
    return rule(*(matches or (prefix("/"),)), to="shop", transcode=said, **fields)


def apply(gateway: Gateway, transcode: Document | None = None, **fields: Json) -> None:
    gateway.apply(route("shop", calling(transcode={"services": [SERVICE], **(transcode or {})}, **fields)))


def post(gateway: Gateway, target: str, document: Json, **headers: str) -> Response:
    return gateway.request("POST", target, headers={**TYPED, **headers}, body=json.dumps(document))


def test_a_body_becomes_a_call_and_the_reply_json(gateway: Gateway, shop: CalledShop) -> None:
    apply(gateway)
    answer = post(gateway, "/orders", {"sku": "b-1", "quantity": 3})
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    assert json.loads(answer.body) == {"orderId": "3", "note": "b-1", "state": "DONE"}
    assert shop.received == [("Place", "b-1")]
    line = gateway.log_line(answer)
    assert (line["method"], line["path"], line["status"]) == ("POST", "/orders", 200)
    assert gateway.log_line(gateway.get("/orders/a"))["method"] == "GET"


def test_path_and_query_are_fields(gateway: Gateway, shop: CalledShop) -> None:
    apply(gateway)
    for target, note in (
        ("/orders/b%201?page_size=5", "b 1 5"),
        ("/orders/a?pageSize=6", "a 6"),
        ("/v1/shelves/2:find", "shelves/2 0"),
    ):
        assert json.loads(gateway.get(target).body)["note"] == note
    assert [method for method, _ in shop.received] == ["Find"] * 3


@pytest.mark.parametrize(
    ("stream", "type_", "body"),
    [
        ("Array", "application/json", '[{"note":"number 0","state":"DONE"},{"orderId":"1",'),
        ("Lines", "application/json", '{"note":"number 0","state":"DONE"}\n{"orderId":"1",'),
        ("Events", "text/event-stream", 'data: {"note":"number 0","state":"DONE"}\n\ndata: {"orderId":"1",'),
    ],
)
def test_a_stream_of_answers_is_written_as_the_rule_says(gateway: Gateway, stream: str, type_: str, body: str) -> None:
    apply(gateway, {"printing": {"stream": stream}})
    answer = gateway.get("/orders")
    assert (answer.status, answer.header("content-type")) == (200, type_)
    assert answer.body.startswith(body)


def test_an_array_is_a_stream_of_requests(gateway: Gateway, shop: CalledShop) -> None:
    apply(gateway)
    assert json.loads(post(gateway, "/batches", [{"sku": "a"}, {"sku": "b"}]).body)["orderId"] == "2"
    assert shop.received == [("PlaceAll", "a b")]


def test_answers_are_printed_as_the_rule_says(gateway: Gateway) -> None:
    apply(gateway, {"printing": {"names": "Proto", "defaults": True, "enums": "Numbers"}})
    answer = post(gateway, "/orders", {"sku": "", "quantity": 0})
    assert json.loads(answer.body) == {"order_id": "0", "note": "", "state": 1, "hints": []}


def test_an_error_of_the_call_is_a_status_of_http_with_its_details(gateway: Gateway) -> None:
    apply(gateway)
    answer = gateway.get(f"/orders/{MISSING}")
    assert (answer.status, answer.header("content-type")) == (404, "application/json")
    told = json.loads(answer.body)
    assert (told["code"], told["message"]) == (5, "There is no such order.")
    assert [(each["reason"], each["domain"]) for each in told["details"]] == [("SOLD_OUT", "shop")]


@pytest.mark.parametrize(
    ("method", "target", "body", "reason"),
    [
        ("GET", "/nowhere", None, "routing/no-method"),
        ("DELETE", "/orders/a", None, "routing/no-method"),
        ("POST", "/other", "{}", "routing/no-method"),
        ("POST", "/shop.v1.Shop/Plain", "{}", "routing/no-method"),
        ("GET", "/orders/a?color=red", None, "normalization/call-malformed"),
        ("POST", "/orders", "{", "normalization/call-malformed"),
        ("POST", "/orders", "[1]", "normalization/call-malformed"),
        ("POST", "/orders", '{"sku": 1, "color": 2}', "normalization/call-malformed"),
        ("POST", "/orders", '{"quantity": "many"}', "normalization/call-malformed"),
        ("POST", "/orders?sku=a", '{"sku": "b"}', "normalization/call-malformed"),
    ],
)
def test_what_fits_no_call_is_refused_and_reaches_nobody(
    gateway: Gateway, shop: CalledShop, method: str, target: str, body: str | None, reason: str
) -> None:
    apply(gateway)
    refused = gateway.request(method, target, headers=TYPED, body=body)
    assert (refused.status, refused.reason) == (404 if reason == "routing/no-method" else 400, reason)
    assert refused.header("content-type") == "application/problem+json"
    assert shop.received == []


def test_what_the_rule_allows_besides_is_taken(gateway: Gateway) -> None:
    apply(gateway, {"ignoredQuery": ["key"], "allMethods": True})
    assert gateway.get("/orders/a?key=1").status == 200
    assert gateway.get("/orders/a?key=1&color=red").status == 400
    assert post(gateway, "/shop.v1.Shop/Plain", {"sku": "p"}).status == 200
    apply(gateway, {"unknownQuery": "Ignore"})
    assert gateway.get("/orders/a?color=red").status == 200


def test_without_a_list_all_services_of_the_schema_are_called(gateway: Gateway) -> None:
    gateway.apply(route("shop", calling()))
    # The upstream has no such service.
    assert post(gateway, "/other", {}).status == 501


def test_messages_have_a_largest_size_and_may_be_larger_than_a_connections_buffer(
    gateway: Gateway, shop: CalledShop
) -> None:
    apply(gateway)
    large = {"sku": "x" * 500_000}
    assert post(gateway, "/orders", large).status == 200
    assert len(json.loads(gateway.get(f"/orders/{HUGE}").body)["note"]) == 300_000
    apply(gateway, {"maxBytes": 100_000})
    refused = post(gateway, "/orders", large)
    assert (refused.status, refused.reason) == (413, "admission/body-too-large")
    unwritten = gateway.get(f"/orders/{HUGE}")
    assert (unwritten.status, unwritten.reason) == (502, "normalization/reply-malformed")
    assert [method for method, _ in shop.received] == ["Place", "Find", "Find"]


def test_a_body_of_unknown_length_is_held_to_the_routes_bound(gateway: Gateway, shop: CalledShop) -> None:
    gateway.apply(route("shop", calling(), admission={"maxBodyBytes": 100}))
    with gateway.connect() as connection:
        connection.socket.sendall(
            b"POST /orders HTTP/1.1\r\nhost: example.com\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\nc8\r\n" + b'{"sku": "' + b"x" * 189 + b'"}\r\n0\r\n\r\n'
        )
        assert connection.receive().status == 413
    assert shop.received == []


def test_the_routes_policies_hold_by_the_path_that_was_asked_for(gateway: Gateway, shop: CalledShop) -> None:
    gateway.apply(
        issuers("a"),
        route(
            "shop",
            {"name": "place", **calling(prefix("/orders", methods=["POST"]))},
            {"name": "find", **calling(prefix("/orders", methods=["GET"]))},
            rule(prefix("/shop.v1.Shop"), says="nothing here"),
        ),
        policy("members", on("Route", "shop", "place"), authentication=proven_by(tokens_of())),
        limit("few", on("Route", "shop", "find"), requests=2),
    )
    refused = post(gateway, "/orders", {"sku": "a"})
    assert (refused.status, refused.reason) == (401, "authentication/token-missing")
    assert post(gateway, "/orders", {"sku": "a"}, **bearer("a")).status == 200
    assert [gateway.get("/orders/a").status for _ in range(3)] == [200, 200, 429]
    assert [method for method, _ in shop.received] == ["Place", "Find", "Find"]


def test_a_tenants_rule_makes_calls_for_its_own_callers_alone(gateway: Gateway, shop: CalledShop) -> None:
    gateway.apply(
        issuers("a"),
        resource("Tenant", "acme", {}),
        route("shop", calling(prefix("/orders", tenants=["acme"]), transcode={"maxBytes": 100})),
        policy("callers", on("Edge", "public"), authentication=proven_by(tokens_of(), mode="Optional")),
    )
    member = bearer("a", tenant="acme")
    assert post(gateway, "/orders", {"sku": "a"}).status == 404
    assert post(gateway, "/orders", {"sku": "a"}, **member).status == 200
    refused = post(gateway, "/orders", {"sku": "a" * 100}, **member)
    assert (refused.status, refused.reason) == (413, "admission/body-too-large")
    called = {**member, "content-type": "application/grpc"}
    assert gateway.request("POST", "/orders", headers=called, body=b"").reason == "admission/content-type"
    assert shop.received == [("Place", "a")]


def test_what_never_ends_is_ended_by_the_rules_bound(gateway: Gateway) -> None:
    apply(gateway, timeout={"request": "300ms"})
    answer = gateway.get("/orders/slow")
    assert (answer.status, answer.reason) == (504, "dispatch/timeout")


def test_an_upstream_that_is_not_there_is_told_like_any_other(gateway: Gateway) -> None:
    gateway.apply(upstream("shop", free_port(), protocol="GRPC"))
    apply(gateway)
    answer = gateway.get("/orders/a")
    assert (answer.status, answer.reason) == (503, "dispatch/connection-failed")


def test_who_speaks_grpc_goes_another_way(gateway: Gateway, shop: CalledShop) -> None:
    gateway.apply(route("shop", calling(), rule(prefix(f"/{SERVICE}"), to="shop")))
    options = [("grpc.default_authority", "example.com")]
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}", options=options) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Place", TYPES["Order"].SerializeToString, TYPES["Placed"].FromString)
        assert call(TYPES["Order"](sku="native", quantity=4), timeout=10) == TYPES["Placed"](
            order_id=4, note="native", state=1
        )
    assert shop.received == [("Place", "native")]


def test_calls_in_grpc_are_not_for_a_rule_that_takes_json(gateway: Gateway, shop: CalledShop) -> None:
    apply(gateway)
    for content_type in (
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC-Web",
        "application/grpc-web-text",
    ):
        refused = gateway.request("POST", f"/{SERVICE}/Place", headers={"content-type": content_type}, body=b"\0" * 5)
        assert refused.reason == "admission/content-type"
    assert shop.received == []


def test_a_new_version_of_the_schema_is_in_force_at_once(gateway: Gateway) -> None:
    apply(gateway)
    assert gateway.get("/renamed/a").status == 404
    document = shop_schema(descriptors(SOURCE.replace("/orders/{id}", "/renamed/{id}")))
    document["spec"]["compatibility"] = "None"
    gateway.apply(document)
    until(lambda: gateway.get("/renamed/a").status, lambda status: status == 200)


@pytest.mark.parametrize(
    ("transcode", "field", "said"),
    [
        ({"services": [SERVICE, "shop.v1.Nobody"]}, "services[1]", "has no service shop.v1.Nobody"),
        ({"schema": {"name": "nobody"}}, "schema", "was not found"),
        ({"schema": {"name": "shop", "version": "v9"}}, "schema.version", "no version v9"),
        ({"schema": {"name": "json"}}, "schema", "has the format JSONSchema"),
        ({"schema": {"name": "odd"}}, "schema", "is no template of a path"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nobody_is_asked(
    gateway: Gateway, shop: CalledShop, transcode: Document, field: str, said: str
) -> None:
    odd = descriptors(
        'syntax = "proto3"; package odd; import "google/api/annotations.proto";'
        'service Odd { rpc Do(Order) returns (Order) { option (google.api.http) = { get: "orders" }; } }'
        "message Order { string sku = 1; }"
    )
    gateway.apply(
        shop_schema(b"", name="json", format_="JSONSchema")
        | {"spec": {"format": "JSONSchema", "versions": [{"name": "1", "document": "{}"}]}},
        shop_schema(odd, name="odd"),
    )
    gateway.write(route("shop", calling(transcode=transcode)))
    told = until(
        lambda: gateway.problems("Route", "shop") if gateway.object("Route", gateway.namespace, "shop") else {}
    )
    assert said in told[f"spec.rules[0].transcode.{field}"]
    until(lambda: gateway.get("/orders/a").status, lambda status: status == 500)
    assert shop.received == []


def test_an_edge_that_does_not_say_so_and_an_upstream_without_grpc_are_told(gateway: Gateway, shop: CalledShop) -> None:
    gateway.apply(edge(gateway.port))
    gateway.apply(route("shop", calling()), expect={("Route", "shop"): "UnsupportedValue"})
    assert "no `grpc.transcoding`" in gateway.problems("Route", "shop")["spec.rules[0].transcode"]
    until(lambda: gateway.get("/orders/a").status, lambda status: status == 500)
    gateway.apply(edge(gateway.port, grpc={"transcoding": True}), upstream("shop", shop.port))
    until(lambda: gateway.problems("Route", "shop"), lambda told: "no gRPC" in told.get("spec.rules[0].transcode", ""))
    until(lambda: gateway.get("/orders/a").status, lambda status: status == 500)
