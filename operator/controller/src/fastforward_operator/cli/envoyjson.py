"""Envoy's resources as JSON that two sides can be compared by, without what is confidential.

In: the JSON of a resource, of Envoy's or of ours. Out: the same in one form, with what Envoy's own definitions call
sensitive replaced. Called by proxy, render and collect.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

# For its messages, which are found by their type URLs.
from fastforward_compiler.emit import envoy
from google.protobuf import any_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from udpa.annotations import sensitive_pb2

from .held import Json

REDACTED = "[redacted]"
MESSAGES = envoy
_GUARDED = {"inline_string", "inline_bytes", "password", "secret", "token", "private_key"}


def canonical(body: Json) -> dict[str, Any]:
    """One form for both sides. In what is of a type that we do not know, whatever may be confidential is replaced."""
    known = _parsed(body)
    return known if known is not None else _guarded(body)


def equal(one: Json, other: Json) -> bool:
    """Whether both say the same."""
    if one == other:
        return True
    known = _parsed(one)
    return known is not None and known == _parsed(other)


def _parsed(body: Json) -> dict[str, Any] | None:
    packed = any_pb2.Any()
    try:
        json_format.ParseDict(dict(body), packed)
        # By way of text: some of what is unpacked are ordered mappings, which YAML does not know.
        return json.loads(json_format.MessageToJson(_redacted(packed), preserving_proto_field_name=True))
    except (json_format.ParseError, TypeError, KeyError):
        return None


def _guarded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: REDACTED if name in _GUARDED else _guarded(each) for name, each in value.items()}
    return [_guarded(each) for each in value] if isinstance(value, list) else value


def _redacted(packed: any_pb2.Any) -> any_pb2.Any:
    message = _unpacked(packed)
    if message is None:
        return packed
    redact(message)
    made = any_pb2.Any()
    made.Pack(message, deterministic=True)
    return made


def _unpacked(packed: any_pb2.Any) -> Message | None:
    try:
        found = descriptor_pool.Default().FindMessageTypeByName(packed.TypeName())
    except KeyError:
        return None
    message = message_factory.GetMessageClass(found)()
    packed.Unpack(message)
    return message


def redact(message: Message) -> None:
    """Replaces what is sensitive, at any depth, in place."""
    if isinstance(message, any_pb2.Any):
        message.CopyFrom(_redacted(message))
        return
    for field, value in message.ListFields():
        sensitive = field.GetOptions().Extensions[sensitive_pb2.sensitive]
        if field.message_type is None:
            if sensitive:
                _blank(message, field)
            continue
        for each in _messages(field, value):
            _blank_all(each) if sensitive else redact(each)


def _messages(field: FieldDescriptor, value: Any) -> Iterable[Message]:  # noqa: ANN401 - of any type
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        found = value.values()
        return [each for each in found if isinstance(each, Message)]
    return value if field.is_repeated else (value,)


def _blank_all(message: Message) -> None:
    for field, value in message.ListFields():
        if field.message_type is None:
            _blank(message, field)
        else:
            for each in _messages(field, value):
                _blank_all(each)


def _blank(message: Message, field: FieldDescriptor) -> None:
    """Texts and bytes; numbers and switches give nothing away."""
    text = {FieldDescriptor.TYPE_STRING: REDACTED, FieldDescriptor.TYPE_BYTES: REDACTED.encode()}.get(field.type)
    if text is None:
        return
    if field.is_repeated:
        del getattr(message, field.name)[:]
    else:
        setattr(message, field.name, text)
