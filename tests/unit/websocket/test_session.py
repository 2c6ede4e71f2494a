"""One connection over a real socket: many operations at once, events, and who is told what."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

import pytest
import websockets
from fastforward_entrypoint.messages.connections import EVERYBODY, Done, LocalConnections, Whose
from fastforward_entrypoint.messages.events import Events
from fastforward_kit.http import HttpServer, parse_address
from fastforward_pipeline.message import Answered, Failed, make_error
from fastforward_pipeline.reason import Reason
from fastforward_websocket import WebSocketAdapter
from fastforward_websocket.adapter import SUBPROTOCOL
from fastforward_websocket.session import MALFORMED, UNDER_WAY
from websockets.typing import Subprotocol

from fastforward.message.v1 import envelope_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.eventually import eventually
from support.happened import PLACED, happened, kind
from support.messages import reply

HEADERS = {"x-ff-tenant": "acme", "x-ff-subject": "ann", "x-api-key": "k"}


@dataclass
class Stages:
    """Answers once `go` is set; tells events of PLACED."""

    messages: list[envelope_pb2.Envelope] = field(default_factory=list)
    events: Events = field(default_factory=Events)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        self.messages.append(envelope)
        if envelope.header.source.target == "/none":
            return Failed(make_error(envelope, Reason.NO_ROUTE))
        await self.go.wait()
        return Answered(reply())

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        if envelope.header.source.target != "/placed":
            return Failed(make_error(envelope, Reason.NOT_GRANTED))
        return self.events.listen(kind())


@dataclass
class Running:
    stages: Stages
    connections: LocalConnections
    server: HttpServer
    url: str

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncGenerator[websockets.ClientConnection]:
        async with (
            asyncio.timeout(10),
            websockets.connect(self.url, subprotocols=[Subprotocol(SUBPROTOCOL)], additional_headers=HEADERS) as client,
        ):
            yield client


@pytest.fixture
async def running() -> AsyncGenerator[Running]:
    stages, connections, numbers = Stages(), LocalConnections(), iter(range(10_000))
    adapter = WebSocketAdapter(stages, connections, clock=lambda: 1000.0, make_id=lambda: f"id-{next(numbers)}")
    server = HttpServer(lambda asked: adapter(asked, snapshot_pb2.AdapterDispatch(host="api.example.com")))
    address = await server.listen(parse_address("127.0.0.1:0"))
    yield Running(stages, connections, server, f"ws://{address}/live")
    stages.go.set()
    await server.drain(linger_seconds=0, limit_seconds=2)


async def said(client: websockets.ClientConnection) -> dict[str, object]:
    return json.loads(await client.recv())


def order(id_: str, path: str = "/orders") -> str:
    return json.dumps({"id": id_, "method": "POST", "path": path, "body": {"sku": "a"}})


async def test_a_frame_is_a_message_with_what_the_handshake_said(running: Running) -> None:
    running.stages.go.set()
    async with running.connected() as client:
        await client.send(order("1"))
        assert await said(client) == {"id": "1", "status": 200, "headers": {}, "body": {"order": 7}}
    [message] = running.stages.messages
    source = message.header.source
    assert (source.protocol, source.method, source.target) == (envelope_pb2.PROTOCOL_WEBSOCKET, "POST", "/orders")
    assert (source.host, message.payload.body) == ("api.example.com", b'{"sku": "a"}')
    assert source.connection_id.startswith(f"{running.connections.process}.")
    names = {each.name for each in source.fields}
    assert "x-api-key" in names
    assert not [name for name in names if name.startswith(("sec-websocket", "x-ff-"))]
    assert "upgrade" not in names


async def test_operations_run_beside_each_other_and_no_more_than_fit(running: Running) -> None:
    async with running.connected() as client:
        for number in range(UNDER_WAY + 5):
            await client.send(order(str(number)))
        await eventually(lambda: len(running.stages.messages) == UNDER_WAY)
        await asyncio.sleep(0.05)
        assert len(running.stages.messages) == UNDER_WAY
        running.stages.go.set()
        ids = {str((await said(client))["id"]) for _ in range(UNDER_WAY + 5)}
        assert ids == {str(number) for number in range(UNDER_WAY + 5)}


async def test_a_failure_is_told_beside_others_that_are_under_way(running: Running) -> None:
    async with running.connected() as client:
        await client.send(order("slow"))
        await client.send(order("bad", "/none"))
        answer = await said(client)
        assert (answer["id"], answer["status"]) == ("bad", 404)
        await client.send(order("slow"))
        assert (await said(client))["status"] == 400  # the id is in use
        running.stages.go.set()
        assert (await said(client))["status"] == 200


async def test_events_come_until_they_are_stopped(running: Running) -> None:
    async with running.connected() as client:
        await client.send('{"id": "e", "listen": {"path": "/placed"}}')
        assert await said(client) == {"id": "e", "status": 200}
        running.stages.events.publish(happened(reply(type=PLACED, tenant="acme")))
        running.stages.events.publish(happened(reply(type=PLACED, tenant="other")))
        assert (await said(client))["event"]["body"] == {"order": 7}  # ty: ignore[not-subscriptable]
        await client.send('{"id": "e", "stop": true}')
        assert await said(client) == {"id": "e", "end": True}
        await eventually(lambda: not running.stages.events._listeners)


async def test_who_may_not_listen_is_told_so(running: Running) -> None:
    async with running.connected() as client:
        await client.send('{"id": "e", "listen": {"path": "/others"}}')
        assert (await said(client))["status"] == 403


async def test_events_end_with_their_connection(running: Running) -> None:
    async with running.connected() as client:
        await client.send('{"id": "e", "listen": {"path": "/placed"}}')
        await said(client)
    await eventually(lambda: not running.stages.events._listeners and not len(running.connections))


async def test_what_is_no_frame_is_told_and_too_much_of_it_ends_the_connection(running: Running) -> None:
    async with running.connected() as client:
        for _ in range(MALFORMED):
            await client.send("nonsense")
            answer = await said(client)
            assert (answer["id"], answer["status"]) == (None, 400)
        await client.wait_closed()
        assert client.close_code == 1008


async def test_bytes_are_no_frames(running: Running) -> None:
    async with running.connected() as client:
        await client.send(b"{}")
        await client.wait_closed()
        assert client.close_code == 1003


async def test_connections_are_known_spoken_to_and_closed(running: Running) -> None:
    async with running.connected() as one, running.connected() as other:
        await eventually(lambda: len(running.connections) == 2)
        first, _ = (await running.connections.list(EVERYBODY, 9)).connections
        assert (first.tenant, first.subject, first.host) == ("acme", "ann", "api.example.com")
        assert await running.connections.push('{"push": 1}', Whose(tenant="acme")) == Done(2)
        assert await running.connections.push('{"push": 2}', Whose(id=first.id)) == Done(1)
        assert await running.connections.push('{"push": 3}', Whose(tenant="nobody")) == Done(0)
        assert [await said(one), await said(one), await said(other)] == [{"push": 1}, {"push": 2}, {"push": 1}]
        assert await running.connections.close(4001, "revoked", Whose(id=first.id)) == Done(1)
        await one.wait_closed()
        assert (one.close_code, one.close_reason) == (4001, "revoked")
        await eventually(lambda: len(running.connections) == 1)


async def test_a_client_that_takes_no_pushes_in_is_closed_and_nobody_waits_for_it(running: Running) -> None:
    async with running.connected() as client:
        await eventually(lambda: len(running.connections) == 1)
        client.transport.pause_reading()
        frame, sent = "x" * 100_000, 0
        while (await running.connections.push(frame, EVERYBODY)).count:
            sent += 1
            assert sent < 200
        client.transport.resume_reading()
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await client.recv()
        assert client.close_code == 1008


async def test_draining_answers_what_is_under_way_and_ends_with_1001(running: Running) -> None:
    async with running.connected() as client:
        await client.send(order("1"))
        await client.send('{"id": "e", "listen": {"path": "/placed"}}')
        assert (await said(client))["id"] == "e"
        draining = asyncio.ensure_future(running.server.drain(linger_seconds=0, limit_seconds=5))
        await asyncio.sleep(0.05)
        running.stages.go.set()
        assert (await said(client))["id"] == "1"
        await client.wait_closed()
        assert client.close_code == 1001
        await draining
