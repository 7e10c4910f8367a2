"""Temperature and thresholds, fitted to frames of which a person has said what they show; pure.

One temperature for all labels (Guo et al. 2017, "On calibration of modern neural networks") makes
probabilities mean what they say; thresholds are then the lowest at which a stated share of what
is said is right. What that is worth is measured on frames that were held out.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from feeder import metrics, verdicts
from feeder.bundle import Thresholds
from feeder.domain import Kind, Vectors
from feeder.errors import FeederError
from feeder.metrics import Floats, Ints, Share
from feeder.verdicts import Choices

MIN_FRAMES = 100
"""Fewer say little of an error of a few hundredths, and nothing of what is rare."""

FOLDS = 5
MIN_BURSTS = 2 * FOLDS
"""Frames of one burst are nearly one frame, and are held out together."""

MIN_OF_KIND = 20
"""Blanks, or frames without a bird, that a threshold on them needs."""

BURST_GAP = timedelta(minutes=30)
"""Frames less than this apart may show the same bird in the same light."""

UNLISTED, INEXACT = -1, -2
"""Truths that are no place in the labels: none of them, and one of several."""

KINDS = tuple(Kind)
"""What the numbers in `Examples.kind` stand for."""

_COLDEST, _HOTTEST = 0.1, 10.0
# A name that is more likely wrong than right is none, whatever the others bring on average.
_GRID = np.arange(500, 1000, 5) / 1000


@dataclass(frozen=True)
class Examples:
    """n frames, and what a person says of each.

    `probabilities` gives float32 [n, labels] at a temperature. `truth` int64 [n] are places in
    `choices.labels`, any blank label for a blank, or UNLISTED or INEXACT; `kind` int64 [n] are
    places in KINDS. Frames with one number in `burst`, int64 [n], are held out together.
    """

    probabilities: Callable[[float], Vectors]
    choices: Choices
    truth: Ints
    kind: Ints
    burst: Ints

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: npt.NDArray[np.int64]) -> "Examples":
        """Those at the places `rows`."""
        return Examples(
            lambda temperature: self.probabilities(temperature)[rows],
            self.choices,
            self.truth[rows],
            self.kind[rows],
            self.burst[rows],
        )

    def are(self, kind: Kind) -> npt.NDArray[np.bool_]:
        """Which of the frames show a kind, bool [n]."""
        return np.asarray(self.kind == KINDS.index(kind))


@dataclass(frozen=True, slots=True)
class Figures:
    """How good verdicts are on n frames.

    `accuracy` is of the most probable label, all blank ones as one; `nll` the mean negative
    logarithm of the true label's probability where it is in the vocabulary; `error` the expected
    calibration error in 15 bins, and `floor` what probabilities without any error would show on
    so many frames. `named` are those given a name, `right` those of them given the right one.
    """

    accuracy: Share
    nll: float
    error: float
    floor: float
    named: Share
    right: Share


@dataclass(frozen=True, slots=True)
class Fit:
    """What was fitted to `frames` in `bursts`, and its worth on frames that were held out.

    `before` and `after` are of the same frames. `notes` say what could not be chosen, and why.
    """

    temperature: float
    thresholds: Thresholds
    before: Figures
    after: Figures
    frames: int
    bursts: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Outcomes:
    """What came of n frames, an array [n] each.

    `nll` and `burst` are of those alone whose label is in the vocabulary.
    """

    confidence: Floats
    is_right: npt.NDArray[np.bool_]
    nll: Floats
    burst: Ints
    is_named: npt.NDArray[np.bool_]
    is_rightly_named: npt.NDArray[np.bool_]


def bursts(times: Sequence[datetime], gap: timedelta = BURST_GAP) -> Ints:
    """The number of each frame's burst, int64 [n]: frames less than `gap` apart share one."""
    order = sorted(range(len(times)), key=times.__getitem__)
    numbers = np.zeros(len(times), np.int64)
    for before, after in pairwise(order):
        numbers[after] = numbers[before] + (times[after] - times[before] >= gap)
    return numbers


def fit(examples: Examples, base: Thresholds, precision: float, fixed: Collection[str] = ()) -> Fit:
    """Fits to all examples, and measures by cross-validation over bursts.

    `base` are the thresholds in force, of which those named in `fixed` stay; `precision` is the
    share of what is said that shall be right. The temperature stays 1 where another one does not
    bring down the negative log-likelihood of held-out frames by more than chance would. Raises
    FeederError where there are too few examples.
    """
    _check(examples)
    as_it_is = _held_out(examples, lambda _: (1.0, base))
    heated = _held_out(examples, lambda some: (fit_temperature(some), base))
    helps = _is_surely_less(heated.nll, as_it_is.nll, heated.burst)

    def chosen(some: Examples) -> tuple[float, Thresholds]:
        temperature = fit_temperature(some) if helps else 1.0
        return temperature, choose_thresholds(some, temperature, base, precision, fixed)[0]

    after = _figures(_held_out(examples, chosen))
    temperature = fit_temperature(examples) if helps else 1.0
    thresholds, notes = choose_thresholds(examples, temperature, base, precision, fixed)
    if not helps:
        notes = ("no temperature surely helps on frames held out, so it stays 1", *notes)
    return Fit(
        temperature,
        thresholds,
        _figures(as_it_is),
        after,
        len(examples),
        len(np.unique(examples.burst)),
        notes,
    )


def fit_temperature(examples: Examples) -> float:
    """The temperature, 0.1 to 10, of the least negative log-likelihood of the true labels.

    By golden-section search over its logarithm (Kiefer 1953): the likelihood has one peak, for it
    is log-concave in 1/T where each label is one vector.
    """
    known = examples.take(np.flatnonzero(examples.truth >= 0))
    if not len(known):
        return 1.0

    def cost(log_temperature: float) -> float:
        answers = _answers(known, math.exp(log_temperature))
        return float(_nll(answers, known.truth).mean())

    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    cost_left, cost_right = cost(left), cost(right)
    while high - low > 1e-3:
        if cost_left <= cost_right:
            high, right, cost_right = right, left, cost_left
            left = high - ratio * (high - low)
            cost_left = cost(left)
        else:
            low, left, cost_left = left, right, cost_right
            right = low + ratio * (high - low)
            cost_right = cost(right)
    return math.exp((low + high) / 2)


def choose_thresholds(
    examples: Examples,
    temperature: float,
    base: Thresholds,
    precision: float,
    fixed: Collection[str] = (),
) -> tuple[Thresholds, tuple[str, ...]]:
    """The lowest thresholds, from 0.5 on, at which `precision` of what is said is right.

    What is said is a name, a bird of whatever species, and blank. A threshold stays as it is in
    `base` where it is `fixed`, where too few frames tell, and where none is high enough; words say
    why, unless it is fixed.
    """
    probabilities, choices = examples.probabilities(temperature), examples.choices
    chosen, notes = base, []

    def choose(name: str, scores: Floats, right: npt.NDArray[np.bool_], against: int) -> None:
        nonlocal chosen
        if name in fixed:
            return
        if against < MIN_OF_KIND:
            what = {"blank": "blanks", "bird": "frames without a bird", "label": "frames to name"}
            notes.append(
                f"`{name}` stays {getattr(base, name):g}: {against} {what[name]}, and"
                f" {MIN_OF_KIND} are needed"
            )
            return
        lowest = _lowest(scores, right, precision)
        if lowest is None:
            notes.append(f"`{name}` stays {getattr(base, name):g}: nothing reaches {precision:g}")
            return
        chosen = chosen.model_copy(update={name: lowest})

    blanks, birds = examples.are(Kind.BLANK), examples.are(Kind.BIRD)
    said = verdicts.decide(probabilities, choices, base)
    choose("blank", said.blank, blanks, int(blanks.sum()))
    left = said.blank < chosen.blank
    choose("bird", said.bird[left], birds[left], int((~birds).sum()))
    nameable = (
        left
        & (examples.truth != INEXACT)
        & ~choices.are(Kind.BLANK)[said.best]
        & (~choices.are(Kind.BIRD)[said.best] | (said.bird >= chosen.bird))
        & (said.margin >= base.margin)
    )
    right = said.best == examples.truth
    choose("label", said.best_probability[nameable], right[nameable], int(nameable.sum()))
    return chosen, tuple(notes)


def _check(examples: Examples) -> None:
    known = int((examples.truth >= 0).sum())
    if known < MIN_FRAMES:
        raise FeederError(
            f"{known} frames whose label is known are too few to calibrate on; {MIN_FRAMES} are"
            " needed.",
            f"`feeder review --sample {MIN_FRAMES - known}` draws some at random for you to name.",
        )
    found = len(np.unique(examples.burst))
    if found < MIN_BURSTS:
        raise FeederError(
            f"The {len(examples)} frames are of {found} bursts, which are too few to hold some out;"
            f" {MIN_BURSTS} are needed.",
            "`feeder review --sample 100 --days 60` draws from a longer time.",
        )


def _held_out(
    examples: Examples, chosen_on: Callable[[Examples], tuple[float, Thresholds]]
) -> _Outcomes:
    """What comes of each frame under what was chosen without it and its burst."""
    fold = _folds(examples.burst)
    parts = []
    for number in range(FOLDS):
        inside = fold == number
        temperature, thresholds = chosen_on(examples.take(np.flatnonzero(~inside)))
        parts.append(_outcomes(examples.take(np.flatnonzero(inside)), temperature, thresholds))
    return _Outcomes(
        **{name: np.concatenate([vars(one)[name] for one in parts]) for name in vars(parts[0])}
    )


def _is_surely_less(after: Floats, before: Floats, burst: Ints) -> bool:
    """Whether a mean fell by more than its standard error, arrays [n], 1.64 times: 19 of 20.

    Frames of a burst count as one, or ten pictures of one bird would be ten proofs.
    """
    _, place = np.unique(burst, return_inverse=True)
    gains = np.bincount(place, weights=before - after)
    spread = math.sqrt(float(((gains - gains.mean()) ** 2).sum()))
    return bool(gains.sum() > 1.64 * spread)


def _folds(burst: Ints) -> Ints:
    """The fold of each frame, int64 [n]: whole bursts, the largest first into the emptiest."""
    numbers, place, sizes = np.unique(burst, return_inverse=True, return_counts=True)
    fold, filled = np.zeros(len(numbers), np.int64), np.zeros(FOLDS, np.int64)
    for at in np.argsort(-sizes, kind="stable"):
        fold[at] = filled.argmin()
        filled[fold[at]] += sizes[at]
    return np.asarray(fold[place], np.int64)


def _outcomes(examples: Examples, temperature: float, at: Thresholds) -> _Outcomes:
    exact = examples.take(np.flatnonzero(examples.truth != INEXACT))
    answers = _answers(exact, temperature)
    best = answers.argmax(axis=1)
    known = exact.truth >= 0
    said = verdicts.decide(exact.probabilities(temperature), exact.choices, at)
    is_named = (said.named != verdicts.NOTHING) & (said.named != len(exact.choices.names) - 1)
    is_right = said.named == exact.truth
    for place, (_, members) in enumerate(exact.choices.groups, start=len(exact.choices.labels)):
        is_right |= (said.named == place) & np.isin(exact.truth, members)
    return _Outcomes(
        # Sums of float32 shares may pass 1 by a rounding.
        np.minimum(answers.max(axis=1), 1.0),
        best == exact.truth,
        _nll(answers[known], exact.truth[known]),
        exact.burst[known],
        is_named,
        is_named & is_right,
    )


def _figures(found: _Outcomes) -> Figures:
    named = int(found.is_named.sum())
    return Figures(
        accuracy=Share(int(found.is_right.sum()), len(found.is_right)),
        nll=float(found.nll.mean()),
        error=_error(found.confidence, found.is_right),
        floor=_floor(found.confidence),
        named=Share(named, len(found.is_named)),
        right=Share(int(found.is_rightly_named.sum()), named),
    )


def _error(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    return metrics.calibration_error(metrics.reliability(confidence, right)) or 0.0


def _floor(confidence: Floats, times: int = 100) -> float:
    """The mean error where answers are right exactly as often as they say (Broecker & Smith 2007).

    It is above 0, for few frames scatter.
    """
    draws = np.random.default_rng(0).random((times, len(confidence)))
    return float(np.mean([_error(confidence, draw < confidence) for draw in draws]))


def _answers(examples: Examples, temperature: float) -> Floats:
    """Probabilities float64 [n, labels] in which the first blank label stands for all of them."""
    answers = examples.probabilities(temperature).astype(np.float64)
    blanks = np.flatnonzero(examples.choices.are(Kind.BLANK))
    if len(blanks):
        answers[:, blanks[0]] = answers[:, blanks].sum(axis=1)
        answers[:, blanks[1:]] = 0
    return answers


def _nll(answers: Floats, truth: Ints) -> Floats:
    """The negative logarithm of each true label's probability; of none, as float32 ends."""
    own = answers[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.maximum(own, float(np.finfo(np.float32).tiny))))


def _lowest(scores: Floats, right: npt.NDArray[np.bool_], precision: float) -> float | None:
    """The lowest threshold of which everything at or above it is right that often."""
    for threshold in _GRID:
        above = scores >= threshold
        if above.any() and right[above].mean() >= precision:
            return float(threshold)
    return None
