"""Quiet hours."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeder.alerts.quiet_hours import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
"""Clocks go forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00."""


def local(text: str, fold: int = 0) -> datetime:
    """What clocks in Berlin show, as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ("2026-06-01T21:59:59", None),
        ("2026-06-01T22:00", "2026-06-02T06:30"),
        ("2026-06-02T00:00", "2026-06-02T06:30"),
        ("2026-06-02T06:29:59", "2026-06-02T06:30"),
        ("2026-06-02T06:30", None),
        ("2026-03-28T23:00", "2026-03-29T06:30"),
        ("2026-10-24T23:00", "2026-10-25T06:30"),
    ],
)
def test_quiet_lasts_over_midnight_as_clocks_show_it(at: str, ends: str | None) -> None:
    """Its start belongs to it and its end does not, also in nights in which clocks change."""
    hours = QuietHours(time(22), time(6, 30), BERLIN)
    assert hours.until(local(at)) == (local(ends) if ends else None)


def test_quiet_by_day_stays_within_it() -> None:
    """A midday nap is no night."""
    hours = QuietHours(time(12), time(14), BERLIN)
    assert hours.until(local("2026-06-01T13:00")) == local("2026-06-01T14:00")
    assert hours.until(local("2026-06-01T23:00")) is None
    assert hours.until(local("2026-06-01T11:59")) is None


def test_an_end_that_comes_twice_is_the_second() -> None:
    """Where clocks go back, the hour that comes again is quiet again, in one stretch."""
    hours = QuietHours(time(22), time(2, 30), BERLIN)
    end = local("2026-10-25T02:30", fold=1)
    for at in (local("2026-10-25T02:15"), local("2026-10-25T02:45"), end - timedelta(seconds=1)):
        assert hours.until(at) == end
    assert hours.until(end) is None


def test_a_time_that_is_skipped_is_when_clocks_are_put_forward() -> None:
    """Neither a start nor an end gets lost in the hour that does not come."""
    skip = local("2026-03-29T03:00")
    assert QuietHours(time(22), time(2, 30), BERLIN).until(skip - timedelta(seconds=1)) == skip
    starts = QuietHours(time(2, 30), time(7), BERLIN)
    assert starts.until(skip) == local("2026-03-29T07:00")
    assert starts.until(skip - timedelta(seconds=1)) is None


TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30]))
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
MINUTES = st.integers(0, 366 * 24 * 60)


@given(TIMES, TIMES, ZONES, MINUTES)
def test_quiet_and_loud_share_no_moment_and_leave_none(
    start: time, end: time, zone: str, minutes: int
) -> None:
    """A quiet moment's stretch is one and ends loud; a day has no more than one and its rest."""
    loud = (start.hour - end.hour) * 60 + start.minute - end.minute
    if loud % (24 * 60) < 60:  # quiet all day, but for what a night of two hours more takes
        return
    hours = QuietHours(start, end, ZoneInfo(zone))
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ends = hours.until(at)
    shown = at.astimezone(ZoneInfo(zone)).time()
    is_shown = start <= shown < end if start < end else shown >= start or shown < end
    if is_shown:
        assert ends is not None
    if ends is None:
        return
    assert at < ends <= at + timedelta(hours=25)
    assert hours.until(ends) is None
    assert hours.until(ends - timedelta(seconds=1)) == ends
    middle = at + (ends - at) / 2
    assert hours.until(middle) == ends
