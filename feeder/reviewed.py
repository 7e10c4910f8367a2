"""Frames whose truth a person knows, as examples for `calibration`: from the log, from a folder."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from feeder.calibration import FOLDS, INEXACT, KINDS, UNLISTED, Examples, bursts
from feeder.classifier import Classifier, as_kept
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType, Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.errors import BadFrame
from feeder.labelled import LabelledPicture, match
from feeder.metrics import Ints
from feeder.review_log import Said
from feeder.verdicts import Context
from feeder.vocabulary import spelling

Truth = tuple[int, Kind]
"""A place among the labels, UNLISTED or INEXACT, and the kind."""


class Truths:
    """What names mean to a classifier's labels."""

    def __init__(self, classifier: Classifier) -> None:
        self._labels = classifier.labels
        self._inexact = {spelling(label.name) for label, _ in classifier.embeddings.groups}
        self._inexact.add(spelling(UNIDENTIFIED_BIRD.name))
        self._first: dict[Kind, int] = dict.fromkeys(Kind, UNLISTED)
        self._any_bird = UNLISTED
        for place in reversed(range(len(self._labels))):
            self._first[self._labels[place].kind] = place
            if self._labels[place].is_any_bird:
                self._any_bird = place

    def of_verdict(self, said: Said) -> Truth | None:
        """What a person's words about a frame mean; None where they say that nobody can tell."""
        match said.observation_type:
            case ObservationType.BLANK:
                return self._first[Kind.BLANK], Kind.BLANK
            case ObservationType.HUMAN:
                return self._first[Kind.HUMAN], Kind.HUMAN
            case ObservationType.ANIMAL if said.label is not None:
                return self.of_name(said.label, said.scientific_name, said.kind or Kind.BIRD)
            case _:
                return None

    def of_name(self, name: str, scientific_name: str | None, kind: Kind) -> Truth:
        """What an animal's name means."""
        if spelling(name) in self._inexact:
            return INEXACT, kind
        meant = match([name, scientific_name or name], self._labels)
        for found in (meant.get(name), meant.get(scientific_name or name)):
            if isinstance(found, Label):
                return self._labels.index(found), found.kind
        return (self._any_bird if kind is Kind.BIRD else UNLISTED), kind

    def of_answer(self, answer: Label | Kind) -> Truth:
        """What a folder's label means; a kind is exact where it has but one answer."""
        if isinstance(answer, Kind):
            exact = answer in (Kind.BLANK, Kind.HUMAN)
            return (self._first[answer] if exact else INEXACT), answer
        if answer.kind is Kind.BLANK:
            return self._first[Kind.BLANK], Kind.BLANK
        return self._labels.index(answer), answer.kind


def from_log(said: Sequence[Said], store: EmbeddingStore, classifier: Classifier) -> Examples:
    """What people say of one camera's frames, of which those that nobody can tell are left out.

    The log's embeddings are those of the graph that judged the frames, quantised where the daemon's
    is, unless `precision` was changed since.
    """
    truths = Truths(classifier)
    told = [(one, truth) for one in said if (truth := truths.of_verdict(one)) is not None]
    times = [one.captured_at for one, _ in told]
    return _examples(
        classifier,
        store.get([one.media_id for one, _ in told]),
        [truth for _, truth in told],
        bursts(times),
        [classifier.context(one.deployment, one.captured_at) for one, _ in told],
    )


def from_folder(
    pictures: Sequence[LabelledPicture],
    classifier: Classifier,
    deployment: str,
    at: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Examples, dict[str, int], list[str]]:
    """A labelled folder, judged as a camera's frames at the instant `at`.

    Pictures of one source are held out together where there are sources enough, else each by
    itself. Also gives the labels that are none of the classifier's, each with its count, and what
    could not be read; those pictures are left out.
    """
    truths = Truths(classifier)
    answers = match({picture.name for picture in pictures}, classifier.labels)
    unmatched = Counter(picture.name for picture in pictures if picture.name not in answers)
    chosen = [picture for picture in pictures if picture.name in answers]
    vectors, kept, bad = [], [], []
    for done, picture in enumerate(chosen, start=1):
        try:
            vectors.append(classifier.embed([picture.path])[0])
            kept.append(picture)
        except BadFrame as error:
            bad.append(str(error))
        if progress is not None:
            progress(done, len(chosen))
    sources = sorted({picture.source for picture in kept})
    burst = np.arange(len(kept))
    if len(sources) >= 2 * FOLDS:
        burst = np.array([sources.index(picture.source) for picture in kept])
    width = classifier.bundle.manifest.embedding_width
    examples = _examples(
        classifier,
        as_kept(np.array(vectors, np.float32).reshape(-1, width)),
        [truths.of_answer(answers[picture.name]) for picture in kept],
        burst,
        [classifier.context(deployment, at)] * len(kept),
    )
    return examples, dict(sorted(unmatched.items())), bad


def _examples(
    classifier: Classifier,
    embeddings: Vectors,
    truths: Sequence[Truth],
    burst: Ints,
    contexts: Sequence[Context],
) -> Examples:
    # A camera's week has one context; frames that share one are judged together.
    alike: dict[int, list[int]] = {}
    for row, context in enumerate(contexts):
        alike.setdefault(id(context), []).append(row)

    def probabilities(temperature: float) -> Vectors:
        shares = np.empty((len(embeddings), len(classifier.labels)), np.float32)
        for rows in alike.values():
            context = replace(contexts[rows[0]], temperature=temperature)
            shares[rows] = classifier.probabilities(embeddings[rows], context)
        return shares

    return Examples(
        probabilities,
        classifier.choices,
        np.array([place for place, _ in truths], np.int64),
        np.array([KINDS.index(kind) for _, kind in truths], np.int64),
        burst.astype(np.int64),
    )
