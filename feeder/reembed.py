"""A new model sees the old pictures: those there still are, newest first, one at a time.

What it has seen is in the log from then on, so that an interrupted round goes on where it was.
Verdicts come afterwards, of all frames at once; see `relabel`.
"""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from feeder.classifier import Classifier, cut
from feeder.clock import Clock, storable_ns
from feeder.config import Settings
from feeder.domain import Deployment, SettledPath, Vectors
from feeder.errors import NotReady, Vanished
from feeder.frames import MAX_ATTEMPTS, FrameReader
from feeder.judgement_log import JudgementLog
from feeder.picture_log import Picture, PictureLog
from feeder.places import Found, Places
from feeder.relabel import announce
from feeder.verdict_log import Scope, VerdictLog

WINDOW = 2000
"""Frames that one look at the log goes through: some milliseconds."""

BATCH = 20
"""Embeddings written together: a card is worn less, and a kill costs seeing so many again."""


@dataclass
class Tally:
    """How many pictures were `seen`, how many are `gone`, and how many could not be read."""

    seen: int = 0
    gone: int = 0
    unreadable: int = 0

    @property
    def total(self) -> int:
        """All that were dealt with."""
        return self.seen + self.gone + self.unreadable


class Reembedding:
    """Embeds the frames in scope that other models alone have seen; `step` does one of them.

    Raises LogUnavailable or LogDamaged as the log does, and may go on after the first.
    """

    def __init__(
        self,
        settings: Settings,
        classifier: Classifier,
        reader: FrameReader,
        verdicts: VerdictLog,
        judgements: JudgementLog,
        pictures: PictureLog,
    ) -> None:
        self._classifier = classifier
        self._reader = reader
        self._verdicts = verdicts
        self._judgements = judgements
        self._pictures = pictures
        self._places = Places.of(settings)
        self._deployments = {one.name: one for one in settings.deployments}
        self._archive = settings.archive
        self._next = verdicts.last_frame() if verdicts.has_other_models() else 0
        self._queue: deque[int] = deque()
        self._kept: dict[int, Vectors] = {}
        self.tally = Tally()

    @classmethod
    @contextmanager
    def open(
        cls,
        settings: Settings,
        classifier: Classifier,
        reader: FrameReader,
        scope: Scope | None = None,
        *,
        patience: float,
        clock: Clock | None = None,
    ) -> Iterator[Self]:
        """On the log of the settings; call `flush` at the end. Raises as the logs do.

        A write waits at most `patience` seconds for another program's.
        """
        log = settings.database
        with (
            VerdictLog(log, classifier.bundle.digest, scope or Scope()) as verdicts,
            JudgementLog.open(log, clock, patience=patience) as judgements,
            closing(PictureLog.open(log, clock, writable=False)) as pictures,
        ):
            yield cls(settings, classifier, reader, verdicts, judgements, pictures)

    def count(self) -> int:
        """How many frames other models alone have seen, gone pictures included."""
        return self._verdicts.only_other_models()

    @property
    def finished(self) -> bool:
        """Whether no frame is left, and everything is in the log."""
        return not (self._next or self._queue or self._kept)

    def step(self) -> None:
        """Deals with one frame, or looks for more, or writes what was seen."""
        if self._queue:
            self._see(self._queue.popleft())
        elif self._next:
            first = max(1, self._next - WINDOW + 1)
            self._queue.extend(self._verdicts.unseen(first, self._next))
            self._next = first - 1
        if len(self._kept) >= BATCH or not (self._next or self._queue):
            self.flush()

    def flush(self) -> None:
        """Writes what was seen; it waits to be judged from then on."""
        if self._kept:
            announce(self._judgements, self._classifier)
            self._judgements.keep_embeddings(self._classifier.bundle.digest, self._kept)
            self._kept = {}

    def _see(self, media_id: int) -> None:
        (picture,) = self._pictures.get([media_id])
        files = list(self._places.files(picture))
        if not files:
            self.tally.gone += 1
            return
        for found in files:
            vector = self._embed(picture, found)
            if vector is not None:
                self._kept[media_id] = vector
                self.tally.seen += 1
                return
        self.tally.unreadable += 1

    def _embed(self, picture: Picture, found: Found) -> Vectors | None:
        """The unit vector of what the frame's verdict is on; None where it cannot be read."""
        try:
            source = self._source(picture, found)
            snapshot = self._reader.read(source)
            if picture.sha256 is None or snapshot.frame.sha256 != picture.sha256.hex():
                return None  # another picture of that name and size
            image = self._reader.decode(snapshot).image
            if image is None:
                return None
            region = self._verdicts.regions([picture.media_id]).get(picture.media_id)
            vector = self._classifier.embed([image if region is None else cut(image, region)])[0]
        except (NotReady, Vanished, OSError, MemoryError):
            return None
        return vector if np.isfinite(vector).all() else None

    def _source(self, picture: Picture, found: Found) -> SettledPath:
        """The file as the reader takes it; a picture that is broken gets no second attempt."""
        place = self._deployments.get(picture.deployment)
        if place is None:
            place = Deployment(picture.deployment, self._archive)
        elif found.is_archived:
            place = replace(place, folder=self._archive)
        at = os.lstat(found.path)
        return SettledPath(
            place, found.path, at.st_size, storable_ns(at.st_mtime_ns), attempt=MAX_ATTEMPTS
        )
