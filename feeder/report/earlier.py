"""What the log had before a day: when each guest was last there, and for how many days in a row.

Read back from that day as far as need be, and not through the years. It goes by sightings: a frame
that was misread then counts as one, so that nothing is called new for want of a second look.
"""

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from feeder.clock import to_local
from feeder.domain import Kind, Sighting
from feeder.report.periods import Period
from feeder.sighting_log import SightingLog

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was before a period: the day each name was last seen, none where it never was.

    `streak` are the days in a row with a bird up to the day before; `begins` says that there was
    nothing at all.
    """

    last_seen: dict[str, date] = field(default_factory=dict)
    streak: int = 0
    begins: bool = False


def look_back(
    log: SightingLog,
    names: Iterable[str],
    period: Period,
    absence: int,
    deployment: str | None = None,
) -> Earlier:
    """What the log had before the period, at one camera or all; raises LogbookError as it does.

    `absence` are the days after which it no longer matters on which day a name was seen, but only
    that it was.
    """
    wanted, last_seen = set(names), dict[str, date]()
    far = period.since - (absence + 1) * DAY
    begins = True
    sightings = log.in_order(until=period.since, deployment=deployment, newest_first=True)
    with closing(_dated(sightings)) as newest_first:
        for sighting in newest_first:
            begins = False
            if sighting.label.name in wanted:
                last_seen[sighting.label.name] = _day(sighting.captured_at, period.zone)
                wanted.remove(sighting.label.name)
            if not wanted or sighting.captured_at < far:
                break
    for name in wanted if not begins else ():
        at = log.last_of(name, far, deployment)
        if at is not None:
            last_seen[name] = _day(at, period.zone)
    return Earlier(last_seen, _streak(log, period, deployment), begins)


def _streak(log: SightingLog, period: Period, deployment: str | None) -> int:
    for days in count():
        try:
            first = period.first - (days + 1) * DAY
            day = Period(first, first, period.zone)
            since, until = day.since, day.until
        except OverflowError:
            return days
        sightings = log.in_order(since=since, until=until, deployment=deployment)
        with closing(_dated(sightings)) as found:
            if not any(one.label.kind is Kind.BIRD for one in found):
                return days
    raise AssertionError("the days end")


def _dated(sightings: Iterable[Sighting]) -> Generator[Sighting, None, None]:
    """Those whose time somebody vouches for; closing it lets go of the log."""
    yield from (one for one in sightings if one.trusted)


def _day(at: datetime, zone: ZoneInfo | None) -> date:
    return to_local(at, zone).date()
