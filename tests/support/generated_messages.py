"""Messages of any type with anything in their fields, for properties. In: a type. Out: a Hypothesis strategy."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

Made = TypeVar("Made", bound=Message)

_WHOLE = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False),
}
_MOST = 3


def messages(type_: type[Made]) -> st.SearchStrategy[Made]:
    """Returns messages of the type, half of whose fields are set, each to something."""
    descriptor: Any = type_.DESCRIPTOR
    return st.builds(lambda set_: type_(**set_), _fields(descriptor))


def _fields(descriptor: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={field.name: _values(field) for field in descriptor.fields})


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    one = _value(field)
    return st.lists(one, max_size=_MOST) if field.is_repeated else one


def _value(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        if field.message_type.full_name in {"google.protobuf.Timestamp", "google.protobuf.Duration"}:
            return _moments(field.message_type)
        return messages(GetMessageClass(field.message_type))
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=20)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    if field.enum_type is not None:
        known = st.sampled_from([value.number for value in field.enum_type.values])
        return known | _WHOLE[FieldDescriptor.CPPTYPE_INT32]
    return _WHOLE[field.cpp_type]


def _moments(descriptor: Descriptor) -> st.SearchStrategy[Any]:
    """Sound ones, and some that are none."""
    type_: Any = GetMessageClass(descriptor)
    sound = st.builds(type_, seconds=st.integers(0, 253_402_300_799), nanos=st.integers(0, 999_999_999))
    return sound | messages(type_)
