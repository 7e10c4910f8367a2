"""Makes the workload: the model, its exported bundle, the label files, the pictures.

What takes long is kept below the work folder, under a name that changes with what made it.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from benchmarks.workload import Workload
from feeder import Classifier
from feeder.bundle import Precision
from feeder.errors import FeederError

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / "models" / "vocabularies" / "flask-lab.toml"
EXPORTER = ROOT / "scripts" / "export_clip.py"

SIZES = ((640, 480), (4608, 2592))
"""What a webcam and a Raspberry Pi Camera Module 3 send, in pixels."""

GRAIN = 6.0
"""Standard deviation of a small sensor's noise in daylight, of 255."""

PICTURES = 3
MAX_PHOTOS = 20
PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")

TOKENIZER_PACKAGE = "open_clip_torch==3.3.0"
"""Brings CLIP's own token list; nothing of its code is imported."""


def prepare(
    work: Path, *, checkpoint: Path | None, photos: Path | None, length: dict[str, Any]
) -> Workload:
    """The workload in `work`, made as far as it is not there yet.

    `checkpoint` is a saved CLIP, None for a random ViT-B/32; `photos` a folder of JPEGs, None for
    made ones; `length` gives the workload's frames, warm_up, paced and pause. Raises FeederError.
    """
    _require_export_extra()
    work.mkdir(parents=True, exist_ok=True)
    checkpoint = checkpoint.absolute() if checkpoint else _random_clip(work)
    model = _exported(checkpoint, work)
    labels, template = lab_labels()
    folder, pictures = _photographs(photos) if photos else _made_pictures(work)
    workload = Workload(
        checkpoint=str(checkpoint),
        model=str(model),
        vocabulary=str(model / "25.toml"),
        label_vectors=str(model / "25.npy"),
        caches=str(model / "caches"),
        labels=labels,
        template=template,
        picture_folder=str(folder),
        pictures=pictures,
        **length,
    )
    _embed_labels(workload)
    return workload


def lab_labels() -> tuple[tuple[str, ...], str]:
    """The 25 labels of the Flask lab, without Feeder's negatives, and their template."""
    content = tomllib.loads(LAB.read_text(encoding="utf-8"))
    return tuple(entry["name"] for entry in content["label"]), content["templates"][0]


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def _require_export_extra() -> None:
    missing = [
        name for name in ("torch", "transformers", "optimum") if not importlib.util.find_spec(name)
    ]
    if missing:
        raise FeederError(
            f"The peers cannot be measured: {', '.join(missing)} not installed.",
            "`make setup-export` installs the export extra; `make bench` does that and this.",
        )


# --- the model ---------------------------------------------------------------------------------


def _random_clip(work: Path) -> Path:
    """A full-size ViT-B/32 with random weights: speed and memory do not depend on their values."""
    maker = ROOT / "tests" / "torch_models.py"
    folder = work / f"vit-b-32-{_digest([maker])}"
    if (folder / "tokenizer.json").is_file():
        return folder
    _provide_tokenizer(work)
    say("Making a ViT-B/32 with random weights (once)")
    from tests.torch_models import make_clip

    return make_clip(folder, full_size=True)


def _provide_tokenizer(work: Path) -> None:
    """Puts CLIP's token list where `tests/torch_models.py` looks for it."""
    if importlib.util.find_spec("open_clip"):
        return
    folder = work / "open_clip"
    if not folder.is_dir():
        say(f"Fetching CLIP's token list from the package {TOKENIZER_PACKAGE} (once)")
        fetch = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--quiet"]
        done = subprocess.run([*fetch, "--dest", work, TOKENIZER_PACKAGE], check=False)
        wheels = sorted(work.glob("open_clip_torch-*.whl"))
        if done.returncode or not wheels:
            raise FeederError(
                f"CLIP's token list comes with {TOKENIZER_PACKAGE}, which pip could not fetch.",
                "Install that package without its dependencies, or give --model the folder of a "
                "saved CLIP.",
            )
        with ZipFile(wheels[-1]) as wheel:
            wheel.extractall(folder)
    sys.path.append(str(folder))


def _exported(checkpoint: Path, work: Path) -> Path:
    """The Feeder bundle that the export script makes of `checkpoint`."""
    if not (checkpoint / "config.json").is_file():
        raise FeederError(f"{checkpoint} holds no saved model.", "Give a save_pretrained folder.")
    weights = [
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}"
        for path in sorted(checkpoint.iterdir())
    ]
    scripts = sorted(EXPORTER.parent.glob("export_*.py"))
    exports = work / "exported"
    folder = exports / f"{checkpoint.name}-{_digest(scripts, str(checkpoint), *weights)}"
    if not folder.exists():
        for outdated in exports.glob(f"{checkpoint.name}-*"):  # 800 MB each
            shutil.rmtree(outdated)
        say("Exporting it to ONNX (once)")
        command = [sys.executable, EXPORTER, "--model", checkpoint, "--output", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FeederError(f"The export failed:\n{done.stderr[-2000:]}")
    return folder


def _digest(files: Iterable[Path], *words: str) -> str:
    content = hashlib.sha256("\n".join(words).encode())
    for path in files:
        content.update(path.read_bytes())
    return content.hexdigest()[:10]


# --- the labels --------------------------------------------------------------------------------


def _embed_labels(workload: Workload) -> None:
    """Feeder's vocabulary file, its prompt caches, and the same vectors as a plain array.

    They stand in the bundle's folder, whose manifest does not name them and so ignores them.
    """
    path = Path(workload.vocabulary)
    entries = [f'[[label]]\nname = "{label}"\nkind = "bird"\n' for label in workload.labels]
    text = f'title = "25 birds"\ntemplates = ["{workload.template}"]\n\n' + "\n".join(entries)
    path.write_text(text, encoding="utf-8")
    for precision in PRECISIONS:
        cache = Path(workload.caches) / precision
        classifier = Classifier.load(workload.model, path, cache=cache, precision=precision)
        if precision == "int8":
            np.save(workload.label_vectors, classifier.embeddings.vectors)


# --- the pictures ------------------------------------------------------------------------------


def _made_pictures(work: Path) -> tuple[Path, dict[str, list[str]]]:
    """JPEGs with detail at every scale, as `tests/pictures.py` draws them, and a sensor's grain.

    640 x 480 pixels come to 0.1 MB, 4608 x 2592 to 3 MB, as such cameras send.
    """
    makers = [ROOT / "tests" / "pictures.py", Path(__file__)]
    folder = work / f"pictures-{_digest(makers)}"
    groups: dict[str, list[str]] = {}
    for width, height in SIZES:
        paths = [folder / f"{width}x{height}-{i}.jpg" for i in range(PICTURES)]
        if not all(path.is_file() for path in paths):
            _draw(width, height, paths)
        groups[f"{width} x {height}"] = [str(path) for path in paths]
    return folder, groups


def _draw(width: int, height: int, paths: list[Path]) -> None:
    """One picture for each path, with its colours exchanged and a grain of its own."""
    from PIL import Image

    from tests.pictures import camera_picture

    say(f"Drawing {len(paths)} pictures of {width} x {height} pixels (once)")
    paths[0].parent.mkdir(exist_ok=True)
    pixels = np.asarray(camera_picture(width, height), np.float32)
    for i, path in enumerate(paths):
        grain = np.random.default_rng(i).normal(0, GRAIN, (height, width, 1)).astype(np.float32)
        noisy = np.clip(np.roll(pixels, i, axis=2) + grain, 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(path, quality=88)


def _photographs(folder: Path) -> tuple[Path, dict[str, list[str]]]:
    folder = folder.absolute()
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    if not found:
        raise FeederError(f"{folder} holds no JPEG.", "Give --photos a folder of photographs.")
    step = max(1, len(found) // MAX_PHOTOS)
    return folder, {"photos": [str(path) for path in found[::step][:MAX_PHOTOS]]}
