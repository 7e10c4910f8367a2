"""What visits add up to: by day, hour and species, what came first, and days in a row; pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from feeder.clock import to_local
from feeder.domain import Kind, Label, Visit

DAY = timedelta(days=1)

ABSENCE = 60
"""Whole days without a species after which its next visit is a first of the season."""


class Arrival(NamedTuple):
    """When a visit began, before which camera, and the frame that shows it best."""

    start: datetime
    deployment: str
    best: int


@dataclass(frozen=True, slots=True)
class First:
    """The first visit of a species ever, or after an `absence` of so many days."""

    label: Label
    arrival: Arrival
    absence: int | None


@dataclass(frozen=True, slots=True)
class Streak:
    """Days in a row, up to and with `last`; `is_current` where it may still go on."""

    days: int
    last: date
    is_current: bool


@dataclass(frozen=True, slots=True)
class Species:
    """One label's share: visits and their frames within the period, and the days they came on."""

    label: Label
    visits: int
    frames: int
    days: int
    last: Arrival
    streaks: tuple[Streak, ...]


@dataclass
class Statistics:
    """Visits added up by the local day and hour in which they began.

    `zone` gives a camera's zone. Visits before `since` count for what came first and for days in a
    row alone; those whose clock nobody vouched for are `undated` and count for their species alone.
    """

    zone: Callable[[str], ZoneInfo | None]
    since: datetime | None = None
    visits: int = 0
    undated: int = 0
    by_moment: Counter[tuple[date, int]] = field(default_factory=Counter)
    _labels: dict[str, Label] = field(default_factory=dict)
    _visits: Counter[str] = field(default_factory=Counter)
    _frames: Counter[str] = field(default_factory=Counter)
    _last: dict[str, Arrival] = field(default_factory=dict)
    _days: defaultdict[str, dict[date, Arrival]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, visits: Iterable[Visit]) -> "Statistics":
        """Counts visits, in whatever order they come."""
        for visit in visits:
            self._add(visit)
        return self

    def _add(self, visit: Visit) -> None:
        name = visit.label.name
        self._labels.setdefault(name, visit.label)
        arrival = Arrival(visit.start, visit.deployment, visit.best)
        counts = self._in_period(visit.start)
        if counts:
            self.visits += 1
            self._visits[name] += 1
            self._frames[name] += len(visit.media_ids)
            self._last[name] = max(arrival, self._last.get(name, arrival))
        if not visit.trusted:
            self.undated += counts
            return
        local = to_local(visit.start, self.zone(visit.deployment))
        if counts:
            self.by_moment[local.date(), local.hour] += 1
        days = self._days[name]
        days[local.date()] = min(arrival, days.get(local.date(), arrival))

    @property
    def by_day(self) -> dict[date, int]:
        """Visits on each day, from the first to the last that had any, oldest first."""
        counted: Counter[date] = Counter()
        for (day, _), count in self.by_moment.items():
            counted[day] += count
        if not counted:
            return {}
        first, last = min(counted), max(counted)
        span = range((last - first).days + 1)
        return {first + n * DAY: counted[first + n * DAY] for n in span}

    @property
    def by_hour(self) -> list[int]:
        """Visits in each of a day's 24 hours."""
        hours = [0] * 24
        for (_, hour), count in self.by_moment.items():
            hours[hour] += count
        return hours

    def species(self, today: date) -> list[Species]:
        """Every label of the period, the most frequent first."""
        return [
            Species(
                self._labels[name],
                count,
                self._frames[name],
                sum(self._in_period(arrival.start) for arrival in self._days[name].values()),
                self._last[name],
                streaks(self._days[name], today),
            )
            for name, count in sorted(self._visits.items(), key=lambda item: (-item[1], item[0]))
        ]

    def firsts(self, absence: int, is_species: Callable[[Label], bool]) -> list[First]:
        """The first visits of the period, newest first: ever, or after `absence` days without."""
        found = []
        for name, days in self._days.items():
            before: date | None = None
            for day, arrival in sorted(days.items()):
                away = days_away(before, day)
                is_new = is_first(away, absence)
                if is_new and is_species(self._labels[name]) and self._in_period(arrival.start):
                    found.append(First(self._labels[name], arrival, away))
                before = day
        return sorted(found, key=lambda first: first.arrival, reverse=True)

    def bird_streaks(self, today: date) -> tuple[Streak, ...]:
        """Days in a row with a bird of whatever species."""
        return streaks(
            {
                day
                for name, days in self._days.items()
                if self._labels[name].kind is Kind.BIRD
                for day in days
            },
            today,
        )

    def _in_period(self, start: datetime) -> bool:
        return self.since is None or start >= self.since


def days_away(before: date | None, day: date) -> int | None:
    """Whole days between the last day on which a species came and `day`; None without a last one.

    -1 where they are one day.
    """
    return None if before is None else (day - before).days - 1


def is_first(away: int | None, absence: int) -> bool:
    """Whether a visit after so many whole days away is the first ever, or after an `absence`."""
    return away is None or away >= absence


def streaks(days: Iterable[date], today: date) -> tuple[Streak, ...]:
    """The longest run of days in a row (the last of equal ones), then the current, if another.

    One that lasts until yesterday is current: today is not over.
    """
    runs: list[Streak] = []
    for day in sorted(set(days)):
        so_far = runs.pop().days if runs and runs[-1].last == day - DAY else 0
        runs.append(Streak(so_far + 1, day, day >= today - DAY))
    if not runs:
        return ()
    longest = max(runs, key=lambda run: (run.days, run.last))
    current = runs[-1]
    return (longest, current) if current.is_current and current != longest else (longest,)
