"""Subscriptions: events as results, over server-sent events and graphql-transport-ws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastforward_graphql.adapter import GraphqlAdapter
from fastforward_graphql.events import write_events
from fastforward_graphql.execution import Asked, Result
from fastforward_graphql.loading import Loader, Way
from fastforward_graphql.schema import Compiled, compile_sdl
from fastforward_graphql.socket import Session
from fastforward_pipeline.message import Answered, Failed, Intake

from fastforward.message.v1 import envelope_pb2, error_pb2
from fastforward.snapshot.v1 import snapshot_pb2
from support.eventually import eventually
from support.messages import reply

SDL = b"""
type Query { book(id: ID!): Book @http(method: "GET", path: "/books/{id}") }
type Mutation { order(sku: String!): Book @http(method: "POST", path: "/orders") }
type Subscription { placed(shop: ID!): Order @http(method: "GET", path: "/shops/{shop}/placed") }
type Order { sku: ID!, book: Book @http(method: "GET", path: "/books/{sku}") }
type Book { id: ID!, title: String }
"""
PLACED = 'subscription { placed(shop: "s") { sku book { title } } }'
LIMITS = snapshot_pb2.GraphqlLimits(depth=12, complexity=1000, aliases=30, batch=10, page_size=100)


@dataclass
class Stages:
    """Has events, as the test tells them."""

    events: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    refused: Failed | None = None
    held: asyncio.Event | None = None
    """Until when a message has no answer."""
    messages: list[envelope_pb2.Envelope] = field(default_factory=list)
    closed: int = 0

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        self.messages.append(envelope)
        if self.held is not None:
            await self.held.wait()
        return Answered(reply(b'{"id": "a", "title": "T"}'))

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        self.messages.append(envelope)
        return self.refused or self._events()

    async def _events(self) -> AsyncGenerator[envelope_pb2.Envelope]:
        try:
            while (event := await self.events.get()) is not None:
                yield reply(event)
        finally:
            self.closed += 1

    def tell(self, *skus: str) -> None:
        for sku in skus:
            self.events.put_nowait(json.dumps({"sku": sku}).encode())

    def targets(self) -> list[str]:
        return [each.header.source.target for each in self.messages]


def results_of(
    stages: Stages,
    asked: Asked,
    compiled: Compiled | None = None,
    subscribes: Callable[[], object] = lambda: None,
) -> AsyncGenerator[Result]:
    adapter = GraphqlAdapter(stages, lambda _: None, lambda: 1000.0, lambda: "m-1")
    way = Way(stages, lambda: 1000.0, lambda: "m-1")
    loader = Loader(way, Intake(protocol=envelope_pb2.PROTOCOL_GRAPHQL, headers={}, host="example.com"))
    dispatch = snapshot_pb2.AdapterDispatch(graphql=LIMITS)
    return adapter.stream(asked, compiled or compile_sdl(SDL), dispatch, loader, subscribes=subscribes)


async def test_each_event_is_a_result_and_what_it_needs_is_read_anew() -> None:
    stages = Stages()
    stages.tell("a", "a")
    stages.events.put_nowait(None)
    told = [each.body async for each in results_of(stages, Asked(PLACED))]
    assert told == [{"data": {"placed": {"sku": "a", "book": {"title": "T"}}}}] * 2
    assert stages.targets() == ["/shops/s/placed", "/books/a", "/books/a"]
    assert stages.closed == 1


async def test_who_may_not_listen_is_told() -> None:
    error = error_pb2.Error(code=error_pb2.CODE_PERMISSION_DENIED, reason="authorization/not-granted", title="No")
    [told] = [each.body async for each in results_of(Stages(refused=Failed(error)), Asked(PLACED))]
    assert told["errors"][0]["extensions"]["reason"] == "authorization/not-granted"


async def test_events_are_sent_as_they_come_and_end() -> None:
    stages = Stages()
    parts = write_events(results_of(stages, Asked(PLACED)), quiet_s=0.05)
    assert await anext(parts) == b":\n\n"
    assert await anext(parts) == b":\n\n"  # nothing has happened
    stages.tell("a")
    assert await anext(parts) == b'event: next\ndata: {"data":{"placed":{"sku":"a","book":{"title":"T"}}}}\n\n'
    stages.events.put_nowait(None)
    assert [each async for each in parts] == [b"event: complete\ndata:\n\n"]


async def test_a_client_that_goes_ends_its_listening() -> None:
    stages = Stages()
    parts = write_events(results_of(stages, Asked(PLACED)), quiet_s=0.01)
    for _ in range(3):
        await anext(parts)
    await parts.aclose()
    assert stages.closed == 1


async def test_a_query_is_one_event() -> None:
    parts = write_events(results_of(Stages(), Asked('{ book(id: "a") { id } }')))
    assert [each async for each in parts][1:] == [
        b'event: next\ndata: {"data":{"book":{"id":"a"}}}\n\n',
        b"event: complete\ndata:\n\n",
    ]


class GoneError(Exception):
    """The client has closed."""


@dataclass
class Client:
    """The other end of a socket."""

    stages: Stages = field(default_factory=Stages)
    sent: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    got: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    code: int = 0

    async def receive(self) -> str:
        frame = await self.sent.get()
        if frame is None:
            raise GoneError
        return frame

    async def send(self, frame: str | bytes) -> None:
        self.got.put_nowait(json.loads(frame))

    async def close(self, code: int, reason: str) -> None:
        assert reason
        self.code = code

    def say(self, type_: str, **message: object) -> None:
        self.sent.put_nowait(json.dumps({"type": type_, **message}))

    async def serve(self, initialised_s: float = 10.0) -> None:
        compiled = compile_sdl(SDL)

        def execute(asked: Asked, /, *, subscribes: Callable[[], object]) -> AsyncGenerator[Result]:
            return results_of(self.stages, asked, compiled, subscribes)

        await Session(self, execute).serve(initialised_s=initialised_s)


async def test_operations_run_beside_each_other_on_one_socket() -> None:
    client = Client()
    serving = asyncio.ensure_future(client.serve())
    client.say("connection_init")
    client.say("ping")
    client.say("subscribe", id="1", payload={"query": PLACED})
    client.say("subscribe", id="2", payload={"query": '{ book(id: "a") { id } }'})
    client.say("subscribe", id="3", payload={"query": "{ nothing }"})
    client.stages.tell("a")
    got = [await client.got.get() for _ in range(6)]
    assert got[:2] == [{"type": "connection_ack"}, {"type": "pong"}]
    assert {"id": "1", "type": "next", "payload": {"data": {"placed": {"sku": "a", "book": {"title": "T"}}}}} in got
    assert {"id": "2", "type": "next", "payload": {"data": {"book": {"id": "a"}}}} in got
    assert {"id": "2", "type": "complete"} in got
    [error] = [each for each in got if each["type"] == "error"]
    assert (error["id"], error["payload"][0]["extensions"]["reason"]) == ("3", "normalization/query-invalid")
    client.say("complete", id="1")
    client.say("subscribe", id="1", payload={"query": PLACED})  # the name is free again
    client.stages.tell("b")
    assert (await client.got.get())["payload"]["data"]["placed"]["sku"] == "b"
    assert client.stages.closed == 1
    client.sent.put_nowait(None)
    with pytest.raises(GoneError):
        await serving
    assert client.stages.closed == 2


async def test_when_a_connection_ends_so_do_subscriptions_and_what_else_is_under_way_is_answered() -> None:
    client = Client(stages=Stages(held=asyncio.Event()))
    assert client.stages.held is not None
    serving = asyncio.ensure_future(client.serve())
    client.say("connection_init")
    client.say("subscribe", id="1", payload={"query": PLACED})
    client.say("subscribe", id="2", payload={"query": 'mutation { order(sku: "a") { id } }'})
    client.say("subscribe", id="3", payload={"query": '{ book(id: "a") { id } }'})
    async with asyncio.timeout(5.0):
        assert (await client.got.get())["type"] == "connection_ack"
        await eventually(lambda: len(client.stages.messages) == 3)
        client.sent.put_nowait(None)
        await eventually(lambda: client.stages.closed == 1)
        assert not serving.done()
        client.stages.held.set()
        with pytest.raises(GoneError):
            await serving
    got = [client.got.get_nowait() for _ in range(client.got.qsize())]
    assert {each["id"]: each["payload"]["data"] for each in got if each["type"] == "next"} == {
        "2": {"order": {"id": "a"}},
        "3": {"book": {"id": "a"}},
    }


async def test_a_subscription_that_is_still_read_when_its_connection_ends_does_not_begin() -> None:
    client = Client()
    client.say("connection_init")
    client.say("subscribe", id="1", payload={"query": PLACED})
    client.sent.put_nowait(None)
    async with asyncio.timeout(5.0):
        with pytest.raises(GoneError):
            await client.serve()
    assert client.stages.messages == []


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([{"type": "subscribe", "id": "1", "payload": {"query": "{a}"}}], 4401),
        ([{"type": "connection_init"}] * 2, 4429),
        ([{"type": "connection_init"}, *[{"type": "subscribe", "id": "1", "payload": {"query": PLACED}}] * 2], 4409),
        ([{"type": "connection_init"}, {"type": "subscribe", "id": "\ud800", "payload": {"query": PLACED}}], 4400),
        ([{"type": "connection_init"}, {"type": "subscribe", "id": "1", "payload": {"query": 7}}], 4400),
        ([{"type": "connection_init"}, {"type": "subscribe", "id": "", "payload": {"query": "{a}"}}], 4400),
        ([{"type": "other"}], 4400),
        ([[]], 4400),
        (
            [
                {"type": "connection_init"},
                *({"type": "subscribe", "id": f"{n}", "payload": {"query": PLACED}} for n in range(33)),
            ],
            4429,
        ),
        ([], 4408),
        ([{"type": "ping"}] * 2, 4408),
    ],
    ids=str,
)
async def test_what_the_protocol_does_not_allow_has_a_close_code(frames: list[object], code: int) -> None:
    client = Client()
    for frame in frames:
        client.sent.put_nowait(json.dumps(frame))
    async with asyncio.timeout(5.0):
        await client.serve(initialised_s=0.05)
    assert client.code == code
