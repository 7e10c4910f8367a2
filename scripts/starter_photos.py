"""The photographs a starter is made of: their labels, their pixels, which are held out."""

import csv
import json
import tomllib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from rich.progress import track

from feeder.encoder import unit
from feeder.vocabulary import spelling

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]
"""RGB [height, width, 3]."""
Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
EDGE = 272
"""The shorter edge, in pixels, at which photographs are kept: enough to cut 224 out of."""
COPIES = 0.965
"""Correlation of two 16 x 16 grey thumbnails above which they are one picture."""
MIN_PHOTOS = 3
"""A label is only held out where this many of its photographs remain to learn from."""
HELD_OUT = 0.15
"""The share held out of a collection that nobody says how to split."""

UNNAMED_BIRD = "bird"
"""A photograph of a bird whose species nobody knows: any bird label is right."""

STARTERS_OWN = {
    "Other bird": {"scientific_name": "Aves", "ebird_code": "bird1", "kind": "bird"},
    "wild mammal": {"scientific_name": "Mammalia", "kind": "mammal"},
    "other thing": {"kind": "blank"},
}
"""Labels that no vocabulary lists, because a prompt could not describe them."""

SYNONYMS = {
    "blue gray gnatcatcher": "Blue-gray Gnatcatcher",
    "brandt cormarant": "Brandt's Cormorant",
    "brandt cormorant": "Brandt's Cormorant",
    "brewer blackbird": "Brewer's Blackbird",
    "brown crepper": "Brown Creeper",
    "groved billed ani": "Groove-billed Ani",
    "killdear": "Killdeer",
    "mallard duck": "Mallard",
    "other things": "other thing",
    "scene": "empty feeder",
    "empty indoor": "empty feeder",
    "person hand": "person",
    "uncertain": "",
}
"""Spellings in public photo collections that `models/vocabularies` need not know."""

WORLD = ("birds525/", "imagenet_birds/")
"""Collections of all the world's birds: a species no other folder shows is "Other bird"."""

DOUBTFUL = {"crow", "frill back pigeon", "jacobin pigeon", "looney birds"}
"""Folders of such collections that may hold a garden species."""

NOT_TRAINED = ("birds_unlabelled/", "garden_augmented/", "garden_84px/")
"""Labelled, but of unknown species or altered copies."""


@dataclass(frozen=True)
class Photo:
    """A labelled file; `name` is its path within the folder.

    `source` is who collected it: pictures of one source share cameras, places and taste, so
    they are held out together.
    """

    path: Path
    name: str
    label: str
    source: str


class Names:
    """What the vocabularies know of labels: canonical names, kinds, codes, aliases, groups."""

    def __init__(self, folder: Path) -> None:
        self.entries: dict[str, dict[str, Any]] = dict(STARTERS_OWN)
        self.groups = tomllib.loads((folder / "look-alikes.toml").read_text("utf-8"))["group"]
        self._canonical: dict[str, str] = {}
        for file in ("north-america", "europe", "negatives"):
            for entry in tomllib.loads((folder / f"{file}.toml").read_text("utf-8"))["label"]:
                self.entries.setdefault(entry["name"], entry)
                for name in (entry["name"], *entry.get("aliases", ())):
                    self._canonical.setdefault(spelling(name), entry["name"])
        self._canonical |= {spelling(name): name for name in self.entries}
        self._canonical |= SYNONYMS

    def canonical(self, name: str) -> str:
        """The vocabulary's name for `name`, or `name` itself where no vocabulary has it."""
        return self._canonical.get(spelling(name), name)

    def kind(self, label: str) -> str:
        return str(self.entries.get(label, {}).get("kind", "bird"))

    def toml(self, labels: Sequence[str]) -> str:
        """`labels.toml`, in this order; an alias that two labels claim stays with the first."""
        text, taken = 'title = "What the starter knows"\n', set(map(spelling, labels))
        for label in labels:
            entry = {"kind": "bird", **self.entries.get(label, {}), "name": label}
            aliases = [a for a in entry.get("aliases", ()) if spelling(a) not in taken]
            taken.update(map(spelling, aliases))
            fields = (
                key for key in ("name", "scientific_name", "ebird_code", "kind") if key in entry
            )
            text += "\n[[label]]\n"
            text += "".join(f"{key} = {json.dumps(entry[key])}\n" for key in fields)
            if aliases:
                text += f"aliases = {json.dumps(aliases, ensure_ascii=False)}\n"
        for group in self.groups:
            members = [name for name in group["labels"] if name in labels]
            if members == group["labels"] or (group["name"].endswith(" sp.") and members[1:]):
                entry = {**group, "labels": members}
                text += "\n[[group]]\n"
                text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        return text


def read_photos(folder: Path, names: Names) -> list[Photo]:
    """Every photograph of `folder` with a usable label, sorted by name."""
    if not (folder / "labels.csv").exists():
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
        named = [(path, path.relative_to(folder).as_posix()) for path in files]
        found = [Photo(path, name, names.canonical(path.parent.name), "") for path, name in named]
        return [photo for photo in found if photo.label]
    rows = {}
    for table in (*folder.glob("*/*/labels.csv"), folder / "labels.csv"):
        for row in _rows(table):
            rows[row["path"]] = row | {"source": row.get("source") or table.parent.name}
    local = {names.canonical(rows[name]["label"]) for name in rows if not name.startswith(WORLD)}
    photos = []
    for name, row in sorted(rows.items()):
        label = _label(name, row["label"], row["source"], names, local)
        if label and not name.startswith(NOT_TRAINED):
            photos.append(Photo(folder / name, name, label, row["source"]))
    return photos


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _label(name: str, label: str, source: str, names: Names, local: Collection[str]) -> str:
    """What a photograph of a public collection is trained as, "" for not at all."""
    known = names.canonical(label)
    if name.startswith("not_birds/Other things/n"):
        # ImageNet's file names carry WordNet numbers. A lynx is no scene and no garden mammal.
        number = int(Path(name).name[1:9])
        kinds = {range(2084071, 2113979): "dog", range(2123045, 2124076): "cat"}
        found = [kind for numbers, kind in kinds.items() if number in numbers]
        return found[0] if found else "other thing" if number > 2666195 else ""
    if name.startswith("imagenet_birds/"):
        return UNNAMED_BIRD if known in names.entries else "Other bird"
    if name.startswith(WORLD) and spelling(label) in DOUBTFUL:
        return UNNAMED_BIRD
    if name.startswith(WORLD) and known not in local:
        return "Other bird"
    return "night" if label == "Scene" and "raccooncamera" in source else known


@dataclass(frozen=True)
class Album:
    """Decoded photographs: pixels, boxes in pixels where known, and groups of copies, int64 [n]."""

    images: list[Pixels]
    boxes: list[Box | None]
    group: Ints

    def only(self, rows: Flags) -> "Album":
        """The photographs that `rows` [n] marks."""
        kept = np.flatnonzero(rows)
        images, boxes = [self.images[row] for row in kept], [self.boxes[row] for row in kept]
        return Album(images, boxes, self.group[kept])


def decode(photos: Sequence[Photo], folder: Path) -> Album:
    """All photographs in memory, `EDGE` pixels at the shorter edge or smaller: 240 kB each.

    `boxes.csv` in `folder`, where there is one, says where the bird is: path,x,y,w,h in pixels.
    """
    table = folder / "boxes.csv"
    given = {row["path"]: row for row in _rows(table)} if table.exists() else {}
    images: list[Pixels] = []
    boxes: list[Box | None] = []
    thumbnails = np.zeros((len(photos), 256), np.float32)
    for row, photo in enumerate(track(photos, "Decoding photographs")):
        image = ImageOps.exif_transpose(Image.open(photo.path)).convert("RGB")
        tiny = image.convert("L").resize((16, 16), Image.Resampling.BOX)
        thumbnails[row] = np.asarray(tiny, np.float32).ravel()
        factor = min(1.0, EDGE / min(image.size))
        if factor < 1:
            size = (max(8, round(image.width * factor)), max(8, round(image.height * factor)))
            image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3)
        images.append(np.asarray(image))
        box = given.get(photo.name)
        boxes.append(_scaled(box, factor) if box else None)
    return Album(images, boxes, _copies(thumbnails))


def ordered_labels(photos: Sequence[Photo], names: Names) -> list[str]:
    """Every label, birds first, "Other bird" the last of them."""
    return sorted(
        {photo.label for photo in photos} - {UNNAMED_BIRD},
        key=lambda label: (names.kind(label) != "bird", label == "Other bird", label),
    )


def held_out(photos: Sequence[Photo], group: Ints, split: Path | None) -> Flags:
    """[n], True for photographs to keep from training, and for their copies.

    Every line of `split` is a source, or how names begin; after a `~` only a share of those is
    taken, by picture: what comes from one source alone cannot be held out by source. Without
    `split` a share of everything is taken. A label keeps its photographs where fewer than
    `MIN_PHOTOS` would be left, and all copies where those would take its last.
    """
    random = np.random.default_rng(7)
    some = (random.random(int(group.max()) + 1) < HELD_OUT)[group]
    out = some
    if split is not None:
        lines = [line.strip() for line in split.read_text("utf-8").splitlines()]
        lines = [line for line in lines if line and not line.startswith("#")]
        whole = [line for line in lines if not line.startswith("~")]
        part = [line.removeprefix("~").strip() for line in lines if line.startswith("~")]
        out = _of(photos, whole) | (some & _of(photos, part))
    out &= ~_leaving(photos, out, MIN_PHOTOS)
    out = np.isin(group, group[out])
    return out & ~np.isin(group, group[_leaving(photos, out, 1)])


def _leaving(photos: Sequence[Photo], out: Flags, least: int) -> Flags:
    """[n]: whether the label has fewer than `least` photographs without those that are `out`."""
    left = Counter(photo.label for photo, is_out in zip(photos, out, strict=True) if not is_out)
    return np.array([left[photo.label] < least for photo in photos])


def _of(photos: Sequence[Photo], lines: Sequence[str]) -> Flags:
    """[n]: whose source is among `lines`, or whose name begins like one."""
    starts = tuple(lines)
    return np.array([photo.source in starts or photo.name.startswith(starts) for photo in photos])


def _copies(thumbnails: Floats) -> Ints:
    """int64 [n]: equal numbers for pictures [n, 256] that are near copies of each other."""
    flat = unit(thumbnails - thumbnails.mean(axis=1, keepdims=True))
    group = np.arange(len(flat))
    for first, row in enumerate(flat):
        for second in np.flatnonzero(flat[first + 1 :] @ row > COPIES) + first + 1:
            group[group == group[second]] = group[first]
    return group


def _scaled(row: dict[str, str], factor: float) -> Box:
    x, y, width, height = (float(row[key]) * factor for key in "xywh")
    return x, y, width, height
