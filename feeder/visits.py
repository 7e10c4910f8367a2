"""Sightings -> visits; pure.

Each sighting's label is settled first, by the frames around it alone; then sightings of one label
at one camera that are less than the gap apart are one visit. The gap has no part in the first step,
so a larger one only ever merges visits. Both steps look the same way forwards and backwards in
time, so the newest visits are had without reading older ones. docs/decisions/0012 says why.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from feeder.domain import UNIDENTIFIED_ANIMAL, Kind, Label, Sighting, Visit

WINDOW = timedelta(seconds=120)
"""How far from a sighting others bear on its label."""

REACH = 2 * WINDOW
"""How far from a sighting others may, by bearing on the label of one between the two."""

NEIGHBOURS = 8
"""How many of them at most do on either side: a hundred frames of one moment say little more."""

Groups = Mapping[str, frozenset[str]]
"""The names of groups ("Downy/Hairy Woodpecker"), each with its members' names."""

Stream = tuple[str, bool]
"""Camera, and whether its clock was trusted: other times than those cannot be compared."""

# Probabilities are whole ten-thousandths, as the log keeps them: sums in any order are the same.
_ONE = 10_000
_NEWCOMER = 500
"""What speaks for a species that no other frame shows: birds come one at a time, too."""
_UNLISTED = 200
"""What a frame gives a label that is not among its runners-up, at most."""
_LOUDER = 2
"""A bird not told apart is none of the named ones where a label nobody named says so much more."""


def visits(sightings: Iterable[Sighting], gap: timedelta, groups: Groups) -> list[Visit]:
    """The visits that sightings make up, oldest first, whatever their order.

    Every sighting is in exactly one; one that is there twice, by media id, counts once.
    """
    unique = {one.media_id: one for one in sightings}
    found = in_order(sorted(unique.values(), key=when), gap, groups)
    return sorted(found, key=lambda visit: (visit.start, visit.media_ids))


def in_order(sightings: Iterable[Sighting], gap: timedelta, groups: Groups) -> Iterator[Visit]:
    """The same of sightings that come in the order of `when`, or in the reverse of it.

    Visits come as they are complete: in the order of their ends, or newest start first. What is
    kept are the visits under way and the sightings of `REACH`.
    """
    settling: dict[Stream, Settling] = {}
    grouping = None
    for sighting in sightings:
        grouping = grouping or Grouping(gap, sighting.captured_at)
        settling.setdefault(stream_of(sighting), Settling(groups)).push(sighting)
        horizon = now = sighting.captured_at
        for stream in settling.values():
            for settled in stream.settled(now):
                grouping.add(*settled)
            if abs(stream.waiting_since(now) - now) > abs(horizon - now):
                horizon = stream.waiting_since(now)
        yield from grouping.complete(horizon)
    if grouping is not None:
        for stream in settling.values():
            for settled in stream.settled(None):
                grouping.add(*settled)
        yield from grouping.complete(None)


def when(sighting: Sighting) -> tuple[datetime, int]:
    """A sighting's place in the order of capture."""
    return sighting.captured_at, sighting.media_id


def stream_of(sighting: Sighting) -> Stream:
    """Where a sighting's neighbours are looked for."""
    return sighting.deployment, sighting.trusted


class _Reading:
    """A sighting with what it gives each label, in ten-thousandths."""

    __slots__ = ("at", "settled", "shares", "sighting")

    def __init__(self, sighting: Sighting) -> None:
        self.sighting = sighting
        self.at = sighting.captured_at
        self.settled: Label | None = None
        self.shares = {name: round(share * _ONE) for name, share in sighting.runners_up}
        named = sighting.probability
        self.shares[sighting.label.name] = _ONE if named is None else round(named * _ONE)

    def share(self, name: str, groups: Groups) -> int:
        """What it gives a label, or a group's members together."""
        if name in self.shares or name not in groups:
            return self.shares.get(name, 0)
        return sum(self.shares.get(member, 0) for member in groups[name])


class Settling:
    """Gives each sighting of one stream the label that it and its neighbours make likeliest.

    The likelihood is the product of what the frame itself gives a label and of what those around
    it do. A name gives way to another only where that was named before and after it; a group to
    its members, and an unidentified bird to any bird, where that is what a name nearby settled to.
    What a person said stays.
    """

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._waiting: deque[_Reading] = deque()
        # Of those that name a species, and of those that name a group: what is left to wait for,
        # and the last that no longer do.
        self._ahead: dict[bool, deque[_Reading]] = {False: deque(), True: deque()}
        self._behind: dict[bool, deque[_Reading]] = {
            is_group: deque(maxlen=NEIGHBOURS) for is_group in (False, True)
        }

    def push(self, sighting: Sighting) -> None:
        """Takes the next sighting, in time order or in the reverse of it."""
        reading = _Reading(sighting)
        self._waiting.append(reading)
        if not sighting.label.is_any_bird:
            self._ahead[self._is_group(reading)].append(reading)

    def settled(self, now: datetime | None) -> Iterator[tuple[Sighting, Label, int]]:
        """Those whose neighbours are all known, with their label and what they give it.

        Sightings up to the instant `now` have been pushed; None: all of them.
        """
        while self._waiting:
            reading = self._waiting[0]
            if now is not None and self._lacks_some(reading, now):
                return
            self._waiting.popleft()
            names_something = not reading.sighting.label.is_any_bird
            is_group = self._is_group(reading)
            if names_something:
                self._ahead[is_group].popleft()
            label = self._label(reading)
            yield reading.sighting, label, reading.share(label.name, self._groups)
            if names_something:
                self._behind[is_group].append(reading)

    def waiting_since(self, now: datetime) -> datetime:
        """The first instant whose sightings are not all settled."""
        return self._waiting[0].at if self._waiting else now

    def _is_group(self, reading: _Reading) -> bool:
        return reading.sighting.label.name in self._groups

    def _is_vague(self, reading: _Reading) -> bool:
        return reading.sighting.label.is_any_bird or self._is_group(reading)

    def _lacks_some(self, reading: _Reading, now: datetime) -> bool:
        """Whether sightings to come, from the instant `now` on, may still bear on this one."""
        away = abs(now - reading.at)
        if not self._is_vague(reading):
            return away <= WINDOW and len(self._ahead[False]) <= NEIGHBOURS  # it is among them
        # Those near it that name something have to be settled, too.
        enough = {False: 2 * NEIGHBOURS, True: NEIGHBOURS}
        return away <= REACH and any(
            len(ahead) <= enough[is_group] for is_group, ahead in self._ahead.items()
        )

    def _label(self, reading: _Reading) -> Label:
        behind, ahead = self._behind[False], list(islice(self._ahead[False], 2 * NEIGHBOURS + 1))
        if not self._is_vague(reading):
            return self._settled(reading, behind, ahead)  # it is no longer among those ahead
        if reading.sighting.is_by_person:
            return reading.sighting.label
        before, after = self._near(reading, reversed(behind)), self._near(reading, ahead)
        for place, one in enumerate(after):
            self._settled(one, [*behind, *ahead[:place]], ahead[place + 1 :])
        groups = [
            *self._near(reading, reversed(self._behind[True])),
            *self._near(reading, self._ahead[True]),
        ]
        return self._told_apart(reading, [*before, *after], groups)

    def _settled(
        self, reading: _Reading, behind: Sequence[_Reading], ahead: Sequence[_Reading]
    ) -> Label:
        """What a reading that names something is, among all that do, on either side of it."""
        if reading.settled is None:
            own = reading.sighting.label
            before, after = self._near(reading, reversed(behind)), self._near(reading, ahead)
            reading.settled = own
            if not reading.sighting.is_by_person:
                reading.settled = self._outvoted(reading, before, after) or own
        return reading.settled

    def _outvoted(
        self, reading: _Reading, before: list[_Reading], after: list[_Reading]
    ) -> Label | None:
        """The label that was named before and after a reading, and outweighs its own."""
        own = reading.sighting.label
        earlier = {one.sighting.label.name for one in before}
        rivals = {
            one.sighting.label.name: one.sighting.label
            for one in after
            if one.sighting.label.name in earlier and one.sighting.label.name != own.name
        }
        if not rivals:
            return None
        scores = self._scores(reading, [*before, *after], [own.name, *rivals])
        best = max(rivals, key=lambda name: (scores[name], name))
        return rivals[best] if scores[best] > scores[own.name] else None

    def _told_apart(
        self, reading: _Reading, species: list[_Reading], groups: list[_Reading]
    ) -> Label:
        """Which of those named nearby a bird is that was not told apart."""
        own = reading.sighting.label
        rivals = {
            one.settled.name: one.settled
            for one in species
            if one.settled is not None and self._may_be(own, one.settled)
        }
        for one in groups:
            label = one.sighting.label
            if self._may_be(own, label) and self._groups[label.name].isdisjoint(rivals):
                rivals[label.name] = label
        if not rivals:
            return own
        near = [*species, *groups]
        listed = [name for name, _ in reading.sighting.runners_up]
        scores = self._scores(reading, near, [*rivals, *listed])
        best = max(rivals, key=lambda name: (scores[name], name))
        others = [scores[name] for name in listed if name not in rivals]
        return own if max(others, default=0) > _LOUDER * scores[best] else rivals[best]

    def _may_be(self, vague: Label, label: Label) -> bool:
        """Whether what was named so vaguely may be what `label` names."""
        if vague.is_any_bird:
            return label.kind is Kind.BIRD
        members = self._groups[vague.name]
        if label.name in self._groups:
            return self._groups[label.name] < members
        return label.name in members

    def _scores(
        self, reading: _Reading, near: list[_Reading], names: Iterable[str]
    ) -> dict[str, int]:
        """What speaks for each label: the frame's own share times those of the frames near it."""
        listed = [round(share * _ONE) for _, share in reading.sighting.runners_up]
        least = min([_UNLISTED, *listed])
        return {
            name: max(reading.share(name, self._groups), least)
            * (_NEWCOMER + sum(one.share(name, self._groups) for one in near))
            for name in names
        }

    @staticmethod
    def _near(reading: _Reading, readings: Iterable[_Reading]) -> list[_Reading]:
        """Those of readings that are near, which come the nearest first."""
        near: list[_Reading] = []
        for one in readings:
            if len(near) == NEIGHBOURS or abs(one.at - reading.at) > WINDOW:
                break
            near.append(one)
        return near


def is_species(label: Label, groups: Collection[str] = ()) -> bool:
    """Whether it names one species: what was not told apart from others names none."""
    is_vague = label.is_any_bird or label.name == UNIDENTIFIED_ANIMAL
    return not is_vague and label.name not in groups


@dataclass(slots=True)
class _Stay:
    """A visit under way; `edge` is the sighting that was added last."""

    label: Label
    edge: datetime
    order: list[tuple[datetime, int]]
    best: Sighting
    best_share: int
    total: int = 0
    is_by_person: bool = False

    def add(self, sighting: Sighting, label: Label, share: int) -> None:
        """Takes the next sighting that was given this label, with what it gives it."""
        self.label = max(self.label, label, key=_described)
        self.edge = sighting.captured_at
        self.order.append(when(sighting))
        self.total += share
        self.is_by_person |= sighting.is_by_person
        # A frame that a machine read clearly is a better picture than one a person had to name.
        clear = _ONE // 2 if sighting.is_by_person else share
        if _showing(sighting, clear) > _showing(self.best, self.best_share):
            self.best, self.best_share = sighting, clear

    def visit(self) -> Visit:
        """All of it."""
        frames = sorted(self.order)
        return Visit(
            deployment=self.best.deployment,
            label=self.label,
            start=frames[0][0],
            end=frames[-1][0],
            media_ids=tuple(media_id for _, media_id in frames),
            best=self.best.media_id,
            confidence=self.total / len(frames) / _ONE,
            is_by_person=self.is_by_person,
            trusted=self.best.trusted,
            is_favorite=self.best.is_favorite,
        )


class Grouping:
    """Joins settled sightings of one stream and label that are less than `gap` apart.

    They come in time order or in the reverse of it, none before `first`, or after it.
    """

    def __init__(self, gap: timedelta, first: datetime) -> None:
        self._gap = gap
        self._first = first
        self._open: dict[tuple[Stream, str], _Stay] = {}
        self._over: list[_Stay] = []

    def add(self, sighting: Sighting, label: Label, share: int) -> None:
        """Takes the next settled sighting of its stream, with what it gives its label."""
        key = stream_of(sighting), label.name
        stay = self._open.get(key)
        if stay is not None and abs(sighting.captured_at - stay.edge) >= self._gap:
            self._over.append(stay)
            stay = None
        if stay is None:
            stay = self._open[key] = _Stay(label, sighting.captured_at, [], sighting, 0)
        stay.add(sighting, label, share)

    def complete(self, horizon: datetime | None) -> list[Visit]:
        """The visits that no sighting from the instant `horizon` on can join; None: all of them.

        The first to end comes first, or the last to start where time runs backwards.
        """

        def is_over(stay: _Stay) -> bool:
            # From the first on, for one camera may be ahead of what another waits for.
            if horizon is None:
                return True
            return abs(horizon - self._first) - abs(stay.edge - self._first) >= self._gap

        if not self._over and not any(map(is_over, self._open.values())):
            return []
        over = [stay for stay in (*self._over, *self._open.values()) if is_over(stay)]
        self._over = [stay for stay in self._over if not is_over(stay)]
        self._open = {key: stay for key, stay in self._open.items() if not is_over(stay)}
        over.sort(key=lambda stay: (abs(stay.edge - self._first), stay.order[0]))
        return [stay.visit() for stay in over]


def _described(label: Label) -> tuple[str, str, str]:
    return label.scientific_name, label.ebird_code, label.kind


def _showing(sighting: Sighting, share: int) -> tuple[bool, int, float, int]:
    """How well a frame shows its visit; of equal ones the first."""
    return (sighting.is_favorite, share, -sighting.captured_at.timestamp(), -sighting.media_id)
