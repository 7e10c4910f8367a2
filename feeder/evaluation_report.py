"""An evaluation as one HTML file that needs nothing beside it, or as Markdown tables."""

import math
from dataclasses import dataclass
from datetime import datetime

from feeder import pages
from feeder.domain import Kind
from feeder.evaluate import Evaluation, Judged
from feeder.labelled import kind_of, name_of
from feeder.metrics import CoveragePoint, Share
from feeder.thumbnails import thumbnail

MAX_THUMBNAILS = 200
MAX_PAIRS = 20
MAX_MATRIX = 24
HEAT_LEVELS = 6


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture whose outcome is wrong; `thumbnail` is a data URI, "" where the file is gone."""

    judged: Judged
    thumbnail: str


@dataclass(frozen=True, slots=True)
class Row:
    """One label's line in the table of labels."""

    name: str
    by_kind: bool
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One count of the heat table; `heat` is a style class, "" for none."""

    count: int
    heat: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The heat table: a name, cells and the pictures under none of the columns, for each row."""

    columns: list[str]
    rows: list[tuple[str, list[Cell], int]]
    left_out: int


@dataclass(frozen=True, slots=True)
class Axes:
    """A plot's area in SVG units, and the least value of its y axis."""

    left: int = 46
    right: int = 348
    top: int = 12
    bottom: int = 206
    lowest: float = 0.0

    def x(self, share: float) -> float:
        return round(self.left + share * (self.right - self.left), 1)

    def y(self, share: float) -> float:
        height = (share - self.lowest) / (1 - self.lowest)
        return round(self.bottom - height * (self.bottom - self.top), 1)

    @property
    def ticks(self) -> list[float]:
        return [self.lowest + step * (1 - self.lowest) / 5 for step in range(6)]


def render(evaluation: Evaluation, made: datetime) -> str:
    """The report as HTML, with reduced copies of up to 200 misclassified pictures.

    Names are escaped, styles and pictures are inline, and a content security policy allows
    nothing else. `made` is the instant to show, with a time zone.
    """
    wrong = sorted(
        (one for one in evaluation.judged if not one.right), key=lambda one: -one.probability
    )
    return pages.render(
        "evaluation",
        made,
        _FILTERS,
        evaluation=evaluation,
        rows=_rows(evaluation),
        only_said=_only_said(evaluation),
        matrix=_matrix(evaluation),
        pairs=evaluation.confused[:MAX_PAIRS],
        support=dict(zip(evaluation.answers, evaluation.scores.support.tolist(), strict=True)),
        coverage_axes=_coverage_axes(evaluation),
        axes=Axes(),
        curve=_curve(evaluation),
        points=[_at(evaluation, threshold) for threshold in (0.5, 0.7, 0.9)],
        table=[_at(evaluation, step / 10) for step in range(10)],
        radius=_radius(evaluation),
        kinds=[*Kind, None],
        Kind=Kind,
        mistakes=[Mistake(one, thumbnail(one.picture.path)) for one in wrong[:MAX_THUMBNAILS]],
        wrong=len(wrong),
        runner_up=_runner_up,
    )


def render_markdown(evaluation: Evaluation) -> str:
    """The figures as Markdown tables: all measures, then by source and by label."""
    scores = evaluation.scores
    labels = [
        (name_of(answer), Share(int(hits), int(support)))
        for answer, hits, support in zip(
            evaluation.answers, evaluation.confusion.diagonal(), scores.support, strict=True
        )
        if support
    ]
    return pages.render_markdown("evaluation", _FILTERS, evaluation=evaluation, labels=labels)


def _rows(evaluation: Evaluation) -> list[Row]:
    """The labels that pictures show, the hardest first."""
    scores = evaluation.scores
    rows = [
        Row(
            name_of(answer),
            isinstance(answer, Kind),
            int(scores.support[at]),
            float(scores.precision[at]),
            float(scores.recall[at]),
            float(scores.f1[at]),
        )
        for at, answer in enumerate(evaluation.answers)
        if scores.support[at]
    ]
    return sorted(rows, key=lambda row: (row.f1, row.name.casefold()))


def _only_said(evaluation: Evaluation) -> list[tuple[str, int]]:
    """Labels that were outcomes though no picture shows them, the most frequent first."""
    said = evaluation.confusion.sum(axis=0)
    support = evaluation.scores.support
    found = [
        (name_of(answer), int(said[at]))
        for at, answer in enumerate(evaluation.answers)
        if not support[at]
    ]
    return sorted(found, key=lambda one: (-one[1], one[0].casefold()))


def _matrix(evaluation: Evaluation) -> Matrix:
    """All answers, or those that take part in the most confusions where they are too many."""
    confusion = evaluation.confusion
    errors = confusion.copy()
    errors[range(len(errors)), range(len(errors))] = 0
    involved = errors.sum(axis=0) + errors.sum(axis=1)
    shown = list(range(len(involved)))
    if len(shown) > MAX_MATRIX:
        confused = [at for at in shown if involved[at]]
        shown = sorted(sorted(confused, key=lambda at: -involved[at])[:MAX_MATRIX])
    rows = []
    for at in shown:
        total = int(confusion[at].sum())
        if not total:
            continue
        counts = [int(confusion[at, to]) for to in shown]
        cells = [
            Cell(count, _heat(count / total, at == to))
            for count, to in zip(counts, shown, strict=True)
        ]
        rows.append((name_of(evaluation.answers[at]), cells, total - sum(counts)))
    names = [name_of(evaluation.answers[at]) for at in shown]
    return Matrix(names, rows, len(involved) - len(shown))


def _heat(share: float, hit: bool) -> str:
    level = math.ceil(share * HEAT_LEVELS)
    return f"{'hit' if hit else 'miss'}{level}" if level else ""


def _at(evaluation: Evaluation, threshold: float) -> CoveragePoint:
    return evaluation.coverage_curve[round(threshold * 100)]


def _curve(evaluation: Evaluation) -> list[CoveragePoint]:
    return [point for point in evaluation.coverage_curve if point.accuracy is not None]


def _coverage_axes(evaluation: Evaluation) -> Axes:
    """The closest view that shows every point."""
    accuracies = [point.accuracy or 0.0 for point in _curve(evaluation)]
    if evaluation.rightly_named.value is not None:
        accuracies.append(evaluation.rightly_named.value)
    return Axes(lowest=next(low for low in (0.8, 0.5, 0.0) if low <= min(accuracies)))


def _radius(evaluation: Evaluation) -> list[float]:
    """Each reliability bin's dot, in SVG units: its area follows the number of pictures."""
    most = max(one.count for one in evaluation.reliability)
    return [round(2.5 + 7.5 * math.sqrt(one.count / most), 1) for one in evaluation.reliability]


def _runner_up(one: Judged) -> str:
    """The best label besides the outcome, or besides the outcome's kind, with its probability."""
    for candidate in one.prediction.candidates:
        same = (
            kind_of(candidate.label) is one.outcome
            if isinstance(one.outcome, Kind)
            else candidate.label == one.outcome
        )
        if not same:
            return f"{candidate.label.name}, {_percent(candidate.probability)}"
    return ""


def _percent(share: float | None) -> str:
    return "\N{EN DASH}" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _interval(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "none"
    low, high = bounds
    return f"{100 * low:.1f}\N{EN DASH}{_percent(high)}"


_FILTERS: pages.Filters = {"percent": _percent, "interval": _interval, "name": name_of}
