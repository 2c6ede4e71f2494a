"""docs/performance.md: every goal beside its figure, from the kept figures. Nobody edits it by hand.

In: Benchmarks and docs/performance/*.json. Out: the page. Called by command.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from . import report
from .benchmark import Benchmark, Goal, Table

_PAGE = report.ROOT / "docs" / "performance.md"
_HEAD = """# Performance

Every figure that was promised beside the one that was measured, reached or not. Goals and set-ups were fixed before
measuring. `make bench` takes all figures again and makes this page from them, `make bench-NAME` those of one benchmark.
Nothing else may run on the machine meanwhile. Other machines give other numbers: read ratios, which are of runs that
took turns, and orders of magnitude.
"""


def write(benchmarks: Mapping[str, Benchmark]) -> None:
    """Make the page."""
    _PAGE.write_text("\n".join(_lines(benchmarks)) + "\n")


def bound(goal: Goal) -> str:
    """As people write it."""
    return f"{'≥' if goal.least else '≤'} {goal.bound:g} {goal.unit}".strip()


def cell(value: str | float) -> str:
    """A number with as many digits as are worth reading."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:,.3g}"


class _Kept(NamedTuple):
    """What docs/performance/NAME.json holds of it."""

    figures: dict[str, float]
    tables: list[Table]
    pictures: dict[str, str]
    """Titles by name."""
    machine: dict[str, object]


def _lines(benchmarks: Mapping[str, Benchmark]) -> Iterator[str]:
    yield from (_HEAD, "| Goal | | Measured | Reached |", "|---|---|---|---|")
    kept = {name: found for name, each in benchmarks.items() if (found := _kept(each)) is not None}
    for name, found in kept.items():
        for goal, figure in found.figures.items():
            wanted = benchmarks[name].goals[goal]
            reached = "yes" if wanted.holds(figure) else f"**no** ([why](#{name}-why))" if wanted.why else "**no**"
            yield f"| [{wanted.what}](#{name}) | {bound(wanted)} | {cell(figure)} {wanted.unit} | {reached} |"
    for name, found in kept.items():
        yield from _section(benchmarks[name], found)


def _section(each: Benchmark, found: _Kept) -> Iterator[str]:
    yield from ("", f"## {each.title} {{#{each.name}}}", "")
    yield from ("```console", f"$ make bench-{each.name.replace('_', '-')}", "```", "", each.about.strip())
    for name, title in found.pictures.items():
        yield from ("", f"![{title}](performance/{name}.svg)")
    for table in found.tables:
        yield from ("", f"**{table.title}**", "", _row(table.columns), "|" + "---|" * len(table.columns))
        yield from (_row([cell(each) for each in row]) for row in table.rows)
    missed = [each.goals[name] for name, figure in found.figures.items() if not each.goals[name].holds(figure)]
    if any(goal.why for goal in missed):
        yield from ("", f"### What keeps it from its goal {{#{each.name}-why}}", "")
        for why in dict.fromkeys(goal.why for goal in missed if goal.why):
            yield f"- **{'; '.join(goal.what for goal in missed if goal.why == why)}.** {why}"
    machine = ", ".join(f"{name} {value}" for name, value in found.machine.items() if value)
    yield from ("", f"Taken on: {machine}. All of it: [{each.name}.json](performance/{each.name}.json).")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _kept(each: Benchmark) -> _Kept | None:
    path = report.FOLDER / f"{each.name}.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    unknown = set(found["figures"]) - set(each.goals)
    if unknown:
        raise ValueError(f"{path} has figures of goals that are no more: {', '.join(sorted(unknown))}. Measure again.")
    return _Kept(
        found["figures"],
        [Table(**table) for table in found["tables"]],
        {chart["name"]: chart["title"] for chart in found["charts"]},
        found["machine"],
    )
