"""`feeder stats`: what the visits add up to."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from feeder import config, visit_history
from feeder.cli.output import err, examples, local, out, say, table, write_json
from feeder.cli.plots import bars, heat
from feeder.cli.selection import Selection, known_vocabulary, select, selecting
from feeder.clock import to_local
from feeder.domain import Kind, Label, Visit
from feeder.log_records import statistics_record
from feeder.query_terms import groups
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery
from feeder.visit_statistics import ABSENCE, DAY, Arrival, First, Statistics
from feeder.visits import is_species

DAYS = 31
WEEKS = 26
"""Rows of days, then of weeks, before months take their place."""

SECTIONS = ("species", "day", "hour", "first", "streak")


@click.command(
    epilog=examples(
        "feeder stats                                 # the whole history",
        "feeder stats --since 2026-05-01 --until 2026-05-31",
        'feeder stats --species "House Sparrow" --by hour',
        "feeder stats --by species > species.tsv",
        "feeder stats --json | jq .first",
    )
)
@selecting
@click.option("--by", type=click.Choice(SECTIONS), help="This alone; a plain table in a pipe.")
@click.option(
    "--absence",
    metavar="DAYS",
    default=ABSENCE,
    show_default=True,
    type=click.IntRange(1),
    help="A visit after so many days without its species is a first of the season.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_obj
def stats(
    path: Path,
    since: str | None,
    until: str | None,
    species: str | None,
    deployment: str | None,
    by: str | None,
    absence: int,
    as_json: bool,
) -> None:
    """Counts visits by species, day and hour; first visits, and days in a row.

    A visit counts on the day and in the hour in which it began, as clocks at its camera show them.
    A first is the first visit of a species ever or, of the season, after at least --absence whole
    days without it. Days in a row are counted over the whole history up to the period's end.
    Unidentified birds and groups of look-alikes count as visits, not as species.
    """
    settings = config.load(path)
    vocabulary = known_vocabulary(settings)
    chosen = select(settings, vocabulary, since, until, species, deployment)
    alike = groups(vocabulary)
    # What came first, and for how many days in a row, only the whole history knows.
    needs_history = as_json or by in (None, "first", "streak")
    query = VisitQuery(
        None if needs_history else chosen.since,
        chosen.until,
        chosen.labels,
        deployment,
        begun=True,
    )
    log = SightingLog(settings.database)
    counted = Statistics(chosen.zones.get, chosen.since).add(
        _shown(visit_history.read(log, settings.visits.gap, alike, query))
    )
    if not counted.visits:
        chosen.say_none("visits")
    zone = chosen.zones[deployment or settings.deployments[0].name]
    end = min(datetime.now(UTC), chosen.until or datetime.max.replace(tzinfo=UTC))
    report = Report(
        chosen,
        counted,
        today=to_local(end, zone).date(),
        absence=absence,
        is_species=partial(is_species, groups=alike),
    )
    if as_json:
        write_json(report.as_json())
    else:
        report.show([by] if by else SECTIONS)


@dataclass(frozen=True)
class Report:
    """The statistics of a selection, in the forms in which they are written."""

    chosen: Selection
    counted: Statistics
    today: date
    absence: int
    is_species: Callable[[Label], bool]

    def show(self, sections: Sequence[str]) -> None:
        """Charts on a terminal; in a pipe tables, a blank line between two."""
        draw = {
            "species": self._species,
            "day": self._days,
            "hour": self._hours,
            "first": self._firsts,
            "streak": self._streaks,
        }
        if len(sections) > 1:
            say(self._summary())
        for section in sections:
            if len(sections) > 1:
                say("")
            draw[section]()

    def as_json(self) -> dict[str, Any]:
        """Everything, in one document."""
        return statistics_record(
            self.counted,
            until=self.chosen.until,
            today=self.today,
            absence=self.absence,
            is_species=self.is_species,
        )

    def _summary(self) -> str:
        counted, species = self.counted, self.counted.species(self.today)
        birds = sum(self.is_species(one.label) and one.label.kind is Kind.BIRD for one in species)
        days = list(counted.by_day)
        when = f", {days[0]} to {days[-1]}" if days else ""
        undated = f"; {counted.undated} at times nobody vouches for" if counted.undated else ""
        return f"{_many(counted.visits, 'visit')} of {birds} bird species{when}{undated}"

    def _species(self) -> None:
        rows = self.counted.species(self.today)
        if out.is_terminal:
            bars(
                "Visits by species",
                [(one.label.name, one.visits, _many(one.days, "day")) for one in rows],
            )
            return
        table(
            ("species", "visits", "frames", "days", "last"),
            [
                (one.label.name, one.visits, one.frames, one.days, self._time(one.last))
                for one in rows
            ],
        )

    def _days(self) -> None:
        hours = range(24)
        if out.is_terminal:
            rows = _spans(self.counted.by_moment)
            heads = "".join(f"{hour:02}".ljust(6) for hour in hours[::6])
            heat("Visits by day and hour", heads, rows)
            return
        moments = self.counted.by_moment
        table(
            ("day", "visits", *(f"{hour:02}" for hour in hours)),
            [
                (day, count, *(moments[day, hour] for hour in hours))
                for day, count in self.counted.by_day.items()
            ],
        )

    def _hours(self) -> None:
        counts = self.counted.by_hour
        if out.is_terminal:
            busy = [hour for hour, count in enumerate(counts) if count]
            shown = range(busy[0], busy[-1] + 1) if busy else ()
            bars("Visits by hour", [(f"{hour:02}", counts[hour], "") for hour in shown])
            return
        table(("hour", "visits"), [(f"{hour:02}", count) for hour, count in enumerate(counts)])

    def _firsts(self) -> None:
        table(
            ("species", "first visit", "camera", "best frame", "after"),
            [
                (
                    first.label.name,
                    self._time(first.arrival),
                    first.arrival.deployment,
                    first.arrival.best,
                    "first ever" if first.absence is None else f"{first.absence} days",
                )
                for first in self._first()
            ],
            title="First visits, ever and of the season",
        )

    def _streaks(self) -> None:
        named = [("any bird", self.counted.bird_streaks(self.today))]
        named += [
            (one.label.name, one.streaks)
            for one in self.counted.species(self.today)
            if self.is_species(one.label)
        ]
        table(
            ("days in a row", "days", "up to", ""),
            [
                (name, streak.days, streak.last, "goes on" if streak.is_current else "")
                for name, streaks in named
                for streak in streaks
            ],
            title="Days in a row",
        )

    def _first(self) -> list[First]:
        return self.counted.firsts(self.absence, self.is_species)

    def _time(self, arrival: Arrival) -> str:
        return local(arrival.start, self.chosen.zones.get(arrival.deployment))


def _spans(moments: Counter[tuple[date, int]]) -> list[tuple[str, list[int]]]:
    """Visits in each hour of each day, or of each week or month where those are too many."""
    if not moments:
        return []
    first, last = min(moments)[0], max(moments)[0]
    days = (last - first).days + 1
    if days <= DAYS:
        name = _day
    elif days <= WEEKS * 7:
        name = _week
    else:
        name = _month
    spans: dict[str, list[int]] = {}
    for number in range(days):
        day = first + number * DAY
        counts = spans.setdefault(name(day), [0] * 24)
        for hour in range(24):
            counts[hour] += moments[day, hour]
    return list(spans.items())


def _day(day: date) -> str:
    return f"{day:%a %Y-%m-%d}"


def _week(day: date) -> str:
    return f"week of {day - day.weekday() * DAY}"


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _shown(visits: Iterator[Visit]) -> Iterator[Visit]:
    """The visits, with a word on how far they have been read."""
    with err.status("reading the log") as status:
        for number, visit in enumerate(visits):
            if number % 500 == 0:
                status.update(f"reading the log, back to {visit.start:%Y-%m-%d}")
            yield visit
