"""Visits while they go on: sightings in whatever order they come, the same visits as of all."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from feeder.domain import Label, Sighting, Visit
from feeder.visits import REACH, Grouping, Groups, Settling, Stream, stream_of, when


class Tracker:
    """The visits of the sightings that were added and not forgotten: exactly `visits` of them."""

    def __init__(self, gap: timedelta, groups: Groups) -> None:
        self.gap = gap
        self.groups = groups
        self._streams: dict[Stream, _Stream] = {}
        self.media_ids: set[int] = set()
        """The sightings it has in mind."""

    def __len__(self) -> int:
        return len(self.media_ids)

    def add(self, sighting: Sighting) -> None:
        """Takes a sighting; one that is there already stays as it is."""
        if sighting.media_id not in self.media_ids:
            self.media_ids.add(sighting.media_id)
            self._streams.setdefault(stream_of(sighting), _Stream(self.groups)).add(sighting)

    def visits(self) -> list[Visit]:
        """Those that there are now, oldest first, the ones that go on included."""
        grouping = Grouping(self.gap, datetime.min.replace(tzinfo=UTC))
        for stream in self._streams.values():
            stream.settle()
            for settled in stream.settled():
                grouping.add(*settled)
        return sorted(grouping.complete(None), key=lambda visit: (visit.start, visit.media_ids))

    def forget(self, media_ids: Iterable[int]) -> None:
        """Lets go of sightings; what they made of others' labels stays."""
        gone = self.media_ids.intersection(media_ids)
        self.media_ids -= gone
        for stream in self._streams.values():
            stream.forget(gone)


class _Stream:
    """The sightings of one camera in time order, settled again only where something was added."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._sightings: list[Sighting] = []
        self._given: dict[int, tuple[Label, int]] = {}
        self._news: tuple[datetime, datetime] | None = None

    def add(self, sighting: Sighting) -> None:
        insort(self._sightings, sighting, key=when)
        at = sighting.captured_at
        first, last = self._news or (at, at)
        self._news = min(first, at), max(last, at)

    def settle(self) -> None:
        if self._news is None:
            return
        first, last = self._news
        self._news = None
        settling = Settling(self._groups)
        # Labels may change within reach of the news, and depend on those as far again.
        for sighting in self._between(first - 2 * REACH, last + 2 * REACH):
            settling.push(sighting)
        for sighting, label, share in settling.settled(None):
            if first - REACH <= sighting.captured_at <= last + REACH:
                self._given[sighting.media_id] = label, share

    def settled(self) -> Iterable[tuple[Sighting, Label, int]]:
        return ((one, *self._given[one.media_id]) for one in self._sightings)

    def forget(self, media_ids: set[int]) -> None:
        self._sightings = [one for one in self._sightings if one.media_id not in media_ids]
        self._given = {key: value for key, value in self._given.items() if key not in media_ids}

    def _between(self, first: datetime, last: datetime) -> list[Sighting]:
        start = bisect_left(self._sightings, first, key=lambda one: one.captured_at)
        end = bisect_right(self._sightings, last, key=lambda one: one.captured_at)
        return self._sightings[start:end]
