"""What regular expressions, rewrites and conditions are refused for."""

from __future__ import annotations

import pytest
from fastforward_compiler.translate.expression import (
    MAX_REGEX_PROGRAM,
    MAX_REWRITE_PROGRAM,
    fault_of_condition,
    fault_of_regex,
    fault_of_substitution,
)


@pytest.mark.parametrize("pattern", ["/a", "/[a-z]{2,30}", r"/\d+", "(?i)/books", r"/\pL+", "/é*", "a|b"])
def test_expressions_of_re2_are_accepted(pattern: str) -> None:
    assert fault_of_regex(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("/(", "missing ): /("),
        ("/(?=a)", "invalid perl operator: (?="),
        (r"/(a)\1", r"invalid escape sequence: \1"),
        ("/a{1001}", "invalid repetition size: {1001}"),
        (r"/\x{10FFFF}", r"invalid escape sequence: \x{10F"),
        ("/a{1000}b{1000}", f"it is too big: 2005 instructions, at most {MAX_REGEX_PROGRAM}"),
    ],
)
def test_what_re2_refuses_and_what_is_too_big_is_told(pattern: str, fault: str) -> None:
    assert fault_of_regex(pattern).startswith(fault)


def test_a_rewrite_may_be_as_big_as_envoy_lets_it() -> None:
    assert fault_of_regex("/a{90}", MAX_REWRITE_PROGRAM) == ""
    assert fault_of_regex("/a{200}b{200}", MAX_REWRITE_PROGRAM) == "it is too big: 405 instructions, at most 100"


@pytest.mark.parametrize(
    ("substitution", "fault"),
    [
        (r"/\1", ""),
        (r"/\0-\1\\", ""),
        ("plain", ""),
        (r"/\2", "it refers to group 2 of 1"),
        ("/\\", "a backslash is followed by a digit or a backslash"),
        (r"/\n", "a backslash is followed by a digit or a backslash"),
    ],
)
def test_a_substitution_refers_to_groups_that_are_there(substitution: str, fault: str) -> None:
    assert fault_of_substitution("/(a)", substitution) == fault


@pytest.mark.parametrize(
    "expression",
    [
        "request.method == 'GET'",
        "identity.roles.exists(r, r == 'admin') && identity.roles.exists(r, r == 'reader')",
        "'.all(x, y.exists(' == request.path",
        "size(request.headers) > 1 && request.headers['x-a'].startsWith('b')",
        "type(identity.claims.age) == int && identity.claims.age > 17",
        "request.path in ['/a', '/b'] ? true : request.host.matches('a.*')",
    ],
)
def test_conditions_over_request_and_identity_are_accepted(expression: str) -> None:
    assert fault_of_condition(expression) == ""


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("1 +", "it does not compile: Syntax error: mismatched input '<EOF>' at character 4"),
        ("é", "it does not compile: Syntax error: token recognition error at: 'é' at character 1"),
        ("user == 'me'", "user is neither request nor identity"),
        ("now() > 1", "there is no function now"),
        ("request.path.lowerAscii() == 'a'", "there is no function lowerAscii"),
        ("identity.roles.all(r, identity.roles.exists(q, q == r))", "it has a loop within a loop"),
        ("identity.roles.map(r, [r].filter(q, true)).size() > 0", "it has a loop within a loop"),
    ],
)
def test_what_no_decision_service_could_judge_is_refused(expression: str, fault: str) -> None:
    assert fault_of_condition(expression) == fault


def test_a_condition_as_deep_as_the_schema_admits_is_refused_or_judged_never_a_crash() -> None:
    assert fault_of_condition("(" * 511 + "1" + ")" * 511).startswith("it does not compile")
    assert fault_of_condition("!" * 1019 + "true") == ""
