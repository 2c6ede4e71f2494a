r"""Regular expressions (RE2) for the value of a query parameter, rewritten to stand inside an expression for `:path`.

In: an expression that is to match a whole value. Out: one that matches the same values, and never runs on over the `&`
into the next parameter. Called by predicate.

Whatever may match one of several characters (`.`, a class, `\W`) becomes the class of what it matches without `&`; RE2
itself says what that is. Only ASCII counts, because Envoy refuses any other path.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import re2

from fastforward_compiler.regex import NOTHING, TOKEN, inside

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=4096)
def without_ampersand(expression: str) -> str:
    """Returns the expression for values that hold no `&`; one that RE2 refuses matches nothing."""
    if not _is_valid(expression):
        return NOTHING
    return "".join(_rewrite(match.lastgroup or "", match.group()) for match in TOKEN.finditer(inside(expression)))


def _rewrite(kind: str, token: str) -> str:
    match kind:
        case "several":
            return _class_of(char for char in map(chr, range(128)) if char != "&" and _matches(token, char))
        case "number" | "one":
            return NOTHING if _matches(token, "&") else token
        case _:
            return token


def _is_valid(expression: str) -> bool:
    try:
        re2.compile(expression, _OPTIONS)
    except re2.error:
        return False
    return True


def _matches(token: str, char: str) -> bool:
    return _is_valid(token) and re2.fullmatch(token, char, _OPTIONS) is not None


def _class_of(chars: Iterable[str]) -> str:
    listed = "".join(rf"\x{ord(char):02x}" for char in chars)
    return f"[{listed}]" if listed else NOTHING
