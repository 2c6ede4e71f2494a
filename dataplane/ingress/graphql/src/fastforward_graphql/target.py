"""Arguments as path, query and body of the operation that a field is bound to.

In: a Binding, arguments and the object that the field belongs to. Out: the target and the body. Called by loading.
Nothing that a client says can lead a path elsewhere: a value is one segment, or a part of one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .binding import Binding

# Dot segments are removed, escaped slashes are unescaped, and `..;x` is read as `..` on the way to the rule.
_LEADS_AWAY = re.compile(r"\.\.?(?:;.*)?", re.DOTALL)
_SEPARATORS = re.compile(r"[/\\\x00-\x1f\x7f]")
INPUT = "input"


class ValueUnfitError(ValueError):
    """An argument or field can't be part of a path; `name` is which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def fill_path(binding: Binding, source: object, arguments: Mapping[str, Any]) -> str:
    """Returns the path. Raises ValueUnfitError."""
    parts = list(binding.parts)
    for place in range(1, len(parts), 2):
        parts[place] = quote(find_value(parts[place], source, arguments), safe="")
    return "".join(parts)


def find_value(name: str, source: object, arguments: Mapping[str, Any]) -> str:
    """Returns what fills a name in the path, as text. Raises ValueUnfitError for what leads to another path."""
    value = arguments.get(name)
    if value is None and isinstance(source, Mapping):
        value = source.get(name)
    text = write_value(value) if isinstance(value, (str, int, float)) else ""
    if not text or _SEPARATORS.search(text) or _LEADS_AWAY.fullmatch(text):
        raise ValueUnfitError(name)
    return text


def write_value(value: object) -> str:
    """Returns an argument as text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def write_query(binding: Binding, arguments: Mapping[str, Any]) -> str:
    """Returns `?name=value&...` of the arguments that are not in the path: each of a list, nothing for null."""
    pairs = [
        f"{quote(name, safe='')}={quote(write_value(each), safe='')}"
        for name, value in sorted(arguments.items())
        if name not in binding.in_path
        for each in (value if isinstance(value, list) else [value])
        if each is not None
    ]
    return f"?{'&'.join(pairs)}" if pairs else ""


def write_body(binding: Binding, arguments: Mapping[str, Any]) -> bytes:
    """Returns the argument `input` as JSON, or all that are not in the path as an object."""
    rest = {name: value for name, value in arguments.items() if name not in binding.in_path}
    value = rest[INPUT] if set(rest) == {INPUT} else rest
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
