"""Frames: which texts are some, what they ask for, and how they are answered."""

from __future__ import annotations

import json

import pytest
from fastforward_pipeline.message import Answered, Failed
from fastforward_pipeline.reason import Reason
from fastforward_websocket.frames import (
    Ask,
    FrameError,
    Listen,
    Stop,
    read_frame,
    write_answer,
    write_error,
    write_event,
    write_refusal,
)

from fastforward.message.v1 import error_pb2
from support.messages import reply

TOLD = frozenset({"x-api-key", "user-agent"})


def test_a_frame_is_what_the_operation_would_be_in_http() -> None:
    headers = {"Idempotency-Key": "k", "Accept": "application/json"}
    text = json.dumps({"id": "1", "method": "POST", "path": "/orders?x=1", "headers": headers, "body": {"ü": [1.5]}})
    asked = read_frame(text, TOLD)
    assert isinstance(asked, Ask)
    operation = asked.operation
    assert (operation.method, operation.target, operation.idempotency_key) == ("POST", "/orders?x=1", "k")
    assert (json.loads(operation.body), operation.media_type) == ({"ü": [1.5]}, "application/json")
    assert operation.fields == (("accept", "application/json"),)


def test_events_are_listened_to_and_stopped() -> None:
    listened = read_frame('{"id": "e", "listen": {"path": "/orders/placed"}}', TOLD)
    assert isinstance(listened, Listen)
    assert (listened.operation.method, listened.operation.target) == ("GET", "/orders/placed")
    assert read_frame('{"id": "e", "stop": true}', TOLD) == Stop("e")


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("", None),
        ("nonsense", None),
        ("[]", None),
        ("[" * 100_000, None),
        ('{"id": "1", "id": "2", "stop": true}', None),
        ('{"id": 1, "stop": true}', None),
        ('{"id": "", "stop": true}', None),
        ('{"id": "1", "body": NaN}', None),
        ('{"id": "\\ud800", "method": "GET", "path": "/"}', None),
        ('{"id": "1", "method": "GET", "path": "/", "\\ud800": 1}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "headers": {"\\ud800": "a"}}', "1"),
        ('{"id": "1", "method": "\\ud800", "path": "/\\ud800"}', "1"),
        ('{"id": "1"}', "1"),
        ('{"id": "1", "method": "G T", "path": "/"}', "1"),
        ('{"id": "1", "method": "GET", "path": "//evil example/"}', "1"),
        ('{"id": "1", "method": "GET", "path": "http://a/"}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "more": 1}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "headers": {"x": 1}}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "headers": {"x": "a\\r\\nb"}}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "headers": {"X-FF-Tenant": "root"}}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "headers": {"x-forwarded-for": "::1"}}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "headers": {"X-Api-Key": "another"}}', "1"),
        ('{"id": "1", "method": "GET", "path": "/", "headers": {"host": "other"}}', "1"),
        ('{"id": "1", "listen": 1}', "1"),
        ('{"id": "1", "listen": {"path": "/", "body": 1}}', "1"),
        ('{"id": "1", "stop": 1}', "1"),
    ],
)
def test_what_is_no_frame_is_refused_with_its_id(text: str, id_: str | None) -> None:
    with pytest.raises(FrameError) as caught:
        read_frame(text, TOLD)
    assert caught.value.id == id_
    assert write_refusal(id_, Reason.CONTENT_MALFORMED, caught.value.detail).encode()


def test_a_reply_is_a_frame_with_its_content_in_it() -> None:
    made = reply()
    made.header.completion.status = 201
    made.header.completion.fields.add(name="location", value="/orders/7")
    made.header.transaction.repeated = True
    headers = {"location": "/orders/7", "x-a": "b", "idempotency-replayed": "true"}
    frame = json.loads(write_answer("1", Answered(made, (("x-a", "b"),))))
    assert frame == {"id": "1", "status": 201, "headers": headers, "body": {"order": 7}}


@pytest.mark.parametrize(
    ("body", "media_type", "members"),
    [
        (b"[1]", "application/json; v=1", {"body": [1]}),
        (b"[1]", 'application/problem+json;profile="a"', {"body": [1]}),
        (b"hi", "text/plain", {"mediaType": "text/plain", "body": "hi"}),
        (b"hi", "Text/Plain; charset=utf-8", {"mediaType": "Text/Plain; charset=utf-8", "body": "hi"}),
        (b"\0\xff", "image/x", {"mediaType": "image/x", "base64": "AP8="}),
        (b"", "", {}),
    ],
)
def test_other_content_says_what_it_is(body: bytes, media_type: str, members: dict[str, str]) -> None:
    frame = json.loads(write_answer("1", Answered(reply(body, media_type))))
    assert frame == {"id": "1", "status": 200 if body else 204, "headers": {}, **members}


def test_an_error_says_what_a_problem_document_says() -> None:
    error = error_pb2.Error(code=error_pb2.CODE_INVALID_ARGUMENT, reason="ratelimit/exceeded", title="Too many")
    error.message_id = "m"
    error.retry_after.FromMilliseconds(1500)
    error.violations.add(pointer="/sku", description="It is missing.", rule="required")
    assert json.loads(write_error("1", Failed(error, headers=(("retry-after", "2"),)))) == {
        "id": "1",
        "status": 429,
        "headers": {"retry-after": "2"},
        "error": {
            "title": "Too many",
            "stage": "ratelimit",
            "reason": "exceeded",
            "messageId": "m",
            "errors": [{"pointer": "/sku", "detail": "It is missing.", "rule": "required"}],
            "retryAfter": 2,
        },
    }


def test_an_event_says_its_type_and_content() -> None:
    event = reply(type="shop.orders.placed")
    assert json.loads(write_event("e", event)) == {
        "id": "e",
        "event": {"type": "shop.orders.placed", "id": event.header.id, "body": {"order": 7}},
    }
