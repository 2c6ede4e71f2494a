"""One planted defect: an edit of one place in one file.

In: what operators find. Out: `Mutant`, with the changed source and the diff that people read. Called by every module
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support.repository import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """`replacement` in place of the bytes [start, end) of `path`, a path from the root."""

    path: str
    start: int
    end: int
    replacement: str
    operator: str
    lines: range
    """The lines that run it, counted from 1."""
    function: tuple[str, int] | None
    """Name and first line of the outermost function around it; None: it runs when the module is imported."""

    @property
    def package(self) -> str:
        """The folder of its package, from the root."""
        return self.path.partition("/src/")[0]

    @property
    def line(self) -> int:
        """Where it begins, counted from 1."""
        return _read(self.path).count(b"\n", 0, self.start) + 1

    def source(self) -> str:
        """The whole text of the changed module."""
        return _edited(_read(self.path), self).decode()

    def diff(self) -> tuple[str, str]:
        """The lines it changes, before and after, stripped and joined."""
        text = _read(self.path)
        first, last = text.rfind(b"\n", 0, self.start) + 1, text.find(b"\n", self.end)
        rest = len(text) - last
        mutated = _edited(text, self)
        return _squeeze(text[first:last]), _squeeze(mutated[first : len(mutated) - rest])


@cache
def _read(path: str) -> bytes:
    return (ROOT / path).read_bytes()


def _edited(text: bytes, mutant: Mutant) -> bytes:
    return text[: mutant.start] + mutant.replacement.encode() + text[mutant.end :]


def _squeeze(lines: bytes) -> str:
    return " ".join(line.strip() for line in lines.decode().splitlines())


def read_source(path: Path) -> bytes:
    """The source of a module as mutants see it."""
    return _read(str(path))
