"""What a day or a week at the feeder comes to, for a page to send on."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from feeder.clock import to_local
from feeder.domain import Kind, Label, Visit
from feeder.report.earlier import Earlier
from feeder.report.periods import Period
from feeder.visit_statistics import ABSENCE, DAY, Statistics, days_away, is_first
from feeder.visits import is_species

SURE = 0.5
"""The mean probability that one visit of a species needs for it to be named without a `?`;"""

CLEAR, CLEAR_FRAMES = 0.9, 2
"""or so many frames of one visit with this much: a bird is not seen well on most of them."""


@dataclass(frozen=True, slots=True)
class Guest:
    """One label's part of the period, its visits oldest first.

    `is_species` is False of unidentified birds and groups of look-alikes, `is_sure` where nobody
    is sure of the name. `news` is "first ever", "first of the season", or "".
    """

    label: Label
    visits: tuple[Visit, ...]
    is_species: bool
    is_sure: bool
    news: str = ""

    @property
    def name(self) -> str:
        """As it is shown: with a `?` where nobody is sure."""
        return self.label.name if self.is_sure else f"{self.label.name}?"


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
        """The hour in which most visits began; None without any, or where several have as many."""
        most = max(self.by_hour)
        return self.by_hour.index(most) if most and self.by_hour.count(most) == 1 else None


def gather(
    visits: Iterable[Visit],
    period: Period,
    place: str,
    zone: Callable[[str], ZoneInfo | None],
    today: date,
    clear: Callable[[Visit], int],
    earlier: Callable[[Collection[str]], Earlier],
    alike: Collection[str] = (),
) -> Report:
    """The report on a period, from the visits that began in it, in whatever order they come.

    `zone` gives a camera's zone, `clear` the frames of a visit that show its label with at least
    `CLEAR`; `earlier` is asked what was before of the species that came.
    `alike` are names of groups of look-alikes. People are left out.
    """
    counted = Statistics(zone)
    found: dict[str, list[Visit]] = {}
    bird_days = set()
    for visit in visits:
        if visit.label.kind not in (Kind.BIRD, Kind.MAMMAL):
            continue
        counted.add([visit])
        found.setdefault(visit.label.name, []).append(visit)
        if visit.trusted and visit.label.kind is Kind.BIRD:
            bird_days.add(to_local(visit.start, zone(visit.deployment)).date())
    guests = []
    for theirs in found.values():
        label = theirs[0].label
        is_one = is_species(label, alike)
        is_sure = any(map(_is_named, theirs)) or any(
            clear(visit) >= CLEAR_FRAMES for visit in theirs
        )
        guests.append(Guest(label, tuple(sorted(theirs, key=_start)), is_one, is_sure))
    before = earlier([one.label.name for one in guests if one.is_species])
    if not before.begins:  # else everything is new, and nothing is news
        guests = [replace(one, news=_news(one, before, zone)) for one in guests]
    return Report(
        period,
        place,
        zone,
        tuple(sorted(guests, key=_order)),
        tuple(counted.by_hour),
        counted.undated,
        _streak(bird_days, period.first, min(period.last, today), before.streak),
        before.begins,
    )


def _news(guest: Guest, before: Earlier, zone: Callable[[str], ZoneInfo | None]) -> str:
    dated = [one for one in guest.visits if one.trusted]
    if not (guest.is_species and guest.is_sure and dated):
        return ""
    last = before.last_seen.get(guest.label.name)
    if last is None:
        return "first ever"
    day = to_local(dated[0].start, zone(dated[0].deployment)).date()
    return "first of the season" if is_first(days_away(last, day), ABSENCE) else ""


def _streak(bird_days: Collection[date], first: date, end: date, before: int) -> int:
    """Days in a row up to `end`; those `before` count where they reach the first day."""
    day = end
    while day >= first:
        if day not in bird_days:
            return (end - day).days
        day -= DAY
    return (end - day).days + before


def _is_named(visit: Visit) -> bool:
    return visit.is_by_person or visit.confidence >= SURE


def _start(visit: Visit) -> datetime:
    return visit.start


def _order(guest: Guest) -> tuple[bool, bool, int, str]:
    return not guest.is_sure, not guest.is_species, -len(guest.visits), guest.label.name
