"""Visits -> what each species' day at each camera adds up to; pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from feeder.clock import to_local
from feeder.domain import Label, Visit

HOURS = 24


@dataclass(slots=True)
class DayCount:
    """The visits of one label before one camera that began on one local day.

    `hours` are those that began in each hour; those whose clock nobody vouched for are in `undated`
    instead. `first` and `last` are when the first and the last began, UTC. `best` is the frame to
    show, of the visit with the highest `confidence`, a favorite before all others.
    """

    day: date
    camera: str
    label: Label
    hours: list[int] = field(default_factory=lambda: [0] * HOURS)
    undated: int = 0
    frames: int = 0
    first: datetime | None = None
    last: datetime | None = None
    best: int = 0
    confidence: float = 0.0
    is_favorite: bool = False

    @property
    def visits(self) -> int:
        """Those whose time is known."""
        return sum(self.hours)

    def add(self, visit: Visit, hour: int, is_favorite: bool) -> None:
        """Counts one more; the order they come in makes no difference."""
        if visit.trusted:
            self.hours[hour] += 1
        else:
            self.undated += 1
        self.frames += len(visit.media_ids)
        self.first = visit.start if self.first is None else min(self.first, visit.start)
        self.last = visit.start if self.last is None else max(self.last, visit.start)
        self.label = max(self.label, visit.label, key=lambda one: (one.scientific_name, one.kind))
        showing = (is_favorite, visit.confidence, -visit.best)
        if self.best == 0 or showing > (self.is_favorite, self.confidence, -self.best):
            self.is_favorite, self.confidence, self.best = is_favorite, visit.confidence, visit.best


def count(
    visits: Iterable[Visit],
    zone: Callable[[str], ZoneInfo | None],
    favorites: frozenset[int],
) -> list[DayCount]:
    """What visits add up to, by the local day at their camera on which they began.

    `favorites` are media ids; a visit with any of them is one.
    """
    found: dict[tuple[date, str, str], DayCount] = {}
    for visit in visits:
        local = to_local(visit.start, zone(visit.deployment))
        key = local.date(), visit.deployment, visit.label.name
        if key not in found:
            found[key] = DayCount(local.date(), visit.deployment, visit.label)
        found[key].add(visit, local.hour, not favorites.isdisjoint(visit.media_ids))
    return [found[key] for key in sorted(found)]
