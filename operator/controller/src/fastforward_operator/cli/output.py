"""How commands print: for people, or as JSON or YAML for programs.

In: plain values. Out: text on standard output. Called by every command. Imports stay few: `ff --help` comes by here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum


class Output(StrEnum):
    """How to print."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


def print_data(data: object, output: Output) -> None:
    """Print plain values (mappings, lists, texts, numbers) as JSON or YAML."""
    if output is Output.YAML:
        from fastforward_operator.providers.dump import dump_documents  # noqa: PLC0415 - not needed for --help

        # Through JSON: enumerations and ordered mappings are what they are there.
        plain = json.loads(json.dumps(data))
        print(dump_documents(plain, width=120), end="")
    else:
        print(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns, as wide as needed, three spaces apart."""
    for line in table_lines(titles, rows):
        print(line)


def table_lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The same as lines."""
    lines = [tuple(titles), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def counted(number: int, noun: str) -> str:
    """`no problems`, `1 problem`, `2 problems`."""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
