"""The log's visits, newest first: computed as they are asked for, at whatever gap."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from feeder.clock import MOMENT
from feeder.domain import Sighting, Visit
from feeder.sighting_log import SightingLog
from feeder.visits import WINDOW, Groups, in_order

Place = tuple[datetime, datetime, int]
"""A visit's place in the order in which they are read: its start, its end, its last frame."""


@dataclass(frozen=True, slots=True)
class VisitQuery:
    """Which visits: those that any moment from `since` on and before `until` (UTC) fell into.

    With `begun` only those that began then, so that periods side by side share none. `labels` are
    names; None of anything is all of it. Only what comes after the `place` of a visit, where it is
    given, in the order in which they are read. `newest` is the last media id that counts: visits
    stay as they were while frames are added.
    """

    since: datetime | None = None
    until: datetime | None = None
    labels: frozenset[str] | None = None
    deployment: str | None = None
    limit: int | None = None
    begun: bool = False
    after: Place | None = None
    newest: int | None = None


def read(log: SightingLog, gap: timedelta, groups: Groups, query: VisitQuery) -> Iterator[Visit]:
    """Visits by their start, the newest first, each whole also where the period cuts it.

    Memory does not grow with the log. Raises LogbookError as the log does.
    """
    if query.after is not None:
        until = query.after[0] + MOMENT
        query = replace(query, until=min(until, query.until or until))
    sightings = log.in_order(
        until=_quiet_after(log, gap, query),
        deployment=query.deployment,
        newest=query.newest,
        newest_first=True,
    )
    if query.since is not None:
        sightings = _back_to_quiet(sightings, query.since, gap)
    found = (visit for visit in in_order(sightings, gap, groups) if _fits(visit, query))
    yield from islice(found, query.limit)


def bearing_on(
    log: SightingLog, gap: timedelta, since: datetime, until: datetime
) -> tuple[datetime, datetime]:
    """The time in which all visits lie that frames within a period may have a part in.

    It ends where nothing is seen for so long that what comes before has no bearing on what comes
    after, whatever the frames within the period show.
    """
    start = since
    earlier = log.in_order(until=since, newest_first=True)
    for sighting in _back_to_quiet(earlier, since, gap):
        start = sighting.captured_at
    end = _quiet_after(log, gap, VisitQuery(until=until))
    assert end is not None
    return start, end


def of_frame(
    log: SightingLog, gap: timedelta, groups: Groups, media_id: int, deployment: str, at: datetime
) -> Visit | None:
    """The visit that a frame is of, taken by `deployment` at the instant `at`; None where none."""
    query = VisitQuery(at, at + MOMENT, deployment=deployment)
    visits = read(log, gap, groups, query)
    return next((visit for visit in visits if media_id in visit.media_ids), None)


def recent(
    log: SightingLog, gap: timedelta, most: int, since: datetime | None = None
) -> list[Sighting]:
    """The newest sightings back to a silence that no visit spans, at most so many.

    With `since` to such a silence before that instant.
    """
    newest_first = log.in_order(newest_first=True)
    found: list[Sighting] = []
    later = since
    for sighting in newest_first:
        at = sighting.captured_at
        if later is not None and _is_quiet(later - at, gap):
            break
        later = at if since is None else min(since, at)
        found.append(sighting)
        if len(found) == most:
            break
    return found


def place(visit: Visit) -> Place:
    """Where a visit is among all, which no other is."""
    return visit.start, visit.end, visit.media_ids[-1]


def _fits(visit: Visit, query: VisitQuery) -> bool:
    last = visit.start if query.begun else visit.end
    return (
        (query.after is None or _comes_after(place(visit), query.after))
        and (query.labels is None or visit.label.name in query.labels)
        and (query.since is None or last >= query.since)
        and (query.until is None or visit.start < query.until)
    )


def _comes_after(one: Place, other: Place) -> bool:
    """Whether it is read later: it began earlier or, at the same moment, ended later."""
    return one[0] < other[0] or (one[0] == other[0] and one[1:] > other[1:])


def _is_quiet(silence: timedelta, gap: timedelta) -> bool:
    """Whether what lies before a silence and what lies after have nothing to do with each other."""
    return silence >= gap and silence > WINDOW


def _quiet_after(log: SightingLog, gap: timedelta, query: VisitQuery) -> datetime | None:
    """The end of what visits before `until` may depend on."""
    end = query.until
    if end is None:
        return None
    for sighting in log.in_order(since=end, deployment=query.deployment, newest=query.newest):
        if _is_quiet(sighting.captured_at - end, gap):
            break
        end = sighting.captured_at + MOMENT
    return end


def _back_to_quiet(
    newest_first: Iterable[Sighting], since: datetime, gap: timedelta
) -> Iterator[Sighting]:
    """Sightings back to a silence before `since`."""
    later = since
    for sighting in newest_first:
        at = sighting.captured_at
        if _is_quiet(later - at, gap):
            return
        later = min(later, at)
        yield sighting
