"""Regular expressions and CEL conditions: tried before they reach a proxy or a decision service.

In: their text. Out: what is wrong with it, empty when nothing is. Called by rule and authpolicy. Why it exists: one bad
expression would make a proxy refuse a whole table.
"""

from __future__ import annotations

import re
from functools import lru_cache

import re2

from fastforward_compiler.regex import fault_inside

MAX_REGEX_PROGRAM = 2000
"""Instructions of a compiled expression in a match."""
MAX_REWRITE_PROGRAM = 100
"""And in a rewrite, where Envoy refuses more (re2.max_program_size.error_level is 100 unless set)."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # bytes, as Envoy has it
_ROOTS = frozenset({"request", "identity"})
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})
_FUNCTIONS = frozenset(
    [
        "bytes",
        "contains",
        "double",
        "duration",
        "dyn",
        "endsWith",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getFullYear",
        "getHours",
        "getMilliseconds",
        "getMinutes",
        "getMonth",
        "getSeconds",
        "int",
        "matches",
        "size",
        "startsWith",
        "string",
        "timestamp",
        "type",
        "uint",
    ]
)
"""What the decision service's CEL knows."""
_CEL_ERROR = re.compile(r"ERROR: <input>:\d+:(\d+): (.*?)(?: expecting .*)?$", re.MULTILINE)
_LOOP_VARIABLE = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(\s*(\w+)\s*,")
# Strings first, so that what looks like a loop inside one is none.
_TOKEN = re.compile(
    r"""[rRbB]{0,2}(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"""|(?P<loop>\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\()|(?P<open>[(\[{])|(?P<close>[)\]}])"""
)


@lru_cache(maxsize=4096)
def fault_of_regex(pattern: str, most: int = MAX_REGEX_PROGRAM) -> str:
    """What is wrong with a regular expression in RE2's syntax; `most` is how many instructions it may have."""
    try:
        program = re2.compile(pattern.encode(), _OPTIONS)
    except re2.error as error:
        text = error.args[0] if error.args else b""
        return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    if program.programsize > most:
        return f"it is too big: {program.programsize} instructions, at most {most}"
    return ""


def fault_of_whole(pattern: str) -> str:
    """What is wrong with a regular expression for a path, or a part of one, which something else follows in Envoy."""
    return fault_of_regex(pattern) or fault_inside(pattern)


@lru_cache(maxsize=4096)
def fault_of_substitution(pattern: str, substitution: str) -> str:
    r"""What is wrong with a replacement text: `\0` to `\9` are groups, `\\` is a backslash; nothing else follows."""
    groups: int = re2.compile(pattern.encode(), _OPTIONS).groups
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
    # The package brings a terminal library along, which takes longer to import than the whole compiler. And its
    # __init__.py may be the empty one of xds-protos, which has a folder of the same name: so the engine itself.
    from cel import cel  # noqa: PLC0415

    try:
        program = cel.compile(expression)
    except ValueError as error:
        found = _CEL_ERROR.search(str(error))
        return (
            f"it does not compile: {found[2]} at character {found[1]}" if found is not None else "it does not compile"
        )
    own = set(_LOOP_VARIABLE.findall(expression))
    unknown = sorted(set(program.variables()) - _ROOTS - _TYPES - own)
    if unknown:
        return f"{unknown[0]} is neither request nor identity"
    unknown = sorted(name for name in program.functions() if name.isidentifier() and name not in _FUNCTIONS)
    if unknown:
        return f"there is no function {unknown[0]}"
    return "it has a loop within a loop" if _has_nested_loops(expression) else ""


def _has_nested_loops(expression: str) -> bool:
    """Whether a macro that goes through a list lies in another: their costs would multiply."""
    loops: list[bool] = []
    for token in _TOKEN.finditer(expression):
        if token["loop"] is not None:
            if any(loops):
                return True
            loops.append(True)
        elif token["open"] is not None:
            loops.append(False)
        elif token["close"] is not None and loops:
            loops.pop()
    return False
