"""The photographs a starter is fitted to: their labels, their variants, their cached features."""

import csv
import hashlib
import io
import json
import tomllib
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL import Image, ImageFilter, ImageOps
from rich.progress import track

from feeder.bundle import Preprocessing, file_digest
from feeder.preprocess import preprocess
from feeder.vocabulary import spelling

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

HOW = Preprocessing(
    size=224,
    resize=288,  # nearer than the 235 of TinyViT's own evaluation: 1 % more species right
    views=("crop", "squash"),
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
CHUNK = 256
"""Photographs whose features make one cache file: what an interruption costs at most."""

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
    """What the vocabularies know of labels: canonical names, kinds, codes, aliases, regions."""

    def __init__(self, folder: Path) -> None:
        self.entries: dict[str, dict[str, Any]] = dict(STARTERS_OWN)
        self.regions: dict[str, str] = {}
        self._canonical: dict[str, str] = {}
        for file in ("north-america", "europe", "negatives"):
            for entry in tomllib.loads((folder / f"{file}.toml").read_text("utf-8"))["label"]:
                self.entries.setdefault(entry["name"], entry)
                if file != "negatives":
                    before = self.regions.get(entry["name"], "")
                    self.regions[entry["name"]] = f"{before} {file}".strip()
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
        return text


def read_photos(folder: Path, names: Names) -> list[Photo]:
    """Every photograph of `folder` with a usable label, sorted by name."""
    if not (folder / "labels.csv").exists():
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
        named = [(path, path.relative_to(folder).as_posix()) for path in files]
        return [Photo(path, name, names.canonical(path.parent.name), "") for path, name in named]
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


def plain(image: Image.Image, photo: Photo) -> Image.Image:
    """The photograph as it is."""
    return image


def distant(image: Image.Image, photo: Photo) -> Image.Image:
    """As a feeder camera sees it: 320 x 240, the photograph in 40 to 70 % of it, JPEG 45."""
    chance = np.random.default_rng(zlib.crc32(photo.name.encode()))
    share = chance.uniform(0.4, 0.7) * min(320 / image.width, 240 / image.height)
    near = image.resize((max(8, int(image.width * share)), max(8, int(image.height * share))))
    frame = image.resize((320, 240)).filter(ImageFilter.GaussianBlur(12))
    left, top = (int(chance.uniform(0, a - b)) for a, b in zip(frame.size, near.size, strict=True))
    frame.paste(near, (left, top))
    file = io.BytesIO()
    frame.save(file, "JPEG", quality=45)
    return Image.open(file).convert("RGB")


VARIANTS = (plain, distant)


class Backbone:
    """The frozen image encoder: TinyViT-5M, or any graph [n, 3, 224, 224] -> [n, d]."""

    def __init__(self, path: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self.path = path
        self.digest = file_digest(path)
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.width = int(self._session.get_outputs()[0].shape[-1])

    def views(self, image: Image.Image) -> Floats:
        """float32 [views, d], as the graph gives them."""
        name = self._session.get_inputs()[0].name
        (vectors,) = self._session.run(None, {name: preprocess(image, HOW)})
        return np.asarray(vectors, np.float32)

    def features(self, photos: Sequence[Photo], cache: Path) -> tuple[Floats, Floats]:
        """float32 [n, variants, views, d] and [n, 256] thumbnails.

        Every `CHUNK` photographs become one file in `cache`, so that a second run goes on
        where the first was interrupted.
        """
        cache.mkdir(parents=True, exist_ok=True)
        starts = range(0, len(photos), CHUNK)
        chunks = [
            self._chunk(photos[start : start + CHUNK], cache)
            for start in track(starts, "Looking at photographs")
        ]
        return np.concatenate([a for a, _ in chunks]), np.concatenate([b for _, b in chunks])

    def _chunk(self, photos: Sequence[Photo], cache: Path) -> tuple[Floats, Floats]:
        recipe = [self.digest, repr(HOW), [variant.__doc__ for variant in VARIANTS]]
        files = [(photo.name, photo.path.stat().st_size) for photo in photos]
        stored = cache / f"{hashlib.sha256(repr((recipe, files)).encode()).hexdigest()[:32]}.npz"
        if stored.exists():
            with np.load(stored) as content:
                return content["features"], content["thumbnails"]
        features = np.zeros((len(photos), len(VARIANTS), len(HOW.views), self.width), np.float32)
        thumbnails = np.zeros((len(photos), 256), np.float32)
        for row, photo in enumerate(photos):
            image = ImageOps.exif_transpose(Image.open(photo.path)).convert("RGB")
            small_gray = image.convert("L").resize((16, 16), Image.Resampling.BOX)
            thumbnails[row] = np.asarray(small_gray, np.float32).ravel()
            for column, variant in enumerate(VARIANTS):
                features[row, column] = self.views(variant(image, photo))
        beside = stored.with_suffix(".new.npz")
        np.savez(beside, features=features, thumbnails=thumbnails)
        beside.replace(stored)
        return features, thumbnails


@dataclass(frozen=True)
class Data:
    """The photographs as arrays of n rows, and the `labels` they may have.

    `features` [n, variants, views, d]; `target` [n] is the index of each photograph's label, -1
    for a bird of unknown species; `group` [n] is equal for copies of a picture; `birds` [labels];
    `weight` [labels] is what all photographs of each label weigh together, and `prior` [labels],
    in logits, how much likelier each is at a feeder than among the photographs so weighed.
    """

    photos: list[Photo]
    labels: list[str]
    birds: Flags
    weight: Floats
    prior: Floats
    features: Floats
    target: Ints
    group: Ints
