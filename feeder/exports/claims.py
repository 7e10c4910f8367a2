"""Which visits may be claimed before others, and as what; pure.

A log is for whoever keeps it, and says what it is unsure of. An export stands on its own: whoever
reads it has neither the pictures nor the reasons. docs/decisions/0022 says what follows from that.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from feeder.domain import Kind, Label, Visit
from feeder.exports.places import Place

_SPECIES = re.compile(r"[A-Z][a-z-]+ [a-z][a-z-]+( [a-z][a-z-]+)?")
_HIGHER = re.compile(r"[A-Z][a-z-]+")
_CLASSES = {Kind.BIRD: "Aves", Kind.MAMMAL: "Mammalia"}
_ENDINGS = {"idae": "family", "inae": "subfamily", "formes": "order"}
_HUMAN = "homo sapiens"
_HOUSE = re.compile(r"(felis (silvestris )?catus|canis (lupus )?familiaris)\b")
"""Cats and dogs. What comes to a feeder in a garden lives in a house, whoever's it is."""


class Reason(StrEnum):
    """Why a visit is left out, in words."""

    UNDATED = "at times that nobody vouches for"
    UNSURE = "not sure enough"
    UNCONFIRMED = "not confirmed by a person"
    HUMAN = "of people"
    BLANK = "of nothing"
    UNNAMED = "without a scientific name"
    NO_SPECIES = "not told apart to a species"
    NO_BIRD = "of other animals than birds"
    NOT_WILD = "of cats and dogs, which are not wild"
    NO_PLACE = "at cameras without latitude and longitude"


@dataclass(frozen=True, slots=True)
class Taxon:
    """What a label names, in a taxonomist's words.

    `name` is the scientific name at `rank`, both "" for a label without one. `verbatim` is the
    scientific name as the vocabulary has it: a slash's is `Poecile atricapillus/carolinensis`,
    and its `name` what its members have in common.
    """

    name: str
    rank: str
    verbatim: str
    class_name: str
    is_group: bool = False

    @property
    def is_species(self) -> bool:
        """Whether it is a single species, or a part of one."""
        return self.rank in ("species", "subspecies")

    @property
    def genus(self) -> str:
        """The genus; "" where it is known to nothing as near."""
        return self.name.split()[0] if self.is_species or self.rank == "genus" else ""


def taxon(label: Label, groups: Iterable[str] = ()) -> Taxon:
    """What `label` names; `groups` are the names of labels that look alike."""
    verbatim = " ".join(label.scientific_name.split())
    class_name = _CLASSES.get(label.kind, "")
    is_group = label.name in groups or "/" in verbatim or label.name.endswith(" sp.")
    if "/" in verbatim:
        genera = set(re.findall(r"\b[A-Z][a-z-]+", verbatim))
        if len(genera) == 1:
            return Taxon(genera.pop(), "genus", verbatim, class_name, True)
        return Taxon(class_name, "class" if class_name else "", verbatim, class_name, True)
    if _SPECIES.fullmatch(verbatim):
        rank = "subspecies" if verbatim.count(" ") == 2 else "species"
        return Taxon(verbatim, rank, verbatim, class_name, is_group)
    name = verbatim.removesuffix(" sp.")
    if not _HIGHER.fullmatch(name):
        return Taxon("", "", verbatim, class_name, is_group)
    rank = "class" if name in _CLASSES.values() else "genus"
    for ending, of_rank in _ENDINGS.items():
        rank = of_rank if name.endswith(ending) else rank
    return Taxon(name, rank, verbatim, class_name, is_group)


@dataclass(frozen=True, slots=True)
class Form:
    """What a format has a place for: only birds, only species, only what has a scientific name.

    `needs_coordinates` where nothing can be said without knowing where, `only_wild` where what
    is said counts as an occurrence in the wild.
    """

    only_birds: bool = False
    only_species: bool = False
    only_named: bool = False
    needs_coordinates: bool = False
    only_wild: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """How sure a visit has to be: by its mean probability, or by a person's word alone."""

    confidence: float
    only_confirmed: bool = False


class Claim(NamedTuple):
    """A visit that may be claimed, what it is of and where it was."""

    visit: Visit
    taxon: Taxon
    place: Place


@dataclass
class Account:
    """What an export holds, and what was left out of it and why; filled as visits go by."""

    visits: int = 0
    confirmed: int = 0
    left_out: Counter[Reason] = field(default_factory=Counter)
    rows: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def claims(
    visits: Iterable[Visit],
    places: Mapping[str, Place],
    groups: Iterable[str],
    form: Form,
    rules: Rules,
    account: Account,
) -> Iterator[Claim]:
    """The visits that may be claimed in a format, in their order; `account` counts all of them."""
    known = frozenset(groups)
    for visit in visits:
        named = taxon(visit.label, known)
        place = places.get(visit.deployment)
        reason = _reason(visit, named, place, form, rules)
        if reason is not None or place is None:
            assert reason is not None
            account.left_out[reason] += 1
            continue
        account.visits += 1
        account.confirmed += visit.is_by_person
        yield Claim(visit, named, place)


def _reason(
    visit: Visit, named: Taxon, place: Place | None, form: Form, rules: Rules
) -> Reason | None:
    """Why a visit may not be claimed; None where it may."""
    kind = visit.label.kind
    if kind is Kind.HUMAN or named.verbatim.casefold().startswith(_HUMAN):
        return Reason.HUMAN
    if kind is Kind.BLANK:
        return Reason.BLANK
    if not visit.trusted or place is None:  # a camera's place is dated by its frames
        return Reason.UNDATED
    if not visit.is_by_person:
        if rules.only_confirmed:
            return Reason.UNCONFIRMED
        if visit.confidence < rules.confidence:
            return Reason.UNSURE
    if form.only_birds and kind is not Kind.BIRD:
        return Reason.NO_BIRD
    if form.only_wild and _HOUSE.match(named.verbatim.casefold()):
        return Reason.NOT_WILD
    if form.only_named and not named.name:
        return Reason.UNNAMED
    if form.only_species and (named.is_group or not named.is_species):
        return Reason.NO_SPECIES
    if form.needs_coordinates and place.latitude is None:
        return Reason.NO_PLACE
    return None
