"""Messages from elsewhere are what their .proto says; whatever is not is told by its field, without its value."""

# ruff: noqa: ANN401 - fields of messages are handed on as they are

from __future__ import annotations

from typing import Any

import pytest
from fastforward_kit.validation import fault_of
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from protovalidate import collect_violations

from fastforward.connection.v1 import connection_pb2
from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2, stage_pb2
from fastforward.peer.v1 import peer_pb2
from support.messages import envelope, reply

_UNKNOWN: Any = 77
ALL = connection_pb2.Selector(all=connection_pb2.All())


def header(**said: Any) -> envelope_pb2.Envelope:
    return envelope_pb2.Envelope(header=envelope_pb2.Header(**said))


def completed(status: int = 0, **field: str) -> dispatch_pb2.HandleResponse:
    fields = [envelope_pb2.Field(**field)] if field else []
    return dispatch_pb2.HandleResponse(
        reply=header(completion=envelope_pb2.Completion(status=status, fields=fields)),
    )


def failed(**said: Any) -> dispatch_pb2.HandleResponse:
    return dispatch_pb2.HandleResponse(error=error_pb2.Error(**said))


def numbered(*cases: tuple[Message, str]) -> list[Any]:
    return [pytest.param(*each, id=f"{n}-{type(each[0]).__name__}-{each[1]}") for n, each in enumerate(cases)]


KEPT = (
    envelope(once="k", traceparent="whatever a client writes"),
    reply(),
    envelope_pb2.Envelope(),
    header(deadline=Timestamp(seconds=253_402_300_799)),
    completed(),
    completed(204),
    completed(599, name="Location", value="/orders/7?a=ü\tb"),
    failed(),
    failed(code=error_pb2.CODE_ABORTED, reason="anything it likes", retry_after=Duration(seconds=1)),
    stage_pb2.ProcessRequest(stage="routing", envelope=envelope()),
    connection_pb2.CloseRequest(whose=ALL, code=4999, reason="ü" * 61),
)


@pytest.mark.parametrize("message", KEPT, ids=range(len(KEPT)))
def test_what_keeps_the_rules_has_no_fault(message: Message) -> None:
    assert fault_of(message) == ""


@pytest.mark.parametrize(
    ("message", "field"),
    numbered(
        (header(id="a b"), "header.id"),
        (header(id="x" * 257), "header.id"),
        (header(kind=9), "header.kind"),
        (header(deadline=Timestamp(seconds=-1)), "header.deadline"),
        (header(deadline=Timestamp(seconds=253_402_300_800)), "header.deadline"),
        (header(authorization="a\nb"), "header.authorization"),
        (header(source=envelope_pb2.Source(protocol=_UNKNOWN)), "header.source.protocol"),
        (
            header(source=envelope_pb2.Source(fields=[envelope_pb2.Field(name="a"), envelope_pb2.Field(name="b c")])),
            "header.source.fields[1].name",
        ),
        (header(routing=envelope_pb2.Routing(destinations=["a"] * 65)), "header.routing.destinations"),
        (envelope_pb2.Envelope(payload=envelope_pb2.Payload(media_type="a/b\r\nx: y")), "payload.media_type"),
        (envelope_pb2.Envelope(payload=envelope_pb2.Payload(body=bytes((4 << 20) + 1))), "payload.body"),
        (completed(101), "reply.header.completion.status"),
        (completed(600), "reply.header.completion.status"),
        (completed(name="", value="x"), "reply.header.completion.fields[0].name"),
        (completed(name="a", value="b\r\nset-cookie: c"), "reply.header.completion.fields[0].value"),
        (dispatch_pb2.HandleResponse(), "outcome"),
        (failed(code=17), "error.code"),
        (failed(reason="a\nb"), "error.reason"),
        (failed(retry_after=Duration(seconds=-1)), "error.retry_after"),
        (failed(violations=[error_pb2.FieldViolation()] * 1001), "error.violations"),
        (stage_pb2.ProcessRequest(stage="routing"), "envelope"),
        (stage_pb2.ProcessRequest(envelope=envelope()), "stage"),
        (stage_pb2.ProcessResponse(), "outcome"),
        (connection_pb2.ListRequest(), "whose"),
        (connection_pb2.ListRequest(whose=connection_pb2.Selector()), "whose.whose"),
        (connection_pb2.CloseRequest(whose=ALL, code=1005), "code"),
        (connection_pb2.CloseRequest(whose=ALL, reason="ü" * 62), "reason"),
        (peer_pb2.Letter(sender="a"), "content"),
        (peer_pb2.Letter(sender="a", question=peer_pb2.Question()), "question.asked"),
    ),
)
def test_what_breaks_one_is_told_by_its_field(message: Message, field: str) -> None:
    fault = fault_of(message)
    assert fault.startswith(f"{field}: ")
    assert "set-cookie" not in fault


@given(st.binary(max_size=200))
def test_whatever_can_be_read_is_judged_and_nothing_is_raised(raw: bytes) -> None:
    try:
        message = envelope_pb2.Envelope.FromString(raw)
    except Exception:  # noqa: BLE001 - no message: nothing to judge
        return
    assert bool(fault_of(message)) == bool(collect_violations(message))
