"""Where a module can be broken, and how.

In: the source of a module. Out: its mutants, in the order of the text. Called by __main__. An operator takes a node and
yields what could stand in its place; `OPERATORS` is all of them.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from .mutant import Mutant

Operator = Callable[[ast.AST], Iterator[ast.AST]]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_REMOVABLE = (ast.AugAssign, ast.Expr, ast.Raise, ast.Continue, ast.Break, ast.Delete, ast.Assert)
_NO_MUTANTS_IN_CALLS = frozenset({"assert_never", "TypeVar", "ParamSpec"})
_NO_MUTANTS_IN_ASSIGNMENTS = frozenset({"__all__", "__slots__"})


def comparison(node: ast.AST) -> Iterator[ast.AST]:
    """`<` for `<=`, `==` for `!=`, and so on."""
    if isinstance(node, ast.Compare):
        for index, found in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[index] = _COMPARISONS[type(found)]()
            yield changed


def boolean(node: ast.AST) -> Iterator[ast.AST]:
    """`or` for `and`, `and` for `or`, nothing for `not`."""
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(op=ast.And() if isinstance(node.op, ast.Or) else ast.Or(), values=node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand


def arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    """`-` for `+`, and so on."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _ARITHMETIC:
        changed = copy.copy(node)
        changed.op = _ARITHMETIC[type(node.op)]()
        yield changed


def constant(node: ast.AST) -> Iterator[ast.AST]:
    """Another number, truth or word; sentences for people stay as they are."""
    if not isinstance(node, ast.Constant):
        return
    match node.value:
        case bool(value):
            yield ast.Constant(value=not value)
        case int(value) | float(value):
            yield ast.Constant(value=value + 1)
        case str(value) if not any(map(str.isspace, value)):
            yield ast.Constant(value=f"X{value}X")
        case bytes(value) if not value.strip().count(b" "):
            yield ast.Constant(value=b"X" + value + b"X")


def returned(node: ast.AST) -> Iterator[ast.AST]:
    """None for what is returned."""
    if isinstance(node, ast.Return) and not (node.value is None or isinstance(node.value, ast.Constant)):
        yield ast.Return(value=ast.Constant(value=None))


def removal(node: ast.AST) -> Iterator[ast.AST]:
    """Nothing for a statement that has an effect."""
    assigned = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, _REMOVABLE) or any(isinstance(found, (ast.Attribute, ast.Subscript)) for found in assigned):
        yield ast.Pass()


def negation(node: ast.AST) -> Iterator[ast.AST]:
    """The contrary of a condition; for its negation `boolean` does it."""
    if isinstance(node, (ast.If, ast.While, ast.IfExp)) and not isinstance(node.test, (ast.Constant, ast.UnaryOp)):
        yield ast.UnaryOp(op=ast.Not(), operand=node.test)


OPERATORS: Mapping[str, Operator] = {
    "comparison": comparison,
    "boolean": boolean,
    "arithmetic": arithmetic,
    "constant": constant,
    "return": returned,
    "removal": removal,
    "negation": negation,
}


def find_mutants(path: str, source: bytes) -> list[Mutant]:
    """Every mutant of a module, each edit once, in the order of the text. `path` is from the root."""
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    distinct = {(mutant.start, mutant.end, mutant.replacement): mutant for mutant in finder.found}
    return [distinct[key] for key in sorted(distinct)]


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes) -> None:
        self._path = path
        self._lines = (0, *accumulate(len(line) for line in source.splitlines(keepends=True)))
        self._function: tuple[str, int] | None = None
        self._statement: ast.stmt | None = None
        self.found: list[Mutant] = []

    def visit(self, node: ast.AST) -> None:
        if _is_exempt(node):
            return
        if isinstance(node, ast.stmt):
            self._statement = node
        for name, operator in OPERATORS.items():
            for changed in operator(node):
                place = node.test if operator is negation and isinstance(node, (ast.If, ast.While, ast.IfExp)) else node
                self._add(name, place, ast.unparse(changed))
        super().visit(node)

    def _add(self, operator: str, place: ast.AST, replacement: str) -> None:
        if not isinstance(place, (ast.expr, ast.stmt)):
            return
        simple = self._statement is not None and not hasattr(self._statement, "body")
        first = self._statement.lineno if simple and self._statement is not None else place.lineno
        self.found.append(
            Mutant(
                path=self._path,
                start=self._lines[place.lineno - 1] + place.col_offset,
                end=self._lines[(place.end_lineno or 0) - 1] + (place.end_col_offset or 0),
                replacement=replacement,
                operator=operator,
                lines=range(first, (place.end_lineno or 0) + 1),
                function=self._function,
            )
        )

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in (*node.decorator_list, node.args):
            self.visit(outside)
        before = self._function
        first = min((found.lineno for found in node.decorator_list), default=node.lineno)
        self._function = before or (node.name, first)
        for statement in node.body:
            self.visit(statement)
        self._function = before

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Its body; what a dataclass is like (frozen, slots) no test should have to say."""
        for statement in node.body:
            self.visit(statement)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(isinstance(found, ast.Name) and found.id in _NO_MUTANTS_IN_ASSIGNMENTS for found in node.targets):
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_calls(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """An argument's annotation is no code."""

    def visit_Call(self, node: ast.Call) -> None:
        """Arguments; but not the type of a cast, nor the strictness of a zip, which only says what is so."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        for argument in node.args[1 if name == "cast" else 0 :]:
            self.visit(argument)
        for keyword in node.keywords:
            if not (name == "zip" and keyword.arg == "strict"):
                self.visit(keyword.value)
        self.visit(node.func)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def _visit_calls(self, annotation: ast.expr) -> None:
        """What an annotation calls is code: `Annotated[int, Field(ge=1)]`."""
        if isinstance(annotation, ast.Call):
            self.visit(annotation)
        else:
            for child in ast.iter_child_nodes(annotation):
                if isinstance(child, ast.expr):
                    self._visit_calls(child)


def _is_exempt(node: ast.AST) -> bool:
    """Docstrings, what only the type checker reads, and what never runs."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))) | ast.Call(func=ast.Name(id=name)):
            return name in _NO_MUTANTS_IN_CALLS
    return False
