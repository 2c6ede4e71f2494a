"""10,000 idle connections to one EntryPoint: what they cost, that all are reached, and that all end when they must."""

from __future__ import annotations

import asyncio
import base64
import resource as limits
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
import psutil
import pytest

from fastforward.connection.v1 import connection_pb2 as pb
from fastforward.connection.v1 import connection_pb2_grpc
from fastforward.snapshot.v1 import snapshot_pb2
from support.decision_world import AUTH, SCOPE, apikeys, make_key, resource, world
from support.entrypoint import EntryPoint, running_entrypoint
from support.eventually import eventually
from support.snapshot_server import SnapshotServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COUNT = 10_000
MOST_KIB = 32
"""For each connection: of EntryPoint's memory, without the kernel's."""
MOST_S = 20
"""For all to be closed, on a machine that does other things as well."""
KEY = make_key("acme")
PING, PONG = b"\x89\x00", b"\x8a\x80\0\0\0\0"
CLOSED_1008 = b"\x03\xf0"
ALL = pb.Selector(all=pb.All())
HEAD = "\r\n".join(
    (
        "GET /live HTTP/1.1",
        "host: shop.example",
        "connection: Upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        f"sec-websocket-key: {base64.b64encode(b'k' * 16).decode()}",
        "sec-websocket-protocol: fastforward.v1.json",
        "x-ff-entry: plan-live",
        "x-ff-edge: shop/public",
        "x-ff-via: http",
        "x-ff-address: 203.0.113.7",
        "x-ff-peer: 127.0.0.1",
        "x-forwarded-proto: https",
        f"x-api-key: {KEY.text}",
        "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        "\r\n",
    )
).encode()


@dataclass
class Seen:
    """What came over all connections."""

    opened: int = 0
    pushed: int = 0
    revoked: int = 0
    lost: int = 0


@dataclass
class Idle(asyncio.Protocol):
    """A client that only says that it is there."""

    seen: Seen
    transport: asyncio.Transport = field(init=False)
    open: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(HEAD)

    def data_received(self, data: bytes) -> None:
        if not self.open:
            assert data.startswith(b"HTTP/1.1 101"), data
            self.open = True
            self.seen.opened += 1
            return
        if PING in data:
            self.transport.write(PONG)
        self.seen.pushed += data.count(b'{"push":')
        self.seen.revoked += data.count(CLOSED_1008)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.seen.lost += 1


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[tuple[EntryPoint, SnapshotServer, str]]:
    live = snapshot_pb2.Plan(
        route="shop/live",
        rule="all",
        scope=SCOPE,
        match=snapshot_pb2.Match(path_type=snapshot_pb2.PATH_MATCH_TYPE_PREFIX, path="/live"),
        auth=AUTH,
        adapter=snapshot_pb2.AdapterDispatch(protocol=snapshot_pb2.ADAPTER_PROTOCOL_WEBSOCKET),
    )
    operator, inside = f"unix:{folder}/operator.sock", f"unix:{folder}/inside.sock"
    server = SnapshotServer(world(KEY, plans=[resource("plan/plan-live", live)]))
    async with server.serving(operator):
        with running_entrypoint(folder, operator, INTERNAL_LISTEN=inside) as service:
            await service.ready()
            yield service, server, inside


async def connect_all(service: EntryPoint, seen: Seen) -> list[Idle]:
    """A few at a time, as the kernel's queue of connections is short."""
    loop, clients = asyncio.get_running_loop(), []
    for place in range(1, COUNT + 1):
        clients.append((await loop.create_unix_connection(lambda: Idle(seen), str(service.socket)))[1])
        if place % 50 == 0:
            await eventually(lambda place=place: seen.opened == place)
    return clients


async def test_ten_thousand_are_held_reached_and_closed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    hard = limits.getrlimit(limits.RLIMIT_NOFILE)[1]
    limits.setrlimit(limits.RLIMIT_NOFILE, (hard, hard))
    seen = Seen()
    async with serving(tmp_path) as (service, server, inside), grpc.aio.insecure_channel(inside) as channel:
        assert service.process is not None
        process = psutil.Process(service.process.pid)
        stub = connection_pb2_grpc.ConnectionServiceStub(channel)
        await stub.List(pb.ListRequest(whose=ALL), wait_for_ready=True)
        before = process.memory_info().rss
        clients = await connect_all(service, seen)
        kib = (process.memory_info().rss - before) / COUNT / 1024
        assert (await stub.List(pb.ListRequest(whose=ALL, limit=1))).total == COUNT
        idle = await processor_time(process, 30)  # each is pinged once, and answers
        assert (seen.lost, len(clients)) == (0, COUNT)
        began = time.monotonic()
        done = await stub.Push(pb.PushRequest(to=ALL, type="shop.news", body=b"1"))
        await eventually(lambda: seen.pushed == COUNT)
        pushed_s = time.monotonic() - began
        assert done.reached == COUNT
        began = time.monotonic()
        server.publish([apikeys()])
        await eventually(lambda: seen.revoked == COUNT)
        revoked_s = time.monotonic() - began
        for name, figure in (("kib", kib), ("idle", idle), ("push_s", pushed_s), ("revoked_s", revoked_s)):
            record_property(name, round(figure, 3))
            print(f"{name}: {figure:.3f}")
        assert kib < MOST_KIB
        assert revoked_s < MOST_S
        await eventually(lambda: seen.lost == COUNT)


async def processor_time(process: psutil.Process, seconds: float) -> float:
    """The share of a core that it takes meanwhile."""
    before = process.cpu_times()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / seconds
