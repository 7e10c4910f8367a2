"""Figures that say how good a classifier is; plain numpy, compared with scikit-learn in the tests.

`n` is the number of pictures, `c` of classes, `l` of labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_Z = 1.959963984540054
"""The standard normal's 97.5 % point, for two-sided 95 % intervals."""


@dataclass(frozen=True, slots=True)
class Share:
    """`count` out of `total`."""

    count: int
    total: int

    @property
    def value(self) -> float | None:
        """In [0, 1], or None of nothing."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % Wilson score interval (Wilson 1927), which stays honest for few pictures."""
        if not self.total:
            return None
        share, spread = self.count / self.total, _Z**2 / self.total
        middle = (share + spread / 2) / (1 + spread)
        half = _Z / (1 + spread) * math.sqrt((share * (1 - share) + spread / 4) / self.total)
        # At none and at all of them rounding would leave 1e-17 instead of the exact bound.
        low = 0.0 if self.count == 0 else max(0.0, middle - half)
        high = 1.0 if self.count == self.total else min(1.0, middle + half)
        return low, high


@dataclass(frozen=True, slots=True)
class Scores:
    """Each class's precision, recall and F1, float64 [c] in [0, 1], and support, int64 [c].

    A ratio of nothing to nothing is 0, as in scikit-learn with `zero_division=0`.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


@dataclass(frozen=True, slots=True)
class Means:
    """Precision, recall and F1 over classes, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """Answering only at `threshold` and above: the share answered, and of those the share right.

    `accuracy` is None where nothing is answered.
    """

    threshold: float
    coverage: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The `count` answers given with a confidence in (`low`, `high`], the first bin with 0 too.

    Mean `confidence` and `accuracy` are None in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def confusion_matrix(truth: Ints, outcome: Ints, classes: int) -> Ints:
    """int64 [c, c]: how often class `row` was taken for class `column`."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, outcome), 1)
    return counts


def scores(confusion: Ints) -> Scores:
    """Per-class scores of a confusion matrix [c, c] whose rows are the truth."""
    hits = confusion.diagonal().astype(np.float64)
    support, said = confusion.sum(axis=1), confusion.sum(axis=0)
    return Scores(
        precision=_ratio(hits, said),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + said),
        support=support,
    )


def macro(each: Scores) -> Means:
    """The plain mean over the classes with support: every class counts the same."""
    return _mean(each, (each.support > 0).astype(np.float64))


def weighted(each: Scores) -> Means:
    """The mean weighted by support: every picture counts the same."""
    return _mean(each, each.support.astype(np.float64))


def ranks(probabilities: npt.NDArray[np.floating], truth: Ints) -> Ints:
    """int64 [n]: how many labels stand before the true one, in float [n, l]; 0 is a hit.

    Of equal probabilities the earlier label stands first, as in a prediction's candidates.
    """
    own = np.take_along_axis(probabilities, truth[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1]) < truth[:, None]
    before = (probabilities > own) | ((probabilities == own) & earlier)
    return np.asarray(before.sum(axis=1), np.int64)


def coverage_curve(
    confidence: Floats, right: npt.NDArray[np.bool_], thresholds: Sequence[float]
) -> list[CoveragePoint]:
    """What each threshold would cost in answers and bring in accuracy; arrays [n], n > 0."""
    points = []
    for threshold in thresholds:
        answered = confidence >= threshold
        count = int(answered.sum())
        accuracy = float(right[answered].mean()) if count else None
        points.append(CoveragePoint(threshold, count / len(confidence), accuracy))
    return points


def reliability(
    confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 15
) -> list[ReliabilityBin]:
    """Answers [n] sorted by confidence into equally wide bins over [0, 1]."""
    index = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    sorted_in = []
    for at in range(bins):
        inside = index == at
        count = int(inside.sum())
        sorted_in.append(
            ReliabilityBin(
                low=at / bins,
                high=(at + 1) / bins,
                count=count,
                confidence=float(confidence[inside].mean()) if count else None,
                accuracy=float(right[inside].mean()) if count else None,
            )
        )
    return sorted_in


def calibration_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """The expected calibration error, in [0, 1]; None of nothing.

    The mean over answers of |accuracy - confidence| of their bin (Guo et al. 2017, eq. 3).
    """
    total = sum(one.count for one in bins)
    if not total:
        return None
    return sum(
        one.count / total * abs(one.accuracy - one.confidence)
        for one in bins
        if one.accuracy is not None and one.confidence is not None
    )


def _ratio(part: Floats, whole: Ints) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _mean(each: Scores, weight: Floats) -> Means:
    total = weight.sum()
    if not total:
        return Means(0.0, 0.0, 0.0)
    precision, recall, f1 = (
        float(values @ weight / total) for values in (each.precision, each.recall, each.f1)
    )
    return Means(precision, recall, f1)
