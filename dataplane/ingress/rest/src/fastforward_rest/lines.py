"""Lists as lines, one JSON text each (https://github.com/ndjson/ndjson-spec), both ways.

In: bodies. Out: bodies. Called by adapter and answer. A message is one whole, so lines are its list in another writing:
the schema, the limits and the signature hold for all of them together.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

LINES = ("application/x-ndjson", "application/jsonl")
_TOGETHER = 64
"""Lines in one part of an answer."""


class LineError(ValueError):
    """A line that is not JSON. `place` counts from 0, without empty lines."""

    def __init__(self, place: int, why: str) -> None:
        super().__init__(why)
        self.place = place


def are_lines(media_type: str) -> bool:
    """Whether a body of this type is lines."""
    return media_type.partition(";")[0].strip().lower() in LINES


def list_of(lines: bytes) -> bytes:
    """Returns the list of all lines that are not empty. Raises LineError."""
    kept = [line for line in lines.split(b"\n") if line.strip()]
    for place, line in enumerate(kept):
        # Alone, or a line could be several elements: `1, 2`.
        try:
            json.loads(line)
        except (ValueError, RecursionError) as error:
            raise LineError(place, _why(error)) from error
    return b"[" + b",".join(kept) + b"]"


def _why(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} at character {error.pos + 1} of the line"
        case UnicodeDecodeError():
            return f"Not UTF-8 at character {error.start + 1} of the line"
        case RecursionError():
            return "Nested too deeply"
        case _:
            return "A number has too many digits"


def elements_of(body: bytes) -> Sequence[Any]:
    """Returns what the lines are of a reply's content: a list's elements, or the one thing that it is."""
    content = json.loads(body)
    return content if isinstance(content, list) else (content,)


async def write_lines(elements: Sequence[Any]) -> AsyncIterator[bytes]:
    """Yields the lines, some together."""
    for start in range(0, len(elements), _TOGETHER):
        some = elements[start : start + _TOGETHER]
        yield b"".join(json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for each in some)
