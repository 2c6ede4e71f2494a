"""HTTP to messages and back: what the message says of the request, and how replies and errors look over HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastforward_pipeline.message import Answered, Failed
from fastforward_rest import RestApp
from fastforward_rest.answer import accepts
from fastforward_rest.app import MAX_BODY_BYTES

from fastforward.message.v1 import envelope_pb2, error_pb2
from support.messages import reply


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Stages:
    """Takes each message; answers what the test says."""

    outcome: Answered | Failed = field(default_factory=lambda: Answered(reply()))
    messages: list[envelope_pb2.Envelope] = field(default_factory=list)

    async def exchange(self, envelope: envelope_pb2.Envelope) -> Answered | Failed:
        self.messages.append(envelope)
        return self.outcome


Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def ask(
    stages: Stages,
    method: str = "POST",
    target: str = "/orders?x=1",
    body: bytes = b"{}",
    receive: Receive | None = None,
    **headers: str,
) -> Answer:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    answer = Answer()

    async def whole() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            answer.status = event["status"]
            answer.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        else:
            answer.body += event["body"]

    await RestApp(stages, clock=lambda: 1000.0, make_id=lambda: "m-1")(scope, receive or whole, send)
    return answer


async def test_a_message_says_all_that_the_request_said() -> None:
    stages = Stages()
    await ask(
        stages,
        host="api.example.com",
        content_type="application/json",
        idempotency_key="k",
        traceparent="00-a-b-01",
        x_request_id="r-1",
        x_ff_scope="shop/public|api.example.com",
        x_ff_listener="https",
        x_ff_address="203.0.113.7",
        x_forwarded_proto="https",
        x_api_key="secret",
    )
    [message] = stages.messages
    header, source = message.header, message.header.source
    assert (header.id, header.idempotency_key, header.trace.traceparent) == ("m-1", "k", "00-a-b-01")
    assert (source.method, source.target, source.host, source.scheme) == (
        "POST",
        "/orders?x=1",
        "api.example.com",
        "https",
    )
    assert (source.edge, source.listener, source.address) == ("shop/public", "https", "203.0.113.7")
    assert header.deadline.ToSeconds() == 1015
    names = {each.name for each in source.fields}
    assert "x-api-key" in names
    assert not any(name.startswith("x-ff-") for name in names)
    assert (message.payload.body, message.payload.media_type) == (b"{}", "application/json")


async def test_a_reply_is_an_answer() -> None:
    answer = await ask(Stages(Answered(reply(), (("x-ratelimit-remaining", "3"),))))
    assert (answer.status, answer.body) == (200, b'{"order": 7}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-ratelimit-remaining"] == "3"


async def test_a_reply_says_its_status_and_headers() -> None:
    made = reply()
    made.header.completion.status = 201
    made.header.completion.fields.add(name="location", value="/orders/7")
    made.header.transaction.repeated = True
    answer = await ask(Stages(Answered(made)))
    assert (answer.status, answer.headers["location"]) == (201, "/orders/7")
    assert answer.headers["idempotency-replayed"] == "true"


async def test_a_reply_without_content_is_204() -> None:
    answer = await ask(Stages(Answered(reply(b"", ""))))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (204, b"", "0")


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
    again = await ask(Stages(), "GET", if_none_match=f'"other", {first.headers["etag"]}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await ask(Stages(), "POST", if_none_match=first.headers["etag"])).status == 200


async def test_a_head_has_the_length_but_not_the_body() -> None:
    answer = await ask(Stages(), "HEAD")
    assert (answer.headers["content-length"], answer.body) == ("12", b"")


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
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.headers["retry-after"] == "2"
    document = answer.document
    assert (document["status"], document["title"], document["messageId"], document["requestId"]) == (
        status,
        "No",
        "m-1",
        "r-1",
    )
    assert document["errors"] == [{"pointer": "/a", "detail": "Too long.", "rule": "maxLength"}]


async def test_a_body_that_is_too_large_is_refused_before_it_is_read_to_its_end() -> None:
    parts = 0

    async def endless() -> MutableMapping[str, Any]:
        nonlocal parts
        parts += 1
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}

    stages = Stages()
    answer = await ask(stages, receive=endless)
    assert (answer.status, answer.document["reason"]) == (413, "body-too-large")
    assert parts == MAX_BODY_BYTES // 65536 + 1
    assert stages.messages == []


async def test_a_client_that_goes_away_sends_nothing() -> None:
    async def gone() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    stages = Stages()
    assert (await ask(stages, receive=gone)).status == 0
    assert stages.messages == []
