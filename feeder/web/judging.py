"""Pictures that people send: decoded where it can do no harm, judged, and forgotten.

One picture at a time, whoever asks: a classifier is not safe to share between threads, and a small
computer has memory for one.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from fastapi import Depends, Request

from feeder.bundle import Preprocessing
from feeder.classifier import Classifier
from feeder.decoder import Picture
from feeder.decoder_process import DecoderProcess
from feeder.domain import Box, Prediction, Vectors
from feeder.errors import BadFrame
from feeder.opening import open_bundle, open_classifier
from feeder.search import Seeker
from feeder.web.desk import Desk, TheDesk

WORD = 'the word "{}"'
"""What a model is asked beside a label, so that a written note counts as one."""


@dataclass(frozen=True)
class Look:
    """What is to be said of a picture, `width` x `height` pixels in all.

    `judged` is the part that the model was shown. It knew so many of the vocabulary's labels, and
    `skipped` those that it cannot know.
    """

    width: int
    height: int
    judged: Box
    prediction: Prediction
    known: int
    skipped: int
    texts: tuple[tuple[str, float], ...] = ()


@dataclass
class Judge:
    """Looks at pictures with the desk's classifier; `vocabulary` may stand in for its labels."""

    desk: Desk
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _other: tuple[object, Classifier] | None = field(default=None, init=False)

    @property
    def max_bytes(self) -> int:
        """How large a file may be."""
        settings = self.desk.settings
        return int(1e6 * min(settings.web.max_megabytes, settings.frames.max_megabytes))

    def look(self, data: bytes, vocabulary: str = "", texts: Sequence[str] = ()) -> Look:
        """The verdict on a picture's bytes, and the probabilities of `texts`, the likest first.

        Raises BadFrame for bytes that are no picture, VocabularyError or BundleError as the
        classifier's loading does.
        """
        with self._lock:
            classifier = self.desk.classifier
            other = self._on(vocabulary, classifier) if vocabulary else classifier
            with self._decoder() as decoder:
                picture = self._decoded(decoder, data, classifier.min_edge)
            (vector,) = classifier.embed([picture.image])
            prediction = other.tagger.tagged(other.judge(vector))
            shares = classifier.predict_proba([picture.image], texts)[0] if texts else ()
        ranked = sorted(zip(texts, map(float, shares), strict=True), key=lambda one: -one[1])
        return Look(
            picture.width,
            picture.height,
            judged_part(classifier.bundle.manifest.preprocessing, picture.width, picture.height),
            prediction,
            known=len(other.labels),
            skipped=len(other.embeddings.skipped),
            texts=tuple(ranked),
        )

    def vector(self, data: bytes) -> Vectors:
        """float32 [d], of a picture's bytes. Raises as `look` does."""
        with self._lock:
            classifier = self.desk.classifier
            with self._decoder() as decoder:
                picture = self._decoded(decoder, data, classifier.min_edge)
            (vector,) = classifier.embed([picture.image])
        return np.asarray(vector, np.float32)

    def text_vector(self, text: str) -> Vectors:
        """float32 [d], of a text. Raises VocabularyError where the model reads none."""
        settings = self.desk.settings
        model = settings.model
        with self._lock:
            bundle = open_bundle(settings)
            return Seeker(bundle, model.precision, model.threads, settings.cache).text(text)

    def _on(self, vocabulary: str, classifier: Classifier) -> Classifier:
        """A classifier on other labels; it sees no picture, so that no encoder is loaded twice."""
        key = (vocabulary, classifier)
        if self._other is None or self._other[0] != key:
            self._other = None  # the old one's memory goes first
            made = open_classifier(self.desk.settings, vocabulary=vocabulary, lazy=True)
            self._other = key, made
        return self._other[1]

    def _decoded(self, decoder: DecoderProcess, data: bytes, min_edge: int) -> Picture:
        if not data:
            raise BadFrame("the file is empty")
        if len(data) > self.max_bytes:
            raise BadFrame(f"the file has more than the {self.max_bytes / 1e6:g} MB allowed")
        return decoder.decode(data, min_edge=min_edge)

    @contextmanager
    def _decoder(self) -> Iterator[DecoderProcess]:
        limits = self.desk.settings.frames
        made = DecoderProcess(int(limits.max_megapixels * 1e6), limits.decode_seconds)
        try:
            yield made
        finally:
            made.close()


def judged_part(how: Preprocessing, width: int, height: int) -> Box:
    """The part of a picture that the model is shown, whichever of its views shows it."""
    if "squash" in how.views:
        return Box(0, 0, 1, 1)
    edge = min(width, height) * how.size / how.resize
    across, down = edge / width, edge / height
    return Box((1 - across) / 2, (1 - down) / 2, across, down)


_making = threading.Lock()


def _of(request: Request, desk: TheDesk) -> Judge:
    state = request.app.state
    with _making:
        if not hasattr(state, "judge"):
            state.judge = Judge(desk)
    judge = state.judge
    assert isinstance(judge, Judge)
    return judge


TheJudge = Annotated[Judge, Depends(_of)]
"""A route's parameter of this type is what judges the pictures that people send."""
