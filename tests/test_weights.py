"""Weights beside their graph, which ONNX Runtime maps into memory."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from feeder.bundle import Bundle, golden_image
from feeder.classifier import Classifier
from feeder.encoder import ImageEncoder
from feeder.errors import BundleError
from feeder.weights import KEPT_SECONDS, private_copy
from tests.tiny_bundle import make_tiny_clip, move_weights_out

GRAPH = "onnx/vision_model.onnx"
DATA = f"{GRAPH}_data"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A tiny model that keeps its weights outside its graphs."""
    return Bundle.open(move_weights_out(make_tiny_clip(tmp_path / "tiny")))


def test_a_running_model_does_not_see_its_files_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    """Other weights copied over the bundle's in place, or none, leave its answers as they were."""
    encoder = ImageEncoder(bundle, "fp32", cache=tmp_path / "cache")
    before = encoder.embed_image(golden_image())
    path = bundle.folder / DATA
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(np.random.default_rng(1).normal(size=size // 4).astype(np.float32).tobytes())
    assert np.array_equal(encoder.embed_image(golden_image()), before)
    os.truncate(path, 0)
    assert np.array_equal(encoder.embed_image(golden_image()), before)


def test_weights_are_copied_once(bundle: Bundle, tmp_path: Path) -> None:
    """A second load goes by the same files."""
    folder = private_copy(bundle, [GRAPH, DATA], tmp_path)
    first = {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
    assert {path.relative_to(folder).as_posix() for path in first} == {GRAPH, DATA}
    assert private_copy(bundle, [GRAPH, DATA], tmp_path) == folder
    assert {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()} == first


def test_a_damaged_copy_is_made_again(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A flipped bit in the copy is noticed and told, and the bundle's own file takes its place."""
    folder = private_copy(bundle, [GRAPH, DATA], tmp_path)
    good = (folder / DATA).read_bytes()
    (folder / DATA).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    private_copy(bundle, [GRAPH, DATA], tmp_path)
    assert (folder / DATA).read_bytes() == good
    assert "is damaged, and is made again" in caplog.text


def test_a_damaged_bundle_is_refused_though_its_copy_is_whole(
    bundle: Bundle, tmp_path: Path
) -> None:
    """The copy does not hide what has become of the bundle."""
    private_copy(bundle, [GRAPH, DATA], tmp_path)
    os.truncate(bundle.folder / DATA, 100)
    with pytest.raises(BundleError, match="refused"):
        private_copy(bundle, [GRAPH, DATA], tmp_path)


def test_a_copy_that_cannot_be_made_is_refused_in_words(bundle: Bundle, tmp_path: Path) -> None:
    """Where the cache cannot be written the error names the folder and what to do."""
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(BundleError, match="cannot be copied") as caught:
        private_copy(bundle, [GRAPH, DATA], tmp_path / "cache")
    assert "Make room" in caught.value.hint


def test_copies_for_other_models_go_after_a_day(bundle: Bundle, tmp_path: Path) -> None:
    """A copy nobody has used for a day is removed, a fresh one stays."""
    old, fresh = tmp_path / "weights" / "old", tmp_path / "weights" / "fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    past = old.stat().st_mtime - KEPT_SECONDS - 60
    os.utime(old, (past, past))
    kept = private_copy(bundle, [GRAPH, DATA], tmp_path)
    assert set(kept.parent.iterdir()) == {fresh, kept}


def test_a_graph_finds_no_weights_that_are_not_pinned(bundle: Bundle, tmp_path: Path) -> None:
    """Weights that were taken out of the manifest are not found beside the graph any more."""
    folder = Path(shutil.copytree(bundle.folder, tmp_path / "copy"))
    files = {name: digest for name, digest in bundle.manifest.files.items() if name != DATA}
    loose = Bundle(folder, bundle.manifest.model_copy(update={"files": files}), "loose")
    (folder / DATA).rename(folder / "onnx" / "elsewhere")
    with pytest.raises(BundleError, match="cannot load"):
        ImageEncoder(loose, "fp32", cache=tmp_path / "cache")


def test_the_classifier_runs_on_a_copy(bundle: Bundle, tmp_path: Path) -> None:
    """A classifier with a cache keeps the bundle's weight files out of its memory."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not tell what is mapped")
    classifier = Classifier.load(bundle.folder, "negatives", cache=tmp_path / "cache")
    assert str(bundle.folder) not in maps.read_text(encoding="utf-8")
    assert classifier.embed([golden_image()]).shape == (1, 16)
