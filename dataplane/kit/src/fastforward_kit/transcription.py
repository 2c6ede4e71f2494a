"""Messages as JSON and back, byte for byte, for calls that people are to read.

In: a message. Out: its JSON where the same bytes come back from that, else the bytes. Called by both ends of such
calls. It costs several times what protobuf does, and is for looking at what travels, not for every day.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from fastforward.message.v1 import json_pb2

Said = TypeVar("Said", bound=Message)

LONGEST = 1 << 20
"""Bytes: what is longer nobody reads, and in JSON it would not fit into a message of gRPC."""


class TranscriptionError(ValueError):
    """What was sent is no message of that type; the text says why."""


def transcribe(message: Message, content: bytes = b"") -> json_pb2.Transcribed:
    """Returns the message for others; `content` is the part of it that people look for.

    Never loses anything: fields that this program does not know, for example, JSON can't say.
    """
    wire = message.SerializeToString(deterministic=True)
    text = _write(message) if len(wire) <= LONGEST else None
    if text is None or len(text) > 2 * LONGEST or _reads_as(type(message), text) != wire:
        return json_pb2.Transcribed(wire=wire)
    return json_pb2.Transcribed(json=text, content=_legible(content))


def read(type_: type[Said], said: json_pb2.Transcribed, *, lenient: bool = False) -> Said:
    """Returns the message that was sent. Raises TranscriptionError.

    Fields that this program does not know are an error, or `lenient` are passed over, as protobuf does: an answer is
    not to be lost because of them, a question can be asked in protobuf again.
    """
    message = type_()
    if said.HasField("json") and not said.json.lstrip().startswith("{"):
        raise TranscriptionError(f"no {message.DESCRIPTOR.full_name}: no object")  # protobuf takes a list for one
    try:
        if said.HasField("json"):
            json_format.Parse(said.json, message, ignore_unknown_fields=lenient)
        else:
            message.MergeFromString(said.wire)
    except (json_format.Error, DecodeError, RecursionError, ValueError) as error:
        raise TranscriptionError(f"no {message.DESCRIPTOR.full_name}: {error}"[:300]) from error
    return message


def _write(message: Message) -> str | None:
    try:
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False)
    except (json_format.Error, ValueError):
        return None


def _reads_as(type_: type[Message], text: str) -> bytes | None:
    try:
        return json_format.Parse(text, type_()).SerializeToString(deterministic=True)
    except (json_format.Error, ValueError):
        return None


def _legible(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return ""
