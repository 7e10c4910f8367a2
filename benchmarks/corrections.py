"""What corrections teach the starter: on the species corrected, and on all others.

    python benchmarks/corrections.py PHOTOS --labels build/starter/held-out.csv --cache DIR

The list is the one that `scripts/train_starter.py` leaves in its cache: photographs of sources that
the starter has not been trained on. All is measured on them, each as it is and in three copies as
`scripts/starter_augment.py` lets a camera see it. "Right" is the most probable label.

- **confused**: species of which the starter gets less than 85 % right. Pictures that it gets wrong
  are corrected, and the species' other photographs measured.
- **blunted**: every species has its vector halfway to its nearest neighbour's, as words might
  describe it. Corrected are pictures of other sources, which the starter has been trained on.
- **new**: every species in turn is taken out of the labels, and taught by such pictures.

Embeddings are kept in DIR.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from starter_augment import augment
from starter_photos import EDGE, Names, Photo, Pixels, read_photos

from feeder import Classifier
from feeder.bundle import shipped_models
from feeder.classifier import as_kept
from feeder.domain import Kind, Label, Vectors
from feeder.encoder import unit
from feeder.prototypes import Examples, Rows, teach

COUNTS = (1, 3, 10, 30)
DRAWS = 5
"""Times each count is drawn anew."""
LEAST = 16
"""Pictures of a species, copies included, below which a share of them says nothing."""

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pictures:
    """n pictures: unit vectors [n, d], the places of their labels [n], their photographs [n]."""

    vectors: Vectors
    target: Ints
    photo: Ints


@dataclass(frozen=True)
class Labels:
    """What is chosen among; `logits` are each label's."""

    labels: Sequence[Label]
    rows: Sequence[Rows]
    scale: float

    def logits(self, vectors: Vectors, among: Sequence[int] | None = None) -> Vectors:
        """float32 [n, labels], of all or some of them, for unit vectors [n, d]."""
        found = []
        for place in range(len(self.rows)) if among is None else among:
            each, bias = self.rows[place]
            found.append(np.logaddexp.reduce(self.scale * vectors @ each.T + bias, axis=1))
        return np.stack(found, axis=1)

    def taught(self, lesson: Examples) -> "Labels":
        """These with what the lesson adds."""
        return Labels(*teach(self.labels, self.rows, [lesson], self.scale), self.scale)


@dataclass
class Tally:
    """Shares of pictures right before and after, of one species and of all others, in points."""

    before: list[float]
    after: list[float]
    others: list[float]

    def row(self) -> tuple[str, ...]:
        """As a table shows them."""
        if not self.after:
            return ("-",) * 4
        return (
            f"{np.mean(self.before):.1f}",
            f"{np.mean(self.after):.1f}",
            f"{np.mean(self.others):+.2f}",
            f"{np.min(self.others):+.2f}",
        )


def embedded(classifier: Classifier, photos: Sequence[Photo], copies: int, cache: Path) -> Pictures:
    """Each photograph, followed by so many spoilt copies."""
    place = {label.name: number for number, label in enumerate(classifier.labels)}
    if not cache.exists():
        scenes = [_pixels(one.path) for one in photos if one.label == "other thing"][:60]
        found = []
        for photo in track(photos, f"Looking at {len(photos)} photographs"):
            pixels = _pixels(photo.path)
            random = np.random.default_rng(
                int(hashlib.sha256(photo.name.encode()).hexdigest()[:8], 16)
            )
            bird = classifier.labels[place[photo.label]].kind is Kind.BIRD
            spoilt = [augment(pixels, None, random, scenes, bird=bird) for _ in range(copies)]
            found.append(classifier.embed([pixels, *spoilt]))
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, np.concatenate(found))
    target = np.repeat([place[one.label] for one in photos], 1 + copies)
    return Pictures(as_kept(np.load(cache)), target, np.repeat(np.arange(len(photos)), 1 + copies))


def _pixels(path: Path) -> Pixels:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    factor = min(1.0, EDGE / min(image.size))
    size = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3))


def measure(
    given: Labels, label: Label, corrected: Pictures, chosen: Ints, test: Pictures, before: Vectors
) -> tuple[float, float, float]:
    """Points right of the pictures of `label` before and after, and what all others gained.

    `before` are the `given` labels' logits of `test`, whose targets count a new label as the next.
    Each photograph of the `chosen` corrected pictures is one burst.
    """
    after = given.taught(Examples(label, corrected.vectors[chosen], corrected.photo[chosen]))
    names = [one.name for one in given.labels]
    place = names.index(label.name) if label.name in names else len(names)
    taught = before.copy()
    if len(after.rows) > place:
        column = after.logits(test.vectors, [place])
        taught = np.column_stack([before[:, :place], column, before[:, place + 1 :]])
    was, now = (logits.argmax(axis=1) == test.target for logits in (before, taught))
    own = test.target == place
    gain = 100 * (now[~own].mean() - was[~own].mean())
    return 100 * was[own].mean(), 100 * now[own].mean(), float(gain)


def drawn(pool: Ints, photo: Ints, count: int, random: np.random.Generator) -> Ints:
    """So many places out of `pool`, from as few photographs as give at most three each."""
    found: list[int] = []
    for one in random.permutation(np.unique(photo[pool])):
        found += random.permutation(pool[photo[pool] == one])[:3].tolist()
    return np.array(found[:count])


def confused(given: Labels, held: Pictures, count: int) -> Tally:
    """Corrects what the starter gets wrong; measures the species' other photographs."""
    logits = given.logits(held.vectors)
    best = logits.argmax(axis=1)
    tally = Tally([], [], [])
    for place, label in enumerate(given.labels):
        mine = held.target == place
        wrong = np.flatnonzero(mine & (best != place))
        if label.kind is not Kind.BIRD or mine.sum() < LEAST or len(wrong) < 0.15 * mine.sum():
            continue
        for seed in range(DRAWS):
            chosen = drawn(wrong, held.photo, count, np.random.default_rng(seed))
            left = ~np.isin(held.photo, held.photo[chosen])
            test = Pictures(held.vectors[left], held.target[left], held.photo[left])
            if len(chosen) == count and (test.target == place).sum() >= LEAST / 2:
                _note(tally, measure(given, label, held, chosen, test, logits[left]))
    return tally


def blunted(given: Labels, other: Pictures, held: Pictures, count: int) -> Tally:
    """The same for every species in turn, with a vector that is halfway to another's."""
    tally = Tally([], [], [])
    means = np.concatenate([vectors[:1] for vectors, _ in given.rows])
    every, theirs = given.logits(held.vectors), given.logits(other.vectors)
    for place in _species(given, held):
        near = means @ means[place]
        near[place] = -1
        neighbour = int(near.argmax())
        rows = list(given.rows)
        rows[place] = (unit(means[[place]] + means[[neighbour]]), rows[place][1])
        dull = Labels(given.labels, rows, given.scale)
        mine = np.flatnonzero(other.target == place)
        seen, logits = theirs[mine].copy(), every.copy()
        seen[:, place] = dull.logits(other.vectors[mine], [place])[:, 0]
        logits[:, place] = dull.logits(held.vectors, [place])[:, 0]
        wrong = mine[seen.argmax(axis=1) != place]
        for seed in range(DRAWS):
            chosen = drawn(wrong, other.photo, count, np.random.default_rng(seed))
            if len(chosen) == count:
                label = given.labels[place]
                _note(tally, measure(dull, label, other, chosen, held, logits))
    return tally


def new(given: Labels, other: Pictures, held: Pictures, count: int) -> Tally:
    """Every species in turn as one that the labels lack."""
    tally = Tally([], [], [])
    every = given.logits(held.vectors)
    for place in _species(given, held):
        rest = [at for at in range(len(given.labels)) if at != place]
        without = Labels(
            [given.labels[at] for at in rest], [given.rows[at] for at in rest], given.scale
        )
        target = np.where(held.target > place, held.target - 1, held.target)
        target[held.target == place] = len(rest)
        test = Pictures(held.vectors, target, held.photo)
        mine = np.flatnonzero(other.target == place)
        for seed in range(DRAWS):
            chosen = drawn(mine, other.photo, count, np.random.default_rng(seed))
            if len(chosen) == count:
                label, logits = given.labels[place], every[:, rest]
                _note(tally, measure(without, label, other, chosen, test, logits))
    return tally


def _species(given: Labels, held: Pictures) -> list[int]:
    """The birds with enough pictures to measure."""
    return [
        place
        for place, label in enumerate(given.labels)
        if label.kind is Kind.BIRD and (held.target == place).sum() >= 2 * LEAST
    ]


def _note(tally: Tally, figures: tuple[float, float, float]) -> None:
    for kept, figure in zip((tally.before, tally.after, tally.others), figures, strict=True):
        kept.append(figure)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--labels", type=Path, required=True, help="the held-out list")
    parser.add_argument("--cache", type=Path, required=True, help="where embeddings are kept")
    options = parser.parse_args()
    classifier = Classifier.load("starter", cache=options.cache)
    known = {label.name for label in classifier.labels}
    with options.labels.open(newline="", encoding="utf-8") as file:
        out = {row["path"] for row in csv.DictReader(file)}
    photos = read_photos(options.photos, Names(shipped_models() / "vocabularies"))
    photos = [one for one in photos if one.label in known]
    held = [one for one in photos if one.name in out]
    gardens = ("garden_na/", "garden_eu/")
    others = [one for one in photos if one.name not in out and one.name.startswith(gardens)]
    measured = embedded(classifier, held, 3, options.cache / "corrections-held-out.npy")
    corrected = embedded(classifier, others, 1, options.cache / "corrections-others.npy")
    vectors = classifier.embeddings
    given = Labels(
        vectors.labels,
        [
            (vectors.vectors[vectors.owner == place], vectors.bias[vectors.owner == place])
            for place in range(len(vectors.labels))
        ],
        classifier.bundle.manifest.logit_scale,
    )
    table = Table("", "corrected", "draws", "before", "after", "all others", "at worst")
    ways: dict[str, Callable[[int], Tally]] = {
        "confused": lambda count: confused(given, measured, count),
        "blunted": lambda count: blunted(given, corrected, measured, count),
        "new": lambda count: new(given, corrected, measured, count),
    }
    for name, way in ways.items():
        for count in COUNTS:
            tally = way(count)
            table.add_row(name, str(count), str(len(tally.after)), *tally.row())
    Console(width=100).print(table)
    Console().print(f"{len(held)} photographs held out, {len(others)} to correct; shares in %")


if __name__ == "__main__":
    main()
