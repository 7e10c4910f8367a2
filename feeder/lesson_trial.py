"""What corrections are worth: frames that people named, judged without and with the others'."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from feeder.classifier import Classifier
from feeder.domain import Kind, ObservationType, Prediction
from feeder.lessons import Told, bursts, lessons
from feeder.metrics import Share
from feeder.vocabulary import Vocabulary, spelling

PARTS = 10
"""So many times a part is held out, and learnt from the rest."""

ENOUGH = 30
"""Visits below which a share says little: its 95 % interval may be a third wide."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A frame held out: its burst, and whether the verdict was right before and after."""

    told: Told
    burst: int
    before: bool
    after: bool


def trial(
    classifier: Classifier,
    told: Sequence[Told],
    watched: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> list[Tried]:
    """Judges each frame without what anybody corrected, and with what the other parts teach.

    A part holds whole bursts, so that no frame is learnt from its neighbours (grouped k-fold
    cross-validation); `watched` goes through the parts' numbers, as rich's `track` does.
    `classifier` has learnt all of it afterwards. Fewer than two bursts give nothing.
    """
    number = bursts(told)
    parts = min(PARTS, len(np.unique(number)))
    if parts < 2:
        return []
    part = np.random.default_rng(0).permutation(int(number.max()) + 1)[number] % parts
    classifier.teach([])
    before = [_is_right(classifier, one) for one in told]
    after = [False] * len(told)
    for out in watched(range(parts)):
        rest = [one for one, its in zip(told, part, strict=True) if its != out]
        classifier.teach(lessons(rest))
        for place in np.flatnonzero(part == out).tolist():
            after[place] = _is_right(classifier, told[place])
    classifier.teach(lessons(told))
    return list(map(Tried, told, number.tolist(), before, after))


def shares(tried: Sequence[Tried]) -> tuple[Share, Share]:
    """How many were right before and after."""
    return (
        Share(sum(one.before for one in tried), len(tried)),
        Share(sum(one.after for one in tried), len(tried)),
    )


def _is_right(classifier: Classifier, one: Told) -> bool:
    context = classifier.context(one.deployment, one.captured_at)
    said: Prediction = classifier.judge(one.vector, context)
    if one.label.kind is Kind.BLANK:
        return said.observation_type is ObservationType.BLANK
    known = Vocabulary("", (), classifier.labels).find(one.label.name)
    wanted = known or one.label
    return said.named is not None and spelling(said.named.label.name) == spelling(wanted.name)
