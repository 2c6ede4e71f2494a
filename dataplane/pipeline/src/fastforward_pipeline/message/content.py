"""The content of a message in its canonical form: the same content is the same bytes, however it was written.

In: a media type and bytes. Out: Content, or a Refusal that says what is wrong. Called by stage 4. JSON is parsed
strictly (RFC 8259): UTF-8 without a mark, no key twice, no NaN, no number that a double can't hold, 64 levels at most;
it goes on with its keys in order and without spaces (RFC 8785 but for numbers, which stay as Python writes them).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.reason import Reason

JSON = "application/json"
MAX_DEPTH = 64
_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii"})


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a message."""

    body: bytes
    media_type: str


def canonical(media_type: str, body: bytes) -> Content | Refusal:
    """Returns the content in canonical form. An empty one has none; content that is not JSON stays as it is."""
    name, _, parameters = media_type.partition(";")
    kind = name.strip().lower()
    if not body:
        return Content(b"", "")
    if kind != JSON and not kind.endswith("+json"):
        return Content(body, kind)
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if charset not in _UTF8:
        return _refuse(f"the charset is {charset[:40]}, and JSON is UTF-8")
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_constant)
        _check_depth(value)
        # Numbers that no double holds have become infinite: those are refused here.
        made = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
        return Content(made.encode(), kind)
    except (ValueError, RecursionError) as error:
        return _refuse(_fault(error))


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


def _check_depth(value: object) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise ValueError(f"it is nested deeper than {MAX_DEPTH}")


def _refuse(detail: str) -> Refusal:
    return Refusal(reason=Reason.CONTENT_MALFORMED, detail=detail, object="request", field="body")
