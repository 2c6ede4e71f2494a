"""Routes with schedules, and when the next of their rules begins or ends to hold.

In: Routes, the time. Out: what `translate.schedule` says of each, when that is new. Called by compile, which has the
one instance. Why it exists: of ten thousand Routes those few are looked at whose time has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import fastforward_crds as crds

from .translate import schedule
from .translate.schedule import Hours

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""The time as long as nobody has told it."""


class Timetable:
    """Changes with `note` and `pass_to` alone."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self._routes: dict[str, crds.Route] = {}
        self._changes: dict[str, datetime] = {}

    @property
    def due(self) -> datetime | None:
        """When the next rule begins or ends to hold; None for never."""
        return min(self._changes.values(), default=None)

    def note(self, name: str, route: crds.Route | None) -> tuple[Hours | None, ...]:
        """Take in a Route, or that it is gone; returns the hours of its rules."""
        hours = schedule.hours_of(route, self.now) if route is not None else ()
        if route is None or not hours:
            self._routes.pop(name, None)
            self._changes.pop(name, None)
            return ()
        self._routes[name] = route
        self._set(name, hours)
        return hours

    def pass_to(self, now: datetime) -> Iterator[tuple[str, tuple[Hours | None, ...]]]:
        """It is `now`; yields each Route that was due, with its hours. Where clocks are set back, all of them."""
        back, self.now = now < self.now, now
        for name, route in list(self._routes.items()):
            due = self._changes.get(name)
            if back or (due is not None and due <= now):
                hours = schedule.hours_of(route, now)
                self._set(name, hours)
                yield name, hours

    def _set(self, name: str, hours: tuple[Hours | None, ...]) -> None:
        changes = [each.changes for each in hours if each is not None and each.changes is not None]
        if changes:
            self._changes[name] = min(changes)
        else:
            self._changes.pop(name, None)
