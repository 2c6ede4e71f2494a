r"""Single conditions of Envoy's matchers: an input, which is a request header, and what its value must be.

Called by chain, trace and predicate.
"""

from __future__ import annotations

from .protos import (
    EnvoyMessage,
    extension_matcher_pb2,
    extension_pb2,
    http_inputs_pb2,
    skip_action_pb2,
    xds_extension_pb2,
    xds_matcher_pb2,
    xds_regex_pb2,
    xds_string_pb2,
)
from .wire import pack

PREDICATE = xds_matcher_pb2.Matcher.MatcherList.Predicate
TEXT = xds_string_pb2.StringMatcher
ANYTHING = r"\C*"
"""Any value, of any bytes."""


def header_input(name: str) -> EnvoyMessage:
    """Returns a request header's value as what to match on; values of a repeated header are joined with a comma."""
    config = http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name)
    return xds_extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(config))


def test(tested: EnvoyMessage, matcher: EnvoyMessage) -> EnvoyMessage:
    """Returns one condition."""
    return PREDICATE(single_predicate=PREDICATE.SinglePredicate(input=tested, value_match=matcher))


def every(predicates: list[EnvoyMessage]) -> EnvoyMessage | None:
    """Returns the conjunction; None of nothing."""
    if len(predicates) < 2:
        return predicates[0] if predicates else None
    return PREDICATE(and_matcher=PREDICATE.PredicateList(predicate=predicates))


def some(*predicates: EnvoyMessage) -> EnvoyMessage:
    """Returns the disjunction of two or more."""
    return PREDICATE(or_matcher=PREDICATE.PredicateList(predicate=predicates))


def none(predicate: EnvoyMessage) -> EnvoyMessage:
    """Returns the negation."""
    return PREDICATE(not_matcher=predicate)


def pattern(expression: str) -> EnvoyMessage:
    """Returns a matcher of the whole value."""
    return TEXT(
        safe_regex=xds_regex_pb2.RegexMatcher(google_re2=xds_regex_pb2.RegexMatcher.GoogleRE2(), regex=expression)
    )


def skip_if(known: EnvoyMessage, name: str, config: EnvoyMessage) -> EnvoyMessage:
    """Returns a filter's configuration under which requests that meet the condition pass the filter by."""
    skip = xds_extension_pb2.TypedExtensionConfig(name="skip", typed_config=pack(skip_action_pb2.SkipFilter()))
    matchers = xds_matcher_pb2.Matcher.MatcherList
    matcher = matchers.FieldMatcher(predicate=known, on_match=xds_matcher_pb2.Matcher.OnMatch(action=skip))
    return extension_matcher_pb2.ExtensionWithMatcher(
        xds_matcher=xds_matcher_pb2.Matcher(matcher_list=matchers(matchers=[matcher])),
        extension_config=extension_pb2.TypedExtensionConfig(name=name, typed_config=pack(config)),
    )
