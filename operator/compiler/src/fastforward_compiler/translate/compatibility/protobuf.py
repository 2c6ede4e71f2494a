"""Whether bytes written by one set of descriptors mean the same by another, and its calls are answered.

In: two FileDescriptorSets. Out: sentences. Called by translate/compatibility. What counts is the wire
(https://protobuf.dev/programming-guides/proto3/#updating): numbers and types of fields; names only where one of them
has got another number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf import descriptor_pb2

Field = descriptor_pb2.FieldDescriptorProto
Message = descriptor_pb2.DescriptorProto
Enum = descriptor_pb2.EnumDescriptorProto
Method = descriptor_pb2.MethodDescriptorProto
_ALIKE = (
    {Field.TYPE_INT32, Field.TYPE_UINT32, Field.TYPE_INT64, Field.TYPE_UINT64, Field.TYPE_BOOL},
    {Field.TYPE_SINT32, Field.TYPE_SINT64},
    {Field.TYPE_FIXED32, Field.TYPE_SFIXED32},
    {Field.TYPE_FIXED64, Field.TYPE_SFIXED64},
    {Field.TYPE_STRING, Field.TYPE_BYTES},
)


class _Names(NamedTuple):
    messages: dict[str, Message]
    enums: dict[str, Enum]
    methods: dict[str, Method]


def compare_descriptors(
    reader: descriptor_pb2.FileDescriptorSet, writer: descriptor_pb2.FileDescriptorSet
) -> list[str]:
    """Returns what of the writer's the reader does not read."""
    read, written = _collect(reader), _collect(writer)
    return [*_messages(read, written), *_enums(read, written), *_methods(read, written)]


def _collect(described: descriptor_pb2.FileDescriptorSet) -> _Names:
    found = _Names({}, {}, {})
    for file in described.file:
        package = f"{file.package}." if file.package else ""
        waiting = [(package + each.name, each) for each in file.message_type]
        found.enums.update({package + each.name: each for each in file.enum_type})
        while waiting:
            name, message = waiting.pop()
            found.messages[name] = message
            waiting.extend((f"{name}.{each.name}", each) for each in message.nested_type)
            found.enums.update({f"{name}.{each.name}": each for each in message.enum_type})
        for service in file.service:
            found.methods.update({f"{package}{service.name}/{each.name}": each for each in service.method})
    return found


def _messages(read: _Names, written: _Names) -> Iterator[str]:
    for name, old in written.messages.items():
        new = read.messages.get(name)
        if new is None:
            yield f"message {name} is gone."
        else:
            yield from _fields(name, new, old)


def _fields(name: str, new: Message, old: Message) -> Iterator[str]:
    before, numbers = {each.number: each for each in old.field}, {each.name: each.number for each in old.field}
    for field in new.field:
        there = before.get(field.number)
        where = f"field {field.number} ({field.name}) of {name}"
        if there is None and field.label == Field.LABEL_REQUIRED:
            yield f"{where} is required, and was not there."
        if numbers.get(field.name, field.number) != field.number:
            yield f"{where} has a name that belonged to field {numbers[field.name]}."
        if there is not None:
            yield from _field(where, field, there)
    for oneof in range(len(new.oneof_decl)):
        moved = [each.name for each in new.field if _in_oneof(each, oneof) and _free(before.get(each.number))]
        if len(moved) > 1:
            yield f"fields {', '.join(moved)} of {name} now exclude each other."


def _in_oneof(field: Field, oneof: int) -> bool:
    return field.HasField("oneof_index") and field.oneof_index == oneof and not field.proto3_optional


def _free(field: Field | None) -> bool:
    return field is not None and (field.proto3_optional or not field.HasField("oneof_index"))


def _field(where: str, new: Field, old: Field) -> Iterator[str]:
    names = Field.Type
    if new.type != old.type and not any({new.type, old.type} <= alike for alike in _ALIKE):
        yield f"{where} was {names.Name(old.type)[5:].lower()}, and is {names.Name(new.type)[5:].lower()}."
    elif new.type_name != old.type_name:
        yield f"{where} was {old.type_name.lstrip('.')}, and is {new.type_name.lstrip('.')}."
    if (new.label == Field.LABEL_REPEATED) != (old.label == Field.LABEL_REPEATED):
        yield f"{where} {'repeats' if new.label == Field.LABEL_REPEATED else 'repeats no more'}."
    if new.label == Field.LABEL_REQUIRED and old.label != Field.LABEL_REQUIRED:
        yield f"{where} is required, and was not."


def _enums(read: _Names, written: _Names) -> Iterator[str]:
    for name, old in written.enums.items():
        new = read.enums.get(name)
        if new is None:
            yield f"enum {name} is gone."
            continue
        known = {each.number for each in new.value}
        for value in old.value:
            if value.number not in known:
                yield f"value {value.number} ({value.name}) of {name} is gone."


def _methods(read: _Names, written: _Names) -> Iterator[str]:
    for name, old in written.methods.items():
        new = read.methods.get(name)
        if new is None:
            yield f"method {name} is gone."
        elif _shape(new) != _shape(old):
            yield f"method {name} takes or answers something else."


def _shape(method: Method) -> tuple[str, str, bool, bool]:
    return method.input_type, method.output_type, method.client_streaming, method.server_streaming
