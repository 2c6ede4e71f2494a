"""Which mutants a module has."""

from __future__ import annotations

import ast

import pytest

from mutation.operators import OPERATORS, find_mutants

FUNCTION = "def f(a, b):\n    {}\n"


def replaced(source: str) -> list[tuple[str, str, str]]:
    """Operator, what was there, what stands there instead."""
    text = source.encode()
    return [
        (found.operator, text[found.start : found.end].decode(), found.replacement)
        for found in find_mutants("module.py", text)
    ]


@pytest.mark.parametrize(
    ("statement", "mutants"),
    [
        ("return a < b", {("comparison", "a < b", "a <= b"), ("return", "return a < b", "return None")}),
        ("x = a is None", {("comparison", "a is None", "a is not None")}),
        ("x = a and b", {("boolean", "a and b", "a or b")}),
        ("x = not a", {("boolean", "not a", "a")}),
        ("x = a + b", {("arithmetic", "a + b", "a - b")}),
        ("x = 7", {("constant", "7", "8")}),
        ("x = True", {("constant", "True", "False")}),
        ("x = 'word'", {("constant", "'word'", "'XwordX'")}),
        ("a.b = b", {("removal", "a.b = b", "pass")}),
        ("a(b)", {("removal", "a(b)", "pass")}),
        ("raise a", {("removal", "raise a", "pass")}),
        ("x = a if b else a", {("negation", "b", "not b")}),
    ],
)
def test_each_place_is_broken_in_each_way(statement: str, mutants: set[tuple[str, str, str]]) -> None:
    assert set(replaced(FUNCTION.format(statement))) == mutants


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""\n',
        FUNCTION.format('"""A docstring."""'),
        "def f(a: 'A', b: int = NONE) -> 'B': ...\n",
        "if TYPE_CHECKING:\n    x = 1\n",
        "__all__ = ['a']\n",
        "@dataclass(frozen=True)\nclass A:\n    b: Literal['c']\n",
        FUNCTION.format("assert_never(a)"),
        FUNCTION.format("x = 'A sentence for people.'"),
        FUNCTION.format("x = zip(a, b, strict=True)"),
        FUNCTION.format("x = f'{a}text'"),
    ],
)
def test_what_no_test_could_notice_has_no_mutants(source: str) -> None:
    assert replaced(source) == []


def test_what_an_annotation_calls_is_code() -> None:
    assert replaced("class A:\n    port: Annotated[int, Field(ge=1)]\n") == [("constant", "1", "2")]


def test_the_outermost_function_is_what_gets_new_code() -> None:
    source = "class A:\n    @decorate(1)\n    def f(self):\n        def g():\n            return self.x\n        g()\n"
    found = {mutant.replacement: mutant for mutant in find_mutants("module.py", source.encode())}
    assert found["2"].function is None
    assert found["return None"].function == ("f", 2)
    assert found["return None"].lines == range(5, 6)
    assert found["pass"].function == ("f", 2)


def test_every_operator_finds_places_in_this_very_repository() -> None:
    source = ast.unparse(ast.parse("def f(a):\n    while a < 2 and not a:\n        a.b += 1\n    return a\n")).encode()
    assert {mutant.operator for mutant in find_mutants("module.py", source)} == OPERATORS.keys()
