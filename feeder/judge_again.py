"""The history judged again from its embeddings: what would change, and the new verdicts.

Nothing is written here, and no picture is looked at. Frames come in the order of their ids, so
that the log is read as it lies on the disk, and memory holds a window of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from feeder.bundle import Thresholds
from feeder.classifier import Classifier
from feeder.domain import Prediction, Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.verdict_log import Ids, Standing, Verdict, VerdictLog, verdict_of
from feeder.verdicts import NOTHING, TYPES, Context, Verdicts

WINDOW = 16_384
"""Frames judged at once: 32 MB of vectors at a width of 512."""

SLOT_SECONDS = 900
"""Frames taken within the same quarter of an hour are judged in the same context: no zone's
months, days or hours begin within one."""

HAIR = 1e-5
"""How far a probability may lie from a threshold by the rounding of sums alone, which differs
between one picture and many judged at once."""


@dataclass(frozen=True)
class Judged:
    """Frames that were judged again in one context, and the `changed` among them, which are rows.

    `was` and `now`, int64 [changed], are places in `VerdictLog.verdicts`.
    """

    frames: Standing
    embeddings: Vectors
    probabilities: Vectors
    said: Verdicts
    changed: Ids
    was: Ids
    now: Ids

    @property
    def media_ids(self) -> Ids:
        """The frames that changed."""
        return self.frames.media_ids[self.changed]


@dataclass(frozen=True)
class Window:
    """A step of judging again: `frames` were judged, and `by_person` others are a person's.

    `last` embeddings have been met so far.
    """

    last: int
    frames: int
    by_person: int
    judged: list[Judged]


@dataclass
class Change:
    """Frames that go from one verdict to another.

    int64 [n] each: ids of the frames and of their cameras, and capture times in Unix time.
    """

    was: Verdict
    now: Verdict
    media_ids: Ids
    deployments: Ids
    seconds: Ids

    def visits(self, gap: timedelta) -> int:
        """How many visits these frames make up by themselves, `gap` being a visit's."""
        order = np.lexsort((self.seconds, self.deployments))
        new_camera = np.diff(self.deployments[order], prepend=-1) != 0
        after_gap = np.diff(self.seconds[order], prepend=0) >= gap.total_seconds()
        return int((new_camera | after_gap).sum())


@dataclass
class Plan:
    """What judging again would change, or has changed.

    `frames` were looked at. Beside them people have said what `by_person` show: those stay.
    `elsewhere` have an embedding of another model alone.
    """

    frames: int = 0
    by_person: int = 0
    elsewhere: int = 0
    _found: dict[tuple[Verdict, Verdict], list[Ids]] = field(default_factory=dict)
    """Of each change, int64 [3, n]: ids of the frames, of their cameras, and capture times."""

    def add(self, window: Window, verdicts: list[Verdict]) -> None:
        """Counts what was judged; `verdicts` is `VerdictLog.verdicts`."""
        self.frames += window.frames
        self.by_person += window.by_person
        for judged in window.judged:
            pairs = np.stack([judged.was, judged.now], axis=1)
            for was, now in np.unique(pairs, axis=0):
                of_this = (judged.was == was) & (judged.now == now)
                key, rows = (verdicts[was], verdicts[now]), judged.changed[of_this]
                frames = judged.frames
                columns = (frames.media_ids, frames.deployments, frames.seconds)
                self._found.setdefault(key, []).append(np.stack([at[rows] for at in columns]))

    @property
    def changed(self) -> int:
        """How many frames change."""
        return sum(len(one.media_ids) for one in self.changes)

    @property
    def changes(self) -> list[Change]:
        """What changes into what, the most frequent first."""
        made = [
            Change(was, now, *np.concatenate(found, axis=1))
            for (was, now), found in self._found.items()
            if was != now
        ]
        return sorted(made, key=lambda one: (-len(one.media_ids), one.was, one.now))


def judge_again(
    classifier: Classifier, store: EmbeddingStore, log: VerdictLog, *, every: bool = False
) -> Iterator[Window]:
    """Judges every frame in the log's scope that has an embedding, a window at a time.

    Frames of which a person has said what they show are left out. With `every` frame, those whose
    verdict stays count as changed, too.
    """
    contexts = _Contexts(classifier, log)
    places = _places_named(classifier, log)
    order = np.argsort(store.media_ids, kind="stable")
    ids = store.media_ids[order]
    for start, end in pairwise(_cuts(ids)):
        frames = log.read(int(ids[start]), int(ids[end - 1]))
        by_person = int(frames.by_person.sum())
        frames = frames.only(np.flatnonzero(~frames.by_person))
        _, rows, found = np.intersect1d(
            ids[start:end], frames.media_ids, assume_unique=True, return_indices=True
        )
        frames = frames.only(found)
        # Mapped anew each time: pages of an earlier window would count as this process's memory.
        vectors = store.mapped()[order[start:end][rows]].astype(np.float32)
        numbers = contexts.numbers(frames)
        judged = []
        for number in np.unique(numbers):
            alike = np.flatnonzero(numbers == number)
            context, part = contexts.known[number], frames.only(alike)
            judged.append(_judge(classifier, context, part, vectors[alike], places, every=every))
        yield Window(end, len(frames.media_ids), by_person, judged)


def predictions(
    classifier: Classifier, log: VerdictLog, judged: Judged
) -> Iterator[tuple[int, Prediction]]:
    """The new verdicts in full, by media id, each on the part of the frame that was judged.

    They bring no embedding: the log has it.
    """
    ids = judged.media_ids
    regions = log.regions(ids[judged.frames.has_region[judged.changed]].tolist())
    made = classifier.predictions(
        judged.embeddings, judged.probabilities, judged.said, judged.changed
    )
    for media_id, prediction in zip(ids.tolist(), made, strict=True):
        yield media_id, replace(prediction, embedding=None, region=regions.get(media_id))


def _judge(
    classifier: Classifier,
    context: Context,
    frames: Standing,
    embeddings: Vectors,
    places: Ids,
    *,
    every: bool,
) -> Judged:
    probabilities = classifier.probabilities(embeddings, context)
    said = classifier.decide(probabilities, context)
    now = places[said.types, said.named]
    changed = np.arange(len(now)) if every else np.flatnonzero(now != frames.verdicts)
    if len(changed) and not every:
        was = frames.verdicts[changed]
        by_a_hair = (said.margin[changed] < HAIR) & np.isin(was, places)
        for hair in (-HAIR, HAIR):
            moved = replace(context, thresholds=_moved(context.thresholds, hair))
            nearly = classifier.decide(probabilities[changed], moved)
            by_a_hair |= places[nearly.types, nearly.named] == was
        changed = changed[~by_a_hair]
    was = frames.verdicts[changed]
    return Judged(frames, embeddings, probabilities, said, changed, was, now[changed])


def _moved(thresholds: Thresholds, by: float) -> Thresholds:
    return thresholds.model_copy(
        update={name: value + by for name, value in thresholds.model_dump().items()}
    )


def _places_named(classifier: Classifier, log: VerdictLog) -> Ids:
    """The place in `log.verdicts` of each type with each name, and last with none."""
    names = [label.name for label in classifier.choices.names]
    assert NOTHING == -1  # so that it counts from the end
    return np.array(
        [[log.place(verdict_of(kind, name)) for name in (*names, None)] for kind in TYPES]
    )


def _cuts(ids: Ids) -> list[int]:
    """Where to cut ascending ids, so that each part spans at most WINDOW of them."""
    cuts = [0] if len(ids) else []
    while cuts and cuts[-1] < len(ids):
        cuts.append(int(np.searchsorted(ids, ids[cuts[-1]] + WINDOW)))
    return cuts


class _Contexts:
    """The contexts that a classifier gives frames; `known` holds each once."""

    def __init__(self, classifier: Classifier, log: VerdictLog) -> None:
        self._classifier = classifier
        self._log = log
        self._by_content: dict[object, int] = {}
        self._by_slot: dict[tuple[int, int], int] = {}
        self.known: list[Context] = []

    def numbers(self, frames: Standing) -> Ids:
        """The place in `known` of each frame's context, int64 [n]."""
        slots = np.stack([frames.deployments, frames.seconds // SLOT_SECONDS], axis=1)
        different, which = np.unique(slots, axis=0, return_inverse=True)
        numbers = [self._number(int(camera), int(slot)) for camera, slot in different]
        return np.array(numbers, np.int64)[which.ravel()]

    def _number(self, camera: int, slot: int) -> int:
        if (camera, slot) not in self._by_slot:
            at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=slot * SLOT_SECONDS)
            context = self._classifier.context(self._log.deployment(camera), at)
            prior = context.log_prior
            content = (
                tuple(context.thresholds.model_dump().values()),
                context.temperature,
                None if prior is None else prior.tobytes(),
                context.unlikely,
            )
            if content not in self._by_content:
                self._by_content[content] = len(self.known)
                self.known.append(context)
            self._by_slot[camera, slot] = self._by_content[content]
        return self._by_slot[camera, slot]
