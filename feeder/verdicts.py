"""Probabilities -> verdicts, of one picture or of a million at once; pure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from feeder.bundle import Thresholds
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType, Vectors

NOTHING = -1
"""Stands in `Verdicts.named` for a verdict that declines to name anything."""

TYPES = tuple(ObservationType)
"""What the numbers in `Verdicts.types` stand for."""

_NO_DOUBT, _TEXT, _BLANK, _UNLIKELY, _NO_BIRD, _CLOSE = range(6)


@dataclass(frozen=True)
class Choices:
    """What verdicts choose among: the labels, in the order of their probabilities.

    `groups` are what labels have in common, each with its members' places, the smallest first.
    """

    labels: tuple[Label, ...]
    groups: tuple[tuple[Label, tuple[int, ...]], ...] = ()

    @cached_property
    def names(self) -> tuple[Label, ...]:
        """Whatever a verdict may name: the labels, the groups, the unidentified bird."""
        return (*self.labels, *(label for label, _ in self.groups), UNIDENTIFIED_BIRD)

    def are(self, kind: Kind) -> npt.NDArray[np.bool_]:
        """Which of the labels are of a kind, bool [labels]."""
        return np.array([label.kind is kind for label in self.labels], bool)


@dataclass(frozen=True)
class Verdicts:
    """The verdicts on n pictures, one in each row of the arrays.

    `types` int64 [n] are places in TYPES, `named` int64 [n] in `choices.names` or NOTHING;
    `named_probability` float64 [n] is what is named's share, or the best label's where nothing is.
    `best` int64 [n] and `best_probability` are the most probable label; `margin` is its lead over
    the next. `bird` and `blank` are the summed probabilities of those kinds.
    """

    choices: Choices
    at: Thresholds
    types: npt.NDArray[np.int64]
    named: npt.NDArray[np.int64]
    named_probability: npt.NDArray[np.float64]
    best: npt.NDArray[np.int64]
    best_probability: npt.NDArray[np.float64]
    margin: npt.NDArray[np.float64]
    bird: npt.NDArray[np.float64]
    blank: npt.NDArray[np.float64]
    doubt: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.types)

    def type(self, row: int) -> ObservationType:
        """The verdict on picture `row`."""
        return TYPES[int(self.types[row])]

    def label(self, row: int) -> Label | None:
        """What the verdict on picture `row` names; None where it declines."""
        place = int(self.named[row])
        return None if place == NOTHING else self.choices.names[place]

    def reason(self, row: int) -> str:
        """Why the verdict on picture `row` is what it is, in words."""
        if self.type(row) is ObservationType.BLANK:
            return f"P(nothing there) {self.blank[row]:.2f} >= {self.at.blank:g}"
        name = self.choices.labels[self.best[row]].name
        said = f"{name} {self.best_probability[row]:.2f}"
        if self.doubt[row] == _NO_DOUBT:
            return said
        doubted = f"{said} {self._doubt(row)}"
        label = self.label(row)
        if label is None:
            return doubted
        if label is UNIDENTIFIED_BIRD:
            return f"P(bird) {self.bird[row]:.2f} >= {self.at.bird:g}, but {doubted}"
        return f"{label.name} {self.named_probability[row]:.2f}, but {doubted}"

    def _doubt(self, row: int) -> str:
        return {
            _TEXT: "is read there, and says nothing of what else there is",
            _BLANK: "is not sure enough to be blank",
            _UNLIKELY: f"< {self.at.label:g}",
            _NO_BIRD: f"with P(bird) {self.bird[row]:.2f} < {self.at.bird:g}",
            _CLOSE: f"is only {self.margin[row]:.2f} ahead of the next",
        }[int(self.doubt[row])]


def decide(probabilities: Vectors, choices: Choices, at: Thresholds) -> Verdicts:
    """The verdicts on n pictures, from the labels' probabilities, float32 [n, labels].

    A closed list always names something; `blank`, `unknown` and an unidentified bird are how the
    program declines. Where no species is sure, the first of the groups that is takes its place.
    """
    rows = np.arange(len(probabilities))
    best = probabilities.argmax(axis=1)
    # As float64, for thresholds are: 0.55 as float32 is more than 0.55.
    first = probabilities[rows, best].astype(np.float64)
    margin = first - _second(probabilities, best)
    are_text = np.array([label.is_text for label in choices.labels], bool)
    bird = _sum(probabilities, choices.are(Kind.BIRD))
    blank = _sum(probabilities, choices.are(Kind.BLANK) & ~are_text)

    best_is = {kind: choices.are(kind)[best] for kind in Kind}
    doubt = np.select(
        [
            are_text[best],
            best_is[Kind.BLANK],
            first < at.label,
            best_is[Kind.BIRD] & (bird < at.bird),
            margin < at.margin,
        ],
        [_TEXT, _BLANK, _UNLIKELY, _NO_BIRD, _CLOSE],
        _NO_DOUBT,
    )
    is_blank = blank >= at.blank
    is_sure = ~is_blank & (doubt == _NO_DOUBT)
    is_bird = ~is_blank & ~is_sure & (bird >= at.bird)

    named = np.where(is_sure, best, NOTHING)
    share = first.copy()
    named[is_bird] = len(choices.names) - 1
    share[is_bird] = bird[is_bird]
    # From the last to the first, so that the first sure one, the smallest, stays.
    for place, (_, members) in reversed(list(enumerate(choices.groups))):
        summed = _sum(probabilities, np.isin(np.arange(len(choices.labels)), members))
        is_group = is_bird & (summed >= at.label)
        named[is_group] = len(choices.labels) + place
        share[is_group] = summed[is_group]

    types = np.select(
        [is_blank, is_sure & best_is[Kind.HUMAN], is_sure | is_bird],
        [TYPES.index(ObservationType.BLANK), TYPES.index(ObservationType.HUMAN),
         TYPES.index(ObservationType.ANIMAL)],
        TYPES.index(ObservationType.UNKNOWN),
    )  # fmt: skip
    return Verdicts(choices, at, types, named, share, best, first, margin, bird, blank, doubt)


def top(probabilities: Vectors, k: int) -> list[int]:
    """The places of the k best labels of one picture, float32 [labels], best first."""
    return [int(place) for place in np.argsort(-probabilities, kind="stable")[:k]]


def _second(probabilities: Vectors, best: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The second-best probability of each row; 0 where there is one label only."""
    rest = probabilities.copy()
    rest[np.arange(len(rest)), best] = 0
    return np.asarray(rest.max(axis=1), np.float64)


def _sum(probabilities: Vectors, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    return np.asarray(probabilities @ chosen.astype(np.float32), np.float64)
