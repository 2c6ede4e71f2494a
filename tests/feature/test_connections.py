"""Clients are reached through Envoy whichever of two EntryPoints holds their connections, with a real Redis between."""

from __future__ import annotations

import contextlib
import json
import socket as sockets
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from fastforward.connection.v1 import connection_pb2 as pb
from fastforward.connection.v1 import connection_pb2_grpc
from support.credentials import apikeys_data
from support.gateway import Gateway, Stack, until
from support.message_target import ThreadedTarget, running_target
from support.processes import free_port
from support.redis import RedisServer, running_redis
from support.resources import exact, keys_of, on, policy, proven_by, resource, route, rule, secret, upstream

PLACED = "shop.orders.placed"
CALLERS = {"AAAAAAAAAAAA": "acme", "BBBBBBBBBBBB": "globex"}
ALL = pb.Selector(all=pb.All())


@dataclass(slots=True)
class TwoEntryPoints(Stack):
    """A stack whose Envoy hands connections to two EntryPoints in turn."""

    redis_url: str = ""

    def decision_sockets(self) -> tuple[Path, ...]:
        return self.folder / "decision.sock", self.folder / "second.sock"

    def internal(self, number: int) -> str:
        return f"unix:{self.folder}/inside{number}.sock"

    def run(self, name: str, command: list[str], settings: Mapping[str, str]) -> None:
        own = {}
        if name.startswith("decision"):
            own = {"FF_ENTRYPOINT_REDIS_URL": self.redis_url}
        Stack.run(self, name, command, {**settings, **own})


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def two(redis: RedisServer) -> Generator[TwoEntryPoints]:
    with TemporaryDirectory(prefix="ff") as name:
        made = TwoEntryPoints(Path(name), free_port(), redis_url=redis.url)
        try:
            made.start()
            for number in range(2):
                made.start_decision_service(number)
            yield made
        finally:
            made.stop()


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture
def shop(two: TwoEntryPoints, target: ThreadedTarget) -> Generator[Gateway]:
    made = Gateway(two, namespace=f"t{next(two.numbers)}", port=free_port())
    made.begin()
    made.apply(
        secret("api-keys", apikeys_data(**CALLERS), "gateway.fastforward.dev/api-keys"),
        *(resource("Tenant", tenant, {}) for tenant in CALLERS.values()),
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
    yield made
    made.end()


@contextlib.contextmanager
def connected(gateway: Gateway, caller: str = "AAAAAAAAAAAA") -> Generator[ClientConnection]:
    socket = sockets.create_connection(("127.0.0.1", gateway.port))
    headers = {"x-api-key": f"ffk_{caller}_{caller.lower()}"}
    protocols = [Subprotocol("fastforward.v1.json")]
    with connect("ws://example.com/live", sock=socket, subprotocols=protocols, additional_headers=headers) as client:
        yield client


def said(connection: ClientConnection) -> dict[str, Any]:
    return json.loads(connection.recv(timeout=10))


@contextlib.contextmanager
def inside(two: TwoEntryPoints, number: int = 0) -> Generator[connection_pb2_grpc.ConnectionServiceStub]:
    with grpc.insecure_channel(two.internal(number)) as channel:
        yield connection_pb2_grpc.ConnectionServiceStub(channel)


@contextlib.contextmanager
def both_hold(two: TwoEntryPoints, gateway: Gateway) -> Generator[dict[str, ClientConnection]]:
    """Connections of acme, such that each EntryPoint holds some, by id."""
    with contextlib.ExitStack() as stack, inside(two) as service:
        clients: list[ClientConnection] = []

        def holders() -> set[str]:
            listed = service.List(pb.ListRequest(whose=pb.Selector(tenant="acme")))
            return {each.id.partition(".")[0] for each in listed.connections}

        def enough() -> bool:
            clients.append(stack.enter_context(connected(gateway)))
            return len(holders()) == 2

        until(enough)
        by_id: dict[str, ClientConnection] = {}
        for client in clients:
            client.send(json.dumps({"id": "1", "method": "POST", "path": "/orders", "body": {}}))
            assert said(client)["status"] == 200
        ids = [each.id for each in service.List(pb.ListRequest(whose=pb.Selector(tenant="acme"))).connections]
        assert len(ids) == len(clients)
        for id_ in ids:
            push(service, pb.Selector(id=id_), id_)
        for client in clients:
            by_id[said(client)["push"]["body"]] = client
        yield by_id


def push(service: connection_pb2_grpc.ConnectionServiceStub, to: pb.Selector, body: object) -> pb.PushResponse:
    request = pb.PushRequest(to=to, type="shop.orders.late", body=json.dumps(body).encode())
    return service.Push(request, timeout=10)


@pytest.mark.parametrize("number", [0, 1])
def test_a_push_reaches_clients_wherever_they_are_connected(two: TwoEntryPoints, shop: Gateway, number: int) -> None:
    with both_hold(two, shop) as clients, connected(shop, "BBBBBBBBBBBB") as other, inside(two, number) as service:
        done = push(service, pb.Selector(tenant="acme"), {"order": 7})
        assert (done.reached, done.elsewhere) == (len(clients), pb.ELSEWHERE_ANSWERED)
        subject = pb.Selector(subject=pb.Subject(tenant="globex", subject="bbbbbbbbbbbb"))
        assert push(service, subject, "yours").reached == 1
        for client in clients.values():
            assert said(client) == {"push": {"type": "shop.orders.late", "id": done.id, "body": {"order": 7}}}
        assert said(other)["push"]["body"] == "yours"
        assert push(service, ALL, 1).reached == len(clients) + 1


def test_a_target_reaches_the_client_whose_message_it_has(
    two: TwoEntryPoints, shop: Gateway, target: ThreadedTarget
) -> None:
    with connected(shop) as client, inside(two) as service:
        client.send(json.dumps({"id": "1", "method": "POST", "path": "/orders", "body": {}}))
        assert said(client)["status"] == 200
        [message] = target.received
        assert push(service, pb.Selector(id=message.header.source.connection_id), "late").reached == 1
        assert said(client)["push"]["body"] == "late"


def test_connections_are_closed_wherever_they_are(two: TwoEntryPoints, shop: Gateway) -> None:
    with both_hold(two, shop) as clients, connected(shop, "BBBBBBBBBBBB") as other, inside(two) as service:
        request = pb.CloseRequest(whose=pb.Selector(tenant="acme"), code=4000, reason="moved")
        assert service.Close(request).closed == len(clients)
        for client in clients.values():
            with pytest.raises(ConnectionClosed) as caught:
                client.recv(timeout=10)
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "moved")
        other.ping().wait(10)


def test_an_event_reaches_listeners_wherever_they_are_connected(two: TwoEntryPoints, shop: Gateway) -> None:
    with both_hold(two, shop) as clients, connected(shop, "BBBBBBBBBBBB") as foreign:
        for client in (*clients.values(), foreign):
            client.send(json.dumps({"id": "e", "listen": {"path": "/orders/placed"}}))
            assert said(client) == {"id": "e", "status": 200}
        with connected(shop) as buyer:
            buyer.send(json.dumps({"id": "1", "method": "POST", "path": "/orders", "body": {}}))
            assert said(buyer)["status"] == 200
        for client in clients.values():
            assert said(client)["event"]["body"] == {"order": 7}
        with pytest.raises(TimeoutError):
            foreign.recv(timeout=0.5)


def test_without_redis_each_reaches_its_own_and_says_so(two: TwoEntryPoints, shop: Gateway, redis: RedisServer) -> None:
    with both_hold(two, shop) as clients, inside(two) as service:
        redis.kill()
        try:
            done = push(service, pb.Selector(tenant="acme"), "partly")
            assert done.elsewhere == pb.ELSEWHERE_UNREACHABLE
            assert 0 < done.reached < len(clients)
            found = {name: reaches(service, name) for name in clients}
            assert sorted(map(str, set(found.values()))) == sorted(["None", str(grpc.StatusCode.UNAVAILABLE)])
        finally:
            redis.start()
        until(lambda: push(service, pb.Selector(tenant="acme"), "all").reached == len(clients), every=0.2)


def reaches(service: connection_pb2_grpc.ConnectionServiceStub, id_: str) -> grpc.StatusCode | None:
    try:
        push(service, pb.Selector(id=id_), "one")
    except grpc.RpcError as error:
        return error.code()  # type: ignore[attr-defined]
    return None


def test_who_is_connected_to_one_that_was_killed_is_gone(two: TwoEntryPoints, shop: Gateway) -> None:
    with both_hold(two, shop) as clients, inside(two) as service:
        two.stop_decision_service(1, kill=True)
        try:
            left = until(
                lambda: service.List(pb.ListRequest(whose=pb.Selector(tenant="acme"))),
                lambda listed: listed.elsewhere == pb.ELSEWHERE_ANSWERED,
            )
            assert 0 < left.total < len(clients)
        finally:
            two.start_decision_service(1)
