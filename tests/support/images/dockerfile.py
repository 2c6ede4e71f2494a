"""A Dockerfile, as far as ours go: stages of instructions, continued lines joined, comments left out.

In: the text. Out: `Stage`s. Called by the builder, and by the test that holds Dockerfiles to their rules. Whether it is
a good Dockerfile is hadolint's to say.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import NamedTuple


class Instruction(NamedTuple):
    """`word` in capitals, its `--flags`, and the rest of the line."""

    word: str
    flags: tuple[str, ...]
    text: str

    @property
    def words(self) -> list[str]:
        """The text as a shell would part it."""
        return shlex.split(self.text)

    @property
    def pairs(self) -> dict[str, str]:
        """Of ENV and LABEL."""
        return dict(word.split("=", 1) for word in self.words)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of ENTRYPOINT and CMD in their exec form. Raises ValueError for the shell form."""
        return tuple(json.loads(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> tuple[Instruction, ...]:
        """Every instruction of one kind, in their order."""
        return tuple(each for each in self.instructions if each.word == word)

    def pairs(self, word: str) -> dict[str, str]:
        """All that ENV or LABEL say."""
        return {name: value for each in self.all(word) for name, value in each.pairs.items()}

    def last(self, word: str) -> Instruction:
        """The instruction that holds where several exclude each other. Raises IndexError when there is none."""
        return self.all(word)[-1]


def parse_dockerfile(text: str) -> tuple[Stage, ...]:
    """The stages, read top to bottom."""
    stages: list[tuple[Instruction, list[Instruction]]] = []
    for instruction in instructions(text):
        if instruction.word == "FROM":
            stages.append((instruction, []))
        else:
            stages[-1][1].append(instruction)
    return tuple(stage(start, inner) for start, inner in stages)


def stage(start: Instruction, inner: list[Instruction]) -> Stage:
    """`FROM base [AS name]` and what follows."""
    base, *named = start.words
    return Stage(base=base, name=named[1] if named else "", instructions=tuple(inner))


def instructions(text: str) -> list[Instruction]:
    """One for each line that is no comment, once continued ones are joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [instruction(line) for line in joined.splitlines()]


def instruction(line: str) -> Instruction:
    """`WORD --flag ... the rest`."""
    word, _, rest = line.strip().partition(" ")
    flags: list[str] = []
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
    return Instruction(word.upper(), tuple(flags), rest.strip())
