"""A model is a bundle: a folder whose manifest pins every file in it.

    models/NAME/
      manifest.json                 what is in here, and the SHA-256 of each file
      manifest.json.sha256          the manifest's own, as `sha256sum -c` reads it
      onnx/vision_model.onnx        pixels [n, 3, size, size] -> image embeddings [n, d]
      onnx/text_model.onnx          token ids [n, t] -> text embeddings [n, d]      (or instead:)
      tokenizer.json
      labels.toml, labels.npz       labels with their own vectors, for a bundle without text

The file names are those transformers.js uses, so that model folders published for it drop in.
A folder that does not match its manifest, or a manifest its checksum, is refused.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feeder.domain import Vectors
from feeder.errors import BundleError

MANIFEST = "manifest.json"
CHECKSUM = f"{MANIFEST}.sha256"

AGAIN = "Copy, pull or export the bundle again; the disk may be failing."

Precision = Literal["fp32", "int8"]
View = Literal["crop", "squash"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preprocessing(_Part):
    """How a picture becomes model input.

    `views` are taken of every picture and their embeddings averaged: `crop` scales the shorter
    edge to `resize` and cuts the central `size` x `size`; `squash` scales both edges to `size`.
    """

    size: int = Field(gt=0)
    resize: int = Field(gt=0)
    views: tuple[View, ...] = ("crop",)
    resample: Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] = "bicubic"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Graph(_Part):
    """One ONNX graph: a file for each precision, and the output that holds the embedding."""

    files: dict[Precision, str] = Field(min_length=1)
    output: str


class TextEncoding(_Part):
    """How prompts become token ids: SigLIP needs every row padded to `context_length`."""

    context_length: int = Field(gt=1)
    pad_id: int
    pad_to_context: bool = False
    lowercase: bool = False


class Thresholds(_Part):
    """The probabilities at which a verdict is given; see `classifier.verdict`."""

    label: float = Field(default=0.5, ge=0, le=1)
    bird: float = Field(default=0.5, ge=0, le=1)
    blank: float = Field(default=0.5, ge=0, le=1)
    margin: float = Field(default=0.0, ge=0, le=1)


class SelfTest(_Part):
    """The embedding that `golden_image` gave where the bundle was made."""

    file: str
    min_cosine: float = Field(ge=-1, le=1)


class Manifest(_Part):
    """`manifest.json`. `logit_scale` multiplies cosines; `logit_bias` is SigLIP's."""

    format: Literal[1] = 1
    name: str
    architecture: str
    source: str
    revision: str = ""
    license: str
    embedding_width: int = Field(gt=0)
    logit_scale: float = Field(gt=0)
    logit_bias: float = 0.0
    preprocessing: Preprocessing
    image: Graph
    text: Graph | None = None
    text_encoding: TextEncoding | None = None
    labels: str | None = None
    label_vectors: str | None = None
    thresholds: Thresholds = Thresholds()
    self_test: SelfTest | None = None
    files: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A model folder whose manifest has been read. `digest` names it everywhere in the log.

    A file is compared with the manifest when it is first used: a published CLIP brings graphs of
    several hundred megabytes that this computer may never load.
    """

    folder: Path
    manifest: Manifest
    digest: str
    _compared: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Reads the manifest of `folder`. Raises BundleError where it is missing or wrong."""
        return cls._parse(folder, sealed_manifest(folder))

    @classmethod
    def open_unsealed(cls, folder: Path) -> "Bundle":
        """The same of a folder whose manifest has no checksum, to be looked at and sealed."""
        try:
            return cls._parse(folder, (folder / MANIFEST).read_bytes())
        except FileNotFoundError as error:
            raise _unsealed(folder, folder / MANIFEST) from error

    @classmethod
    def _parse(cls, folder: Path, text: bytes) -> "Bundle":
        path = folder / MANIFEST
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise BundleError(
                f"{path}: {where}: {first['msg']}.", "Export or pull the model again."
            ) from error
        if not manifest.files:
            raise BundleError(f"{path} pins no files.", "Export or pull the model again.")
        return cls(folder, manifest, hashlib.sha256(text).hexdigest())

    def verify(self) -> None:
        """Compares every file; raises BundleError naming the first that is missing or differs."""
        for name in self.manifest.files:
            self.compare(name)

    def verify_settings(self) -> None:
        """Compares every file but the graphs with their weights, which are large."""
        graphs = tuple(self._graphs())
        for name in self.manifest.files:
            if not name.startswith(graphs):
                self.compare(name)

    def read(self, name: str) -> bytes:
        """The bytes of a file of the bundle, and they are those the manifest describes.

        Raises BundleError where it is missing, differs, or lies outside the folder.
        """
        path = self._place(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
        self.hold(name, hashlib.sha256(data).hexdigest())
        return data

    def path(self, name: str) -> Path:
        """The path of a file of the bundle, compared when it is first asked for, as `read` does."""
        if name not in self._compared:
            self.compare(name)
        return self._place(name)

    def compare(self, name: str) -> None:
        """Raises BundleError where the file is, now, not the one the manifest describes."""
        path = self._place(name)
        try:
            digest = file_digest(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        self.hold(name, digest)

    def _place(self, name: str) -> Path:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BundleError(f"{self.folder / MANIFEST} names {name}, outside its folder.")
        return self.folder / name

    def hold(self, name: str, digest: str) -> None:
        """Holds the SHA-256 of a file's bytes against the manifest; raises BundleError.

        A bundle in the making has no digests yet.
        """
        if self.manifest.files and digest != self.manifest.files.get(name):
            self._compared.discard(name)
            raise BundleError(
                f"{self.folder / name} is not the file its manifest describes, so the model "
                f"{self.manifest.name} is refused.",
                AGAIN,
            )
        self._compared.add(name)

    def graph_file(self, graph: Graph, precision: Precision | Literal["auto"]) -> str:
        """The graph's file in `precision`; `auto` prefers int8, the faster on small machines."""
        if precision == "auto":
            precision = "int8" if "int8" in graph.files else next(iter(graph.files))
        if precision not in graph.files:
            raise BundleError(
                f"The model {self.manifest.name} has no {precision} graph, only "
                f"{', '.join(graph.files)}.",
                'Set `precision = "auto"` under [model].',
            )
        return graph.files[precision]

    def weight_files(self, graph: str) -> list[str]:
        """The files in which the graph file `graph` may keep weights: those beside it that
        nothing else in the manifest lays claim to."""
        beside = PurePosixPath(graph).parent
        others = tuple(name for name in self._graphs() if name != graph)
        test = self.manifest.self_test
        named = {self.manifest.labels, self.manifest.label_vectors, test.file if test else None}
        return [
            name
            for name in self.manifest.files
            if PurePosixPath(name).parent == beside
            and name not in {graph, *others, *named}
            and not name.startswith(tuple(f"{other}_data" for other in others))
            and not name.endswith((".onnx", ".json", ".txt"))
        ]

    def _graphs(self) -> list[str]:
        towers = [self.manifest.image, *([self.manifest.text] if self.manifest.text else [])]
        return [name for tower in towers for name in tower.files.values()]

    @cached_property
    def self_test_embedding(self) -> Vectors | None:
        """float32 [d], or None where the bundle brings no self-test."""
        if self.manifest.self_test is None:
            return None
        stored = BytesIO(self.read(self.manifest.self_test.file))
        loaded = np.load(stored, allow_pickle=False)
        return np.asarray(loaded, np.float32)


def seal(folder: Path, manifest: Manifest) -> Bundle:
    """Writes `manifest` into `folder` with the digest of every file there, and opens it.

    Broken off at any moment it leaves a folder that is refused, and done again mends it: the old
    checksum goes first, and the new one comes last.
    """
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not _is_loose(path.relative_to(folder))
    )
    files = {name: file_digest(folder / name) for name in names}
    sealed = manifest.model_copy(update={"files": files})
    (folder / CHECKSUM).unlink(missing_ok=True)
    text = json.dumps(sealed.model_dump(mode="json", exclude_none=True), indent=2) + "\n"
    _write_whole(folder / MANIFEST, text.encode())
    pin_manifest(folder)
    return Bundle.open(folder)


def pin_manifest(folder: Path) -> None:
    """Writes the checksum of the manifest in `folder`, as it is, beside it."""
    _write_whole(folder / CHECKSUM, _checksum((folder / MANIFEST).read_bytes()))


def sealed_manifest(folder: Path) -> bytes:
    """The bytes of the manifest in `folder`, and they are those its checksum describes.

    Raises BundleError where one of the two is missing, or they do not belong together.
    """
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
        stated = (folder / CHECKSUM).read_bytes()
    except FileNotFoundError as error:
        raise _unsealed(folder, Path(error.filename)) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if stated != _checksum(text):
        raise BundleError(
            f"{path} is not the file that {CHECKSUM} describes, so the model is refused.",
            f"{AGAIN} If you changed {MANIFEST} yourself, remove {CHECKSUM} and run "
            f"`feeder model seal {folder.name}`.",
        )
    return text


def _unsealed(folder: Path, missing: Path) -> BundleError:
    if missing.name == MANIFEST:
        return BundleError(
            f"{folder} is no model bundle: it has no {MANIFEST}.",
            "`feeder model list` shows the bundles there are; `feeder model pull FOLDER` "
            "makes one of a folder that holds ONNX files.",
        )
    return BundleError(
        f"{folder} is not sealed: it has no {CHECKSUM}, so the model is refused.",
        f"A bundle of an earlier release has none: `feeder model seal {folder.name}` looks at "
        "its files and writes it. Otherwise copy, pull or export the bundle again.",
    )


def _checksum(manifest: bytes) -> bytes:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()


def _write_whole(path: Path, data: bytes) -> None:
    """Puts a file in its place in one step, and only once its bytes are on the disk."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def _unreadable(path: Path, error: OSError) -> BundleError:
    if isinstance(error, FileNotFoundError):
        return BundleError(f"The model in {path.parent} is incomplete: {path} is missing.", AGAIN)
    return BundleError(f"{path} cannot be read: {error.strerror}.", AGAIN)


def _is_loose(name: Path) -> bool:
    """The manifest cannot pin itself; notes for people and hidden files are not model data."""
    hidden = any(part.startswith(".") for part in name.parts)
    return hidden or name.suffix == ".md" or name.name in {MANIFEST, CHECKSUM, "NOTICE", "LICENSE"}


def find(name: str, folders: Iterable[Path]) -> Path:
    """The folder of bundle `name`: a path as it is, a bare name looked for in `folders`.

    Raises BundleError listing what there is.
    """
    folders = list(folders)
    places = [folder / name for folder in folders]
    if Path(name).is_absolute() or len(Path(name).parts) > 1:
        places.insert(0, Path(name))
    for place in places:
        if (place / MANIFEST).is_file():
            return place
    there = ", ".join(sorted(path.name for path in listed(folders))) or "none"
    raise BundleError(
        f"There is no model bundle {name!r} (found: {there}).",
        "`feeder model pull ID` or `make model` brings another.",
    )


def listed(folders: Iterable[Path]) -> list[Path]:
    """Every bundle folder directly in `folders`, an earlier folder hiding a later namesake."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*/{MANIFEST}")):
            # Hidden: a bundle that was still being made when the power went.
            if not path.parent.name.startswith("."):
                found.setdefault(path.parent.name, path.parent)
    return list(found.values())


def shipped_models() -> Path:
    """The `models` folder that came with the program: in the wheel, or in the checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def golden_image() -> Image.Image:
    """The self-test picture, 320 x 240 RGB, from integer arithmetic alone: equal everywhere."""
    y, x = np.mgrid[0:240, 0:320]
    disc = (x - 160) ** 2 + (y - 110) ** 2 < 70**2
    red = np.where(disc, 200, x * 255 // 319)
    green = np.where(disc, 60 + y // 4, y * 255 // 239)
    blue = np.where((x // 20 + y // 20) % 2 == 0, 90, 150)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8), "RGB")


def file_digest(path: Path) -> str:
    """The file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
