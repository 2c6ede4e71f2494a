"""The content of a message in its canonical form: the same content is the same bytes, however it was written.

In: a media type and bytes, and a Form where a schema says what they must be. Out: Content, or a Refusal that says what
is wrong. Called by stage 4. JSON is parsed strictly (RFC 8259): UTF-8 without a mark, no key twice, no NaN, no number
that a double can't hold, 64 levels at most; it goes on as RFC 8785 writes it, but that integers keep all their digits.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from fastforward.snapshot.v1 import snapshot_pb2
from fastforward_pipeline.compiled.jsonschema import JsonSchema, Violation, is_deeper
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.reason import Reason

from .number import Numbers, write

JSON = "application/json"
MAX_DEPTH = 64
_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii"})
_CHARSET = re.compile(r""";[ \t]*charset[ \t]*=[ \t]*"?([^";\s]*)"?""", re.IGNORECASE)
"""Other parameters are none of ours (RFC 9110, section 8.3.1)."""
_LONG = re.compile(rb"[0-9]{309}")
_AWKWARD = re.compile(rb"[\xf0-\xf4]|\\u[dD]|[0-9]{309}")
"""Content that has any of it may have keys that the standard library orders otherwise, or integers beyond doubles."""

_NOTHING = Violation(pointer="", rule="content", detail="There is no content, and the schema asks for some.")


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a message."""

    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Form:
    """What content must be."""

    schema: JsonSchema
    unknown: snapshot_pb2.UnknownFields.ValueType = snapshot_pb2.UNKNOWN_FIELDS_KEEP


@dataclass(frozen=True, slots=True)
class Broken:
    """Content that is none of its schema's."""

    violations: tuple[Violation, ...]


def canonical(media_type: str, body: bytes, form: Form | None = None) -> Content | Refusal | Broken:
    """Returns the content in canonical form. Without a Form, an empty one has none, and what is not JSON stays."""
    kind = _kind(media_type)
    if not body:
        return Content(b"", "") if form is None else Broken((_NOTHING,))
    if not is_json(kind):
        # Its parameters say how to read it, such as the boundary of its parts.
        return Content(body, media_type.strip()) if form is None else _refuse_type(kind)
    if fault := _fault_of_charset(media_type):
        return _refuse(fault)
    try:
        return _rewrite(_CHARSET.sub("", kind + media_type.strip()[len(kind) :]).rstrip("; \t"), body, form)
    except (ValueError, RecursionError) as error:
        return _refuse(_fault(error))


def judge(media_type: str, body: bytes, schema: JsonSchema) -> Refusal | Broken | None:
    """Returns what is wrong with content that goes on as it is; None for nothing."""
    kind = _kind(media_type)
    if not body:
        return Broken((_NOTHING,))
    if not is_json(kind):
        return _refuse_type(kind)
    if fault := _fault_of_charset(media_type):
        return _refuse(fault)
    try:
        violations = schema.check(_parse(body, Numbers()))
    except (ValueError, RecursionError) as error:
        return _refuse(_fault(error))
    return Broken(violations) if violations else None


def is_json(media_type: str) -> bool:
    """Whether content of this type is JSON (RFC 6839, section 3.1), whatever its parameters say."""
    kind = _kind(media_type)
    return kind == JSON or kind.endswith("+json")


def _kind(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _fault_of_charset(media_type: str) -> str:
    found = _CHARSET.search(media_type)
    charset = found[1].lower() if found is not None else ""
    return "" if charset in _UTF8 else f"the charset is {charset[:40]}, and JSON is UTF-8"


def _parse(body: bytes, numbers: Numbers) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Raises ValueError and RecursionError for what is no JSON."""
    parse_int = numbers.parse_int if _LONG.search(body) else None
    value = json.loads(
        body.decode(),
        object_pairs_hook=_unique,
        parse_constant=_constant,
        parse_float=numbers.parse_float,
        parse_int=parse_int,
    )
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    return value


def _rewrite(kind: str, body: bytes, form: Form | None) -> Content | Broken:
    """Raises ValueError and RecursionError for what is no JSON."""
    numbers = Numbers()
    value = _parse(body, numbers)
    if form is not None:
        value, violations = form.schema.fit(value, form.unknown)
        if violations:
            return Broken(violations)
    if numbers.awkward or _AWKWARD.search(body):
        return Content(write(value).encode(), kind)
    made = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return Content(made.encode(), kind)


def _fault(error: Exception) -> str:
    match error:
        case UnicodeError():
            return "the content is not UTF-8"
        case json.JSONDecodeError(lineno=line, colno=column):
            return f"the content is no JSON at line {line}, column {column}"
        case RecursionError():
            return f"the content is nested deeper than {MAX_DEPTH}"
        case _:
            return f"the content is no JSON: {error}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is given twice")
    return made


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON value")


def _refuse(detail: str) -> Refusal:
    return Refusal(reason=Reason.CONTENT_MALFORMED, detail=detail, object="request", field="body")


def _refuse_type(kind: str) -> Refusal:
    detail = f"the media type is {kind[:40] or 'not named'}, and the schema is one of JSON"
    return Refusal(reason=Reason.CONTENT_UNTYPED, detail=detail, object="request", field="content-type")
