"""Probabilities -> verdicts, of one picture or of a million at once; pure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from feeder.bundle import Thresholds
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType, Vectors

NOTHING = -1
"""Stands in `Verdicts.named` for a verdict that declines to name anything."""

RARE_MARK = "(rare here"
"""What the reason holds where the verdict names a species that is not expected there and then."""

TYPES = tuple(ObservationType)
"""What the numbers in `Verdicts.types` stand for."""

_NO_DOUBT, _TEXT, _BLANK, _UNLIKELY, _NO_BIRD, _CLOSE = range(6)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What bears on a verdict besides the picture.

    Logits are divided by `temperature`; `log_prior`, float32 [labels], is then added to those of
    birds against each other, and to those of all else: how likely each label is at that place and
    time, 0 where nothing speaks for or against it. `unlikely` says for each label why it is not
    expected, "" where it is.
    """

    thresholds: Thresholds
    temperature: float = 1.0
    log_prior: Vectors | None = None
    unlikely: tuple[str, ...] = ()


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

    @cached_property
    def members(self) -> dict[str, frozenset[str]]:
        """The groups by name, each with its labels' names."""
        return {
            group.name: frozenset(self.labels[place].name for place in places)
            for group, places in self.groups
        }

    def are(self, kind: Kind) -> npt.NDArray[np.bool_]:
        """Which of the labels are of a kind, bool [labels]."""
        return self._of_kind[kind]

    @cached_property
    def _of_kind(self) -> dict[Kind, npt.NDArray[np.bool_]]:
        return {kind: np.array([one.kind is kind for one in self.labels], bool) for kind in Kind}

    @cached_property
    def are_text(self) -> npt.NDArray[np.bool_]:
        """Which of the labels take what is read, bool [labels]."""
        return np.array([label.is_text for label in self.labels], bool)

    @cached_property
    def sums(self) -> Vectors:
        """Which labels add up to a bird, to a blank, to each group: 0 or 1, float32 [labels, n].

        One product with all of them takes a tenth of the time of one with each.
        """
        places = np.arange(len(self.labels))
        groups = [np.isin(places, members) for _, members in self.groups]
        blanks = self.are(Kind.BLANK) & ~self.are_text  # a note may hang where a bird is
        return np.stack([self.are(Kind.BIRD), blanks, *groups], 1).astype(np.float32)


@dataclass(frozen=True)
class Verdicts:
    """The verdicts on n pictures, one in each row of the arrays.

    `types` int64 [n] are places in TYPES, `named` int64 [n] in `choices.names` or NOTHING;
    `named_probability` float64 [n] is what is named's share, or the best label's where nothing is.
    `best` int64 [n] and `best_probability` are the most probable label; `margin` is its lead over
    the next. `bird` and `blank` are the summed probabilities of those kinds. `context` is what
    the probabilities owe to place and season.
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
    context: Context | None = None

    def __len__(self) -> int:
        return len(self.types)

    def type(self, row: int) -> ObservationType:
        """The verdict on picture `row`."""
        return TYPES[int(self.types[row])]

    def label(self, row: int) -> Label | None:
        """What the verdict on picture `row` names; None where it declines."""
        place = int(self.named[row])
        return None if place == NOTHING else self.choices.names[place]

    def reason(self, row: int, unweighed: Vectors | None = None) -> str:
        """Why the verdict on picture `row` is what it is, in words.

        `unweighed`, float32 [labels], are the picture's probabilities without the prior; with
        them the reason says what the prior has changed, or that it was overcome.
        """
        said = self._reason(row)
        if unweighed is None or self.context is None or not self.context.unlikely:
            return said
        first, best, unlikely = int(unweighed.argmax()), self.best[row], self.context.unlikely
        if first != best and unlikely[first]:
            name = f"{self.choices.labels[first].name} {unweighed[first]:.2f}"
            is_next = self.type(row) is not ObservationType.BLANK and self.doubt[row] == _NO_DOUBT
            rest = f"next best: {said}" if is_next else said
            return f"{name}, but it is {unlikely[first]}; {rest}"
        if unlikely[best] and self.type(row) is not ObservationType.BLANK:
            return f"{said} {RARE_MARK}: {unlikely[best]})"
        return said

    def _reason(self, row: int) -> str:
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


def decide(
    probabilities: Vectors, choices: Choices, at: Thresholds, context: Context | None = None
) -> Verdicts:
    """The verdicts on n pictures, from the labels' probabilities, float32 [n, labels].

    A closed list always names something; `blank`, `unknown` and an unidentified bird are how the
    program declines. Where no species is sure, the first of the groups that is takes its place.
    `context` is what the probabilities owe to place and season, for the reasons to tell.
    """
    rows = np.arange(len(probabilities))
    best = probabilities.argmax(axis=1)
    # As float64, for thresholds are: 0.55 as float32 is more than 0.55.
    first = probabilities[rows, best].astype(np.float64)
    margin = first - _second(probabilities, best)
    bird, blank, *groups = (probabilities @ choices.sums).astype(np.float64).T

    best_is = {kind: choices.are(kind)[best] for kind in Kind}
    doubt = np.select(
        [
            choices.are_text[best],
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
    for place, summed in reversed(list(enumerate(groups))):
        is_group = is_bird & (summed >= at.label)
        named[is_group] = len(choices.labels) + place
        share[is_group] = summed[is_group]

    types = np.select(
        [is_blank, is_sure & best_is[Kind.HUMAN], is_sure | is_bird],
        [TYPES.index(ObservationType.BLANK), TYPES.index(ObservationType.HUMAN),
         TYPES.index(ObservationType.ANIMAL)],
        TYPES.index(ObservationType.UNKNOWN),
    )  # fmt: skip
    return Verdicts(
        choices, at, types, named, share, best, first, margin, bird, blank, doubt, context
    )


def top(probabilities: Vectors, k: int) -> npt.NDArray[np.int64]:
    """The places of the k best labels of each picture, float32 [n, labels]: int64 [n, k]."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]


def _second(probabilities: Vectors, best: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The second-best probability of each row; 0 where there is one label only."""
    rest = probabilities.copy()
    rest[np.arange(len(rest)), best] = 0
    return np.asarray(rest.max(axis=1), np.float64)
