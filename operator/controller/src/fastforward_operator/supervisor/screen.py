"""What `ff up` shows: what it started, the URLs to try, and then one live status screen, or plain lines.

In: the state of the children and of the resources. Out: text on a terminal. Called by supervisor/up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .child import RUNNING

_LINES_AROUND = 10
"""Lines of the picture that are no resources."""

_WIDE = 100
"""Columns of a terminal that has room for reasons beside names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """One resource as the operator sees it."""

    name: str
    """`Route bookshop/books`."""
    programmed: str
    """True, False or Unknown."""
    good: bool
    """Whether nothing at all is wrong with it."""
    reason: str
    message: str
    proxies: str
    """`3/3`."""

    @property
    def verdict(self) -> str:
        """In one phrase."""
        if self.good:
            return "programmed"
        serving = "programmed, but" if self.programmed == "True" else "not programmed,"
        return f"{serving} {self.reason}: {self.message}" if self.programmed != "Unknown" else "pending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything that the screen shows."""

    children: Mapping[str, str]
    """State by name of the child."""
    objects: Sequence[ObjectRow]
    proxies: Sequence[str]
    """`envoy live`."""


class Screen(Protocol):
    """Where progress and state go."""

    def line(self, text: str) -> None:
        """Say one thing."""

    def show(self, picture: Picture) -> None:
        """Show the state as it is now."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class PlainScreen:
    """One line for each thing that changes: for logs, pipes and CI."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._said: dict[str, str] | None = None

    def line(self, text: str) -> None:
        """Write it."""
        self._write(text)

    def show(self, picture: Picture) -> None:
        """Write what differs from last time; the first time only what is wrong, and how many are right."""
        now = {**picture.children, **{row.name: row.verdict for row in picture.objects}}
        if self._said is None:
            self._said = dict.fromkeys(now, "programmed") | dict.fromkeys(picture.children, RUNNING)
            good = sum(row.good for row in picture.objects)
            self._write(f"{good} of {len(picture.objects)} resources are programmed without any problem")
        for name, state in now.items():
            if self._said.get(name) != state:
                self._write(f"{name}: {state}")
        for name in self._said.keys() - now.keys():
            self._write(f"{name}: gone")
        self._said = now

    def close(self) -> None:
        """Nothing to restore."""


class LiveScreen:
    """One picture that stays in place, below the lines said at the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._started = False
        self._shown: tuple[Picture, ConsoleDimensions] | None = None

    def line(self, text: str) -> None:
        """Print it above the picture."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, picture: Picture) -> None:
        """Draw the picture anew, if it or the size of the terminal is another one."""
        if not self._started:
            self._started = True
            self._live.start()
        shown = picture, self._console.size
        if shown != self._shown:
            self._shown = shown
            rows = max(3, self._console.height - _LINES_AROUND)
            self._live.update(draw(picture, rows=rows, width=self._console.width), refresh=True)

    def close(self) -> None:
        """Take the picture away."""
        if self._started:
            self._started = False
            self._live.stop()


def draw(picture: Picture, *, rows: int, width: int) -> RenderableType:
    """The picture: children in one line, then what is wrong, then what is right, as far as there is room."""
    marks = (f"● {name}" if s == RUNNING else f"● {name} {s}" for name, s in picture.children.items())
    styles = map(_style, picture.children.values())
    children = Text("  ").join(Text(mark, style=style) for mark, style in zip(marks, styles, strict=True))
    ordered = sorted(picture.objects, key=lambda row: (row.good, row.name))
    wide = width >= _WIDE
    more = [Text(f"and {len(ordered) - rows} more: ff get", style="dim")] if len(ordered) > rows else []
    connected = Text(f"connected: {', '.join(picture.proxies) or 'nobody'}", style="dim")
    # Where there is no room for a column of reasons they stand above the table, each as wide as the terminal.
    reasons = (
        [] if wide else [Text(f"{row.name}: {_reason(row)}", style="red") for row in ordered[:rows] if not row.good]
    )
    table = _table(ordered[:rows], wide=wide)
    end = Text("Ctrl-C stops everything.", style="dim")
    return Group(Text(), children, connected, Text(), *reasons, table, *more, end)


def _table(rows: Sequence[ObjectRow], *, wide: bool) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("RESOURCE", no_wrap=True)
    for column in ("PROGRAMMED", "PROXIES"):
        table.add_column(column, no_wrap=True, min_width=len(column))
    if wide:
        table.add_column("REASON", overflow="fold")
    for row in rows:
        reason = (_reason(row),) if wide else ()
        table.add_row(row.name, Text(row.programmed, style=_style(row.programmed)), row.proxies, *reason)
    return table


def _reason(row: ObjectRow) -> str:
    return "" if row.good else f"{row.reason}: {row.message}"


def _style(state: str) -> str:
    return "green" if state == "True" or state.startswith(RUNNING) else "yellow" if state == "Unknown" else "red"
