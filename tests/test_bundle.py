"""A model folder and its manifest."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from feeder import bundle as bundles
from feeder.bundle import Bundle, golden_image
from feeder.encoder import ImageEncoder, TextEncoder
from feeder.errors import BundleError


@pytest.fixture
def copy(tiny_clip: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be tampered with."""
    return Path(shutil.copytree(tiny_clip, tmp_path / "copy"))


def test_a_whole_bundle_opens(tiny_clip: Path) -> None:
    """Every file the manifest names has the digest it states."""
    bundle = Bundle.open(tiny_clip)
    assert "onnx/vision_model.onnx" in bundle.manifest.files
    assert len(bundle.digest) == 64


def test_a_flipped_bit_is_refused(copy: Path) -> None:
    """One changed bit in any file is an error that names the file."""
    for name in Bundle.open(copy).manifest.files:
        path = copy / name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(BundleError) as caught:
            Bundle.open(copy).verify()
        assert str(path) in str(caught.value)
        path.write_bytes(good)
    Bundle.open(copy).verify()


def test_a_file_is_checked_before_it_is_used(copy: Path) -> None:
    """A damaged graph or tokenizer is refused by the encoder that would read it."""
    for name, load in (
        ("onnx/vision_model_quantized.onnx", ImageEncoder),
        ("onnx/text_model_quantized.onnx", TextEncoder),
        ("tokenizer.json", TextEncoder),
    ):
        good = (copy / name).read_bytes()
        (copy / name).write_bytes(good + b" ")
        with pytest.raises(BundleError, match="refused"):
            load(Bundle.open(copy))
        (copy / name).write_bytes(good)


def test_a_missing_file_is_refused(copy: Path) -> None:
    """A file that is gone is an error that names it."""
    (copy / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"tokenizer\.json is missing"):
        Bundle.open(copy).verify()


@pytest.mark.parametrize(
    ("key", "value"), [("embedding_width", 0), ("surprise", 1), ("format", 2), ("name", None)]
)
def test_a_wrong_manifest_names_the_key(key: str, value: object, copy: Path) -> None:
    """A manifest with a wrong, unknown or missing key is refused by name."""
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest[key] = value
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=key):
        Bundle.open(copy)


def test_a_manifest_may_not_point_outside(copy: Path) -> None:
    """A file name that leaves the folder is refused before it is opened."""
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["../../etc/passwd"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="outside"):
        Bundle.open(copy).verify()


def test_a_folder_without_manifest_says_what_to_do(tmp_path: Path) -> None:
    """A plain folder is no bundle, and the hint says how one is made."""
    with pytest.raises(BundleError) as caught:
        Bundle.open(tmp_path)
    assert "feeder model pull" in caught.value.hint


def test_an_unknown_name_lists_what_there_is(tiny_clip: Path) -> None:
    """Asking for a bundle that is not there names those that are."""
    with pytest.raises(BundleError, match="tiny"):
        bundles.find("nope", [tiny_clip.parent])


def test_the_self_test_catches_a_wrong_model(copy: Path) -> None:
    """A graph that no longer gives the recorded embedding is refused at load."""
    bundle = Bundle.open(copy)
    np.save(copy / "self_test.npy", -bundle.self_test_embedding)
    resealed = bundles.seal(copy, bundle.manifest)
    with pytest.raises(BundleError, match="self-test"):
        ImageEncoder(resealed)


def test_a_graph_that_is_no_graph_is_refused(copy: Path) -> None:
    """What ONNX Runtime cannot load is an error in words."""
    bundle = Bundle.open(copy)
    (copy / "onnx/vision_model.onnx").write_bytes(b"not a graph")
    with pytest.raises(BundleError, match="cannot load"):
        ImageEncoder(bundles.seal(copy, bundle.manifest), "fp32")


def test_a_missing_precision_says_which_there_are(copy: Path) -> None:
    """Asking for a precision the bundle lacks names those it has."""
    bundle = Bundle.open(copy)
    graph = bundle.manifest.image.model_copy(update={"files": {"fp32": "onnx/vision_model.onnx"}})
    with pytest.raises(BundleError, match="fp32"):
        bundle.graph_file(graph, "int8")
    assert bundle.graph_file(graph, "auto").name == "vision_model.onnx"


def test_the_starter_bundle_is_whole_and_works() -> None:
    """The embedded model matches its manifest, passes its self-test, and is small enough."""
    bundle = Bundle.open(bundles.shipped_models() / "starter")
    bundle.verify()
    ImageEncoder(bundle, threads=1)
    size = sum(path.stat().st_size for path in bundle.folder.rglob("*") if path.is_file())
    assert size <= 25_000_000


def test_the_golden_image_never_changes() -> None:
    """Self-tests of old bundles rest on this picture."""
    picture = golden_image()
    assert (picture.mode, picture.size) == ("RGB", (320, 240))
    digest = hashlib.sha256(picture.tobytes()).hexdigest()
    assert digest == "f24d4087a59306c2d882ca1733117047e18c021231b25fb6f862a24eb3d3dfb8"
