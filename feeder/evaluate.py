"""A labelled folder -> how well a classifier does on it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from feeder import metrics
from feeder.bundle import Thresholds
from feeder.classifier import Classifier, as_kept
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType, Prediction, Vectors
from feeder.errors import BadFrame, FeederError
from feeder.labelled import Answer, LabelledPicture, few, kind_of, match, name_of, shown
from feeder.metrics import Ints, Means, Scores, Share
from feeder.verdicts import Context

TOP_K = (1, 3, 5)
CURVE = [step / 100 for step in range(101)]


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture's truth beside what the classifier made of it.

    `outcome` is the most probable label where the truth is a label, and the kind with the
    greatest summed probability where it is a kind; `probability` is the outcome's, in [0, 1].
    `rank` counts the labels before the true one, None where the truth is a kind. `covered` are
    the labels that the verdict's name stands for, where it is the name of a group.
    """

    picture: LabelledPicture
    truth: Answer
    outcome: Answer
    probability: float
    truth_probability: float
    rank: int | None
    prediction: Prediction
    covered: tuple[Label, ...] = ()

    @property
    def right(self) -> bool:
        return self.outcome == self.truth

    @property
    def named(self) -> bool:
        """Whether the verdict names a label, or where the truth is a kind any bird at all."""
        named = self.prediction.named
        return named is not None and (
            isinstance(self.truth, Kind) or named.label != UNIDENTIFIED_BIRD
        )

    @property
    def rightly_named(self) -> bool:
        """Whether the verdict gives the right one, or a group with the right one in it.

        Where the truth is a kind, any label of that kind is right.
        """
        named = self.prediction.named
        if named is None:
            return False
        if isinstance(self.truth, Kind):
            return self.truth is named.label.kind
        return self.truth in (named.label, *self.covered)

    @property
    def called(self) -> Kind | None:
        """The kind the verdict calls the picture, None where it declines."""
        if self.prediction.observation_type is ObservationType.BLANK:
            return Kind.BLANK
        return self.prediction.named.label.kind if self.prediction.named else None


@dataclass(frozen=True)
class Evaluation:
    """A classifier's judgement of a labelled folder, and the figures that follow from it.

    `unmatched` counts the pictures left out for a label the classifier does not know, by that
    label; `bad` holds those that could not be read, each with the reason. `labels` is the number
    of labels that were chosen among.
    """

    folder: str
    model: str
    model_digest: str
    vocabulary: str
    vocabulary_digest: str
    labels: int
    thresholds: Thresholds
    judged: tuple[Judged, ...]
    unmatched: dict[str, int] = field(default_factory=dict)
    bad: tuple[tuple[LabelledPicture, str], ...] = ()

    @cached_property
    def top1(self) -> Share:
        """Pictures whose most probable label, or kind, is the true one."""
        return Share(sum(one.right for one in self.judged), len(self.judged))

    @cached_property
    def top_k(self) -> dict[int, Share]:
        """Pictures whose true label is among the k best; those with a kind as truth left out."""
        places = [one.rank for one in self.judged if one.rank is not None]
        return {k: Share(sum(rank < k for rank in places), len(places)) for k in TOP_K}

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """Every truth and outcome there is, labels before kinds, each by name."""
        every = {one.truth for one in self.judged} | {one.outcome for one in self.judged}
        return tuple(
            sorted(every, key=lambda one: (isinstance(one, Kind), name_of(one).casefold()))
        )

    @cached_property
    def confusion(self) -> Ints:
        """int64 [answers, answers], rows the truth, columns the outcome."""
        place = {answer: index for index, answer in enumerate(self.answers)}
        truth = np.array([place[one.truth] for one in self.judged], np.int64)
        outcome = np.array([place[one.outcome] for one in self.judged], np.int64)
        return metrics.confusion_matrix(truth, outcome, len(place))

    @cached_property
    def scores(self) -> Scores:
        """Precision, recall, F1 and support of each of `answers`."""
        return metrics.scores(self.confusion)

    @property
    def macro(self) -> Means:
        return metrics.macro(self.scores)

    @property
    def weighted(self) -> Means:
        return metrics.weighted(self.scores)

    @cached_property
    def coverage_curve(self) -> list[metrics.CoveragePoint]:
        """Coverage and accuracy of the outcome at 101 thresholds on its probability."""
        confidence = np.array([one.probability for one in self.judged])
        right = np.array([one.right for one in self.judged])
        return metrics.coverage_curve(confidence, right, CURVE)

    @cached_property
    def reliability(self) -> list[metrics.ReliabilityBin]:
        """How often the outcome was right, by its probability, in 15 bins."""
        confidence = np.array([one.probability for one in self.judged])
        right = np.array([one.right for one in self.judged])
        return metrics.reliability(confidence, right)

    @property
    def calibration_error(self) -> float | None:
        return metrics.calibration_error(self.reliability)

    @cached_property
    def named(self) -> Share:
        """Coverage: pictures that the verdict, at the chosen thresholds, gives a name."""
        return Share(sum(one.named for one in self.judged), len(self.judged))

    @cached_property
    def rightly_named(self) -> Share:
        """Of the pictures given a name, those given the right one."""
        return Share(sum(one.rightly_named for one in self.judged), self.named.count)

    @cached_property
    def called(self) -> dict[Kind, Counter[Kind | None]]:
        """For each kind of picture there is, how often the verdict called it what."""
        table: dict[Kind, Counter[Kind | None]] = {}
        for kind in Kind:
            counts = Counter(one.called for one in self.judged if kind_of(one.truth) is kind)
            if counts:
                table[kind] = counts
        return table

    def called_bird(self, *kinds: Kind) -> Share:
        """Of the pictures of these kinds, those that the verdict calls a bird."""
        counts = sum((self.called.get(kind, Counter()) for kind in kinds), Counter[Kind | None]())
        return Share(counts[Kind.BIRD], counts.total())

    @cached_property
    def species(self) -> Share:
        """Of the birds whose species is known, those whose most probable label is that species."""
        known = [
            one
            for one in self.judged
            if isinstance(one.truth, Label)
            and one.truth.kind is Kind.BIRD
            and not one.truth.is_any_bird
        ]
        return Share(sum(one.right for one in known), len(known))

    @cached_property
    def by_source(self) -> dict[str, Share]:
        """`top1` of each camera or collection, where the pictures' list names more than one."""
        sources = sorted({one.picture.source for one in self.judged})
        if len(sources) < 2:
            return {}
        return {
            source: Share(
                sum(one.right for one in self.judged if one.picture.source == source),
                sum(one.picture.source == source for one in self.judged),
            )
            for source in sources
        }

    @property
    def measures(self) -> dict[str, Share]:
        """The figures to show, by name; those of no pictures are left out."""
        birds, blanks = self.called_bird(Kind.BIRD), self.called_bird(Kind.BLANK)
        every = {
            "best label right": self.top1,
            **{f"true label in the best {k}": one for k, one in self.top_k.items() if k > 1},
            "species right": self.species,
            "given a name by the verdict": self.named,
            "right among those named": self.rightly_named,
            "birds called a bird": birds,
            "others called a bird": self.called_bird(Kind.MAMMAL, Kind.HUMAN, Kind.BLANK),
            "blanks called a bird": blanks,
        }
        return {name: share for name, share in every.items() if share.total}

    @cached_property
    def confused(self) -> list[tuple[Answer, Answer, int]]:
        """Truth, outcome and count of every confusion, the most frequent first."""
        pairs = Counter((one.truth, one.outcome) for one in self.judged if not one.right)
        return [(truth, outcome, count) for (truth, outcome), count in pairs.most_common()]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values; shares come with their 95 % intervals."""
        return {
            "folder": self.folder,
            "model": {"name": self.model, "digest": self.model_digest},
            "vocabulary": {
                "name": self.vocabulary,
                "digest": self.vocabulary_digest,
                "labels": self.labels,
            },
            "thresholds": self.thresholds.model_dump(),
            "pictures": len(self.judged),
            "top_1": _share(self.top1),
            "top_k": {str(k): _share(share) for k, share in self.top_k.items()},
            "species": _share(self.species),
            "sources": {source: _share(share) for source, share in self.by_source.items()},
            "verdict": {
                "named": _share(self.named),
                "right_among_named": _share(self.rightly_named),
                "birds_called_bird": _share(self.called_bird(Kind.BIRD)),
                "blanks_called_bird": _share(self.called_bird(Kind.BLANK)),
                "others_called_bird": _share(self.called_bird(Kind.MAMMAL, Kind.HUMAN, Kind.BLANK)),
                "called": {
                    truth.value: {
                        (said or ObservationType.UNKNOWN).value: count
                        for said, count in counts.items()
                    }
                    for truth, counts in self.called.items()
                },
            },
            "macro": asdict(self.macro),
            "weighted": asdict(self.weighted),
            "labels": [
                {
                    "label": name_of(answer),
                    "judged_by": "kind" if isinstance(answer, Kind) else "label",
                    "kind": kind_of(answer).value,
                    "support": int(self.scores.support[at]),
                    "precision": float(self.scores.precision[at]),
                    "recall": float(self.scores.recall[at]),
                    "f1": float(self.scores.f1[at]),
                }
                for at, answer in enumerate(self.answers)
            ],
            "confusion": {
                "labels": [name_of(answer) for answer in self.answers],
                "counts": self.confusion.tolist(),
            },
            "coverage": [asdict(point) for point in self.coverage_curve],
            "calibration": {
                "expected_error": self.calibration_error,
                "bins": [asdict(one) for one in self.reliability],
            },
            "judged": [_described(one) for one in self.judged],
            "unmatched": self.unmatched,
            "bad": [{"file": picture.file, "reason": reason} for picture, reason in self.bad],
        }


def evaluate(
    classifier: Classifier,
    pictures: Sequence[LabelledPicture],
    folder: Path,
    *,
    vocabulary: str = "",
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    context: Context | None = None,
) -> Evaluation:
    """Judges every picture whose label the classifier knows, at most `limit` evenly chosen ones.

    `vocabulary` is the name to show, `context` the place and season; `progress` is told how many
    of how many pictures are done. Pictures that cannot be read are listed, not fatal. Raises
    FeederError where no label is known, or no picture can be read.
    """
    truths = match({picture.name for picture in pictures}, classifier.labels)
    unmatched = Counter(picture.name for picture in pictures if picture.name not in truths)
    chosen = [picture for picture in pictures if picture.name in truths]
    if not chosen:
        raise FeederError(
            f"The classifier knows none of these labels: {few(sorted(unmatched))}.",
            "`feeder labels list` shows what it knows; a kind (bird, mammal, human, empty) is "
            "understood too. --vocabulary chooses another list.",
        )
    if limit is not None and limit < len(chosen):
        # Evenly spread over the sorted paths, so that every label keeps its share.
        chosen = [chosen[at * len(chosen) // limit] for at in range(limit)]
    judged: list[Judged] = []
    bad: list[tuple[LabelledPicture, str]] = []
    for done, picture in enumerate(chosen, start=1):
        try:
            embedding = classifier.embed([picture.path])[0]
        except BadFrame as error:
            bad.append((picture, str(error).removeprefix(f"{picture.path}: ")))
        else:
            judged.append(judge(classifier, picture, truths[picture.name], embedding, context))
        if progress is not None:
            progress(done, len(chosen))
    if not judged:
        raise FeederError(
            f"None of the {len(chosen)} pictures could be read.",
            f"The first is {chosen[0].file}: {bad[0][1]}.",
        )
    return Evaluation(
        folder=shown(folder),
        model=classifier.bundle.manifest.name,
        model_digest=classifier.bundle.digest,
        vocabulary=vocabulary,
        vocabulary_digest=classifier.embeddings.digest,
        labels=len(classifier.labels),
        thresholds=classifier.thresholds,
        judged=tuple(judged),
        unmatched=dict(sorted(unmatched.items())),
        bad=tuple(bad),
    )


def judge(
    classifier: Classifier,
    picture: LabelledPicture,
    truth: Answer,
    embedding: Vectors,
    context: Context | None = None,
) -> Judged:
    """The classifier's answer to a picture's unit vector, float32 [d], beside the truth.

    Without `context` it is that on a picture of whatever place and season.
    """
    labels = classifier.labels
    context = context or classifier.anywhere
    prediction = classifier.judge(embedding, context)
    probability = classifier.probabilities(as_kept(embedding[None]), context)[0]
    outcome: Answer
    if isinstance(truth, Kind):
        mass = {
            kind: float(sum(probability[i] for i, at in enumerate(labels) if at.kind is kind))
            for kind in Kind
        }
        outcome = max(mass, key=mass.__getitem__)
        share, true_share, rank = mass[outcome], mass[truth], None
    else:
        best, true = int(np.argmax(probability)), labels.index(truth)
        outcome, share, true_share = labels[best], probability[best], probability[true]
        rank = int(metrics.ranks(probability[None], np.array([true]))[0])
    named = prediction.named.label if prediction.named else None
    groups = dict(classifier.embeddings.groups)
    return Judged(
        picture=picture,
        truth=truth,
        outcome=outcome,
        # Sums of float32 shares may pass 1 by a rounding.
        probability=min(float(share), 1.0),
        truth_probability=min(float(true_share), 1.0),
        rank=rank,
        prediction=prediction,
        covered=tuple(labels[at] for at in groups.get(named, ())) if named else (),
    )


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval or (None, None)
    return {
        "count": share.count,
        "total": share.total,
        "share": share.value,
        "low": low,
        "high": high,
    }


def _described(one: Judged) -> dict[str, Any]:
    return {
        "file": one.picture.file,
        "truth": name_of(one.truth),
        "outcome": name_of(one.outcome),
        "right": one.right,
        "probability": one.probability,
        "truth_probability": one.truth_probability,
        "verdict": one.prediction.observation_type.value,
        "reason": one.prediction.reason,
        "labels": [
            {"label": candidate.label.name, "probability": candidate.probability}
            for candidate in one.prediction.candidates
        ],
    }
