"""Periods of the calendar: every second is in one of each kind, and the next begins where one ends."""

from datetime import UTC, datetime

import pytest
from fastforward_pipeline.calendar import Period
from hypothesis import given
from hypothesis import strategies as st

LATEST = datetime(9999, 11, 30, tzinfo=UTC).timestamp()


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "begin", "end"),
    [
        (Period.HOUR, "2026-11-27T12:34:56", "2026-11-27T12:00:00", "2026-11-27T13:00:00"),
        (Period.DAY, "2026-11-27T23:59:59", "2026-11-27T00:00:00", "2026-11-28T00:00:00"),
        (Period.DAY, "2026-11-28T00:00:00", "2026-11-28T00:00:00", "2026-11-29T00:00:00"),
        (Period.WEEK, "2026-11-29T23:59:59", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        (Period.WEEK, "2026-11-30T00:00:00", "2026-11-30T00:00:00", "2026-12-07T00:00:00"),
        (Period.MONTH, "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        (Period.MONTH, "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_a_period_is_that_of_the_calendar(period: Period, now: str, begin: str, end: str) -> None:
    assert period.around(at(now)) == (at(begin), at(end))


@given(st.sampled_from(Period), st.floats(0, LATEST))
def test_periods_follow_one_another(period: Period, now: float) -> None:
    begin, end = period.around(now)
    assert begin <= now < end
    assert period.around(begin) == (begin, end)
    assert period.around(end - 1) == (begin, end)
    assert period.around(end)[0] == end


@given(st.sampled_from(Period), st.floats(allow_nan=False, allow_infinity=False))
def test_no_clock_breaks_it(period: Period, now: float) -> None:
    begin, end = period.around(now)
    assert begin < end
