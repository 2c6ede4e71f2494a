"""Path templates of google.api.http, filled from a request's fields.

In: a template such as `/v1/{name=shelves/*}/books:list`, and the message that its variables are fields of. Out: a
Template that takes its fields out of a document and returns the path. Called by binding, once a method, then once a
call. Source: "Path template syntax" in google/api/http.proto.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from google.protobuf.descriptor import Descriptor, FieldDescriptor

Document = dict[str, Any]
"""A message as JSON."""
_VARIABLE = re.compile(r"\{([^{}=]+)(?:=([^{}]+))?\}")
_LEADS_AWAY = re.compile(r"(?:\.\.?(?:;.*)?)?", re.DOTALL)
"""Segments that would lead to another path, and so to another rule: `..;x` is read as `..` on the way there."""
_SEPARATORS = re.compile(r"[\\\x00-\x1f\x7f]")
"""A backslash is read as a slash there, as escaped ones are."""


class UnboundError(ValueError):
    """A field's value that has no place in HTTP; `field` is its path."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


@dataclass(frozen=True, slots=True)
class Variable:
    """A field that goes into the path. `absent` is what its absence means."""

    field: str
    names: tuple[str, ...]
    pattern: re.Pattern[str]
    safe: str
    absent: str

    def take(self, document: Document) -> str:
        """Takes the field out of the document, and returns its part of the path. Raises UnboundError."""
        value = taken(document, self.names)
        text = self.absent if value is None else text_of(value)
        segments = text.split("/") if self.safe else [text]
        if not self.pattern.fullmatch(text) or _SEPARATORS.search(text) or any(map(_LEADS_AWAY.fullmatch, segments)):
            raise UnboundError(self.field, "The value has no place in the path of the operation.")
        return quote(text, safe=self.safe)


@dataclass(frozen=True, slots=True)
class Template:
    """Text and variables in turn."""

    parts: tuple[str | Variable, ...]

    def fill(self, document: Document) -> str:
        """Returns the path; the fields in it are taken out of the document. Raises UnboundError."""
        return "".join(part if isinstance(part, str) else part.take(document) for part in self.parts)


def parse_template(text: str, request: Descriptor) -> Template:
    """Returns the template. Raises ValueError for one that can't be filled."""
    parts: list[str | Variable] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        parts.extend((text[end : found.start()], _variable(found[1], found[2] or "*", request)))
        end = found.end()
    parts.append(text[end:])
    if any(mark in part for part in parts if isinstance(part, str) for mark in "*{}?#") or not text.startswith("/"):
        raise ValueError(f"{text} can't be filled")
    return Template(tuple(part for part in parts if part))


def taken(document: Document, names: tuple[str, ...]) -> object:
    """Takes a field of fields out of the document; None when it is not there."""
    *outer, last = names
    for name in outer:
        inner = document.get(name)
        if not isinstance(inner, dict):
            return None
        document = inner
    return document.pop(last, None)


def text_of(value: object) -> str:
    """Returns a value of JSON as it stands in paths and queries."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (dict, list)):
        raise UnboundError("", "Only single values have a place there.")
    return str(value)


def _variable(path: str, pattern: str, request: Descriptor) -> Variable:
    names: list[str] = []
    inside: Descriptor | None = request
    field: FieldDescriptor | None = None
    for name in path.split("."):
        field = None if inside is None else inside.fields_by_name.get(name)
        if field is None:
            raise ValueError(f"{request.full_name} has no field {path}")
        names.append(field.json_name)
        inside = field.message_type
    assert field is not None  # noqa: S101 - split returns one name at least
    expression = "/".join(_segment(segment) for segment in pattern.split("/"))
    safe = "/" if "/" in pattern or "**" in pattern else ""
    return Variable(path, tuple(names), re.compile(expression, re.DOTALL), safe, _absent(field))


def _segment(segment: str) -> str:
    match segment:
        case "*":
            return "[^/]+"
        case "**":
            return ".+"
        case _:
            return re.escape(segment)


def _absent(field: FieldDescriptor) -> str:
    """What a field means that is not there: JSON leaves out what has the default value."""
    if field.enum_type is not None:
        return field.enum_type.values[0].name
    if field.cpp_type in {FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_MESSAGE}:
        return ""
    return "false" if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else "0"
