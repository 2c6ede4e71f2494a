"""Regular expressions and CEL conditions: tried before they reach a proxy or a decision service.

In: their text. Out: what is wrong with it, empty when nothing is. Called by rule and authpolicy. Why it exists: one bad
expression would make a proxy refuse a whole table.
"""

from __future__ import annotations

from functools import lru_cache

import cel
import re2

MAX_REGEX_PROGRAM = 2000
"""Instructions of a compiled expression; the proxies' own bound (re2.max_program_size) is no lower."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_ROOTS = frozenset({"request", "identity"})


@lru_cache(maxsize=4096)
def fault_of_regex(pattern: str) -> str:
    """What is wrong with a regular expression in RE2's syntax."""
    try:
        program = re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        text = error.args[0] if error.args else b""
        return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    if program.programsize > MAX_REGEX_PROGRAM:
        return f"it is too big: {program.programsize} instructions, at most {MAX_REGEX_PROGRAM}"
    return ""


@lru_cache(maxsize=4096)
def fault_of_substitution(pattern: str, substitution: str) -> str:
    r"""What is wrong with a replacement text: `\0` to `\9` are groups, `\\` is a backslash; nothing else follows."""
    groups = re2.compile(pattern, _OPTIONS).groups
    rest = iter(substitution)
    for character in rest:
        if character != "\\":
            continue
        following = next(rest, "")
        if following.isdecimal() and int(following) > groups:
            return f"it refers to group {following} of {groups}"
        if not (following.isdecimal() or following == "\\"):
            return "a backslash is followed by a digit or a backslash"
    return ""


@lru_cache(maxsize=4096)
def fault_of_condition(expression: str) -> str:
    """What is wrong with a CEL expression over `request` and `identity`."""
    try:
        cel.compile(expression)
    except ValueError as error:
        return str(error).strip().splitlines()[0][:200] or "it is not CEL"
    return ""
