"""ConnectionService over real gRPC: what is refused, what frames look like, and who may call."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
import grpc.aio
import pytest
from fastforward_entrypoint.messages.connections import Done, Elsewhere, LocalConnections, Whose
from fastforward_entrypoint.messages.connections.service import ConnectionServer
from fastforward_entrypoint.messages.internal import Internal
from fastforward_kit.tls import NodeTls
from fastforward_operator.certificates import Certified, Subject, issue, new_authority
from fastforward_websocket import Connected
from google.protobuf.message import Message

from fastforward.connection.v1 import connection_pb2 as pb
from fastforward.connection.v1 import connection_pb2_grpc
from support.eventually import meanwhile
from support.nodes import fill
from support.processes import free_port

ALL = pb.Selector(all=pb.All())


@dataclass
class Client:
    about: Connected
    frames: list[str] = field(default_factory=list)
    closed: tuple[int, str] | None = None

    def push(self, frame: str) -> bool:
        self.frames.append(frame)
        return True

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


class Alone(LocalConnections):
    """One that can't reach the others."""

    async def push(self, frame: str, whose: Whose) -> Done:
        return Done((await super().push(frame, whose)).count, Elsewhere.UNREACHABLE)


def connected(registry: LocalConnections, tenant: str = "acme", subject: str = "ann") -> Client:
    made = Client(Connected(id=registry.make_id(), tenant=tenant, subject=subject, host="example.com", since=1.5))
    registry.add(made)
    return made


@asynccontextmanager
async def served(
    registry: LocalConnections,
    address: str,
    tls: NodeTls | None = None,
    credentials: grpc.ChannelCredentials | None = None,
) -> AsyncGenerator[connection_pb2_grpc.ConnectionServiceAsyncStub]:
    internal = Internal(address, tls)
    server = ConnectionServer(registry, lambda: "push-1", internal.admit)
    add = partial(connection_pb2_grpc.add_ConnectionServiceServicer_to_server, server)
    async with meanwhile(internal.serve([add])):
        if credentials is None:
            channel = grpc.aio.insecure_channel(address)
        else:
            channel = grpc.aio.secure_channel(address, credentials)
        async with channel:
            yield connection_pb2_grpc.ConnectionServiceStub(channel)


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/i.sock"


async def code_of(stub: object, method: str, request: Message) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await getattr(stub, method)(request, wait_for_ready=True, timeout=10)
    return told.value.code()


async def test_who_is_connected_is_told(address: str) -> None:
    registry = LocalConnections()
    clients = [connected(registry, subject=subject) for subject in ("ann", "bob")]
    async with served(registry, address) as stub:
        everybody = await stub.List(pb.ListRequest(whose=ALL), wait_for_ready=True)
        few = await stub.List(pb.ListRequest(whose=ALL, limit=1))
        subject = pb.Selector(subject=pb.Subject(tenant="acme", subject="bob"))
        bob = await stub.List(pb.ListRequest(whose=subject))
    assert [each.id for each in everybody.connections] == [client.about.id for client in clients]
    first = everybody.connections[0]
    assert (first.tenant, first.subject, first.host, first.since.ToNanoseconds()) == (
        "acme",
        "ann",
        "example.com",
        1_500_000_000,
    )
    assert (len(few.connections), few.total, [each.subject for each in bob.connections]) == (1, 2, ["bob"])
    assert everybody.elsewhere == pb.ELSEWHERE_ANSWERED


@pytest.mark.parametrize(
    ("media_type", "body", "told"),
    [
        ("", b'{"a": [1]}', {"body": {"a": [1]}}),
        ("application/merge-patch+json", b"null", {"body": None}),
        ("application/json; v=1", b"[1]", {"body": [1]}),
        ("text/plain", "grüß".encode(), {"mediaType": "text/plain", "body": "grüß"}),
        ("application/x-protobuf", b"\xff\0", {"mediaType": "application/x-protobuf", "base64": "/wA="}),
        ("", b"", {}),
    ],
)
async def test_a_push_is_a_frame(address: str, media_type: str, body: bytes, told: dict[str, object]) -> None:
    registry = LocalConnections()
    client = connected(registry)
    async with served(registry, address) as stub:
        request = pb.PushRequest(to=ALL, type="shop.orders.late", media_type=media_type, body=body)
        done = await stub.Push(request, wait_for_ready=True)
    assert (done.id, done.reached, done.elsewhere) == ("push-1", 1, pb.ELSEWHERE_ANSWERED)
    [frame] = client.frames
    assert json.loads(frame) == {"push": {"type": "shop.orders.late", "id": "push-1", **told}}


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        pytest.param(method, request, id=f"{method} {told}")
        for method, told, request in (
            ("List", "of nobody said", pb.ListRequest()),
            ("Push", "to nobody said", pb.PushRequest(type="a.b")),
            ("Close", "of nobody said", pb.CloseRequest()),
            ("Push", "untyped", pb.PushRequest(to=ALL)),
            ("Push", "no JSON", pb.PushRequest(to=ALL, type="a.b", body=b"{")),
            (
                "Push",
                "no JSON of a version",
                pb.PushRequest(to=ALL, type="a.b", media_type="text/x+json; v=1", body=b"{"),
            ),
            ("Push", "not a number", pb.PushRequest(to=ALL, type="a.b", body=b"NaN")),
            ("Push", "no UTF-8", pb.PushRequest(to=ALL, type="a.b", body=b"\xff")),
            ("Push", "too deep", pb.PushRequest(to=ALL, type="a.b", body=b"[" * 100_000)),
            ("Push", "too large", pb.PushRequest(to=ALL, type="a.b", media_type="x/y", body=b"x" * ((1 << 20) + 1))),
            ("Close", "wordy", pb.CloseRequest(whose=ALL, reason="x" * 124)),
            *(
                ("Close", str(code), pb.CloseRequest(whose=ALL, code=code))
                for code in (999, 1002, 1005, 1006, 1015, 2999, 5000)
            ),
        )
    ],
)
async def test_what_makes_no_sense_is_refused_and_reaches_nobody(address: str, method: str, request_: Message) -> None:
    registry = LocalConnections()
    client = connected(registry)
    async with served(registry, address) as stub:
        assert await code_of(stub, method, request_) is grpc.StatusCode.INVALID_ARGUMENT
    assert (client.frames, client.closed) == ([], None)


async def test_one_that_is_not_there_is_not_found(address: str) -> None:
    async with served(LocalConnections(), address) as stub:
        nobody = pb.Selector(id="nobody.1")
        assert await code_of(stub, "Push", pb.PushRequest(to=nobody, type="a.b")) is grpc.StatusCode.NOT_FOUND
        assert await code_of(stub, "Close", pb.CloseRequest(whose=nobody)) is grpc.StatusCode.NOT_FOUND
        assert (await stub.List(pb.ListRequest(whose=nobody))).total == 0


async def test_one_whose_process_can_not_be_asked_is_unavailable_and_others_are_reached(address: str) -> None:
    registry = Alone()
    client = connected(registry)
    async with served(registry, address) as stub:
        other = pb.PushRequest(to=pb.Selector(id="other.1"), type="a.b")
        assert await code_of(stub, "Push", other) is grpc.StatusCode.UNAVAILABLE
        done = await stub.Push(pb.PushRequest(to=pb.Selector(tenant="acme"), type="a.b"))
    assert (done.reached, done.elsewhere, len(client.frames)) == (1, pb.ELSEWHERE_UNREACHABLE, 1)


async def test_connections_are_closed_with_a_code(address: str) -> None:
    registry = LocalConnections()
    clients = [connected(registry, tenant=tenant) for tenant in ("acme", "globex")]
    async with served(registry, address) as stub:
        request = pb.CloseRequest(whose=pb.Selector(tenant="acme"), code=4001, reason="moved")
        assert (await stub.Close(request, wait_for_ready=True)).closed == 1
        assert (await stub.Close(pb.CloseRequest(whose=ALL))).closed == 2
    assert [client.closed for client in clients] == [(1000, ""), (1000, "")]


def certificate(folder: Path, authority: Certified, kind: str) -> NodeTls:
    uri = f"spiffe://fastforward/ns/shop/{kind}/orders"
    subject = Subject(name=kind, hosts=("localhost",), uris=(uri,), server=True, client=True)
    signed = issue(authority, subject, now=datetime.now(UTC), lifetime=timedelta(days=1))
    return NodeTls(fill(folder / kind, signed, authority.certificate))


async def test_over_tcp_a_caller_proves_to_be_a_workload(tmp_path: Path) -> None:
    ours, foreign = (new_authority("a", now=datetime.now(UTC), lifetime=timedelta(days=1)) for _ in range(2))
    server = certificate(tmp_path / "ours", ours, "workload")
    edge = certificate(tmp_path / "ours", ours, "edge")
    stranger = certificate(tmp_path / "foreign", foreign, "workload")
    registry, request = LocalConnections(), pb.ListRequest(whose=ALL)
    address = f"localhost:{free_port()}"
    async with served(registry, address, server, server.channel()) as stub:
        assert (await stub.List(request, wait_for_ready=True, timeout=10)).total == 0
        async with grpc.aio.secure_channel(address, edge.channel()) as channel:
            as_edge = connection_pb2_grpc.ConnectionServiceStub(channel)
            assert await code_of(as_edge, "List", request) is grpc.StatusCode.PERMISSION_DENIED
        for channel in (
            grpc.aio.insecure_channel(address),
            grpc.aio.secure_channel(
                address, grpc.ssl_channel_credentials((tmp_path / "ours" / "edge" / "ca.crt").read_bytes())
            ),
            grpc.aio.secure_channel(address, stranger.channel()),
        ):
            async with channel:
                with pytest.raises(grpc.aio.AioRpcError) as told:
                    await connection_pb2_grpc.ConnectionServiceStub(channel).List(request, timeout=5)
                assert told.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_an_address_that_is_taken_is_said() -> None:
    port = free_port()
    async with served(LocalConnections(), f"127.0.0.1:{port}") as stub:
        await stub.List(pb.ListRequest(whose=ALL), wait_for_ready=True)
        with pytest.raises(OSError, match=str(port)):
            await Internal(f"127.0.0.1:{port}", None).serve([])
