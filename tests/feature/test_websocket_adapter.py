"""WebSocket through Envoy: frames that are messages of their own, with the policies of their own rules."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket as sockets
import time
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
    issuers,
    keys_of,
    limit,
    on,
    policy,
    proven_by,
    resource,
    route,
    rule,
    secret,
    tokens_of,
    upstream,
)
from support.tokens import bearer

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
            rule(
                exact("/live"), name="live", adapter={"protocol": "WebSocket", "origins": ["https://*.friend.example"]}
            ),
            rule(
                exact("/orders"),
                name="orders",
                message={"type": "shop.orders.place", "upstream": {"name": "orders"}, "event": PLACED},
            ),
            rule(exact("/orders/placed"), name="placed", message={"type": PLACED}),
        ),
        policy("members", on("Route", "shop"), authentication=proven_by(keys_of())),
    )


@contextlib.contextmanager
def connected(
    gateway: Gateway, headers: Mapping[str, str] = KEY, *, path: str = "/live"
) -> Generator[ClientConnection]:
    socket = sockets.create_connection(("127.0.0.1", gateway.port))
    protocols = [Subprotocol("fastforward.v1.json")]
    with connect(
        f"ws://example.com{path}", sock=socket, subprotocols=protocols, additional_headers=headers, open_timeout=10
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


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://example.com", 101),
        ("http://example.com:8080", 101),
        ("https://a.friend.example", 101),
        ("https://evil.example", 403),
        ("https://friend.example.evil.example", 403),
        ("null", 403),
    ],
)
def test_only_pages_of_the_host_and_of_named_origins_open_connections(
    gateway: Gateway, target: ThreadedTarget, origin: str, status: int
) -> None:
    headers = {**KEY, "origin": origin}
    if status == 101:
        with connected(gateway, headers) as connection:
            assert ask(connection, "1")["status"] == 200
            return
    with pytest.raises(InvalidStatus) as caught, connected(gateway, headers):
        pass
    refused = caught.value.response
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    told = json.loads(refused.body)
    assert (told["stage"], told["reason"], bool(told["requestId"])) == ("admission", "origin-denied", True)
    line = until(lambda: [each for each in gateway.log_lines() if each["requestId"] == told["requestId"]])[0]
    assert line["refusal"] == "admission/origin-denied"
    assert not target.received


@pytest.mark.parametrize("taken", ["key", "tenant", "policy", "rule"])
def test_a_silent_connection_ends_soon_after_its_caller_has_lost_it(gateway: Gateway, taken: str) -> None:
    other = "BBBBBBBBBBBB"
    keys = {ACME: "acme", other: "acme"}
    gateway.apply(secret("api-keys", apikeys_data(**keys), KEYS))
    stays = {"x-api-key": f"ffk_{other}_{other.lower()}"}
    until(lambda: opens(gateway, stays))
    with connected(gateway) as connection, connected(gateway, stays) as neighbour:
        began = time.monotonic()
        match taken:
            case "key":
                gateway.apply(secret("api-keys", apikeys_data(**{other: "acme"}), KEYS))
            case "tenant":
                gateway.apply(
                    resource("Tenant", "globex", {}),
                    secret("api-keys", apikeys_data(**{**keys, ACME: "globex"}), KEYS),
                )
            case "policy":
                gateway.apply(
                    policy(
                        "others",
                        on("Route", "shop", "live"),
                        authorization=granted_to(others={"condition": "identity.subject != 'aaaaaaaaaaaa'"}),
                    )
                )
            case _:
                gateway.delete("Route", "shop")
        assert code_of(connection) == 1008
        assert time.monotonic() - began < 5
        if taken != "rule":
            assert ask(neighbour, "1")["status"] == 200


def opens(gateway: Gateway, headers: Mapping[str, str]) -> bool:
    try:
        with connected(gateway, headers):
            return True
    except InvalidStatus:
        return False


def test_a_silent_connection_ends_with_its_token(gateway: Gateway) -> None:
    gateway.apply(
        issuers("a"),
        route("tokens", rule(exact("/tokens"), adapter={"protocol": "WebSocket"})),
        policy("holders", on("Route", "tokens"), authentication=proven_by(tokens_of(clockSkew="0s"))),
    )
    token = bearer("a", exp=int(time.time()) + 4)
    with connected(gateway, token, path="/tokens") as short, connected(gateway, bearer("a"), path="/tokens") as long:
        assert code_of(short) == 1008
        assert ask(long, "1", {"method": "GET", "path": "/nothing"})["status"] == 404


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
                "buyers",
                on("Route", "shop", "orders"),
                authorization=granted_to(admins={"roles": ["admin"]}),
            )
        )
        refused = until(lambda: ask(connection, "2"), lambda answer: answer["status"] != 200)
        assert (refused["status"], refused["error"]["reason"]) == (403, "not-granted")


def test_what_is_taken_from_a_caller_is_taken_from_its_listeners(gateway: Gateway) -> None:
    listen, numbers = {"listen": {"path": "/orders/placed"}}, itertools.count()
    with connected(gateway) as listener, connected(gateway) as buyer, connected(gateway) as probe:
        assert ask(listener, "e", listen)["status"] == 200
        gateway.apply(
            policy("hearers", on("Route", "shop", "placed"), authorization=granted_to(admins={"roles": ["admin"]}))
        )
        until(lambda: ask(probe, str(next(numbers)), listen)["status"], lambda status: status == 403, every=0.5)
        assert ask(buyer, "1")["status"] == 200
        told = said(listener)
        assert (told["id"], told["status"], told["error"]["reason"]) == ("e", 403, "not-granted")


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
