"""The command line of all benchmarks, and what a run leaves behind.

In: Benchmarks by name. Out: tables on the terminal; with --out docs/performance/NAME.json, pictures, and the page
docs/performance.md. Called as `python -m perf`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Mapping

import structlog

from . import charts, page, report
from .benchmark import Benchmark, Options, Outcome, Table

_EXAMPLES = """
examples:
  python -m perf all --out                        all of them, and docs/performance.md from their figures
  python -m perf change_to_traffic --routes 1000  one, with fewer routes
  python -m perf request_path --against bare,fastforward --seconds 2
  python -m perf --list
"""


def main(benchmarks: Mapping[str, Benchmark]) -> int:
    """Run what the arguments name."""
    options = _parse(benchmarks)
    # What parts of the product say that run in this process: figures alone go to standard output.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if options.list:
        for each in benchmarks.values():
            print(f"{each.name:<20} {each.title}")
        return 0
    names = [
        name for name, each in benchmarks.items() if options.name == name or (options.name == "all" and not each.apart)
    ]
    for name in names:
        chosen = benchmarks[name]
        size = _size(chosen.smoke if options.smoke else chosen.full, options)
        outcome = run(chosen, size)
        if options.json:
            print(json.dumps(_json(chosen, size, outcome)))
        else:
            print(told(chosen, outcome))
        if options.out:
            write(chosen, size, outcome)
    if options.out or options.name == "page":
        page.write(benchmarks)
    return 0


def run(chosen: Benchmark, size: Options) -> Outcome:
    """Measure, with progress on standard error."""
    began = time.perf_counter()

    def tell(text: str) -> None:
        print(f"{chosen.name} {time.perf_counter() - began:6.0f} s: {text}", file=sys.stderr, flush=True)

    return chosen.measure(size, tell)


def told(chosen: Benchmark, outcome: Outcome) -> str:
    """For the terminal."""
    lines = ["", chosen.title, ""]
    for name, figure in outcome.figures.items():
        goal = chosen.goals[name]
        mark = "reached" if goal.holds(figure) else "MISSED "
        lines.append(f"  {mark}  {goal.what}: {figure:g} {goal.unit} (goal {page.bound(goal)})")
    for table in outcome.tables:
        lines += ["", f"  {table.title}", *_aligned(table)]
    return "\n".join(lines)


def write(chosen: Benchmark, size: Options, outcome: Outcome) -> None:
    """Keep the figures and pictures."""
    report.FOLDER.mkdir(parents=True, exist_ok=True)
    (report.FOLDER / f"{chosen.name}.json").write_text(json.dumps(_json(chosen, size, outcome), indent=1) + "\n")
    for chart in outcome.charts:
        charts.draw(chart, report.FOLDER)


def _json(chosen: Benchmark, size: Options, outcome: Outcome) -> dict[str, object]:
    found = dataclasses.asdict(outcome)
    kept = [{"name": chart["name"], "title": chart["title"]} for chart in found.pop("charts")]
    return (
        {"benchmark": chosen.name, "machine": report.machine(), "size": dataclasses.asdict(size)}
        | found
        | {"charts": kept}
    )


def _aligned(table: Table) -> list[str]:
    rows = [list(table.columns), *([page.cell(each) for each in row] for row in table.rows)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
    return [
        "    " + "  ".join(text.ljust(width) if place == 0 else text.rjust(width) for place, (text, width) in cells)
        for cells in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
    ]


def _size(usual: Options, options: argparse.Namespace) -> Options:
    wanted = {name: getattr(options, name) for name in ("routes", "changes", "seconds", "rounds", "against")}
    return dataclasses.replace(usual, **{name: value for name, value in wanted.items() if value is not None})


def _parse(benchmarks: Mapping[str, Benchmark]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m perf",
        description="Measure, and compare with what was promised. Nothing else may run on the machine meanwhile.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", default="all", choices=[*benchmarks, "all", "page"])
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--routes", type=_numbers, metavar="N[,N]", help="how many routes")
    parser.add_argument("--changes", type=int, metavar="N", help="how many changes of each kind")
    parser.add_argument("--seconds", type=float, metavar="S", help="of load, a run")
    parser.add_argument("--rounds", type=int, metavar="N", help="of interleaved runs")
    parser.add_argument("--against", type=_names, metavar="NAME[,NAME]", help="subjects to measure, all by default")
    parser.add_argument("--smoke", action="store_true", help="as small as shows that it works")
    parser.add_argument("-o", "--json", action="store_true", help="figures as JSON on standard output")
    parser.add_argument("--out", action="store_true", help="keep figures, pictures and the page in docs")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each.replace("_", "")) for each in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))
