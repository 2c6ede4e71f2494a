"""When rules of a Route hold: what their schedules say of a point in time, and when that changes.

In: a Schedule and a point in time. Out: `Hours`, and in words. Called by compile, which hands time in, and by route.
The clock is nowhere here: the same resources at the same time are the same Snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import fastforward_crds as crds

_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
Window = tuple[datetime, datetime]
"""From, until."""


class Hours(NamedTuple):
    """Whether a rule holds, and when that changes; None for never."""

    holds: bool
    changes: datetime | None


def hours_of(route: crds.Route, now: datetime) -> tuple[Hours | None, ...]:
    """Of each rule of a Route; None for a rule that always holds, and nothing when all of them do."""
    if all(rule.schedule is None for rule in route.spec.rules):
        return ()
    return tuple(None if rule.schedule is None else judge(rule.schedule, now) for rule in route.spec.rules)


def judge(schedule: crds.Schedule, now: datetime) -> Hours:
    """What a schedule says of a point in time."""
    begin = crds.parse_instant(schedule.from_) if schedule.from_ is not None else None
    end = crds.parse_instant(schedule.until) if schedule.until is not None else None
    if end is not None and now >= end:
        return Hours(holds=False, changes=None)
    waits = begin is not None and now < begin
    start = begin if begin is not None and waits else now
    holds, changes = _judge_week(schedule, start)
    if waits:
        holds, changes = False, start if holds else changes
    if end is not None and (changes is None or changes >= end):
        # It ends while it holds, or before it would have begun.
        changes = end if holds else None
    return Hours(holds, changes)


def _judge_week(schedule: crds.Schedule, now: datetime) -> Hours:
    if not schedule.weekly:
        return Hours(holds=True, changes=None)
    for begin, end in _merged(sorted(_windows(schedule, now))):
        if now < begin:
            return Hours(holds=False, changes=begin)
        if now < end:
            # Whatever lasts a week without a break lasts for good.
            return Hours(holds=True, changes=end if end - now <= _WEEK else None)
    return Hours(holds=False, changes=None)


def _windows(schedule: crds.Schedule, now: datetime) -> Iterator[Window]:
    """From yesterday, whose hours may last until today, for a little more than a week.

    An hour that clocks skip is that much later; of one that they repeat, the first counts.
    """
    zone = ZoneInfo(schedule.zone)
    today = now.astimezone(zone).date()
    for day in (today + number * _DAY for number in range(-1, 10)):
        for hours in schedule.weekly:
            if crds.WEEKDAYS[day.weekday()] in hours.days:
                first, last = crds.parse_clock(hours.from_), crds.parse_clock(hours.until)
                ends = day if last > first else day + _DAY
                begin = datetime.combine(day, first, zone).astimezone(UTC)
                end = datetime.combine(ends, last, zone).astimezone(UTC)
                if begin < end:
                    yield begin, end


def _merged(windows: Iterable[Window]) -> list[Window]:
    """Those that touch or overlap as one; in: sorted."""
    made: list[Window] = []
    for begin, end in windows:
        if made and begin <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        else:
            made.append((begin, end))
    return made


def written(schedule: crds.Schedule) -> str:
    """A schedule in words, as it is written: `from 2026-12-24T18:00:00Z, Mon Tue 08:00-18:00 in Europe/Berlin`."""
    week = [f"{' '.join(hours.days)} {hours.from_}-{hours.until}" for hours in schedule.weekly]
    parts = [
        f"from {schedule.from_}" if schedule.from_ is not None else "",
        f"until {schedule.until}" if schedule.until is not None else "",
        f"{', '.join(week)} in {schedule.zone}" if week else "",
    ]
    return ", ".join(filter(None, parts))


def told(rule: str, hours: Hours) -> str:
    """What is said of a rule with a schedule."""
    when = "" if hours.changes is None else f"{hours.changes.isoformat().removesuffix('+00:00')}Z"
    if hours.holds:
        return f"Rule {rule} holds until {when}." if when else f"Rule {rule} holds."
    return f"Rule {rule} holds from {when}." if when else f"Rule {rule} holds no more."
