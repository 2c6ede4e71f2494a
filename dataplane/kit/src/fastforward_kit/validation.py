"""Whether a message is what its .proto says: by the rules (buf.validate) that stand beside the fields there.

In: a message that comes from across a border of trust: another program has made it. Out: what is wrong with it. Called
where such messages come in. A message that passes costs some ten microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message
from protovalidate import FieldPathElementPb, ValidationError, Validator, Violation

_VALIDATOR = Validator()


def fault_of(message: Message) -> str:
    """Returns the first rule that the message breaks, as a sentence without the value; empty when it keeps all."""
    try:
        _VALIDATOR.validate(message, fail_fast=True)
    except ValidationError as error:
        return "; ".join(map(_told, error.violations))
    return ""


def _told(violation: Violation) -> str:
    field = violation.proto.field
    path = "" if field is None else _path(field.elements)
    said = violation.proto.message or violation.proto.rule_id
    return f"{path}: {said}" if path else said


def _path(elements: Iterable[FieldPathElementPb]) -> str:
    """As one writes it: `header.source.fields[3].name`."""
    written = ""
    for element in elements:
        subscript = element.subscript
        written += f".{element.field_name}" if subscript is None else f".{element.field_name}[{subscript.value}]"
    return written.removeprefix(".")
