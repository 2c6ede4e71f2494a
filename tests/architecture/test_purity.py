"""What import contracts cannot see: who reads the environment, who asks the clock, and that functions stay short."""

import ast
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.repository import PACKAGES, ROOT, Package, python_sources

ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
CLOCKS = {"now", "utcnow", "today"}
EFFECTS = {"open", "input", "print", "eval", "exec"}
# Pure packages' commands, which people run: they print and write files.
COMMANDS = {"generate.py", "__main__.py"}
PURE_PACKAGES = [package for package in PACKAGES if package.pure]


def reads_environment(node: ast.AST) -> bool:
    """Whether the node is `os.environ` or its like, imports it, or derives a class from BaseSettings."""
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr=name):
            return name in ENVIRONMENT
        case ast.ImportFrom(module="os", names=names):
            return any(alias.name in ENVIRONMENT for alias in names)
        case ast.ClassDef(bases=bases):
            return any(ast.unparse(base).split(".")[-1] == "BaseSettings" for base in bases)
    return False


def asks_the_clock(node: ast.AST) -> bool:
    """Whether the node calls `datetime.now()` or its like."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name)):
            return name in CLOCKS and ast.unparse(owner).split(".")[-1] in {"datetime", "date"}
    return False


def has_an_effect(node: ast.AST) -> bool:
    """Whether the node calls a builtin that touches the world."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in EFFECTS
    return False


def places(files: Iterator[Path], wanted: Callable[[ast.AST], bool]) -> list[str]:
    """Returns file:line of every node in `files` that is `wanted`."""
    return [
        f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if wanted(node)
    ]


def function_lengths(package: Package) -> list[int]:
    """Returns the length in lines of each function of the package, docstrings not counted."""
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
        for path in python_sources(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.module)
def test_only_settings_modules_read_the_environment(package: Package) -> None:
    others = (path for path in python_sources(package) if path.name != "settings.py")
    assert places(others, reads_environment) == []


@pytest.mark.parametrize("package", PURE_PACKAGES, ids=lambda package: package.module)
def test_pure_packages_never_ask_the_clock(package: Package) -> None:
    assert places(iter(python_sources(package)), asks_the_clock) == []


@pytest.mark.parametrize("package", PURE_PACKAGES, ids=lambda package: package.module)
def test_pure_packages_never_touch_the_world(package: Package) -> None:
    others = (path for path in python_sources(package) if path.name not in COMMANDS)
    assert places(others, has_an_effect) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.module)
def test_nine_functions_of_ten_fit_twenty_five_lines(package: Package) -> None:
    lengths = function_lengths(package)
    if len(lengths) > 1:
        assert statistics.quantiles(lengths, n=10, method="inclusive")[-1] <= 25


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (reads_environment, "import os\nos.environ['HOME']"),
        (reads_environment, "import os\nos.getenv('HOME')"),
        (reads_environment, "from os import environ"),
        (reads_environment, "class Settings(pydantic_settings.BaseSettings): ..."),
        (asks_the_clock, "from datetime import datetime\ndatetime.now(UTC)"),
        (asks_the_clock, "import datetime\ndatetime.date.today()"),
        (has_an_effect, "open('/etc/passwd')"),
    ],
)
def test_a_planted_effect_is_found(wanted: Callable[[ast.AST], bool], code: str) -> None:
    assert any(wanted(node) for node in ast.walk(ast.parse(code)))
