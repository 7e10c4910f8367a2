"""Which message, if any, a visit deserves; pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

from feeder.clock import to_local
from feeder.domain import Kind, Label, Visit
from feeder.visit_statistics import ABSENCE, days_away, is_first
from feeder.visits import Groups, is_species


class Sort(StrEnum):
    """What a message may be about, under the names that `about` in [alerts] has them by."""

    RARE = "rare"
    FIRST_EVER = "first-ever"
    FIRST_OF_SEASON = "first-of-season"
    FIRST_OF_DAY = "first-of-day"
    VISIT = "visit"
    EMPTY = "feeder-empty"
    STALLED = "stalled"


NOTABLE = tuple(Sort)
"""From the most to the least notable."""


class Outcome(StrEnum):
    """What becomes of a visit."""

    TOLD = "told"
    USUAL = "usual"
    UNSURE = "unsure"
    NOT_ASKED = "not asked for"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is told: `about` which sorts, of all but `usual` birds (names), at which `confidence`.

    `absence` are the whole days that make a first of the season, `groups` the look-alikes.
    """

    about: frozenset[Sort]
    usual: frozenset[str] = frozenset()
    confidence: float = 0.0
    absence: int = ABSENCE
    groups: Groups | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A visit and what becomes of it.

    `sorts` is all that it is, the most notable first; it was last seen on the local day `last`,
    None where that is not known or never was.
    """

    visit: Visit
    outcome: Outcome
    sorts: tuple[Sort, ...] = ()
    last: date | None = None


def judge(
    visit: Visit,
    rules: Rules,
    earlier: Callable[[], Visit | None],
    is_rare: Callable[[], bool],
    zone: Callable[[str], ZoneInfo | None],
) -> Judged:
    """What becomes of a visit.

    `earlier` gives the last one of its label before it that was sure enough to be told, and
    `is_rare` whether it is not expected there: neither is asked where it does not matter. `zone`
    gives a camera's zone.
    """
    if may_be_usual(visit.label, rules):
        return Judged(visit, Outcome.USUAL)
    if not is_sure(visit, rules.confidence):
        return Judged(visit, Outcome.UNSURE)
    sorts = {Sort.VISIT}
    last = None
    if is_species(visit.label, rules.groups or {}):
        before = earlier()
        day = to_local(visit.start, zone(visit.deployment)).date()
        if before is not None:
            last = to_local(before.start, zone(before.deployment)).date()
        sorts |= _firsts(visit.label, days_away(last, day), rules.absence)
    if is_rare():
        sorts.add(Sort.RARE)
    outcome = Outcome.TOLD if sorts & rules.about else Outcome.NOT_ASKED
    return Judged(visit, outcome, tuple(sort for sort in NOTABLE if sort in sorts), last)


def may_be_usual(label: Label, rules: Rules) -> bool:
    """Whether it is one of the usual birds, or a name for what was not told apart from them."""
    if label.is_any_bird:
        return bool(rules.usual)
    members = (rules.groups or {}).get(label.name, frozenset())
    return label.name in rules.usual or not rules.usual.isdisjoint(members)


def _firsts(label: Label, away: int | None, absence: int) -> set[Sort]:
    """Of what its visit is the first after so many whole days away."""
    if away is not None and away < 0:
        return set()
    found = {Sort.FIRST_OF_DAY}
    if is_first(away, absence):
        found.add(Sort.FIRST_OF_SEASON)
    if away is None:
        found.add(Sort.FIRST_EVER)
    # The squirrel is there every morning, and nobody waits for its return.
    return found if label.kind is Kind.BIRD else found & {Sort.FIRST_EVER}


def is_sure(visit: Visit, confidence: float) -> bool:
    """Whether a person named it, or the machine's mean probability reaches the `confidence`."""
    return visit.is_by_person or visit.confidence >= confidence
