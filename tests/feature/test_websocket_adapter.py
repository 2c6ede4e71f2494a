"""WebSocket through Envoy: frames that are messages of their own, with the policies of their own rules."""

from __future__ import annotations

import contextlib
import json
import socket as sockets
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from fastforward.message.v1 import envelope_pb2
from support.credentials import apikeys_data
from support.gateway import Gateway, Stack, until
from support.message_target import ThreadedTarget, running_target
from support.resources import (
    exact,
    granted_to,
    keys_of,
    limit,
    on,
    policy,
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
PLACED = "shop.orders.placed"
ORDER = {"method": "POST", "path": "/orders", "body": {"sku": "abc"}}


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture(autouse=True)
def shop(deciding_gateway: Gateway, target: ThreadedTarget) -> None:
    deciding_gateway.apply(
        secret("api-keys", apikeys_data(**{ACME: "acme"}), KEYS),
        resource("Tenant", "acme", {}),
        upstream("orders", target.port, protocol="GRPC"),
        route(
            "shop",
            rule(exact("/live"), adapter={"protocol": "WebSocket"}),
            rule(
                exact("/orders"),
                message={"type": "shop.orders.place", "upstream": {"name": "orders"}, "event": PLACED},
            ),
            rule(exact("/orders/placed"), message={"type": PLACED}),
        ),
        policy("members", on("Route", "shop"), authentication=proven_by(keys_of())),
    )


@contextlib.contextmanager
def connected(gateway: Gateway, headers: Mapping[str, str] = KEY) -> Generator[ClientConnection]:
    socket = sockets.create_connection(("127.0.0.1", gateway.port))
    protocols = [Subprotocol("fastforward.v1.json")]
    with connect(
        "ws://example.com/live", sock=socket, subprotocols=protocols, additional_headers=headers, open_timeout=10
    ) as connection:
        yield connection


def say(connection: ClientConnection, frame: Mapping[str, object]) -> None:
    connection.send(json.dumps(frame))


def said(connection: ClientConnection) -> dict[str, Any]:
    return json.loads(connection.recv(timeout=10))


def ask(connection: ClientConnection, id_: str, frame: Mapping[str, object] = ORDER) -> dict[str, Any]:
    say(connection, {"id": id_, **frame})
    return said(connection)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "ffk_no_no"}])
def test_a_handshake_that_its_rule_refuses_is_no_connection(gateway: Gateway, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as caught, connected(gateway, headers):
        pass
    assert caught.value.response.status_code == 401


def test_a_frame_is_a_signed_message_of_the_connections_caller(gateway: Gateway, target: ThreadedTarget) -> None:
    with connected(gateway) as connection:
        answers = [ask(connection, id_) for id_ in ("1", "2")]
    assert [(answer["id"], answer["status"], answer["body"]) for answer in answers] == [
        ("1", 200, {"order": 7}),
        ("2", 200, {"order": 7}),
    ]
    header = target.received[0].header
    assert (header.type, header.tenant, header.source.protocol) == (
        "shop.orders.place",
        "acme",
        envelope_pb2.PROTOCOL_WEBSOCKET,
    )
    assert header.authorization.count(".") == 2
    assert header.source.address == "127.0.0.1"
    assert len({message.header.source.connection_id for message in target.received}) == 1


def test_events_reach_whoever_listens(gateway: Gateway) -> None:
    with connected(gateway) as listener, connected(gateway) as buyer:
        assert ask(listener, "e", {"listen": {"method": "GET", "path": "/orders/placed"}})["status"] == 200
        assert ask(buyer, "1")["status"] == 200
        event = said(listener)
        assert (event["id"], event["event"]["type"], event["event"]["body"]) == ("e", PLACED, {"order": 7})
        assert ask(listener, "e", {"stop": True}) == {"id": "e", "end": True}


def test_each_frame_is_judged_by_its_own_rule(gateway: Gateway, target: ThreadedTarget) -> None:
    gateway.apply(limit("few", on("Route", "shop"), requests=4, key=[{"type": "Tenant"}]))
    with connected(gateway) as connection:
        answers = [ask(connection, str(number)) for number in range(6)]
        assert [answer["status"] for answer in answers].count(429) >= 2
        refused = next(answer for answer in answers if answer["status"] == 429)
        assert (refused["error"]["stage"], refused["error"]["reason"]) == ("ratelimit", "exceeded")
        assert ask(connection, "n", {"method": "GET", "path": "/nothing"})["status"] == 404
    assert len(target.received) <= 4


def test_what_is_taken_from_a_caller_is_taken_from_open_connections(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        assert ask(connection, "1")["status"] == 200
        gateway.apply(
            policy(
                "members",
                on("Route", "shop"),
                authentication=proven_by(keys_of()),
                authorization=granted_to(admins={"roles": ["admin"]}),
            )
        )
        refused = until(lambda: ask(connection, "2"), lambda answer: answer["status"] != 200)
        assert (refused["status"], refused["error"]["reason"]) == (403, "not-granted")


def test_the_same_order_is_placed_once_over_every_protocol(gateway: Gateway, target: ThreadedTarget) -> None:
    with connected(gateway) as connection:
        first = ask(connection, "1", {**ORDER, "headers": {"idempotency-key": "k"}})
        again = ask(connection, "2", {**ORDER, "headers": {"idempotency-key": "k"}})
    assert (first["body"], again["headers"]["idempotency-replayed"]) == (again["body"], "true")
    rest = gateway.request(
        "POST",
        "/orders",
        headers={**KEY, "content-type": "application/json", "idempotency-key": "k"},
        body=b'{"sku": "abc"}',
    )
    assert (rest.status, rest.header("idempotency-replayed")) == (200, "true")
    assert len(target.received) == 1


def test_garbage_is_told_and_then_shown_the_door(gateway: Gateway) -> None:
    with connected(gateway) as connection, connected(gateway) as neighbour:
        for text in ("{", "[]", '{"id": "1", "method": "GET", "path": "x"}'):
            connection.send(text)
            assert said(connection)["status"] == 400
        assert code_of(connection) == 1008
        assert ask(neighbour, "1")["status"] == 200


def code_of(connection: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        connection.recv(timeout=15)
    return caught.value.rcvd.code if caught.value.rcvd else 1006


@pytest.mark.parametrize(("kill", "code"), [(False, 1001), (True, 1006)])
def test_a_client_sees_that_entrypoint_ends(gateway: Gateway, stack: Stack, *, kill: bool, code: int) -> None:
    with connected(gateway) as connection:
        assert ask(connection, "1")["status"] == 200
        try:
            stack.stop_decision_service(kill=kill)
            assert code_of(connection) == code
        finally:
            stack.start_decision_service()
