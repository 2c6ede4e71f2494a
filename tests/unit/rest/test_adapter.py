"""HTTP to messages and back: what the message says of the request, and how replies and errors look over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fastforward_entrypoint.messages.events import Events
from fastforward_kit.http import Address, HttpServer, Request, Response
from fastforward_pipeline.message import LISTENED_TO, Answered, Failed, refuse
from fastforward_rest import RestAdapter
from fastforward_rest.answer import accepts

from fastforward.message.v1 import envelope_pb2, error_pb2
from support.eventually import eventually
from support.happened import kind
from support.messages import reply


@dataclass
class Stages:
    """Takes each message; answers what the test says."""

    outcome: Answered | Failed = field(default_factory=lambda: Answered(reply()))
    messages: list[envelope_pb2.Envelope] = field(default_factory=list)

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        self.messages.append(envelope)
        return self.outcome

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        raise NotImplementedError


@dataclass
class Judging(Stages):
    """Takes its time to judge who wants to listen."""

    events: Events = field(default_factory=Events)
    judged: asyncio.Event = field(default_factory=asyncio.Event)
    listening: bool = False

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        self.messages.append(envelope)
        return refuse(envelope, LISTENED_TO)

    async def listen(self, envelope: envelope_pb2.Envelope) -> AsyncIterator[envelope_pb2.Envelope] | Failed:
        await self.judged.wait()
        self.listening = True
        return self.events.listen(kind(tenant=envelope.header.tenant))


async def ask(
    stages: Stages, method: str = "POST", target: str = "/orders?x=1", body: bytes = b"{}", **headers: str
) -> Response:
    made: dict[str, tuple[str, ...]] = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    adapter = RestAdapter(stages, clock=lambda: 1000.0, make_id=lambda: "m-1")
    return await adapter(Request(method, target, made, body))


def header(answer: Response, name: str) -> str:
    """The header's one value."""
    [value] = [value for key, value in answer.headers if key == name]
    return value


async def test_a_message_says_all_that_the_request_said() -> None:
    stages = Stages()
    await ask(
        stages,
        host="api.example.com",
        content_type="application/json",
        idempotency_key="k",
        traceparent="00-a-b-01",
        x_request_id="r-1",
        x_ff_edge="shop/public",
        x_ff_via="https",
        x_ff_address="203.0.113.7",
        x_forwarded_proto="https",
        x_api_key="secret",
    )
    [message] = stages.messages
    told, source = message.header, message.header.source
    assert (told.id, told.idempotency_key, told.trace.traceparent) == ("m-1", "k", "00-a-b-01")
    assert (source.method, source.target, source.host, source.scheme) == (
        "POST",
        "/orders?x=1",
        "api.example.com",
        "https",
    )
    assert (source.edge, source.listener, source.address) == ("shop/public", "https", "203.0.113.7")
    assert told.deadline.ToSeconds() == 1015
    names = {each.name for each in source.fields}
    assert "x-api-key" in names
    assert not any(name.startswith("x-ff-") for name in names)
    assert (message.payload.body, message.payload.media_type) == (b"{}", "application/json")


async def test_a_reply_is_an_answer() -> None:
    answer = await ask(Stages(Answered(reply(), (("x-ratelimit-remaining", "3"),))))
    assert (answer.status, answer.body) == (200, b'{"order": 7}')
    assert header(answer, "content-type") == "application/json"
    assert header(answer, "x-ratelimit-remaining") == "3"


async def test_a_reply_says_its_status_and_headers() -> None:
    made = reply()
    made.header.completion.status = 201
    made.header.completion.fields.add(name="location", value="/orders/7")
    made.header.transaction.repeated = True
    answer = await ask(Stages(Answered(made)))
    assert (answer.status, header(answer, "location")) == (201, "/orders/7")
    assert header(answer, "idempotency-replayed") == "true"


async def test_a_reply_without_content_is_204() -> None:
    answer = await ask(Stages(Answered(reply(b"", ""))))
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    ("accept", "accepted"),
    [
        ("", True),
        ("*/*", True),
        ("application/*", True),
        ("application/json;q=0.5", True),
        ("text/html, application/xhtml+xml", False),
        ("application/json;q=0, */*", False),
        ("application/json;q=x", False),
    ],
)
async def test_an_answer_that_the_client_does_not_accept_is_406(accept: str, accepted: bool) -> None:
    assert accepts(accept, "application/json") == accepted
    assert (await ask(Stages(), accept=accept)).status == (200 if accepted else 406)


async def test_what_the_client_has_already_is_not_sent_again() -> None:
    first = await ask(Stages(), "GET")
    again = await ask(Stages(), "GET", if_none_match=f'"other", {header(first, "etag")}')
    assert (again.status, again.body, header(again, "etag")) == (304, b"", header(first, "etag"))
    assert (await ask(Stages(), "POST", if_none_match=header(first, "etag"))).status == 200


@pytest.mark.parametrize(
    ("reason", "code", "status"),
    [
        ("ratelimit/exceeded", error_pb2.CODE_RESOURCE_EXHAUSTED, 429),
        ("tracking/key-reused", error_pb2.CODE_INVALID_ARGUMENT, 422),
        ("stock/none", error_pb2.CODE_FAILED_PRECONDITION, 400),
        ("", error_pb2.CODE_UNSPECIFIED, 500),
    ],
)
async def test_an_error_is_a_problem(reason: str, code: error_pb2.Code.ValueType, status: int) -> None:
    error = error_pb2.Error(code=code, reason=reason, title="No", message_id="m-1")
    error.retry_after.FromMilliseconds(1500)
    error.violations.add(pointer="/a", description="Too long.", rule="maxLength")
    answer = await ask(Stages(Failed(error)), x_request_id="r-1")
    assert (answer.status, header(answer, "content-type")) == (status, "application/problem+json")
    assert header(answer, "retry-after") == "2"
    document = json.loads(answer.body)
    assert (document["status"], document["title"], document["messageId"], document["requestId"]) == (
        status,
        "No",
        "m-1",
        "r-1",
    )
    assert document["errors"] == [{"pointer": "/a", "detail": "Too long.", "rule": "maxLength"}]


async def test_who_writes_only_to_what_he_has_seen_is_judged_by_the_target() -> None:
    stages = Stages()
    await ask(stages, "PUT", if_match='"seen"')
    [message] = stages.messages
    assert ("if-match", '"seen"') in {(each.name, each.value) for each in message.header.source.fields}


async def test_who_leaves_before_the_events_begin_listens_no_more(tmp_path: Path) -> None:
    stages = Judging()
    server = HttpServer(RestAdapter(stages, clock=lambda: 1000.0, make_id=lambda: "m-1"))
    await server.listen(Address(path=tmp_path / "s"))
    _, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(b"GET /orders HTTP/1.1\r\nhost: example.com\r\naccept: text/event-stream\r\n\r\n")
    await eventually(lambda: stages.messages)
    writer.close()
    await eventually(lambda: not server._connections)
    stages.judged.set()
    await eventually(lambda: stages.listening and not stages.events._listeners)
    await server.drain(linger_seconds=0, limit_seconds=1)


async def test_a_list_as_lines_is_whole_also_when_the_server_drains(tmp_path: Path) -> None:
    stages = Stages(Answered(reply(json.dumps(["x" * 2000] * 5000).encode())))
    server = HttpServer(RestAdapter(stages, clock=lambda: 1000.0, make_id=lambda: "m-1"))
    await server.listen(Address(path=tmp_path / "s"))
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(b"GET /orders HTTP/1.1\r\nhost: example.com\r\naccept: application/x-ndjson\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    draining = asyncio.create_task(server.drain(linger_seconds=0, limit_seconds=20))
    await asyncio.sleep(0.2)
    told = await reader.read()
    assert told.count(b"x" * 2000) == 5000
    assert told.endswith(b"\r\n0\r\n\r\n")
    await draining
    writer.close()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "Expecting property name enclosed in double quotes at character 2 of the line"),
        (b'"\xff"', "Not UTF-8 at character 2 of the line"),
        (b"1" * 5000, "A number has too many digits"),
        (b"[" * 200_000, "Nested too deeply"),
    ],
    ids=["broken", "bytes", "digits", "deep"],
)
async def test_a_line_that_can_not_be_read_is_named(line: bytes, why: str) -> None:
    stages = Stages()
    answer = await ask(stages, body=b"1\n\n" + line + b"\n", content_type="application/x-ndjson")
    assert (answer.status, stages.messages) == (400, [])
    assert json.loads(answer.body)["errors"] == [{"pointer": "/1", "detail": why, "rule": "json"}]
