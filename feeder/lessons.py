"""What people said of frames -> what the labels learn from it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from feeder import prototypes
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle
from feeder.domain import Kind, Label, Vectors
from feeder.label_embeddings import LabelEmbeddings, assembled, photo_examples
from feeder.prototypes import Examples, Ints, Rows
from feeder.vocabulary import Vocabulary, spelling

BURST_GAP = timedelta(minutes=5)
"""Frames of one camera less than this apart show one moment."""

MOST_BURSTS = 300
"""Moments that a label is learnt from, the newest."""

FRAMES_A_BURST = 8
"""Frames of one moment: more of them say little more, and they count as one."""

NOTHING_THERE = Label("nothing there", Kind.BLANK)
"""What a person calls a frame with nothing of interest in it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says that a frame shows, and the frame's unit vector, float32 [d]."""

    media_id: int
    deployment: str
    captured_at: datetime
    label: Label
    vector: Vectors


def bursts(told: Sequence[Told]) -> Ints:
    """The number of each frame's burst, int64 [n]; a later burst has a higher one."""
    order = sorted(range(len(told)), key=lambda i: (told[i].deployment, told[i].captured_at))
    starts: list[datetime] = []
    found = np.zeros(len(told), np.int64)
    for before, place in zip([None, *order], order, strict=False):
        one, last = told[place], None if before is None else told[before]
        if (
            last is None
            or last.deployment != one.deployment
            or one.captured_at - last.captured_at >= BURST_GAP
        ):
            starts.append(one.captured_at)
        found[place] = len(starts) - 1
    rank = np.argsort(np.argsort([start.timestamp() for start in starts], kind="stable"))
    return rank[found] if len(told) else found


def lessons(told: Sequence[Told]) -> list[Examples]:
    """The same by label, in the order of their names."""
    number = bursts(told)
    places: dict[str, list[int]] = {}
    for place in _newest(told, number):
        places.setdefault(told[place].label.name, []).append(place)
    return [
        Examples(
            told[mine[0]].label,
            np.stack([told[place].vector for place in mine]),
            number[mine],
            alike=name != NOTHING_THERE.name,
        )
        for name, mine in sorted(places.items())
    ]


def _newest(told: Sequence[Told], number: Ints) -> list[int]:
    """The places of each label's newest: enough to learn from, and few enough to learn at once.

    `number` int64 [n] are the frames' bursts.
    """
    frames: Counter[tuple[str, int]] = Counter()
    moments: dict[str, set[int]] = {}
    kept = []
    for place in sorted(range(len(told)), key=lambda place: -number[place]):
        name, burst = told[place].label.name, int(number[place])
        seen = moments.setdefault(name, set())
        frames[name, burst] += 1
        if frames[name, burst] <= FRAMES_A_BURST and (burst in seen or len(seen) < MOST_BURSTS):
            seen.add(burst)
            kept.append(place)
    return sorted(kept)


def taught(
    given: LabelEmbeddings, lessons: Sequence[Examples], vocabulary: Vocabulary, bundle: Bundle
) -> LabelEmbeddings:
    """`given`, made of `vocabulary`, with what `lessons` add; itself where that is nothing.

    A label that `given` lacks joins it, unless the user took it out of the vocabulary. Whatever
    stands for several species teaches nothing.
    """
    wanted = _matched(lessons, given, vocabulary)
    again = {label.name for label in given.labels if label.photos is not None} & wanted.keys()
    for name in again:  # made anew, of photos and frames together
        photos = photo_examples(wanted[name].label)
        wanted[name] = _joined(wanted[name], replace(photos, bursts=-1 - photos.bursts))
    kept = [place for place, label in enumerate(given.labels) if label.name not in again]
    rows: list[Rows] = [
        (given.vectors[given.owner == place], given.bias[given.owner == place]) for place in kept
    ]
    labels, rows = prototypes.teach(
        [given.labels[place] for place in kept], rows, [*wanted.values()],
        bundle.manifest.logit_scale,
    )  # fmt: skip
    if not again and sum(len(bias) for _, bias in rows) == len(given.bias):
        return given
    said = hashlib.sha256(given.digest.encode())
    for one in wanted.values():
        said.update(repr((one.label.name, one.label.kind, one.bursts.tolist())).encode())
        said.update(one.vectors.tobytes())
    return assembled(labels, rows, vocabulary, said.hexdigest(), given.skipped, given.words)


def _matched(
    lessons: Sequence[Examples], given: LabelEmbeddings, vocabulary: Vocabulary
) -> dict[str, Examples]:
    """The lessons by the names that `given` has for their labels."""
    known = replace(vocabulary, labels=given.labels)
    several = {spelling(group.label.name) for group in vocabulary.groups}
    several |= {spelling(label.name) for label, _ in given.groups}
    removed = {spelling(name) for name in vocabulary.removed}
    found: dict[str, Examples] = {}
    for lesson in lessons:
        if lesson.label.is_any_bird or spelling(lesson.label.name) in several | removed:
            continue
        names = map(known.find, vocabularies.names(lesson.label))
        label = next(filter(None, names), lesson.label)
        lesson = replace(lesson, label=label)
        before = found.get(label.name)
        found[label.name] = lesson if before is None else _joined(before, lesson)
    return found


def _joined(one: Examples, other: Examples) -> Examples:
    return replace(
        one,
        vectors=np.concatenate([one.vectors, other.vectors]),
        bursts=np.concatenate([one.bursts, other.bursts]),
    )
