"""Periods of the calendar, in UTC: those that quotas are for.

In: a period and a time, in Unix seconds. Out: when the period began and when the next one begins. Called by
stages/ratelimit. No time zone: what a day is must not depend on where a decision service runs, nor on its database of
zones.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

_HOUR, _DAY = 3600, 86_400
_WEEK = 7 * _DAY
_FIRST_MONDAY = 4 * _DAY
"""Unix time began on a Thursday."""
_LATEST = 253_402_300_799
"""The last second that has a month."""


class Period(StrEnum):
    """As people write them."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def around(self, now: float) -> tuple[int, int]:
        """Returns the beginning of the period that `now` is in, and that of the next one."""
        second = min(max(int(now), 0), _LATEST)
        match self:
            case Period.HOUR:
                begin = second - second % _HOUR
                return begin, begin + _HOUR
            case Period.DAY:
                begin = second - second % _DAY
                return begin, begin + _DAY
            case Period.WEEK:
                begin = second - (second - _FIRST_MONDAY) % _WEEK
                return begin, begin + _WEEK
            case Period.MONTH:
                return _month_around(second)


def _month_around(second: int) -> tuple[int, int]:
    first = datetime.fromtimestamp(second, UTC).replace(day=1, hour=0, minute=0, second=0)
    december = first.month == 12
    year, month = (first.year + 1, 1) if december else (first.year, first.month + 1)
    begin = int(first.timestamp())
    if year > 9999:
        return begin, begin + 31 * _DAY
    return begin, int(first.replace(year=year, month=month).timestamp())
