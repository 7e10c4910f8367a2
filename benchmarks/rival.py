"""Feeder's starter beside the classifier that most feeder projects use, on the same photographs.

    python benchmarks/rival.py PHOTOS PEER --labels build/starter/held-out.csv

PEER holds Coral's MobileNetV2 for 965 iNaturalist bird species (TensorFlow Lite, Apache-2.0) and
its label file; `pip install ai-edge-litert opencv-python-headless` brings what this needs. The
list is the one that `scripts/train_starter.py` leaves in its cache: what the starter has not been
trained on. "Spoilt" are the same photographs as `scripts/starter_augment.py` lets a camera see
them, which is also how the starter was trained; no other figure here knows that recipe.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from starter_augment import augment

from feeder import Classifier
from feeder.domain import Kind, Label, Vectors
from feeder.labelled import Answer, kind_of, match
from feeder.metrics import Share
from feeder.vocabulary import names, spelling

SCORE = 0.4
"""What such projects commonly ask of the rival before they log a bird."""


class Rival:
    """MobileNetV2 with its 965 labels; the last is background."""

    def __init__(self, folder: Path) -> None:
        (model,) = folder.glob("*.tflite")
        (labels,) = folder.glob("*labels.txt")
        self._interpreter = Interpreter(str(model), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        output = self._interpreter.get_output_details()[0]
        self._output, (self._scale, self._zero) = output["index"], output["quantization"]
        self.lines = labels.read_text("utf-8").splitlines()

    def scores(self, image: Image.Image) -> Vectors:
        """float32 [965], for any RGB image, squashed to 224 x 224 as the model's example does."""
        pixels = np.asarray(image.resize((224, 224), Image.Resampling.LANCZOS), np.uint8)
        self._interpreter.set_tensor(self._input, pixels[None])
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output)[0].astype(np.float32)
        return np.asarray((raw - self._zero) * self._scale, np.float32)

    def rows(self, label: Label) -> list[int]:
        """Where a species stands in the rival's list, by scientific or common name."""
        wanted = set(map(spelling, names(label)))
        parts = [line.rstrip(")").split(" (") for line in self.lines]
        return [row for row, part in enumerate(parts) if wanted & set(map(spelling, part))]


@dataclass
class Contest:
    """Judges pictures with both, and keeps count: measure -> [right or not] for each."""

    classifier: Classifier
    rival: Rival

    def __post_init__(self) -> None:
        labels = self.classifier.labels
        rows = {label: self.rival.rows(label) for label in labels if label.kind is Kind.BIRD}
        self.both = {label: found for label, found in rows.items() if found}
        self._known = np.array([label in self.both for label in labels])
        self._shared = sorted({row for found in self.both.values() for row in found})
        self.ours: defaultdict[str, list[bool]] = defaultdict(list)
        self.theirs: defaultdict[str, list[bool]] = defaultdict(list)

    def species(self, what: str, image: Image.Image, truth: Label) -> None:
        """Whether each finds the species, among all it knows and among those both know."""
        probability = self.classifier.probabilities(self.classifier.embed([image]))[0]
        labels, scores = self.classifier.labels, self.rival.scores(image)
        self.ours[f"{what}: species right"].append(labels[probability.argmax()] == truth)
        free = int(scores.argmax()) in self.both.get(truth, ())
        self.theirs[f"{what}: species right"].append(free)
        if truth not in self.both:
            return
        best = labels[(probability * self._known).argmax()]
        row = self._shared[int(scores[self._shared].argmax())]
        what = f"{what}, among the {len(self.both)} species both know"
        self.ours[what].append(best == truth)
        self.theirs[what].append(row in self.both[truth])

    def verdict(self, what: str, image: Image.Image) -> None:
        """Whether each would log a bird, and whether it would log a species."""
        named = self.classifier.classify_image(image).named
        bird = named is not None and named.label.kind is Kind.BIRD
        self.ours[f"{what}: called a bird"].append(bird)
        self.theirs[f"{what}: called a bird"].append(
            bool(self.rival.scores(image)[:-1].max() >= SCORE)
        )

    def table(self) -> Table:
        """One row a measure, with 95 % intervals."""
        table = Table("", "Feeder's starter", "MobileNetV2, iNaturalist birds")
        for what, ok in self.ours.items():
            table.add_row(what, shown(ok), shown(self.theirs[what]))
        return table


def shown(ok: Sequence[bool]) -> str:
    """A share with its 95 % interval."""
    share = Share(sum(ok), len(ok))
    low, high = share.interval or (0, 1)
    value = 100 * (share.value or 0)
    return f"{value:.1f} % ({100 * low:.1f}-{100 * high:.1f}) of {share.total}"


def spoilt(image: Image.Image, seed: int) -> Image.Image:
    """The picture of a bird as a feeder camera might have taken it."""
    factor = min(1.0, 272 / min(image.size))
    small = image.resize((round(image.width * factor), round(image.height * factor)))
    pixels = augment(np.asarray(small), None, np.random.default_rng(seed), [], bird=True)
    return Image.fromarray(pixels)


def run(contest: Contest, photos: Path, rows: Sequence[dict[str, str]]) -> None:
    """Every listed picture that the starter has a label for."""
    truths = match({row["label"] for row in rows}, contest.classifier.labels)
    for seed, row in enumerate(track(rows, "Judging")):
        truth: Answer | None = truths.get(row["label"])
        if truth is None:
            continue
        image = ImageOps.exif_transpose(Image.open(photos / row["path"])).convert("RGB")
        where = "window feeder" if "window_feeder" in row["path"] else "photographs"
        if isinstance(truth, Label) and truth.kind is Kind.BIRD and not truth.is_any_bird:
            contest.species(where, image, truth)
            contest.species(f"{where}, spoilt", spoilt(image, seed), truth)
        kind = "birds" if kind_of(truth) is Kind.BIRD else "no birds"
        contest.verdict(f"{where}, {kind}", image)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("peer", type=Path)
    parser.add_argument("--labels", type=Path, default=Path("build/starter/held-out.csv"))
    parser.add_argument("--model", default="starter", help="a bundle by name or folder")
    options = parser.parse_args()
    with options.labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    contest = Contest(Classifier.load(options.model, threads=1), Rival(options.peer))
    run(contest, options.photos, rows)
    Console().print(contest.table())


if __name__ == "__main__":
    main()
