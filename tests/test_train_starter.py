import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feeder import Classifier

onnx = pytest.importorskip("onnx", reason="needs the extra `train` (onnx)")
pytest.importorskip("scipy", reason="needs the extra `train` (scipy)")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where onnx is there

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train_starter.py"
COLOURS = {
    "Northern Cardinal": (200, 30, 40),
    "Blue Jay": (40, 80, 200),
    "squirrel": (120, 110, 90),
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder [n, 3, 224, 224] -> [n, 8], as small as one can be."""
    random = np.random.default_rng(0)
    weights = {
        "patch": random.normal(0, 0.2, (8, 3, 16, 16)),
        "mix": random.normal(0, 1, (8, 8)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input", "patch"], ["c"], strides=[16, 16]),
            helper.make_node("Tanh", ["c"], ["t"]),
            helper.make_node("GlobalAveragePool", ["t"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "mix"], ["output"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 224, 224])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(array.astype("f"), name) for name, array in weights.items()],
    )
    path = tmp_path_factory.mktemp("backbone") / "tiny.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight noisy one-colour pictures of each label, in a folder for each."""
    folder, random = tmp_path_factory.mktemp("garden"), np.random.default_rng(1)
    for label, colour in COLOURS.items():
        (folder / label).mkdir()
        for number in range(8):
            pixels = np.clip(random.normal(colour, 30, (60, 80, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def bundle(backbone: Path, garden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that one run of the script makes of them."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    _train(garden, backbone, folder)
    return folder


def _train(garden: Path, backbone: Path, output: Path) -> str:
    command = [sys.executable, SCRIPT, garden, "--backbone", backbone, "--output", output]
    command += ["--cache", output.parent / "cache"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_bundle_names_the_pictures_it_was_fitted_to(bundle: Path, garden: Path) -> None:
    """Feeder opens the bundle and gives each training picture its own label."""
    classifier = Classifier.load(bundle, threads=1)
    for label in COLOURS:
        best = classifier.classify_image(garden / label / "0.png").best
        assert best is not None
        assert best.label.name == label


def test_labels_bring_what_the_vocabularies_know(bundle: Path) -> None:
    """Scientific names, codes and kinds come from the shipped vocabularies, not from the tree."""
    labels = {label.name: label for label in Classifier.load(bundle, threads=1).labels}
    assert labels["Blue Jay"].scientific_name == "Cyanocitta cristata"
    assert labels["Northern Cardinal"].ebird_code == "norcar"
    assert labels["squirrel"].kind == "mammal"


def test_the_evaluation_states_intervals(bundle: Path) -> None:
    """The figures are written beside the bundle, each with n and its 95 % interval."""
    assert "| 95 % interval | n |" in (bundle / "evaluation.md").read_text("utf-8")


def test_a_second_run_reads_the_cache_and_gives_the_same_vectors(
    bundle: Path, backbone: Path, garden: Path
) -> None:
    """Training is deterministic, and features are not computed twice."""
    cache = bundle.parent / "cache"
    before = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.npz")}
    _train(garden, backbone, bundle.parent / "again")
    assert {path.name: path.stat().st_mtime_ns for path in cache.glob("*.npz")} == before
    with np.load(bundle / "labels.npz") as one, np.load(bundle.parent / "again/labels.npz") as two:
        assert np.array_equal(one["vectors"], two["vectors"])
