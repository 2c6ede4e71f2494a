"""`python -m fastforward_compiler.generate`: writes the reference page of the reasons below the current folder.

In: the closed list of reasons with their docstrings. Out: docs/reference/reasons.md. Called by `make generate`.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from .problem import ObjectRef, Reason, is_refused, problem

PAGE = Path("docs/reference/reasons.md")
_HEAD = """<!-- Made from the list of reasons by `make generate`: change that, not this file. -->

# Reasons

Why a condition of an object is False. Where several things are wrong with an object, the first of them in this order
names the reason, and the message tells all. What [Programmed](../concepts/status.md) says beyond these is told there.
The last column says what becomes of such an object [at admission](../operations/admission.md) to a cluster.

| Reason | Condition | What it means, and what to do | Admission |
|---|---|---|---|
"""


def main() -> None:
    """Writes the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(write_page(), encoding="utf-8")


def write_page() -> str:
    """The page of all reasons, worst first."""
    meanings = read_meanings()
    return _HEAD + "".join(_row(reason, meanings[reason.name]) for reason in Reason)


def _row(reason: Reason, meaning: str) -> str:
    found = problem(ObjectRef(kind="", namespace="", name=""), reason, "", "")
    return f"| `{reason}` | {found.condition} | {meaning} | {'refused' if is_refused(found) else 'warned'} |\n"


def read_meanings() -> Mapping[str, str]:
    """The docstring of each reason by the name of the member, on one line."""
    classes = (node for node in ast.parse(inspect.getsource(Reason)).body if isinstance(node, ast.ClassDef))
    found = {}
    for member, text in pairwise(node for listed in classes for node in listed.body):
        match member, text:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(meaning))):
                found[name] = re.sub(r"\s+", " ", meaning).strip()
    return found


if __name__ == "__main__":
    main()
