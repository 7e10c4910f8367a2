"""One local day's visits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from feeder import visit_history
from feeder.clock import to_local, to_utc
from feeder.domain import Visit
from feeder.query_terms import NoSuchTime
from feeder.visit_history import VisitQuery
from feeder.web.desk import Desk

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayView:
    """The visits that any moment of a day fell into, newest first, and the cameras' zones."""

    day: date
    visits: Sequence[Visit]
    zones: Mapping[str, ZoneInfo | None]

    @property
    def species(self) -> list[tuple[str, int]]:
        """The day's labels with their visits, the most frequent first."""
        counted = Counter(visit.label.name for visit in self.visits)
        return sorted(counted.items(), key=lambda item: (-item[1], item[0]))

    @property
    def undated(self) -> int:
        """Visits whose time is unsure."""
        return sum(not visit.trusted for visit in self.visits)

    @property
    def by_hour(self) -> list[int]:
        """Visits that began in each of the day's 24 hours; without those whose time is unsure."""
        hours = [0] * 24
        for visit in self.visits:
            began = to_local(visit.start, self.zones.get(visit.deployment))
            if visit.trusted and began.date() == self.day:
                hours[began.hour] += 1
        return hours


def as_day(text: str) -> date:
    """`2026-05-01`. Raises NoSuchTime for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not date.min + DAY < day < date.max - DAY:  # its ends are instants in every zone
        raise NoSuchTime(f"{text!r} is no day; write it like 2026-05-01")
    return day


def period(day: date, zone: ZoneInfo | None) -> tuple[datetime, datetime]:
    """When a local day begins and ends, UTC; it may have 23 hours or 25."""
    return to_utc(datetime.combine(day, time()), zone), to_utc(
        datetime.combine(day + DAY, time()), zone
    )


def on(desk: Desk, day: date) -> DayView:
    """What the log has of a day, as clocks at the first camera count it. Raises as the log does."""
    since, until = period(day, desk.zone)
    found = visit_history.read(
        desk.log, desk.settings.visits.gap, desk.groups, VisitQuery(since, until)
    )
    return DayView(day, list(found), desk.zones)


def newest(desk: Desk, most: int) -> list[Visit]:
    """The last visits there were. Raises as the log does."""
    query = VisitQuery(limit=most)
    return list(visit_history.read(desk.log, desk.settings.visits.gap, desk.groups, query))
