r"""Conditions of a match to predicates of Envoy's matcher trees.

In: ir.Match, the Edge's way to name API versions. Out: one predicate, or None for no condition. Called by table. Tables
may look at request headers only (Envoy refuses anything else there), so query conditions are patterns on `:path`.

A query parameter's first value counts, undecoded, as the client wrote it. For `?b=1&a=2&a=3` and the name `a`, the
pattern is: anything up to `?`, then parameters that are not `a` (they leave the name's characters somewhere), then `a`.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .chain import LISTENER_HEADER, PATH_HEADER, SELECT_HEADER
from .matching import ANYTHING, TEXT, every, header_input, none, pattern, some, test
from .pattern import NOTHING, without_ampersand
from .protos import EnvoyMessage
from .wire import literal_pattern

PATH_INPUT = header_input(PATH_HEADER)
_TARGET_INPUT = header_input(":path")
_METHOD_INPUT = header_input(":method")
_LISTENER_INPUT = header_input(LISTENER_HEADER)
_SELECT_INPUT = header_input(SELECT_HEADER)


def emit_predicate(match: ir.Match, select: str, version_header: str, default_version: str) -> EnvoyMessage | None:
    """Returns the predicate for everything but the path; None when there is no condition."""
    predicates = []
    if match.listener:
        predicates.append(test(_LISTENER_INPUT, TEXT(exact=match.listener)))
    if match.methods:
        predicates.append(test(_METHOD_INPUT, pattern("|".join(map(literal_pattern, match.methods)))))
    predicates += [test(header_input(header.name), text(header)) for header in match.headers]
    predicates += [test(_TARGET_INPUT, pattern(query_pattern(parameter))) for parameter in match.query]
    if match.api_version:
        predicates.append(api_version(match.api_version, version_header, default_version))
    if select:
        predicates.append(test(_SELECT_INPUT, TEXT(exact=select)))
    return every(predicates)


def text(match: ir.TextMatch) -> EnvoyMessage:
    """Returns the condition on a header's value."""
    match match.type:
        case ir.TextType.EXACT:
            return TEXT(exact=match.value)
        case ir.TextType.PREFIX:
            return TEXT(prefix=match.value)
        case ir.TextType.REGEX:
            return pattern(match.value)
        case _:
            return pattern(ANYTHING)


def api_version(version: str, header: str, default: str) -> EnvoyMessage:
    """Returns the condition that the request asks for this version, by header or by silence."""
    named = header_input(header)
    asked = test(named, TEXT(exact=version))
    if version != default:
        return asked
    silent = none(test(named, pattern(ANYTHING)))
    return some(asked, silent)


def query_pattern(match: ir.TextMatch) -> str:
    """Returns the pattern on `:path` for a condition on a query parameter."""
    if "&" in match.name or "=" in match.name:
        return NOTHING
    name, value = literal_pattern(match.name), literal_pattern(match.value)
    match match.type:
        case ir.TextType.EXACT:
            rest = f"={value}" if value else "=?"
        case ir.TextType.PREFIX:
            rest = f"={value}[^&]*"
        case ir.TextType.REGEX:
            rest = f"=(?:{without_ampersand(match.value)})"
        case _:
            rest = "(?:=[^&]*)?"
    return rf"[^?]*\?(?:{other_parameter(match.name)}&)*{name}{rest}(?:&.*)?"


def other_parameter(name: str) -> str:
    """Returns the pattern of a parameter with any other name: where it parts from `name`, it goes on freely."""
    rest = "[^=&][^&]*"
    for char in reversed(name):
        literal = literal_pattern(char)
        rest = rf"(?:[^{_in_class(char)}&][^&]*|{literal}{rest})?"
    return rest


def _in_class(char: str) -> str:
    return f"\\{char}" if char in "\\]^-" else char
