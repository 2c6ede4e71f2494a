"""What `ff up` shows: what it started, the URLs to try, and then one live status screen, or plain lines.

In: the state of the children and of the resources. Out: text on a terminal. Called by supervisor/up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

_REFRESH_PER_SECOND = 4
_MAX_ROWS = 30
_GOOD = {"running", "ready", "True"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """One resource as the operator sees it."""

    name: str
    """`Route bookshop/books`."""
    programmed: str
    """True, False or Unknown."""
    reason: str
    message: str
    proxies: str
    """`3/3`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Everything that the screen shows."""

    children: Mapping[str, str]
    """State by name of the child."""
    objects: Sequence[ObjectRow]


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
        self._said: dict[str, str] = {}

    def line(self, text: str) -> None:
        """Write it."""
        self._write(text)

    def show(self, picture: Picture) -> None:
        """Write what differs from last time."""
        now = dict(picture.children)
        for row in picture.objects:
            now[row.name] = row.programmed if row.programmed == "True" else f"{row.programmed} {row.reason}: {row.message}"
        for name, state in now.items():
            if self._said.get(name) != state:
                self._write(f"{name}: {'programmed' if state == 'True' else state}")
        for name in self._said.keys() - now.keys():
            self._write(f"{name}: gone")
        self._said = now

    def close(self) -> None:
        """Nothing to restore."""


class LiveScreen:
    """One picture that stays in place, below the lines said at the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=_REFRESH_PER_SECOND, transient=True)
        self._started = False

    def line(self, text: str) -> None:
        """Print it above the picture."""
        self._console.print(Text(text))

    def show(self, picture: Picture) -> None:
        """Draw the picture anew."""
        if not self._started:
            self._started = True
            self._live.start()
        self._live.update(draw(picture))

    def close(self) -> None:
        """Take the picture away."""
        if self._started:
            self._live.stop()


def draw(picture: Picture) -> RenderableType:
    """The picture: children in one line, then what is wrong, then what is right, as far as there is room."""
    children = Text("  ").join(Text(f"● {name}", style=_style(state)) for name, state in picture.children.items())
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("RESOURCE", "PROGRAMMED", "PROXIES", "REASON"):
        table.add_column(column, no_wrap=column != "REASON")
    rows = sorted(picture.objects, key=lambda row: (row.programmed == "True", row.name))
    for row in rows[:_MAX_ROWS]:
        reason = "" if row.programmed == "True" else f"{row.reason}: {row.message}"
        table.add_row(row.name, Text(row.programmed, style=_style(row.programmed)), row.proxies, reason)
    more = [Text(f"and {len(rows) - _MAX_ROWS} more: ff get", style="dim")] if len(rows) > _MAX_ROWS else []
    return Group(Text(), children, Text(), table, *more, Text("Ctrl-C stops everything.", style="dim"))


def _style(state: str) -> str:
    return "green" if state in _GOOD else "yellow" if state in ("Unknown", "starting") else "red"
