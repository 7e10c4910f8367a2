"""A model is a bundle: a folder whose manifest pins every file in it.

    models/NAME/
      manifest.json                 what is in here, and the SHA-256 of each file
      onnx/vision_model.onnx        pixels [n, 3, size, size] -> image embeddings [n, d]
      onnx/text_model.onnx          token ids [n, t] -> text embeddings [n, d]      (or instead:)
      tokenizer.json
      labels.toml, labels.npz       labels with their own vectors, for a bundle without text

The file names are those transformers.js uses, so that model folders published for it drop in.
A folder that does not match its manifest is refused.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feeder.domain import Vectors
from feeder.errors import BundleError

MANIFEST = "manifest.json"

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
    _verified: set[str] = field(default_factory=set, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Reads the manifest of `folder`. Raises BundleError where it is missing or wrong."""
        path = folder / MANIFEST
        try:
            text = path.read_bytes()
            manifest = Manifest.model_validate_json(text)
        except FileNotFoundError as error:
            raise BundleError(
                f"{folder} is no model bundle: it has no {MANIFEST}.",
                "`feeder model list` shows the bundles there are; `feeder model pull FOLDER` "
                "makes one of a folder that holds ONNX files.",
            ) from error
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
        self._verified.clear()
        for name in self.manifest.files:
            self.path(name)

    def path(self, name: str) -> Path:
        """The path of a file of the bundle, which is the file the manifest describes.

        Raises BundleError where it is missing, differs, or lies outside the folder.
        """
        path = self.folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BundleError(f"{self.folder / MANIFEST} names {name}, outside its folder.")
        # A bundle that is still being made has no digests yet.
        if self.manifest.files and name not in self._verified:
            self._compare(name, path)
            self._verified.add(name)
        return path

    def _compare(self, name: str, path: Path) -> None:
        if not path.is_file():
            raise BundleError(
                f"The model {self.manifest.name} is incomplete: {path} is missing.",
                "Copy, pull or export the bundle again.",
            )
        if file_digest(path) != self.manifest.files.get(name):
            raise BundleError(
                f"The model {self.manifest.name} is refused: {path} is not the file its "
                "manifest describes.",
                "Copy, pull or export the bundle again; the disk may be failing.",
            )

    def graph_file(self, graph: Graph, precision: Precision | Literal["auto"]) -> Path:
        """The graph's file in `precision`; `auto` prefers int8, the faster on small machines."""
        if precision == "auto":
            precision = "int8" if "int8" in graph.files else next(iter(graph.files))
        if precision not in graph.files:
            raise BundleError(
                f"The model {self.manifest.name} has no {precision} graph, only "
                f"{', '.join(graph.files)}.",
                'Set `precision = "auto"` under [model].',
            )
        name = graph.files[precision]
        for beside in self.manifest.files:
            if beside.startswith(f"{name}_data"):  # weights that ONNX keeps outside the graph
                self.path(beside)
        return self.path(name)

    @cached_property
    def self_test_embedding(self) -> Vectors | None:
        """float32 [d], or None where the bundle brings no self-test."""
        if self.manifest.self_test is None:
            return None
        loaded = np.load(self.path(self.manifest.self_test.file), allow_pickle=False)
        return np.asarray(loaded, np.float32)


def seal(folder: Path, manifest: Manifest) -> Bundle:
    """Writes `manifest` into `folder` with the digest of every file there, and opens it."""
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not _is_loose(path.relative_to(folder))
    )
    files = {name: file_digest(folder / name) for name in names}
    sealed = manifest.model_copy(update={"files": files})
    beside = folder / f".{MANIFEST}.new"
    beside.write_text(
        json.dumps(sealed.model_dump(mode="json", exclude_none=True), indent=2) + "\n",
        encoding="utf-8",
    )
    os.replace(beside, folder / MANIFEST)
    return Bundle.open(folder)


def _is_loose(name: Path) -> bool:
    """The manifest cannot pin itself; notes for people and hidden files are not model data."""
    hidden = any(part.startswith(".") for part in name.parts)
    return hidden or name.suffix == ".md" or name.name in {MANIFEST, "NOTICE", "LICENSE"}


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
