"""What a day or a week at the feeder comes to, for a page to send on; pure on visits."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from feeder.clock import to_local
from feeder.domain import Kind, Label, Visit
from feeder.report_period import Period
from feeder.visit_statistics import First, Statistics

ABSENCE_DAYS = 60
"""Days without a species after which its next visit is the first of a season."""

SURE = 0.5
"""The mean probability that one visit of a species needs for it to be named without a `?`."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One label's part of the period, its visits oldest first.

    `is_species` is False of unidentified birds and groups of look-alikes; `first` says that this
    was its first visit ever, or after an absence.
    """

    label: Label
    visits: tuple[Visit, ...]
    is_species: bool
    first: First | None = None

    @property
    def is_sure(self) -> bool:
        """Whether a person named it, or the model was sure of one visit at least."""
        return any(one.is_by_person or one.confidence >= SURE for one in self.visits)

    @property
    def name(self) -> str:
        """As it is shown: with a `?` where nobody is sure."""
        return self.label.name if self.is_sure else f"{self.label.name}?"

    @property
    def news(self) -> str:
        """`first ever`, `first of the season`, or ""."""
        if self.first is None:
            return ""
        return "first ever" if self.first.absence is None else "first of the season"


@dataclass(frozen=True, slots=True)
class Report:
    """A period's visits: who came, those that are sure first, then the most frequent.

    `by_hour` counts the visits that began in each of a day's 24 hours, at its own camera's time;
    `undated` ones are not among them. `streak` are the days in a row with a bird up to and
    with the period's last, or today in one that is not over; 0 where that had none. `begins`
    says that the log has nothing older. `zone` gives a camera's time zone.
    """

    period: Period
    place: str
    zone: Callable[[str], ZoneInfo | None]
    guests: tuple[Guest, ...]
    by_hour: tuple[int, ...]
    undated: int
    streak: int
    begins: bool

    @property
    def visits(self) -> int:
        """All of them."""
        return sum(len(guest.visits) for guest in self.guests)

    @property
    def bird_species(self) -> int:
        """Kinds of bird that were named for sure."""
        return sum(
            guest.is_species and guest.is_sure and guest.label.kind is Kind.BIRD
            for guest in self.guests
        )

    @property
    def busiest(self) -> int | None:
        """The hour in which most visits began, the first of equal ones; None without any."""
        most = max(self.by_hour)
        return self.by_hour.index(most) if most else None


def gather(
    visits: Iterable[Visit],
    period: Period,
    place: str,
    zone: Callable[[str], ZoneInfo | None],
    today: date,
    alike: Collection[str] = (),
    absence: int = ABSENCE_DAYS,
) -> Report:
    """The report on a period, from all visits up to its end, in whatever order they come.

    Only the whole history knows what came first. `zone` gives a camera's zone; `alike` are names
    of groups of look-alikes. People are left out.
    """
    counted = Statistics(zone, period.since)
    found: dict[str, list[Visit]] = {}
    oldest: date | None = None
    for visit in visits:
        if visit.label.kind not in (Kind.BIRD, Kind.MAMMAL) or visit.start >= period.until:
            continue
        counted.add([visit])
        if visit.start >= period.since:
            found.setdefault(visit.label.name, []).append(visit)
        if visit.trusted:
            day = to_local(visit.start, zone(visit.deployment)).date()
            oldest = day if oldest is None else min(oldest, day)

    def is_species(label: Label) -> bool:
        return not label.is_any_bird and label.name not in alike

    begins = oldest is None or oldest >= period.first
    # On the first day of all, everything is new, and nothing is news.
    firsts = [] if begins else counted.firsts(absence, is_species)
    first = {one.label.name: one for one in reversed(firsts)}
    end = min(period.last, today)
    guests = []
    for name, theirs in found.items():
        label = theirs[0].label
        guest = Guest(label, tuple(sorted(theirs, key=_start)), is_species(label))
        if guest.is_sure and name in first:
            guest = Guest(label, guest.visits, guest.is_species, first[name])
        guests.append(guest)
    return Report(
        period,
        place,
        zone,
        tuple(sorted(guests, key=_order)),
        tuple(counted.by_hour),
        counted.undated,
        next((one.days for one in counted.bird_streaks(end) if one.last == end), 0),
        begins,
    )


def _start(visit: Visit) -> datetime:
    return visit.start


def _order(guest: Guest) -> tuple[bool, bool, int, str]:
    return not guest.is_sure, not guest.is_species, -len(guest.visits), guest.label.name
