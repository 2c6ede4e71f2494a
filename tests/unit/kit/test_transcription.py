"""Messages as JSON and back: the same bytes, whatever a message holds; what JSON can't say stays as it is."""

from __future__ import annotations

import json

import pytest
from fastforward_kit.transcription import LONGEST, TranscriptionError, read, transcribe
from fastforward_kit.validation import fault_of
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2, json_pb2, stage_pb2
from support.generated_messages import messages
from support.messages import envelope, reply

UNKNOWN = b"\xfa\x7f\x03new"
"""Field 2047 of whichever message."""


def told(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages(stage_pb2.ProcessRequest))
def test_what_comes_back_are_the_same_bytes(message: stage_pb2.ProcessRequest) -> None:
    assert told(read(stage_pb2.ProcessRequest, transcribe(message))) == told(message)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages(dispatch_pb2.HandleResponse))
def test_of_answers_too_also_if_they_pass_through_other_programs(message: dispatch_pb2.HandleResponse) -> None:
    passed = json_pb2.Transcribed.FromString(transcribe(message).SerializeToString())
    assert told(read(dispatch_pb2.HandleResponse, passed)) == told(message)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages(envelope_pb2.Envelope))
def test_what_keeps_the_rules_of_messages_json_can_say(message: envelope_pb2.Envelope) -> None:
    if not fault_of(message):
        assert transcribe(message).WhichOneof("form") == "json"


def test_people_find_names_and_the_content_as_it_is() -> None:
    said = transcribe(envelope(b'{"title": "\xc3\xbcber"}'), b'{"title": "\xc3\xbcber"}')
    assert json.loads(said.json)["header"]["source"]["target"] == "/orders"
    assert said.content == '{"title": "über"}'
    assert said.SerializeToString().count('{"title": "über"}'.encode()) == 1
    assert transcribe(envelope(), b"\xff").content == ""


def test_fields_that_are_not_known_here_travel_as_they_are() -> None:
    newer = envelope()
    newer.header.source.MergeFromString(UNKNOWN)
    said = transcribe(newer)
    assert (said.WhichOneof("form"), told(read(envelope_pb2.Envelope, said))) == ("wire", told(newer))


def test_what_is_long_travels_as_it_is() -> None:
    assert transcribe(reply(b"x" * LONGEST)).WhichOneof("form") == "wire"
    assert transcribe(reply(b"x" * (LONGEST // 2))).WhichOneof("form") == "json"


def test_what_json_has_no_words_for_travels_as_it_is() -> None:
    forever = error_pb2.Error(retry_after=Duration(seconds=1 << 60))
    said = transcribe(forever)
    assert (said.WhichOneof("form"), read(error_pb2.Error, said)) == ("wire", forever)


@pytest.mark.parametrize(
    "said",
    [
        json_pb2.Transcribed(json=text)
        for text in ("", "{", "[]", "null", '{"a": 1}', '{"header": 1}', '{"header": {"kind": "NONE"}}', "[" * 100_000)
    ]
    + [json_pb2.Transcribed(wire=b"\xff")],
    ids=range(9),
)
def test_what_is_no_message_is_said_to_be_none(said: json_pb2.Transcribed) -> None:
    with pytest.raises(TranscriptionError):
        read(envelope_pb2.Envelope, said)


def test_an_answer_may_have_fields_that_are_not_known_here() -> None:
    said = json_pb2.Transcribed(json='{"header": {"id": "m", "later": [1]}, "later": {"a": "b"}}')
    assert read(envelope_pb2.Envelope, said, lenient=True).header.id == "m"


def test_any_reader_of_proto3_json_reads_it() -> None:
    assert json_format.Parse(transcribe(envelope()).json, envelope_pb2.Envelope()) == envelope()
