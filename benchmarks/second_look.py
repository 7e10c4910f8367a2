"""What a second look at the part of a frame that changed is worth, on clips of a fixed camera.

    python benchmarks/second_look.py PHOTOS/sequences/window_feeder --labels labels.csv

The folder holds a folder for each clip, whose frames are in order of their names; the list, in
the folder, has columns path,label with `bird` or `empty`. Every clip starts with an unknown scene.
`--only` takes the clips whose name begins so: those that the model has not been trained on.
"""

import argparse
import csv
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from feeder import Classifier
from feeder.domain import (
    UNIDENTIFIED_BIRD,
    Deployment,
    Frame,
    Kind,
    Prediction,
    SettledPath,
    TimeSource,
)
from feeder.metrics import Share
from feeder.scene import Scene


def frame_at(path: Path) -> Frame:
    """The picture at `path` as the daemon would hand it on."""
    image = Image.open(path).convert("RGB")
    source = SettledPath(Deployment("bench", path.parent), path, path.stat().st_size, 0)
    return Frame(source, "", datetime.now(UTC), TimeSource.MTIME, image=image)


def called(prediction: Prediction) -> tuple[bool, bool]:
    """Whether it is called a bird, and whether with a name."""
    named = prediction.named
    bird = named is not None and named.label.kind is Kind.BIRD
    return bird, bird and named is not None and named.label != UNIDENTIFIED_BIRD


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", default="labels.csv", help="the list, in the folder")
    parser.add_argument("--only", default="", help="how the clips' names begin")
    parser.add_argument("--model", default="starter", help="a bundle by name or folder")
    options = parser.parse_args()
    with (options.folder / options.labels).open(newline="", encoding="utf-8") as file:
        truths = {
            "/".join(row["path"].split("/")[-2:]): row["label"] for row in csv.DictReader(file)
        }
    classifier = Classifier.load(options.model, threads=1)
    said: defaultdict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    won = 0
    for clip in track(sorted(options.folder.glob(f"{options.only}*/")), "Watching clips"):
        scene = Scene()
        for path in sorted(clip.glob("*.jpg")):
            frame, truth = frame_at(path), truths.get(f"{clip.name}/{path.name}", "")
            assert frame.image is not None
            twice = classifier.classify(frame, scene.changed(frame.image))
            if truth not in ("bird", "empty"):
                continue
            won += twice.region is not None
            said[truth, "one look"].append(called(classifier.classify(frame)))
            said[truth, "two looks"].append(called(twice))
    table = Table("frames of", "", "called a bird", "with a name", "frames")
    for (truth, looks), votes in said.items():
        shares = [Share(sum(column), len(votes)) for column in zip(*votes, strict=True)]
        percents = [f"{100 * (share.value or 0):.1f} %" for share in shares]
        table.add_row(truth, looks, *percents, str(len(votes)))
    Console().print(table)
    print(f"The region was the surer view of {won} frames.")


if __name__ == "__main__":
    main()
