"""Feeder's starter beside the classifier that most feeder projects use, on the same photographs.

    python benchmarks/rival.py PHOTOS PEER --model build/starter/held-out

PEER holds Coral's MobileNetV2 for 965 iNaturalist bird species (TensorFlow Lite, Apache-2.0) and
its label file; `pip install ai-edge-litert` runs it. PHOTOS is laid out as `train_starter.py`
wants it. The shipped starter is fitted to all of them, so its twin is judged that
`train_starter.py --hold-out garden/ sequences/window_feeder/bird_10_03_2023` leaves in its cache,
on what that one has not seen: `garden/`, less the species of which there are fewer than three
elsewhere, and the window feeder's clips of one day.
"""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from feeder import Classifier
from feeder.domain import Kind, Label, Vectors
from feeder.vocabulary import Vocabulary, names, spelling

HELD_OUT_CLIPS = "sequences/window_feeder/bird_10_03_2023"
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


def species(rival: Rival, classifier: Classifier, photos: Path, table: Table) -> None:
    """Adds who names the checked garden photographs rightly."""
    known = Vocabulary("", (), classifier.labels)
    rows = _rows(photos / "labels.csv")
    elsewhere = Counter(_find(known, row) for row in rows if not row["path"].startswith("garden/"))
    at = {label.name: rival.rows(label) for label in classifier.labels if label.kind is Kind.BIRD}
    shared = sorted({row for found in at.values() for row in found})
    both = [label.name in at and bool(at[label.name]) for label in classifier.labels]
    feeder, feeder_shared, free, restricted, common = [], [], [], [], []
    for row in rows:
        label = _find(known, row)
        if not row["path"].startswith("garden/") or label is None or elsewhere[label] < 3:
            continue
        image = _open(photos / row["path"])
        probability = classifier.probabilities(classifier.embed([image]))[0]
        feeder.append(classifier.labels[probability.argmax()] == label)
        feeder_shared.append(classifier.labels[(probability * both).argmax()] == label)
        scores = rival.scores(image)
        free.append(int(scores.argmax()) in at[label.name])
        restricted.append(shared[int(scores[shared].argmax())] in at[label.name])
        common.append(bool(at[label.name]))
    some = np.array(common)
    table.add_row("garden: species right, all labels", _share(feeder), _share(free))
    table.add_row(
        f"the same, among the {sum(both)} species both know",
        _share(np.array(feeder_shared)[some]),
        _share(np.array(restricted)[some]),
    )


def frames(rival: Rival, classifier: Classifier, photos: Path, table: Table) -> None:
    """Adds who calls the window feeder's frames birds."""
    said: dict[str, list[tuple[bool, bool, bool]]] = {"bird": [], "empty": []}
    for row in _rows(photos / "sequences/window_feeder/labels.csv"):
        if row["path"].startswith(HELD_OUT_CLIPS) and row["label"] in said:
            image = _open(photos / row["path"])
            prediction = classifier.classify_image(image)
            ours = prediction.named is not None and prediction.named is prediction.best
            ours = ours and prediction.candidates[0].label.kind is Kind.BIRD
            theirs = rival.scores(image)[:-1].max() >= SCORE
            seen = (prediction.bird_probability or 0) >= classifier.thresholds.bird
            said[row["label"]].append((seen, ours, bool(theirs)))
    for kind, votes in said.items():
        seen_all, ours_all, theirs_all = zip(*votes, strict=True)
        table.add_row(f"window feeder, {kind}: called a bird", _share(seen_all), "-")
        table.add_row(
            f"window feeder, {kind}: a species named", _share(ours_all), _share(theirs_all)
        )


def _find(known: Vocabulary, row: dict[str, str]) -> Label | None:
    name = row["label"]
    return known.find(name) or known.find(name.replace(" ", "'s ", 1))


def _open(path: Path) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _share(ok: Sequence[bool] | np.ndarray) -> str:
    """A share with its 95 % Wilson interval."""
    n, share, z = len(ok), float(np.mean(ok)), 1.96
    middle, spread = (
        share + z * z / (2 * n),
        z * np.sqrt(share * (1 - share) / n + (z / n) ** 2 / 4),
    )
    low, high = np.clip(np.array([middle - spread, middle + spread]) / (1 + z * z / n), 0, 1)
    return f"{100 * share:.1f} % ({100 * low:.1f}-{100 * high:.1f}) of {n}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("peer", type=Path)
    parser.add_argument(
        "--model", default="build/starter/held-out", help="a bundle by name or folder"
    )
    options = parser.parse_args()
    rival, classifier = Rival(options.peer), Classifier.load(options.model, threads=1)
    table = Table("", "Feeder's starter", "MobileNetV2, iNaturalist birds")
    species(rival, classifier, options.photos, table)
    frames(rival, classifier, options.photos, table)
    Console().print(table)


if __name__ == "__main__":
    main()
