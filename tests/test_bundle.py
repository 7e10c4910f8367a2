"""A model folder and its manifest."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from feeder import bundle as bundles
from feeder.bundle import CHECKSUM, MANIFEST, Bundle, golden_image
from feeder.encoder import ImageEncoder, TextEncoder
from feeder.errors import BundleError
from tests.tiny_bundle import make_tiny_clip


@pytest.fixture
def copy(tiny_clip: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model, to be tampered with."""
    return Path(shutil.copytree(tiny_clip, tmp_path / "copy"))


def change(folder: Path, **keys: object) -> None:
    """Edits the manifest in `folder` as its maker might, checksum and all."""
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **keys}))
    bundles.pin_manifest(folder)


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


def test_the_manifest_is_pinned_too(copy: Path) -> None:
    """A threshold that was changed, by a person or a failing disk, is refused with a remedy."""
    text = (copy / MANIFEST).read_text()
    (copy / MANIFEST).write_text(text.replace('"label": 0.5', '"label": 0.1'))
    with pytest.raises(BundleError, match=r"manifest\.json is not the file that") as caught:
        Bundle.open(copy)
    assert "feeder model seal copy" in caught.value.hint


def test_the_checksum_is_what_sha256sum_reads(copy: Path) -> None:
    """Whoever has no Feeder at hand can check a manifest, too."""
    digest = hashlib.sha256((copy / MANIFEST).read_bytes()).hexdigest()
    assert (copy / CHECKSUM).read_text() == f"{digest}  manifest.json\n"


def test_a_bundle_without_checksum_says_what_to_do(copy: Path) -> None:
    """A bundle of an earlier release is refused, and the hint says how it is sealed."""
    (copy / CHECKSUM).unlink()
    with pytest.raises(BundleError, match="not sealed") as caught:
        Bundle.open(copy)
    assert "feeder model seal copy" in caught.value.hint
    assert Bundle.open_unsealed(copy).manifest.name == "tiny"


def test_sealing_anew_mends_whatever_was_broken_off(copy: Path) -> None:
    """With any part of the old seal or the new one in place, sealing gives a whole bundle."""
    manifest = Bundle.open(copy).manifest
    for left in ((), (MANIFEST,), (CHECKSUM,)):
        for name in {MANIFEST, CHECKSUM} - set(left):
            (copy / name).unlink()
        (copy / f".{MANIFEST}.new").write_text("half of")
        with pytest.raises(BundleError):
            Bundle.open(copy)
        bundles.seal(copy, manifest).verify()


def test_what_is_read_is_what_was_compared(copy: Path) -> None:
    """The bytes that are handed out are the manifest's, also of a file that changed since."""
    bundle = Bundle.open(copy)
    assert bundle.read("tokenizer.json") == (copy / "tokenizer.json").read_bytes()
    (copy / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(BundleError, match="refused"):
        bundle.read("tokenizer.json")


def test_settings_nobody_reads_are_compared_too(copy: Path) -> None:
    """A damaged file that this program has no use for is refused all the same."""
    (copy / "config.json").write_bytes((copy / "config.json").read_bytes() + b" ")
    with pytest.raises(BundleError, match=r"config\.json"):
        Bundle.open(copy).verify_settings()


def test_an_unreadable_file_is_refused(copy: Path) -> None:
    """A file that the system will not give is an error of the bundle, in words."""
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer.json").mkdir()
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.open(copy).read("tokenizer.json")


def test_a_graphs_weights_are_known_by_where_they_lie(copy: Path) -> None:
    """A file beside the graphs is taken for weights unless it is another graph's or a setting."""
    for name in ("vision_model.onnx_data", "vision_model.onnx_data_1", "weights.bin", "a.json"):
        (copy / "onnx" / name).write_bytes(b"")
    bundle = bundles.seal(copy, Bundle.open(copy).manifest)
    found = bundle.weight_files("onnx/vision_model.onnx")
    assert found == [
        f"onnx/{name}"
        for name in ("vision_model.onnx_data", "vision_model.onnx_data_1", "weights.bin")
    ]
    assert bundle.weight_files("onnx/text_model.onnx") == ["onnx/weights.bin"]


@pytest.mark.parametrize("put_back", [False, True])
def test_a_graph_that_changes_between_comparison_and_load_is_refused(
    put_back: bool, copy: Path, tmp_path: Path
) -> None:
    """Other weights that come after the comparison are not run, and were the old ones put back."""
    name = "onnx/vision_model.onnx"
    other = make_tiny_clip(tmp_path / "other", seed=1) / name
    good = (copy / name).read_bytes()
    (copy / "self_test.npy").unlink()  # it would tell the other weights by itself
    manifest = Bundle.open(copy).manifest.model_copy(update={"self_test": None})
    compared: list[str] = []

    class Overwritten(Bundle):
        def compare(self, name: str) -> None:
            if compared and put_back:
                (copy / name).write_bytes(good)
            super().compare(name)
            compared.append(name)
            (copy / name).write_bytes(other.read_bytes())

    bundle = bundles.seal(copy, manifest)
    with pytest.raises(BundleError, match="written to" if put_back else "refused"):
        ImageEncoder(Overwritten(bundle.folder, bundle.manifest, bundle.digest), "fp32")
    assert compared == ([name] * 2 if put_back else [name])


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
    change(copy, **{key: value})
    with pytest.raises(BundleError, match=key):
        Bundle.open(copy)


def test_a_manifest_may_not_point_outside(copy: Path) -> None:
    """A file name that leaves the folder is refused before it is opened."""
    change(copy, files={"../../etc/passwd": "0" * 64})
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
    assert bundle.graph_file(graph, "auto") == "onnx/vision_model.onnx"


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
