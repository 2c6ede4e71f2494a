"""Bodies of proxied requests are judged by a JSON Schema before they reach an upstream."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest

from support.client import TIMEOUT_S, Response
from support.documents import Document
from support.gateway import Gateway, until
from support.origin import Origin
from support.resources import Json, limit, on, prefix, resource, route, rule

ORDER: Document = {
    "type": "object",
    "required": ["sku"],
    "properties": {
        "sku": {"type": "string", "pattern": "^[a-z]+$"},
        "lines": {"type": "array", "items": {"properties": {"quantity": {"type": "integer", "minimum": 1}}}},
    },
}
FINE = {"sku": "abc", "lines": [{"quantity": 2}]}
LARGE = 1 << 20


def schema(name: str, document: Document) -> Document:
    return resource(
        "Schema", name, {"format": "JSONSchema", "versions": [{"name": "v1", "document": json.dumps(document)}]}
    )


@pytest.fixture
def origin(deciding_gateway: Gateway) -> Generator[Origin]:
    """The decision service is there again after the test."""
    origin = deciding_gateway.upstream("orders")
    deciding_gateway.apply(schema("order", ORDER), orders())
    yield origin
    deciding_gateway.stack.start_decision_service()


def orders(**body: Json) -> Document:
    rules: Document = {"schema": {"name": "order"}, **body}
    return route("orders", rule(prefix("/orders"), to="orders", body=rules), rule(prefix("/free"), to="orders"))


def post(gateway: Gateway, body: object, content_type: str = "application/json", **ask: Json) -> Response:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": content_type}
    if ask.pop("chunked", False):
        headers["transfer-encoding"] = "chunked"
        sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(sent), sent)
    method = str(ask.pop("method", "POST"))
    return gateway.request(method, str(ask.pop("target", "/orders")), headers=headers, body=sent)


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_what_keeps_the_schema_goes_on_as_it_came(gateway: Gateway, origin: Origin, *, chunked: bool) -> None:
    written = b'{ "lines": [],\n "sku":"abc" }'
    assert post(gateway, written, chunked=chunked).status == 200
    assert origin.last.body == written


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_what_breaks_it_is_422_with_the_place_of_each_fault(gateway: Gateway, origin: Origin, *, chunked: bool) -> None:
    answer = post(gateway, {"sku": "ABC", "lines": [{"quantity": 1}, {"quantity": 0}]}, chunked=chunked)
    assert (answer.status, answer.reason) == (422, "normalization/content-invalid")
    assert answer.header("content-type") == "application/problem+json"
    told = {error["pointer"]: error["rule"] for error in answer.json["errors"]}
    assert told == {"/sku": "pattern", "/lines/1/quantity": "minimum"}
    assert origin.received == []
    assert gateway.log_line(answer)["refusal"] == "normalization/content-invalid"


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b'{"sku": "abc"', "application/json", 400, "content-malformed"),
        (b'{"sku": "abc", "sku": "ABC"}', "application/json", 400, "content-malformed"),
        (b'{"sku": "a\xff"}', "application/json", 400, "content-malformed"),
        (b"\xff\x00", "application/json", 400, "content-malformed"),
        (b'{"sku": "abc"}', "text/plain", 415, "content-untyped"),
        (b'{"sku": "abc"}', "", 415, "content-untyped"),
        (b"", "application/json", 422, "content-invalid"),
        (b"[" * 5000, "application/json", 400, "content-malformed"),
        (b'{"sku": "abc"}', "application/merge-patch+json; charset=utf-8", 200, None),
    ],
)
def test_only_json_can_keep_a_schema(
    gateway: Gateway, origin: Origin, body: bytes, content_type: str, status: int, reason: str | None
) -> None:
    answer = post(gateway, body, content_type)
    assert (answer.status, answer.reason) == (status, reason and f"normalization/{reason}")
    assert len(origin.received) == (status == 200)


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_larger_body_is_413(gateway: Gateway, origin: Origin, *, chunked: bool) -> None:
    gateway.apply(orders(maxBytes=100))
    fitting = json.dumps(FINE).encode().ljust(100)
    assert post(gateway, fitting, chunked=chunked).status == 200
    answer = post(gateway, fitting + b" ", chunked=chunked)
    assert (answer.status, answer.reason) == (413, "admission/body-too-large")
    assert len(origin.received) == 1


def test_nothing_goes_on_behind_what_was_judged(gateway: Gateway, origin: Origin) -> None:
    """A body that fills the bound with valid JSON is not judged as if it were whole: more may come."""
    gateway.apply(orders(maxBytes=100))
    fitting = json.dumps(FINE).encode().ljust(100)
    head = b"POST /orders HTTP/1.1\r\nhost: example.com\r\ncontent-type: application/json\r\n"
    with gateway.connect() as connection:
        connection.socket.sendall(head + b"transfer-encoding: chunked\r\n\r\n64\r\n" + fitting + b"\r\n")
        connection.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.socket.recv(1)
        connection.socket.settimeout(TIMEOUT_S)
        assert connection.send(b"5\r\n{...}\r\n0\r\n\r\n").status == 413
    assert origin.received == []


def test_the_largest_bound_is_held_whole(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(orders(maxBytes=LARGE))
    assert post(gateway, json.dumps(FINE).encode().ljust(LARGE)).status == 200
    assert len(origin.last.body) == LARGE
    assert post(gateway, json.dumps(FINE).encode().ljust(LARGE + 1)).status == 413


def test_methods_without_content_need_none_and_other_rules_hold_nothing(gateway: Gateway, origin: Origin) -> None:
    for method in ("GET", "HEAD", "DELETE"):
        assert gateway.request(method, "/orders").status == 200, method
    assert post(gateway, {"sku": 1}, method="DELETE").status == 422
    assert post(gateway, b"anything", "text/plain", target="/free").status == 200
    assert len(origin.received) == 4


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-own", "identity, deflate"])
def test_what_the_upstream_would_decode_is_not_what_was_judged(gateway: Gateway, origin: Origin, encoding: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    answer = gateway.request("POST", "/orders", headers=headers, body=json.dumps(FINE).encode())
    assert (answer.status, answer.reason) == (415, "normalization/content-untyped")
    assert origin.received == []


def test_an_upgrade_carries_nothing_past_the_schema(gateway: Gateway, origin: Origin) -> None:
    headers = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}
    assert gateway.get("/orders", headers={**headers, "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}).status == 415
    assert origin.received == []


def test_in_the_shadow_faults_are_told_and_everything_passes(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(orders(maxBytes=50, shadow=True))
    broken, large = post(gateway, {"sku": 1}), post(gateway, b"x" * 5000, chunked=True)
    assert (broken.status, large.status) == (200, 200)
    assert [len(request.body) for request in origin.received] == [10, 5000]
    line = gateway.log_line(broken)["shadowDecision"]
    assert line == f"Schema {gateway.namespace}/order normalization/content-invalid"
    assert gateway.log_line(large)["shadowDecision"] == f"Route {gateway.namespace}/orders admission/body-too-large"


def test_without_its_schema_a_rule_serves_nothing(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(orders(schema={"name": "missing"}), expect={("Route", "orders"): "SchemaNotFound"})
    assert "was not found" in gateway.problems("Route", "orders")["spec.rules[0].body.schema"]
    assert post(gateway, FINE).status == 500
    assert post(gateway, b"x", target="/free").status == 200
    assert len(origin.received) == 1


def test_who_has_no_token_left_gets_no_body_judged(gateway: Gateway, origin: Origin) -> None:
    gateway.apply(limit("few", on("Route", "orders"), requests=1, enforcement="Exact"))
    found = [post(gateway, {"sku": 1}).status for _ in range(2)]
    assert found == [422, 429]
    assert origin.received == []


@pytest.mark.parametrize("shadow", [False, True], ids=["enforced", "shadow"])
def test_without_a_decision_service_only_what_is_watched_passes(
    gateway: Gateway, origin: Origin, *, shadow: bool
) -> None:
    gateway.apply(orders(shadow=shadow))
    gateway.stack.stop_decision_service(kill=True)
    until(lambda: post(gateway, FINE).status, lambda status: status == (200 if shadow else 503))
    passed = len(origin.received)
    assert post(gateway, {"sku": 1}).status == (200 if shadow else 503)
    assert len(origin.received) == passed + shadow
    assert passed == shadow
