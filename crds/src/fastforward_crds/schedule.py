"""When a rule of a Route holds: from an instant, until one, in hours of a week.

In: what a rule says. Out: `Schedule`, and instants as datetimes. Called by route, by the compiler and by the CLI.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Annotated, Literal

from pydantic import Field

from .formats import CLOCK, INSTANT, ZONE
from .instants import Existing
from .lists import Items
from .meta import Model, Rule

Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
WEEKDAYS: tuple[Weekday, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""In the order of `datetime.weekday`."""

Instant = Annotated[str, INSTANT, Existing()]
"""A point in time (RFC 3339)."""
Clock = Annotated[str, CLOCK]
"""A time of day."""


def parse_instant(text: str) -> datetime:
    """The point in time that an `Instant` names, in UTC. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def parse_clock(text: Clock) -> time:
    """The time of day; of `24:00` that of midnight."""
    return time(0) if text == "24:00" else time.fromisoformat(text)


class WeeklyHours(Model):
    """Hours of some days of the week."""

    days: Annotated[tuple[Weekday, ...], Items(least=1, most=7, distinct=True)] = WEEKDAYS
    """Days on which the hours begin."""
    from_: Annotated[Clock, Field(alias="from")] = "00:00"
    """When they begin, by the clocks of the zone."""
    until: Clock = "24:00"
    """When they end; on the next day unless it is later than `from`."""


class Schedule(Model):
    """When a rule holds. At any other time it is as if it were not written: the next rule takes the request."""

    from_: Annotated[Instant | None, Field(alias="from")] = None
    """When it begins; always has, when absent."""
    until: Instant | None = None
    """When it ends; never, when absent."""
    weekly: Annotated[tuple[WeeklyHours, ...], Items(most=16)] = ()
    """Hours of the week in which it holds between the two; all of them when empty."""
    zone: Annotated[str, ZONE] = "UTC"
    """Time zone of `weekly`."""

    rules_cel = (
        Rule(
            "has(self.from) || has(self.until) || (has(self.weekly) && size(self.weekly) > 0)",
            "A schedule says something: from, until or weekly.",
            "",
            lambda s: bool(s.from_ or s.until or s.weekly),
        ),
        Rule(
            "!has(self.from) || !has(self.until) || timestamp(self.from) < timestamp(self.until)",
            "A schedule ends after it has begun.",
            "until",
            lambda s: not (s.from_ and s.until) or parse_instant(s.from_) < parse_instant(s.until),
        ),
        Rule(
            "!has(self.zone) || self.zone == 'UTC' || (has(self.weekly) && size(self.weekly) > 0)",
            "Only weekly hours have a zone: instants say theirs.",
            "zone",
            lambda s: s.zone == "UTC" or bool(s.weekly),
        ),
    )
