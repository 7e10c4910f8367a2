"""How often a written word becomes the name of what is seen, and what each defence is worth.

    python -m benchmarks.typographic PHOTOS/garden                        # the starter
    python -m benchmarks.typographic PHOTOS/garden --model FOLDER --vocabulary NAME
    python -m benchmarks.typographic --reading FOLDER                     # a small CLIP that reads
    python -m benchmarks.typographic PHOTOS/sequences/window_feeder --clips
    python -m benchmarks.typographic PHOTOS/garden --rival PEER

A paper note is pasted onto each picture: with nothing on it, which hides as much and says nothing,
with the name of another label, and with "iPod"; then the bar a trail camera writes. `--clips` takes
a folder of clips from fixed cameras, in which the note hangs there from the first frame on.
`--reading` trains `reading_clip.py`'s model into FOLDER, unless it is there, and draws pictures.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.notes import Note, chosen, paste_note, stamp
from feeder import Classifier
from feeder import bundle as bundles
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle, shipped_models
from feeder.classifier import choose_vocabulary
from feeder.domain import (
    Box,
    Deployment,
    Frame,
    Kind,
    Prediction,
    SettledPath,
    TimeSource,
)
from feeder.mask import fill
from feeder.scene import Scene

STAMP = "2026-05-01 06:30:00   12 C   ROBIN CAM 1"
NOTHING = "-"
"""What stands for a verdict that names nothing."""


@dataclass(frozen=True)
class Attacked:
    """A picture with words on it: what they are, which label they name if any, and where."""

    what: str
    image: Image.Image
    box: Box
    word: str = ""


Judge = Callable[[Image.Image, Box | None], str]
"""A picture, and what a mask would cover if there were one -> the name given, or NOTHING."""


def named(prediction: Prediction) -> str:
    """What a verdict names."""
    return prediction.named.label.name if prediction.named is not None else NOTHING


def attacks(image: Image.Image, word: str, note: Note) -> Iterator[Attacked]:
    """Everything that is written on one picture."""
    for what, text, label in (
        ("a blank note", "", ""),
        ("a note with another label", word, word),
        ('a note with "iPod"', "iPod", ""),
    ):
        pasted, box = paste_note(image, text, note)
        yield Attacked(what, pasted, box, label)
    stamped, box = stamp(image, STAMP)
    yield Attacked("a camera's bar", stamped, box)


class Tally:
    """Counts what becomes of names: attack and defence -> outcome -> pictures."""

    def __init__(self) -> None:
        self.counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add(self, attack: str, defence: str, clean: str, now: str, word: str) -> None:
        """Notes what a picture that was called `clean` is called now."""
        if word and now == word and now != clean:
            outcome = "the word"
        elif now == clean:
            outcome = "the same"
        else:
            outcome = "nothing" if now == NOTHING else "another"
        self.counts[attack, defence][outcome] += 1

    def table(self, title: str) -> Table:
        """One row an attack and defence."""
        outcomes = ("the word", "another", "nothing", "the same")
        table = Table("written there", "defence", *outcomes, "pictures", title=title)
        for (attack, defence), count in self.counts.items():
            total = sum(count.values())
            shares = (f"{100 * count[outcome] / total:.1f} %" for outcome in outcomes)
            table.add_row(attack, defence, *shares, str(total))
        return table


def on_pictures(
    judges: dict[str, Judge],
    pictures: Iterable[Image.Image],
    words: list[str],
    note_of: Callable[[int], Note] = chosen,
) -> Tally:
    """Every picture under every attack, judged under every defence beside its clean self.

    What the first judge calls the clean picture is what the others are held against.
    """
    tally, rng = Tally(), np.random.default_rng(0)
    plain = next(iter(judges.values()))
    for number, image in enumerate(pictures):
        clean = plain(image, None)
        for defence, judge in judges.items():
            tally.add("nothing", defence, clean, judge(image, None), "")
        word = str(rng.choice([one for one in words if one != clean]))
        for attacked in attacks(image, word, note_of(number)):
            for defence, judge in judges.items():
                now = judge(attacked.image, attacked.box)
                tally.add(attacked.what, defence, clean, now, attacked.word)
    return tally


def on_clips(
    classifiers: dict[str, Classifier],
    clips: Iterable[list[Image.Image]],
    words: list[str],
    note_of: Callable[[int], Note] = chosen,
) -> Tally:
    """Clips of fixed cameras in which a note hangs all the time, with one look and with two.

    Held against what the first classifier calls the same frame without the note, with two looks.
    """
    tally, rng = Tally(), np.random.default_rng(0)
    for number, clip in enumerate(clips):
        note, clean_scene, scene, masked_scene = note_of(number), Scene(), Scene(), Scene()
        word = str(rng.choice(words))
        for image in clip:
            first = next(iter(classifiers.values()))
            clean = named(first.classify(frame_of(image), clean_scene.changed(image)))
            pasted, box = paste_note(image, word, note)
            region = scene.changed(pasted)
            masked = fill(pasted, [box])
            masked_region = masked_scene.changed(masked)
            for defence, classifier in classifiers.items():
                one, two = (classifier.classify(frame_of(pasted), at) for at in (None, region))
                hidden = classifier.classify(frame_of(masked), masked_region)
                for looks, seen in (
                    ("one look", one),
                    ("two looks", two),
                    ("two looks, masked", hidden),
                ):
                    what = f"{defence}, {looks}" if defence else looks
                    there = "nothing" if clean == NOTHING else "something"
                    tally.add(f"a note, {there} there", what, clean, named(seen), word)
    return tally


def frame_of(image: Image.Image) -> Frame:
    """The picture as the daemon would hand it on."""
    source = SettledPath(Deployment("bench", Path("/")), Path("/bench.jpg"), 1, 0)
    return Frame(source, "", datetime.now(UTC), TimeSource.MTIME, image=image)


def judges_of(classifiers: dict[str, Classifier]) -> dict[str, Judge]:
    """Each classifier bare and behind a mask; "" is the one as shipped."""

    def judge(classifier: Classifier, masks: bool) -> Judge:
        return lambda image, box: named(
            classifier.classify_image(fill(image, [box]) if masks and box else image)
        )

    return {
        f"{name}, mask" if name and masks else name or ("mask" if masks else "none"): judge(
            classifier, masks
        )
        for name, classifier in classifiers.items()
        for masks in (False, True)
    }


def classifiers_of(model: str, vocabulary: str | None) -> dict[str, Classifier]:
    """As shipped, and with text negatives where the bundle reads."""
    shipped = shipped_models()
    bundle = Bundle.open(bundles.find(model, [shipped, Path("models")]))
    chosen_one = choose_vocabulary(bundle, vocabulary, [shipped / "vocabularies"])
    cache = Path(".cache") / "typographic"
    found = {"": Classifier(bundle, chosen_one, threads=1, cache=cache)}
    if bundle.manifest.text is not None:
        reading = vocabularies.with_text_negatives(chosen_one)
        found["text negatives"] = Classifier(bundle, reading, threads=1, cache=cache)
    return found


def birds_of(classifier: Classifier) -> list[str]:
    """The labels whose names are written on notes."""
    return [one.name for one in classifier.labels if one.kind is Kind.BIRD and not one.is_any_bird]


def rival_judges(folder: Path) -> dict[str, Judge]:
    """MobileNetV2's best name from the score at which such projects log a bird, and masked."""
    from benchmarks.rival import SCORE, Rival

    rival = Rival(folder)

    def judge(masks: bool) -> Judge:
        def say(image: Image.Image, box: Box | None) -> str:
            scores = rival.scores(fill(image, [box]) if masks and box else image)
            best = int(scores[:-1].argmax())
            common = rival.lines[best].rstrip(")").split(" (")[-1]
            return common if scores[best] >= SCORE else NOTHING

        return say

    return {"none": judge(False), "mask": judge(True)}


def drawn_clips(count: int, seed: int) -> Iterator[list[Image.Image]]:
    """Clips of `reading_clip.py`'s birds: twelve frames of a garden, then eight with a bird."""
    from benchmarks import reading_clip

    rng = np.random.default_rng(seed)
    names = list(reading_clip.BIRDS)
    for number in range(count):
        garden = reading_clip.scene(rng, 192)
        bird = names[number % len(names)]
        clip = [garden] * 12
        clip += [reading_clip.with_bird(garden, bird, rng, 0.4) for _ in range(8)]
        noise = (rng.normal(0, 2, (192, 192, 3)) for _ in clip)
        yield [
            Image.fromarray(np.clip(np.asarray(one) + grain, 0, 255).astype(np.uint8))
            for one, grain in zip(clip, noise, strict=True)
        ]


def on_reading_model(folder: Path, count: int) -> list[Table]:
    """The small CLIP that reads, on birds drawn for it that it has not seen."""
    from benchmarks import reading_clip

    if not (folder / bundles.MANIFEST).is_file():
        print(f"training {folder}", file=sys.stderr)
        reading_clip.write_bundle(folder, *reading_clip.train(reading_clip.STEPS))
    classifiers = classifiers_of(str(folder.absolute()), str(reading_clip.vocabulary_file(folder)))
    rng, names = np.random.default_rng(1), list(reading_clip.BIRDS)
    pictures = (
        reading_clip.with_bird(reading_clip.scene(rng), names[number % len(names)], rng)
        for number in range(count)
    )

    def note_of(number: int) -> Note:
        return reading_clip.note_for(np.random.default_rng(number))

    still = on_pictures(judges_of(classifiers), pictures, names, note_of)
    clips = on_clips(classifiers, drawn_clips(count // 10, 2), names, note_of)
    return [still.table("drawn pictures"), clips.table("drawn clips, frames")]


def opened(folder: Path, limit: int) -> Iterator[Image.Image]:
    """Up to so many pictures below a folder, evenly chosen."""
    found = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in {".jpg", ".png"}]
    for path in track(found[:: max(1, len(found) // limit)][:limit], "Judging"):
        image = Image.open(path).convert("RGB")
        image.thumbnail((640, 640))
        yield image


def opened_clips(folder: Path) -> Iterator[list[Image.Image]]:
    """Each folder directly in `folder`, its frames in order of their names."""
    for clip in track(sorted(path for path in folder.iterdir() if path.is_dir()), "Watching"):
        yield [Image.open(path).convert("RGB") for path in sorted(clip.glob("*.jpg"))]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="pictures, or clips")
    parser.add_argument("--model", default="starter", help="a bundle by name or folder")
    parser.add_argument("--vocabulary", help="a vocabulary by name or file")
    parser.add_argument("--clips", action="store_true", help="a folder for each clip")
    parser.add_argument("--reading", type=Path, metavar="FOLDER", help="the small CLIP that reads")
    parser.add_argument("--rival", type=Path, metavar="PEER", help="see rival.py")
    parser.add_argument("--limit", type=int, default=200, help="pictures (%(default)s)")
    options = parser.parse_args()
    console = Console(width=120)
    if options.reading:
        for table in on_reading_model(options.reading, options.limit):
            console.print(table)
        return
    if options.folder is None:
        parser.error("name a folder of pictures, or --reading")
    classifiers = classifiers_of(options.model, options.vocabulary)
    words = birds_of(classifiers[""])
    if options.clips:
        tally = on_clips(classifiers, opened_clips(options.folder), words)
        console.print(tally.table(f"{options.model}, frames of clips"))
        return
    judges = rival_judges(options.rival) if options.rival else judges_of(classifiers)
    tally = on_pictures(judges, opened(options.folder, options.limit), words)
    console.print(tally.table("MobileNetV2" if options.rival else options.model))


if __name__ == "__main__":
    main()
