"""Brings the tally up to the log, a few days at a time, the newest first."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from time import tzname
from zoneinfo import ZoneInfo

from feeder import visit_history
from feeder.clock import to_local, to_utc
from feeder.log_changes import LogChanges, Period
from feeder.sighting_log import SightingLog
from feeder.tally import Tally
from feeder.visit_counts import count
from feeder.visit_history import VisitQuery
from feeder.visits import Groups

DAY = timedelta(days=1)

AT_ONCE = 7
"""Days counted in one go: it should take no longer than a page may wait for."""


@dataclass(frozen=True)
class Terms:
    """What visits are made by: on other terms everything is counted afresh."""

    gap: timedelta
    groups: Groups
    zones: Mapping[str, ZoneInfo | None]

    @property
    def key(self) -> str:
        """What only the same terms have."""
        said = {
            "gap": self.gap.total_seconds(),
            "groups": {name: sorted(members) for name, members in self.groups.items()},
            # The computer's own zone by its names for winter and summer.
            "zones": {name: str(zone or tzname) for name, zone in self.zones.items()},
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def look(log: SightingLog, tally: Tally, terms: Terms) -> None:
    """Notes which days are due since the log was last looked at. Raises as the log does."""
    before = tally.mark(terms.key)
    with LogChanges(log.path) as changes:
        found = changes.since(before)
    if found.mark == before:
        return
    due: set[date] = set()
    for period in found.periods:
        due |= _days(visit_history.bearing_on(log, terms.gap, *period), terms.zones)
    tally.note(terms.key, found.mark, due, afresh=found.is_other)


def work(log: SightingLog, tally: Tally, terms: Terms) -> bool:
    """Counts some of the days that are due; False where none are left. Raises as the log does."""
    mark = tally.mark(terms.key)
    newest = tally.due(AT_ONCE)
    if mark is None or not newest:
        return False
    days = [day for place, day in enumerate(newest) if (newest[0] - day).days == place]
    since = min(_start(days[-1], zone) for zone in terms.zones.values())
    until = max(_start(days[0] + DAY, zone) for zone in terms.zones.values())
    visits = visit_history.read(log, terms.gap, terms.groups, VisitQuery(since, until, begun=True))
    chosen = set(days)
    counts = count(visits, terms.zones.get, mark.favorites)
    tally.replace(days, (one for one in counts if one.day in chosen))
    return True


def _days(period: Period, zones: Mapping[str, ZoneInfo | None]) -> set[date]:
    """The local days at any camera that a period touches."""
    found: set[date] = set()
    for zone in zones.values():
        first, last = (to_local(instant, zone).date() for instant in period)
        found |= {first + n * DAY for n in range((last - first).days + 1)}
    return found


def _start(day: date, zone: ZoneInfo | None) -> datetime:
    return to_utc(datetime.combine(day, time()), zone)
