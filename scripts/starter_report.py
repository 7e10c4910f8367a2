"""What a starter is worth: shares with their intervals, as Markdown."""

import numpy as np
from starter_photos import Data, Flags, Floats, Ints, Names

from feeder.bundle import Thresholds
from feeder.classifier import verdict
from feeder.domain import UNIDENTIFIED_BIRD, Candidate, Kind, Label


class Report:
    """Figures over photographs, collected section by section in `text`.

    "Named" is what Feeder would log at `thresholds`: neither blank nor unknown.
    """

    def __init__(self, data: Data, names: Names, thresholds: Thresholds) -> None:
        self.text = ""
        self._data, self._at = data, thresholds
        self._labels = [Label(name, Kind(names.kind(name))) for name in data.labels]
        self._regions = [names.regions.get(name, "") for name in data.labels]

    def section(self, title: str, probability: Floats, rows: Flags) -> None:
        """Adds a table for the photographs `rows` [n], given `probability` [n, labels]."""
        if not rows.any():
            return
        data, probability = self._data, probability[rows]
        target = data.target[rows]
        source = np.array([photo.source for photo in data.photos])[rows]
        best = probability.argmax(axis=1)
        said = [self.said(row) for row in probability]
        called_bird = np.array([one is not None and one.kind is Kind.BIRD for one in said])
        named_bird = called_bird & np.array([one is not UNIDENTIFIED_BIRD for one in said])
        bird = (target < 0) | data.birds[target]
        species = bird & (target >= 0) & (target != _index(data.labels, "Other bird"))
        right = best == target
        self.text += f"\n## {title}\n\n| | share | 95 % interval | n |\n|---|---|---|---|\n"
        self._row("species right, of all labels", right[species])
        near = probability * self._near(target)
        self._row(
            "species right, of its continent's birds", (near.argmax(axis=1) == target)[species]
        )
        self._row("species given a name", named_bird[species])
        self._row("of those names, right", right[species & named_bird])
        self._row("birds called a bird", called_bird[bird])
        self._row("not a bird, but called one", called_bird[~bird])
        for label in np.unique(target[~bird]):
            self._row(f"{data.labels[label]}, but called a bird", called_bird[target == label])
        sources = np.unique(source[species])
        for name in sources if len(sources) > 1 else ():
            self._row(f"species right, {name}", right[species & (source == name)])
        error = _calibration_error(probability[species].max(axis=1), right[species])
        if species.any():
            self.text += f"\nExpected calibration error over those species: {error:.3f}\n"

    def said(self, probability: Floats) -> Label | None:
        """What Feeder would log for `probability` [labels], None where it declines."""
        order = np.argsort(-probability)[:2]
        candidates = tuple(Candidate(self._labels[i], float(probability[i]), 0.0) for i in order)
        mass = dict.fromkeys(Kind, 0.0)
        for label, share in zip(self._labels, probability, strict=True):
            mass[label.kind] += float(share)
        named = verdict(candidates, mass, self._at).named
        return named.label if named else None

    def _near(self, target: Ints) -> Flags:
        """[rows, labels]: the labels that a vocabulary with the photograph's species lists."""
        masks = [
            [not other or any(part in other for part in own.split()) for other in self._regions]
            for own in self._regions
        ]
        return np.asarray(np.array(masks)[target], np.bool_)

    def _row(self, what: str, ok: Flags) -> None:
        if len(ok):
            low, high = _wilson(int(ok.sum()), len(ok))
            share = f"{100 * ok.mean():.1f} %"
            self.text += f"| {what} | {share} | {100 * low:.1f}-{100 * high:.1f} % | {len(ok)} |\n"


def _index(labels: list[str], name: str) -> int:
    return labels.index(name) if name in labels else -2


def _wilson(k: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of k in n."""
    middle, spread = (
        k / n + z * z / (2 * n),
        z * np.sqrt(k / n * (1 - k / n) / n + (z / n) ** 2 / 4),
    )
    return max(0.0, (middle - spread) / (1 + z * z / n)), (middle + spread) / (1 + z * z / n)


def _calibration_error(confidence: Floats, right: Flags, bins: int = 15) -> float:
    """Mean gap between confidence and share right, over bins of equal width."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == i].sum() - right[place == i].sum()) for i in range(bins)]
    return float(sum(gaps) / max(1, len(right)))
