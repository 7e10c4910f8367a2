"""What is known of a place and a season -> how likely each label is there; pure.

What the user lists comes first, then the bar chart, then the continent's shipped list. A label
is never ruled out by them: in place of 1 it gets a factor, at the least `ABSENT`, on its odds
against the other birds. Only what the user blocks cannot be named at all.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from feeder.bar_chart import BarChart, Taxon
from feeder.domain import Kind, Label, Vectors
from feeder.seasons import WEEKS, month_name, week_of, weeks_of
from feeder.species_list import ListedSpecies
from feeder.vocabulary import names, spelling

ABSENT = 1 / 50
"""The factor of a bird that is not expected: a picture that speaks for it 50 to 1 breaks even."""

COMMON = 0.01
"""On this share of the checklists a bird is as expected as any; below, the factor falls with it.

A camera meets other birds than people who walk, so that more says nothing about a feeder.
"""

FEW_CHECKLISTS = 10.0
"""So many checklists at the year's mean are added to a week's own, which may be few or none."""

BLOCKED = "blocked"

_LEFT_OVER = 1e-3
"""The share of what blocked labels had that goes evenly to all others.

Without it a picture that is a blocked bird beyond doubt would be another one beyond doubt.
"""


@dataclass(frozen=True, slots=True)
class Continent:
    """A continent by its name, with the shipped birds of it, and those of the other continents."""

    name: str
    birds: tuple[Label, ...]
    elsewhere: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Locality:
    """What is known of the birds where one deployment stands.

    `source` says in words where from; `zone` is what its seasons are told in, None the computer's
    own.
    """

    deployment: str
    source: str = ""
    listed: tuple[ListedSpecies, ...] | None = None
    chart: BarChart | None = None
    continent: Continent | None = None
    zone: ZoneInfo | None = None

    def names_any(self, labels: Iterable[Label]) -> bool:
        """Whether its sources have anything to say of these labels."""
        sources = _Sources(self)
        return self.continent is not None or any(map(sources.named, labels))


@dataclass(frozen=True)
class Expectation:
    """How likely each of some labels is at one deployment, in each week of the year.

    `factors` float32 [48, labels] multiply the odds of birds; 1 is an expected one. `why` says of
    each label why it is not expected, and whether that depends on the season.
    """

    locality: Locality
    factors: Vectors
    why: tuple[tuple[str, bool], ...]

    def week(self, at: datetime) -> int:
        """The week that the instant `at` lies in at that place."""
        return week_of(at, self.locality.zone)

    def unlikely(self, week: int) -> tuple[str, ...]:
        """For each label why it is not expected in that week, in words; "" where it is."""
        return tuple(
            "" if factor == 1 else f"{said} in {month_name(week)}" if seasonal else said
            for factor, (said, seasonal) in zip(self.factors[week], self.why, strict=True)
        )


def expect(locality: Locality, labels: Sequence[Label], own: Container[str] = ()) -> Expectation:
    """What is to be expected of `labels`, of which the user added those named `own`.

    Labels that are no bird, or any bird, are always expected, and so are the user's own and those
    of more than one species, as far as no source names them. A list and a bar chart that name
    none of the labels, in a language of their own perhaps, say nothing.
    """
    sources = _Sources(locality)
    named = [sources.named(label) for label in labels]
    if locality.continent is None and not any(named):
        named = [_as_expected()] * len(labels)
    found = [
        known or sources.unnamed(label, label.name in own)
        for label, known in zip(labels, named, strict=True)
    ]
    return Expectation(
        locality,
        np.stack([weeks for weeks, _, _ in found], axis=1),
        tuple((said, seasonal) for _, said, seasonal in found),
    )


_Known = tuple[Vectors, str, bool]
"""A label's factors [48], why they are below 1, and whether that depends on the season."""


@dataclass(frozen=True)
class _Sources:
    place: Locality

    def named(self, label: Label) -> _Known | None:
        """What the list says of a label, else the bar chart; None where neither names it."""
        if label.kind is not Kind.BIRD or label.is_any_bird:
            return None
        at = self.place.deployment
        for name in map(spelling, names(label)):
            if name in self._listed:
                weeks = np.where(self._listed[name], 1, ABSENT).astype(np.float32)
                return weeks, f"not on the list for {at}", True
        taxon = _find(label, self._taxa)
        if taxon is not None and self.place.chart is not None:
            return _of_chart(self.place.chart, taxon), f"seldom reported at {at}", True
        return None

    def unnamed(self, label: Label, is_own: bool) -> _Known:
        """What a label is that neither names, by their silence or by the continent."""
        place = self.place
        if label.kind is not Kind.BIRD or label.is_any_bird or is_own or _is_several(label):
            return _as_expected()
        if place.chart is not None:
            # A name alone may be one that the chart's makers write otherwise.
            said = f"not in the bar chart for {place.deployment}"
            return _as_absent(said) if label.scientific_name else _as_expected()
        if place.listed is not None:
            return _as_absent(f"not on the list for {place.deployment}")
        continent = place.continent
        if (
            continent is not None
            and _is_one_of(label, continent.elsewhere)
            and not _is_one_of(label, continent.birds)
        ):
            return _as_absent(f"not a garden bird of {continent.name}")
        return _as_expected()

    @cached_property
    def _listed(self) -> dict[str, npt.NDArray[np.bool_]]:
        """The weeks of each listed name; a name that stands twice has those of both."""
        found: dict[str, npt.NDArray[np.bool_]] = {}
        for one in self.place.listed or ():
            name = spelling(one.name)
            found[name] = weeks_of(one.months) | found.get(name, False)
        return found

    @cached_property
    def _taxa(self) -> dict[str, Taxon]:
        """The chart's species by scientific name, and by common name."""
        taxa = self.place.chart.taxa if self.place.chart else ()
        return {
            **{spelling(taxon.name): taxon for taxon in taxa},
            **{spelling(taxon.scientific_name): taxon for taxon in taxa if taxon.scientific_name},
        }


def _as_expected() -> _Known:
    return np.ones(WEEKS, np.float32), "", False


def _as_absent(said: str) -> _Known:
    return np.full(WEEKS, ABSENT, np.float32), said, False


def _find(label: Label, taxa: Mapping[str, Taxon]) -> Taxon | None:
    """The label's species: by scientific name, by name, or by an alias if it has no other one.

    An alias may be another species' name on another continent, as "Winter Wren" is.
    """
    for name in (label.scientific_name, label.name):
        if name and spelling(name) in taxa:
            return taxa[spelling(name)]
    for name in label.aliases:
        taxon = taxa.get(spelling(name))
        if taxon is not None and not (taxon.scientific_name and label.scientific_name):
            return taxon
    return None


def _of_chart(chart: BarChart, taxon: Taxon) -> Vectors:
    """A species' factors [48], from the checklists of each week and the weeks beside it."""
    counted = taxon.frequency * chart.checklists
    mean = counted.sum() / chart.checklists.sum()
    near = (-1, 0, 1)
    reported = sum(np.roll(counted, step) for step in near) + FEW_CHECKLISTS * mean
    checklists = sum(np.roll(chart.checklists, step) for step in near) + FEW_CHECKLISTS
    return np.asarray(np.clip(reported / checklists / COMMON, ABSENT, 1), np.float32)


def _is_several(label: Label) -> bool:
    """Whether the label's scientific name is a genus, a family, or more than one species."""
    words = label.scientific_name.split()
    return bool(words) and (len(words) < 2 or words[1] == "sp." or "/" in label.scientific_name)


def _is_one_of(label: Label, others: Iterable[Label]) -> bool:
    """Whether the same bird is among `others`, by eBird code where both have one, or by name."""
    return any(_are_same(label, other) for other in others)


def _are_same(one: Label, other: Label) -> bool:
    for mine, theirs in (
        (one.ebird_code, other.ebird_code),
        (one.scientific_name, other.scientific_name),
    ):
        if mine and theirs:
            return mine == theirs
    return spelling(one.name) in map(spelling, (other.name, *other.aliases))


def log_prior(factors: Vectors, blocked: npt.NDArray[np.bool_]) -> Vectors:
    """float32 [labels] from factors [labels]: their logarithms, and minus infinity if blocked."""
    return np.where(blocked, -np.inf, np.log(factors)).astype(np.float32)


def weigh(shares: Vectors, log_prior: Vectors, birds: npt.NDArray[np.bool_]) -> Vectors:
    """Probabilities float32 [n, labels] with a prior, [labels], upon them; rows still sum to 1.

    P(bird) stays the picture's own: what is known of the place says which bird it is, never
    whether it is one. So birds, bool [labels], are weighed against each other alone, and so is
    all else. Where all birds are blocked, or all else is, its share goes to the other half.
    """
    factors, allowed = np.exp(log_prior), np.isfinite(log_prior)
    halves = np.stack([birds, ~birds]).astype(np.float32)
    if not (halves @ allowed > 0).all():
        halves = np.ones((1, len(birds)), np.float32)
    rest = halves * allowed
    weighed = shares * factors
    if not allowed.all():
        left_over = _LEFT_OVER * shares @ (halves - rest).T
        weighed += left_over @ (rest / rest.sum(axis=1, keepdims=True) * factors)
    # Nothing at all where the whole half has no share that a float can hold.
    totals = np.maximum(weighed @ rest.T, np.finfo(np.float32).tiny)
    return np.asarray(weighed * ((shares @ halves.T / totals) @ rest), np.float32)
