"""GraphQL through Envoy: fields that are messages of their own, with the policies of their own rules."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Generator
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2
from support.client import Response
from support.credentials import apikeys_data
from support.gateway import Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.messages import reply
from support.resources import (
    Document,
    exact,
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
KEY = {"x-api-key": f"ffk_{ACME}_{ACME.lower()}"}
SDL = """
type Query {
  book(id: ID!): Book @http(method: "GET", path: "/books/{id}")
  books(first: Int = 10): [Book!] @http(method: "GET", path: "/books")
}
type Subscription {
  placed: Order @http(method: "GET", path: "/placed")
}
type Mutation {
  placeOrder(input: OrderInput!): Order @http(method: "POST", path: "/orders")
}
input OrderInput { sku: String!, quantity: Int! }
type Order { order: Int, sku: String, book: Book @http(method: "GET", path: "/books/{sku}") }
type Book { id: ID!, title: String }
"""
BOOKS = {name: {"id": name, "title": f"The {name}"} for name in ("a", "b", "abc")}


class Shop(ThreadedTarget):
    """Books are read, orders placed."""

    def Handle(self, request: dispatch_pb2.HandleRequest, context: Any) -> dispatch_pb2.HandleResponse:  # noqa: ANN401, N802
        del context
        message = request.envelope
        self.received.append(message)
        name = message.header.source.target.partition("?")[0].rpartition("/")[2]
        if message.header.source.method == "POST":
            told: object = {"order": 7, **json.loads(message.payload.body)}
        elif name == "books":
            told = list(BOOKS.values())
        elif name in BOOKS:
            told = BOOKS[name]
        else:
            error = error_pb2.Error(code=error_pb2.CODE_NOT_FOUND, reason="shop/no-book", title="No such book")
            return dispatch_pb2.HandleResponse(error=error)
        return dispatch_pb2.HandleResponse(reply=reply(json.dumps(told).encode()))


@pytest.fixture
def target() -> Generator[Shop]:
    shop = Shop()
    shop.start()
    yield shop
    shop.stop()


def graphql_rule(**limits: object) -> Document:
    dispatch: Document = {"protocol": "GraphQL", "schema": {"name": "shop"}}
    return rule(exact("/graphql"), adapter={**dispatch, **({"graphql": limits} if limits else {})})


def schema(sdl: str) -> Document:
    return resource("Schema", "shop", {"format": "GraphQL", "versions": [{"name": "v1", "document": sdl}]})


def message(type_: str) -> Document:
    return {"type": type_, "upstream": {"name": "shop"}}


@pytest.fixture(autouse=True)
def shop(deciding_gateway: Gateway, target: Shop) -> None:
    deciding_gateway.apply(
        secret("api-keys", apikeys_data(**{ACME: "acme"}), KEYS),
        resource("Tenant", "acme", {}),
        upstream("shop", target.port, protocol="GRPC"),
        schema(SDL),
        route("graphql", graphql_rule()),
        route("books", rule(prefix("/books"), message=message("shop.books.read"))),
        route(
            "orders",
            rule(
                prefix("/orders", methods=["POST"]),
                message={**message("shop.orders.place"), "event": "shop.orders.placed"},
            ),
            rule(exact("/placed"), message={"type": "shop.orders.placed"}),
        ),
        policy("buyers", on("Route", "orders"), authentication=proven_by(keys_of())),
    )


def ask(gateway: Gateway, query: str, variables: object = None, **headers: str) -> Response:
    body = json.dumps({"query": query, **({"variables": variables} if variables else {})})
    given = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return gateway.request("POST", "/graphql", headers=given, body=body)


def told(answer: Response) -> Document:
    return json.loads(answer.body)


def messages(target: Shop) -> list[tuple[str, str]]:
    return [(each.header.source.method, each.header.source.target) for each in target.received]


def test_fields_are_messages_and_their_replies_the_data(gateway: Gateway, target: Shop) -> None:
    answer = ask(gateway, '{ x: book(id: "a") { title } y: book(id: "b") { id } z: book(id: "a") { id } }')
    assert answer.status == 200
    assert told(answer) == {"data": {"x": {"title": "The a"}, "y": {"id": "b"}, "z": {"id": "a"}}}
    assert sorted(messages(target)) == [("GET", "/books/a"), ("GET", "/books/b")]
    header = target.received[0].header
    assert (header.type, header.source.protocol) == ("shop.books.read", envelope_pb2.PROTOCOL_GRAPHQL)


PLACE = "mutation ($o: OrderInput!) { placeOrder(input: $o) { order book { title } } }"
ORDER = {"o": {"sku": "abc", "quantity": 2}}


def test_a_mutation_has_the_policies_of_its_own_rule(gateway: Gateway, target: Shop) -> None:
    refused = told(ask(gateway, PLACE, ORDER))
    assert refused["data"] == {"placeOrder": None}
    [error] = refused["errors"]
    assert error["path"] == ["placeOrder"]
    assert (error["extensions"]["code"], error["extensions"]["reason"]) == (
        "UNAUTHENTICATED",
        "authentication/key-missing",
    )
    assert error["extensions"]["messageId"]
    assert target.received == []
    placed = told(ask(gateway, PLACE, ORDER, **KEY))
    assert placed == {"data": {"placeOrder": {"order": 7, "book": {"title": "The abc"}}}}
    assert messages(target) == [("POST", "/orders"), ("GET", "/books/abc")]
    first = target.received[0]
    assert (first.header.tenant, first.payload.body) == ("acme", b'{"quantity":2,"sku":"abc"}')
    assert "x-api-key" not in {each.name for each in first.header.source.fields}


def test_what_fails_is_an_error_beside_the_rest(gateway: Gateway) -> None:
    answer = told(ask(gateway, '{ a: book(id: "a") { id } n: book(id: "none") { id } }'))
    assert answer["data"] == {"a": {"id": "a"}, "n": None}
    [error] = answer["errors"]
    assert (error["message"], error["path"]) == ("No such book", ["n"])
    assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("NOT_FOUND", "shop/no-book")


def test_the_same_mutation_is_done_once(gateway: Gateway, target: Shop) -> None:
    query = "mutation ($o: OrderInput!) { placeOrder(input: $o) { order } }"
    first, again = (told(ask(gateway, query, ORDER, idempotency_key="k", **KEY)) for _ in range(2))
    assert first == again == {"data": {"placeOrder": {"order": 7}}}
    assert len(target.received) == 1
    # The same operation over REST has the same key.
    given = {**KEY, "content-type": "application/json", "idempotency-key": "k"}
    rest = gateway.request("POST", "/orders", headers=given, body=json.dumps(ORDER["o"]))
    assert (rest.status, rest.header("idempotency-replayed"), len(target.received)) == (200, "true", 1)


def test_limits_of_a_rule_hold_for_each_field(gateway: Gateway) -> None:
    gateway.apply(limit("few", on("Route", "books"), requests=2, key=[{"type": "Address"}]))
    answer = told(ask(gateway, '{ a: book(id: "1") { id } b: book(id: "2") { id } c: book(id: "3") { id } }'))
    reasons = [error["extensions"]["reason"] for error in answer["errors"]]
    assert sorted(reasons) == ["ratelimit/exceeded", "shop/no-book", "shop/no-book"]


def test_no_value_leads_to_another_rule(gateway: Gateway, target: Shop) -> None:
    for value in ("../orders", "..", "a/../../orders", "..;x", "", "a\\b", "."):
        answer = told(ask(gateway, "query ($id: ID!) { book(id: $id) { id } }", {"id": value}))
        assert answer["errors"][0]["extensions"]["reason"] == "normalization/query-invalid", value
    ask(gateway, "query ($id: ID!) { book(id: $id) { id } }", {"id": "a?b=%2e%2e%2f#"})
    assert messages(target) == [("GET", "/books/a%3Fb%3D%252e%252e%252f%23")]


def test_what_costs_too_much_is_not_begun(gateway: Gateway, target: Shop) -> None:
    gateway.apply(route("graphql", graphql_rule(depth=2, complexity=50, aliases=2, batch=2, pageSize=10)))
    for query, reason in (
        ("{ books(first: 11) { id } }", "page-too-large"),
        ("{ books { id title __typename a: id b: id } }", "query-too-complex"),
        ('{ a: book(id: "a") { id } b: book(id: "a") { id } c: book(id: "a") { id } }', "too-many-aliases"),
        ("{ __schema { types { name } } }", "introspection-off"),
    ):
        answer = ask(gateway, query, accept="application/graphql-response+json")
        assert (answer.status, told(answer)["errors"][0]["extensions"]["reason"]) == (400, f"admission/{reason}")
    body = json.dumps([{"query": "{ __typename }"}] * 3)
    answer = gateway.request("POST", "/graphql", headers={"content-type": "application/json"}, body=body)
    assert told(answer)["errors"][0]["extensions"]["reason"] == "admission/batch-too-large"
    assert target.received == []


def test_an_edited_schema_is_served(gateway: Gateway) -> None:
    gateway.apply(schema(SDL.replace("title: String", "name: String")))
    answer = until(lambda: told(ask(gateway, "{ books { name } }")), lambda answer: "errors" not in answer)
    assert answer["data"]["books"][0] == {"name": None}


def test_a_grant_is_judged_for_the_field_alone(gateway: Gateway) -> None:
    grants = granted_to(admins={"roles": ["admin"]})
    gateway.apply(policy("buyers", on("Route", "orders"), authentication=proven_by(keys_of()), authorization=grants))
    answer = told(ask(gateway, PLACE, ORDER, **KEY))
    assert answer["errors"][0]["extensions"]["reason"] == "authorization/not-granted"
    assert told(ask(gateway, '{ book(id: "a") { id } }', **KEY)) == {"data": {"book": {"id": "a"}}}


def test_a_target_that_is_gone_is_told_in_the_words_of_graphql(gateway: Gateway, target: Shop) -> None:
    target.stop()
    answer = told(ask(gateway, '{ book(id: "a") { id } }'))
    assert (answer["errors"][0]["extensions"]["code"], answer["errors"][0]["extensions"]["reason"]) == (
        "UNAVAILABLE",
        "dispatch/unreachable",
    )
    target.start()


def test_operations_may_belong_to_another_host(gateway: Gateway) -> None:
    with running_target() as other:
        gateway.apply(
            upstream("other", other.port, protocol="GRPC"),
            route(
                "inner",
                rule(prefix("/books"), message={"type": "inner.books", "upstream": {"name": "other"}}),
                hosts="inner.example.com",
            ),
            route(
                "graphql",
                rule(
                    exact("/graphql"),
                    adapter={"protocol": "GraphQL", "schema": {"name": "shop"}, "host": "inner.example.com"},
                ),
            ),
        )
        until(lambda: ask(gateway, '{ book(id: "a") { title } }'), lambda _: other.received)
        assert other.received[-1].header.type == "inner.books"


SUBSCRIBE = "subscription { placed { order sku } }"
PLACED = {"placed": {"order": 7, "sku": "abc"}}


def test_events_come_as_server_sent_events(gateway: Gateway, target: Shop) -> None:
    del target
    body = json.dumps({"query": SUBSCRIBE})
    headers = {"content-type": "application/json", "accept": "text/event-stream", **KEY}
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    try:
        connection.request("POST", "/graphql", body=body, headers={"host": "example.com", **headers})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("content-type")) == (200, "text/event-stream")
        assert answer.readline() == b":\n"
        assert answer.readline() == b"\n"
        stop = threading.Event()
        placing = threading.Thread(target=until_heard, args=(gateway, stop))
        placing.start()
        assert answer.readline() == b"event: next\n"
        assert json.loads(answer.readline().removeprefix(b"data: ")) == {"data": PLACED}
        stop.set()
        placing.join()
    finally:
        connection.close()


def test_events_come_over_a_websocket(gateway: Gateway) -> None:
    plain = socket.create_connection(("127.0.0.1", gateway.port))
    with connect(
        f"ws://example.com:{gateway.port}/graphql",
        sock=plain,
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers=KEY,
    ) as websocket:
        assert websocket.subprotocol == "graphql-transport-ws"
        websocket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(websocket.recv(timeout=10)) == {"type": "connection_ack"}
        websocket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": SUBSCRIBE}}))
        stop = threading.Event()
        placing = threading.Thread(target=until_heard, args=(gateway, stop))
        placing.start()
        told_ = json.loads(websocket.recv(timeout=10))
        stop.set()
        placing.join()
        assert told_ == {"id": "1", "type": "next", "payload": {"data": PLACED}}
        websocket.send(
            json.dumps({"type": "subscribe", "id": "2", "payload": {"query": '{ book(id: "a") { title } }'}})
        )
        while (said := json.loads(websocket.recv(timeout=10)))["id"] == "1":
            assert said["payload"] == {"data": PLACED}
        assert said == {"id": "2", "type": "next", "payload": {"data": {"book": {"title": "The a"}}}}


def test_who_may_not_listen_hears_nothing(gateway: Gateway) -> None:
    plain = socket.create_connection(("127.0.0.1", gateway.port))
    with connect(
        f"ws://example.com:{gateway.port}/graphql", sock=plain, subprotocols=[Subprotocol("graphql-transport-ws")]
    ) as websocket:
        websocket.send(json.dumps({"type": "connection_init"}))
        websocket.recv(timeout=10)
        websocket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": SUBSCRIBE}}))
        refused = json.loads(websocket.recv(timeout=10))
    [error] = refused["payload"]["errors"]
    assert (refused["id"], error["extensions"]["reason"]) == ("1", "authentication/key-missing")


def until_heard(gateway: Gateway, stop: threading.Event) -> None:
    """Orders again and again: when a listener is there, only it knows."""
    for _ in range(200):
        ask(gateway, PLACE, ORDER, **KEY)
        if stop.wait(0.05):
            return
