"""`ff top`: what goes through the gateway, as it goes: rates, latencies, errors, refusals by reason.

In: an access log, or a cluster's; consoles of Envoys. Out: a table that is drawn again, one table, or a value for
programs each time. Called by cli/diagnosis.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal
from rich.live import Live
from rich.text import Text

from fastforward_operator.supervisor.state import StateFolder

from .accesslogs import AccessLog, FileLog, PodLogs
from .console import Console, ConsoleError, SocketConsole
from .groupby import GroupBy
from .output import Output, print_data, table_lines
from .traffic import Window
from .where import Where

_GAUGES = r"/stats?usedonly&filter=^http\.http\.downstream_(rq|cx)_active$"
_TITLES = ("REQ/S", "P50 MS", "P95 MS", "P99 MS", "4XX/S", "5XX/S", "REFUSED/S", "REFUSED FOR")
_HEAD_LINES = 6
_MOST_REASONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be shown."""

    by: GroupBy = GroupBy.ROUTE
    window: int = 10
    """Seconds that rates and latencies are of."""
    every: float = 1.0
    """Seconds between two pictures."""
    once: bool = False
    rows: int = 20
    log: Path | None = None
    """A file, instead of that of `ff up`."""


def run(asked: Asked, state: Path, output: Output, where: Where) -> int:
    """Show it until Ctrl-C, or once."""
    log, consoles = _sources(asked, StateFolder(state), where)
    window = Window(asked.by, asked.window)
    began = time.time()
    with closing(log):
        for line in log.before(began - asked.window):
            # Clocks of pods may be ahead of ours.
            window.add(line, min(line.ended_at, began))
        if asked.once:
            _print(_summary(window, consoles), asked, output)
            return 0
        try:
            _repeat(log, window, consoles, asked, output)
        except KeyboardInterrupt:
            return 0
    return 0


def _sources(asked: Asked, state: StateFolder, where: Where) -> tuple[AccessLog, Sequence[Console]]:
    if where.is_cluster:
        from .cluster import Cluster  # noqa: PLC0415 - whoever asks no cluster needs none of it

        cluster = Cluster(where)
        consoles = cluster.consoles()
        if not consoles:
            print("No pod of an Edge runs in this cluster: `ff get edges --context ...` says why.", file=sys.stderr)
            raise SystemExit(1)
        return PodLogs(cluster), consoles
    path = asked.log or state.logs / "access.log"
    try:
        return FileLog(path), () if asked.log else (SocketConsole(state.admin_socket),)
    except OSError as error:
        remedy = "start `ff up DIR`, or name its state folder with --state or a log with --log"
        print(f"There is no access log at {path} ({error.strerror}): {remedy}.", file=sys.stderr)
        raise SystemExit(1) from None


def _repeat(log: AccessLog, window: Window, consoles: Sequence[Console], asked: Asked, output: Output) -> None:
    terminal = Terminal()
    if output is not Output.TEXT or not terminal.is_terminal:
        for summary in _summaries(log, window, consoles, asked):
            _print_one_of_many(summary, asked, output)
        return
    with Live(console=terminal, auto_refresh=False, screen=True) as live:
        for summary in _summaries(log, window, consoles, asked):
            rows = max(1, min(asked.rows, terminal.height - _HEAD_LINES))
            live.update(Text("\n".join(_lines(summary, rows)), no_wrap=True, overflow="ellipsis"), refresh=True)


def _summaries(log: AccessLog, window: Window, consoles: Sequence[Console], asked: Asked) -> Iterator[dict[str, Any]]:
    """One at a time, for ever. A line counts for the moment at which we hear of it: clocks may differ."""
    while True:
        now = time.time()
        for line in log.new():
            window.add(line, now)
        yield _summary(window, consoles)
        time.sleep(asked.every)


def _summary(window: Window, consoles: Sequence[Console]) -> dict[str, Any]:
    return {**window.summary(time.time()), "underWay": _under_way(consoles)}


def _under_way(consoles: Sequence[Console]) -> dict[str, int] | None:
    """Requests and connections of all proxies at this moment; None when none of them says it."""
    found = {"requests": 0, "connections": 0, "proxies": 0}
    for console in consoles:
        try:
            body = console.ask(_GAUGES).decode(errors="replace")
        except ConsoleError:
            continue
        found["proxies"] += 1
        for line in body.splitlines():
            name, _, value = line.rpartition(": ")
            if value.isdigit():
                found["requests" if name.endswith("rq_active") else "connections"] += int(value)
    return found if found["proxies"] else None


def _print(summary: dict[str, Any], asked: Asked, output: Output) -> None:
    if output is Output.TEXT:
        print("\n".join(_lines(summary, asked.rows)))
    else:
        print_data(summary, output)


def _print_one_of_many(summary: dict[str, Any], asked: Asked, output: Output) -> None:
    """JSON is one value a line, YAML one document a value."""
    writers: dict[Output, Callable[[], None]] = {
        Output.JSON: lambda: print(json.dumps(summary, ensure_ascii=False)),
        Output.YAML: lambda: (print("---"), print_data(summary, Output.YAML))[1],
        Output.TEXT: lambda: (_print(summary, asked, Output.TEXT), print())[1],
    }
    writers[output]()
    sys.stdout.flush()


def _lines(summary: dict[str, Any], most: int) -> list[str]:
    now = summary["underWay"]
    under_way = f"{now['requests']} requests under way on {now['connections']} connections" if now else ""
    head = [f"last {summary['windowSeconds']} s, by {summary['by']}", under_way]
    rows = [_row(row) for row in (summary["all"], *summary["rows"][:most])]
    left = len(summary["rows"]) - most
    rest = [f"and {left} more"] if left > 0 else []
    return ["   ".join(filter(None, head)), "", *table_lines((summary["by"].upper(), *_TITLES), rows), *rest]


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    reasons = [f"{reason} {count}" for reason, count in list(row["refusals"].items())[:_MOST_REASONS]]
    return (
        row["name"],
        _rate(row["requestsPerSecond"]),
        *("-" if value is None else str(value) for value in row["latencyMs"].values()),
        *(_rate(row[f"{kind}PerSecond"]) for kind in ("clientErrors", "serverErrors", "refused")),
        ", ".join(reasons) or "-",
    )


def _rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 100 or not rate else f"{rate:.1f}" if rate >= 1 else f"{rate:.2g}"
