"""Examples -> prototypes: what pictures that somebody named add to the labels' vectors; pure.

A label learns from the examples that the vectors it has do not tell yet. Their mean direction is
drawn towards the label's own vector, the more the fewer they are, and stands beside it with a bias
of its own, so that nothing is lost of what the label knew. Sources: a classifier of cached
examples beside one of words is Tip-Adapter's (Zhang et al. 2022); interpolating what was learnt
with what was known is WiSE-FT's (Wortsman et al. 2022); n / (n + k) is the weight of n examples
beside k that are taken for granted (James and Stein's shrinkage, in its empirical Bayes form).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from feeder.domain import Label, Vectors
from feeder.encoder import unit

MIN_EXAMPLES = 3
"""Fewer examples say nothing about how far a new picture may lie from them. What a label's own
vector weighs is this many bursts, too."""

MAX_SPOTS = 200
"""Bursts of what is not alike that are kept, the newest: each is a row in every product."""

_ODDS = 9.0
"""Odds that a prototype gets over all other labels on its own typical example; and how many
examples it must win for each example of another label that it takes."""

Rows = tuple[Vectors, Vectors]
"""One label's unit vectors, float32 [k, d], and their biases, float32 [k], in logits."""

_Others = tuple[Vectors, Vectors]
"""Examples of another label, float32 [n, d], and that label's logits [n]."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """n pictures that show `label`: unit vectors, float32 [n, d], and `bursts`, int64 [n].

    Frames of one burst show one moment, and count as one example; later ones have higher numbers.
    `alike` says that the label is one thing, of which examples have a mean; what has no name is
    many, each like its own burst alone.
    """

    label: Label
    vectors: Vectors
    bursts: Ints
    alike: bool = True

    def only(self, chosen: npt.NDArray[np.bool_]) -> "Examples":
        """Those that `chosen`, bool [n], marks."""
        return replace(self, vectors=self.vectors[chosen], bursts=self.bursts[chosen])


def teach(
    labels: Sequence[Label], rows: Sequence[Rows], lessons: Sequence[Examples], scale: float
) -> tuple[list[Label], list[Rows]]:
    """`labels` and their `rows` with what `lessons` add, each of which is of another label.

    Logits are `scale` x cosine + bias. A label that is not in `labels` joins them once it has
    `MIN_EXAMPLES`. Examples that a label knows already add nothing to it, and keep the prototypes
    of other labels from taking pictures like them.
    """
    known = _Known(labels, rows, scale)
    at_stake = [known.at_stake(lesson) for lesson in lessons]
    every_label, every_row = list(labels), list(rows)
    for number, lesson in enumerate(lessons):
        added = _added(lesson, known, at_stake[:number] + at_stake[number + 1 :])
        if not added:
            continue
        vectors = np.concatenate([vector for vector, _ in added])
        bias = np.array([bias for _, bias in added], np.float32)
        place = known.place(lesson.label)
        if place is None:
            every_label.append(lesson.label)
            every_row.append((vectors, bias))
        else:
            before = rows[place]
            every_row[place] = (
                np.concatenate([before[0], vectors]),
                np.concatenate([before[1], bias]),
            )
    return every_label, every_row


class _Known:
    """What the labels' own rows say of examples."""

    def __init__(self, labels: Sequence[Label], rows: Sequence[Rows], scale: float) -> None:
        self.scale = np.float32(scale)
        self._places = {label.name: place for place, label in enumerate(labels)}
        self._labels = labels
        self._rows = rows

    def place(self, label: Label) -> int | None:
        """Where the label stands; None where it is new."""
        return self._places.get(label.name)

    def vector(self, label: Label) -> Vectors | None:
        """The mean direction of the label's own rows, float32 [1, d]; None of a new one."""
        place = self.place(label)
        return None if place is None else mean_direction(self._rows[place][0])

    def own(self, lesson: Examples) -> Vectors:
        """The logits [n] of the examples' own label; -inf where that is new.

        Where they have no name, any label of their kind is as good.
        """
        return self._logits(lesson, self._same(lesson))

    def rivals(self, lesson: Examples) -> Vectors:
        """The logits [n] of all labels that would be wrong, summed as probabilities are."""
        return self._logits(lesson, ~self._same(lesson))

    def at_stake(self, lesson: Examples) -> _Others:
        """The examples that their label has already, with its logits."""
        own = self.own(lesson)
        has = own > self.rivals(lesson)
        return lesson.vectors[has], own[has]

    def _same(self, lesson: Examples) -> npt.NDArray[np.bool_]:
        place = self.place(lesson.label)
        return np.array(
            [
                number == place or (not lesson.alike and label.kind is lesson.label.kind)
                for number, label in enumerate(self._labels)
            ],
            bool,
        )

    def _logits(self, lesson: Examples, chosen: npt.NDArray[np.bool_]) -> Vectors:
        picked = [self._rows[place] for place in np.flatnonzero(chosen).tolist()]
        if not picked:
            return np.full(len(lesson.vectors), -np.inf, np.float32)
        vectors = np.concatenate([vectors for vectors, _ in picked])
        bias = np.concatenate([bias for _, bias in picked])
        logits = self.scale * lesson.vectors @ vectors.T + bias
        top = logits.max(axis=1, keepdims=True)
        return np.asarray(top[:, 0] + np.log(np.exp(logits - top).sum(axis=1)), np.float32)


def _added(
    lesson: Examples, known: _Known, others: Sequence[_Others]
) -> list[tuple[Vectors, np.float32]]:
    """The prototypes of a label, a unit vector [1, d] and a bias each; none where it needs none."""
    rivals = known.rivals(lesson)
    unsure = ~(known.own(lesson) > rivals + np.log(_ODDS))
    lesson, rivals = lesson.only(unsure), rivals[unsure]
    if not lesson.alike:
        # A leaf in the sun, a drop on the lens: each spot is one of its own, and no mean of them.
        spots = [lesson.bursts == burst for burst in np.unique(lesson.bursts)[-MAX_SPOTS:]]
        return [
            _prototype(lesson.only(spot), rivals[spot], None, known.scale, others) for spot in spots
        ]
    own = known.vector(lesson.label)
    if len(lesson.vectors) < (1 if own is not None else MIN_EXAMPLES):
        return []
    return [_prototype(lesson, rivals, own, known.scale, others)]


def _prototype(
    lesson: Examples,
    rivals: Vectors,
    own: Vectors | None,
    scale: np.float32,
    others: Sequence[_Others],
) -> tuple[Vectors, np.float32]:
    """One unit vector [1, d] for all these examples, and its bias.

    Pictures resemble pictures more than words, so that a raw cosine says little beside a prompt's:
    the bias gives the median example `_ODDS` over the other labels' logits [n].
    """
    vectors = lesson.vectors
    bursts = np.unique(lesson.bursts)
    means = [mean_direction(vectors[lesson.bursts == burst]) for burst in bursts]
    vector = mean_direction(np.concatenate(means))
    share = np.float32(len(bursts) / (len(bursts) + MIN_EXAMPLES))
    if own is not None:
        vector = unit(share * vector + (1 - share) * own)
    # Examples resemble a mean that they are part of more than other pictures will, which makes the
    # bias too small while they are few: as it should be, beside a vector that serves meanwhile.
    near = vectors @ vector[0]
    if own is None and len(bursts) > 1:
        rest = unit(vectors.sum(axis=0, keepdims=True) - vectors)
        near = share * np.einsum("nd,nd->n", vectors, rest) + (1 - share) * near
    needed = rivals - scale * near
    bias = float(np.median(needed)) + np.log(_ODDS) if np.isfinite(needed).all() else 0.0
    if own is not None:
        # A bias that speaks for the label speaks for it everywhere, so a mistake would spread.
        bias = min(bias, len(bursts) * float(np.log(_ODDS)))
    room = [own - scale * examples @ vector[0] for examples, own in others]
    return vector, np.float32(_spare(bias, needed, np.concatenate([np.empty(0), *room])))


def _spare(bias: float, needed: Vectors, room: npt.NDArray[np.float64]) -> float:
    """`bias`, or as much less as other labels' examples ask for.

    Above `needed` [n] it wins an example of its own, above `room` [m] it takes one of another's.
    """
    room = np.sort(room[np.isfinite(room) & (room < bias)])
    candidates = np.append(room, bias)
    taken = np.searchsorted(room, candidates)
    won = np.searchsorted(np.sort(needed), candidates)
    return float(candidates[taken * _ODDS <= won].max())


def mean_direction(vectors: Sequence[Vectors] | Vectors) -> Vectors:
    """The unit vector, [1, d], along the mean of unit vectors [n, d]."""
    return unit(np.mean(np.asarray(vectors, np.float32), axis=0, keepdims=True))
