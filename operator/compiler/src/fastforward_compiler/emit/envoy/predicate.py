r"""Conditions of a match to predicates of Envoy's matcher trees.

In: ir.Match, the Edge's way to name API versions. Out: one predicate, or None for no condition. Called by table. Tables
may look at request headers only (Envoy refuses anything else there), so query conditions are patterns on `:path`.

A query parameter's first value counts, undecoded, as the client wrote it. For `?b=1&a=2&a=3` and the name `a`, the
pattern is: anything up to `?`, then parameters that are not `a` (they leave the name's characters somewhere), then `a`.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .chain import LISTENER_HEADER, PATH_HEADER, SELECT_HEADER
from .protos import EnvoyMessage, http_inputs_pb2, xds_extension_pb2, xds_matcher_pb2, xds_regex_pb2, xds_string_pb2
from .wire import literal_pattern, pack

_PREDICATE = xds_matcher_pb2.Matcher.MatcherList.Predicate
_STRING = xds_string_pb2.StringMatcher
ANYTHING = r"\C*"
"""Any value, of any bytes."""


def header_input(name: str) -> EnvoyMessage:
    """Returns a request header's value as what to match on; values of a repeated header are joined with a comma."""
    config = http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name)
    return xds_extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(config))


PATH_INPUT = header_input(PATH_HEADER)
_TARGET_INPUT = header_input(":path")
_METHOD_INPUT = header_input(":method")
_LISTENER_INPUT = header_input(LISTENER_HEADER)
_SELECT_INPUT = header_input(SELECT_HEADER)


def emit_predicate(match: ir.Match, select: str, version_header: str, default_version: str) -> EnvoyMessage | None:
    """Returns the predicate for everything but the path; None when there is no condition."""
    predicates = []
    if match.listener:
        predicates.append(test(_LISTENER_INPUT, _STRING(exact=match.listener)))
    if match.methods:
        predicates.append(test(_METHOD_INPUT, pattern("|".join(map(literal_pattern, match.methods)))))
    predicates += [test(header_input(header.name), text(header)) for header in match.headers]
    predicates += [test(_TARGET_INPUT, pattern(query_pattern(parameter))) for parameter in match.query]
    if match.api_version:
        predicates.append(api_version(match.api_version, version_header, default_version))
    if select:
        predicates.append(test(_SELECT_INPUT, _STRING(exact=select)))
    return every(predicates)


def test(tested: EnvoyMessage, matcher: EnvoyMessage) -> EnvoyMessage:
    """Returns one condition."""
    return _PREDICATE(single_predicate=_PREDICATE.SinglePredicate(input=tested, value_match=matcher))


def every(predicates: list[EnvoyMessage]) -> EnvoyMessage | None:
    """Returns the conjunction; None of nothing."""
    if len(predicates) < 2:
        return predicates[0] if predicates else None
    return _PREDICATE(and_matcher=_PREDICATE.PredicateList(predicate=predicates))


def pattern(expression: str) -> EnvoyMessage:
    """Returns a matcher of the whole value."""
    return _STRING(
        safe_regex=xds_regex_pb2.RegexMatcher(google_re2=xds_regex_pb2.RegexMatcher.GoogleRE2(), regex=expression)
    )


def text(match: ir.TextMatch) -> EnvoyMessage:
    """Returns the condition on a header's value."""
    match match.type:
        case ir.TextType.EXACT:
            return _STRING(exact=match.value)
        case ir.TextType.PREFIX:
            return _STRING(prefix=match.value)
        case ir.TextType.REGEX:
            return pattern(match.value)
        case _:
            return pattern(ANYTHING)


def api_version(version: str, header: str, default: str) -> EnvoyMessage:
    """Returns the condition that the request asks for this version, by header or by silence."""
    named = header_input(header)
    asked = test(named, _STRING(exact=version))
    if version != default:
        return asked
    silent = _PREDICATE(not_matcher=test(named, pattern(ANYTHING)))
    return _PREDICATE(or_matcher=_PREDICATE.PredicateList(predicate=[asked, silent]))


def query_pattern(match: ir.TextMatch) -> str:
    """Returns the pattern on `:path` for a condition on a query parameter."""
    name, value = literal_pattern(match.name), literal_pattern(match.value)
    match match.type:
        case ir.TextType.EXACT:
            rest = f"={value}" if value else "=?"
        case ir.TextType.PREFIX:
            rest = f"={value}[^&]*"
        case ir.TextType.REGEX:
            rest = f"=(?:{match.value})"
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
