"""Labels that a model can hardly tell apart, and labels that never win; pure.

Which label wins depends on differences between label vectors alone: whatever they have in common,
as all captions of birds do in a CLIP, moves every logit alike. The logits of two labels a and b
differ by scale x (a - b) . picture, so the distance |a - b| says how strongly pictures can tell
them apart, and its share of the median distance of all pairs means the same on every bundle,
where a cosine of 0.9 may be two strangers on one and one bird on another.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feeder.domain import Vectors
from feeder.label_embeddings import LabelEmbeddings

CLOSE = 0.5
"""Pairs at less than this share of the median distance are told apart half as well as most."""

ENOUGH_FRAMES = 1000
"""Frames in which a label that is never best nor second is worth a word."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two labels by their places: the cosine of their nearest vectors, and those vectors' distance.

    `share` is that distance in units of the median over all pairs of labels.
    """

    one: int
    other: int
    cosine: float
    share: float


@dataclass(frozen=True, slots=True)
class Overruled:
    """A label that loses to another even on a picture that is all it stands for, and by how much.

    `lead` is the other's logit minus its own there.
    """

    label: int
    by: int
    lead: float


def close_pairs(embeddings: LabelEmbeddings, close: float = CLOSE) -> list[Pair]:
    """The pairs of labels nearer than `close`, the nearest first.

    A label of several vectors is as near as the nearest of them; blocked ones do not count.
    """
    cosines = _between_labels(embeddings)
    one, other = np.triu_indices(len(cosines), 1)
    if not len(one):
        return []
    distance = np.sqrt(np.maximum(2 - 2 * cosines[one, other], 0))
    share = distance / max(float(np.median(distance)), np.finfo(np.float32).tiny)
    near = np.flatnonzero(share < close)
    return [
        Pair(int(one[at]), int(other[at]), float(cosines[one[at], other[at]]), float(share[at]))
        for at in near[np.argsort(share[near], kind="stable")]
        if embeddings.blocked.isdisjoint((int(one[at]), int(other[at])))
    ]


def overruled(embeddings: LabelEmbeddings, scale: float) -> list[Overruled]:
    """The labels that are not even the best on their own vectors, for a logit scale of `scale`."""
    logits = scale * embeddings.vectors @ embeddings.vectors.T + embeddings.bias
    best = logits.argmax(axis=1)
    rows = np.arange(len(logits))
    lead = logits[rows, best] - logits[rows, rows]
    owner = embeddings.owner
    found = []
    for label in range(len(embeddings.labels)):
        mine = np.flatnonzero(owner == label)
        # Of several vectors it is enough that one wins.
        if all(owner[best[row]] != label for row in mine):
            row = mine[lead[mine].argmin()]
            found.append(Overruled(label, int(owner[best[row]]), float(lead[row])))
    return found


def never_near(probabilities: Iterable[Vectors], labels: int) -> tuple[int, npt.NDArray[np.bool_]]:
    """How many frames there are, and bool [labels], True for those never best nor second in any.

    `probabilities` are those of all frames, float32 [n, labels] at a time.
    """
    frames, near = 0, np.zeros(labels, bool)
    for chunk in probabilities:
        frames += len(chunk)
        near[np.argpartition(chunk, -min(2, labels), axis=1)[:, -2:].ravel()] = True
    return frames, ~near


def _between_labels(embeddings: LabelEmbeddings) -> Vectors:
    """float32 [labels, labels]: the greatest cosine of any two vectors of two labels."""
    cosines = embeddings.vectors @ embeddings.vectors.T
    starts = np.flatnonzero(np.diff(embeddings.owner, prepend=-1))
    by_row = np.maximum.reduceat(cosines, starts, axis=0)
    return np.asarray(np.maximum.reduceat(by_row, starts, axis=1), np.float32)
