"""Teaching a starter labels of one's own, and what training decides; needs the extra `train`."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feeder import Classifier, evaluation_report
from feeder.bundle import Graph, Manifest, Preprocessing, seal
from feeder.encoder import unit
from feeder.evaluate import evaluate
from feeder.labelled import find_pictures

onnx = pytest.importorskip("onnx", reason="needs the extra `train` (onnx)")
pytest.importorskip("scipy", reason="needs the extra `train` (scipy)")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - only where onnx is there

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train_starter.py"
sys.path.insert(0, str(SCRIPT.parent))
from starter_fit import Fit, calibrated, softmax, thresholds  # noqa: E402 - they need scipy
from starter_photos import Photo, held_out  # noqa: E402 - beside them

COLOURS = {
    "Northern Cardinal": (200, 30, 40),
    "Blue Jay": (40, 80, 200),
    "squirrel": (120, 110, 90),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a random encoder [n, 3, 224, 224] -> [n, 8], as small as one can be."""
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
    folder = tmp_path_factory.mktemp("encoder")
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "tiny.onnx")
    manifest = Manifest(
        name="tiny",
        architecture="tiny",
        source="random numbers",
        license="CC0-1.0",
        embedding_width=8,
        logit_scale=1.0,
        preprocessing=Preprocessing(size=224, resize=224, mean=(0.5,) * 3, std=(0.2,) * 3),
        image=Graph(files={"fp32": "tiny.onnx"}, output="output"),
    )
    seal(folder, manifest)
    return folder


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty noisy one-colour pictures of each label, in a folder for each."""
    folder, random = tmp_path_factory.mktemp("garden"), np.random.default_rng(1)
    for label, colour in COLOURS.items():
        (folder / label).mkdir()
        for number in range(20):
            pixels = np.clip(random.normal(colour, 30, (60, 80, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def bundle(encoder: Path, garden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that one run of the script makes of them."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    _train(garden, encoder, folder)
    return folder


def _train(garden: Path, encoder: Path, output: Path) -> str:
    command = [sys.executable, SCRIPT, garden, "--encoder", encoder, "--output", output]
    command += ["--cache", output.parent / "cache"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_bundle_names_pictures_it_has_not_seen(bundle: Path, garden: Path) -> None:
    """Feeder opens the bundle and gives each held-out picture its own label."""
    classifier = Classifier.load(bundle, threads=1)
    held_out = read_held_out(bundle)
    assert 4 <= len(held_out) <= 20
    for row in held_out:
        best = classifier.classify_image(garden / row["path"]).best
        assert best is not None
        assert best.label.name == row["label"]


def read_held_out(bundle: Path) -> list[dict[str, str]]:
    """The rows of the list that the run left in its cache."""
    with (bundle.parent / "cache/held-out.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_labels_bring_what_the_vocabularies_know(bundle: Path) -> None:
    """Scientific names, codes and kinds come from the shipped vocabularies, not from the tree."""
    labels = {label.name: label for label in Classifier.load(bundle, threads=1).labels}
    assert labels["Blue Jay"].scientific_name == "Cyanocitta cristata"
    assert labels["Northern Cardinal"].ebird_code == "norcar"
    assert labels["squirrel"].kind == "mammal"


def test_the_evaluation_is_what_eval_says(bundle: Path, garden: Path) -> None:
    """`feeder eval` on the list of held-out pictures gives the figures of `evaluation.md`."""
    listed = bundle.parent / "cache/held-out.csv"
    judged = evaluate(Classifier.load(bundle), find_pictures(garden, listed), Path(garden.name))
    text = (bundle / "evaluation.md").read_text("utf-8")
    assert text == evaluation_report.render_markdown(judged)
    assert "| species right | 100.0" in text


def test_training_twice_gives_the_same_vectors(bundle: Path, encoder: Path, garden: Path) -> None:
    """Which photographs are held out, and what is made of the others, is no accident."""
    _train(garden, encoder, bundle.parent / "again")
    with np.load(bundle / "labels.npz") as one, np.load(bundle.parent / "again/labels.npz") as two:
        assert np.array_equal(one["vectors"], two["vectors"])


def test_a_missing_file_is_named_before_any_work(garden: Path, tmp_path: Path) -> None:
    """A mistyped encoder ends at once, with its name."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _train(garden, tmp_path / "none", tmp_path / "out")
    assert f"there is no {tmp_path / 'none'}" in caught.value.stderr


def test_a_bundle_is_not_written_over_itself(garden: Path, encoder: Path) -> None:
    """The encoder's own folder is refused as the place of the new bundle."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        _train(garden, encoder, encoder)
    assert "another folder" in caught.value.stderr


def test_photographs_are_held_out_by_source_with_their_copies(tmp_path: Path) -> None:
    """A listed source and copies of its pictures are out; a label nobody else shows stays."""
    split = tmp_path / "split.txt"
    split.write_text("# cameras\nwindow\nlawn/\n~ squirrels/\n", encoding="utf-8")
    rows = [("a.jpg", "Blue Jay", "book")] * 3 + [("b.jpg", "Blue Jay", "window")] * 2
    rows += [("lawn/c.jpg", "Blue Jay", "book"), ("d.jpg", "Blue Jay", "book")]
    rows += [("e.jpg", "Merlin", "window")] + [("squirrels/f.jpg", "squirrel", "yard")] * 100
    photos = [Photo(Path(name), name, label, source) for name, label, source in rows]
    group = np.arange(len(photos))
    group[6] = group[3]  # d.jpg is a copy of a picture from the window
    out = held_out(photos, group, split)
    assert out[:8].tolist() == [False] * 3 + [True] * 4 + [False]
    assert 5 <= out[8:].sum() <= 25


def test_thresholds_keep_false_birds_and_wrong_names_rare() -> None:
    """They are the least that make 1.5 % of other pictures birds and 19 in 20 names right."""
    random = np.random.default_rng(0)
    birds, n = np.array([True, True, False]), 3000
    target = random.integers(0, 3, n)
    logits = random.normal(0, 1, (n, 3)) + 2.5 * np.eye(3)[target]
    probability = softmax(logits.astype(np.float32))
    at = thresholds(probability, target, birds)
    bird = probability[:, :2].sum(axis=1)
    others, species = target == 2, target < 2
    assert (bird[others] >= at.bird).mean() <= 0.015 < (bird[others] >= at.bird - 0.05).mean()
    best, top = probability.argmax(axis=1), probability.max(axis=1)
    named = species & (best < 2) & (top >= at.label) & (bird >= at.bird)
    assert (best == target)[named].mean() >= 0.95


def test_without_other_pictures_any_bird_is_one() -> None:
    """Where nothing but birds is held out, the threshold for a bird is the least there is."""
    probability = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    at = thresholds(probability, np.array([0, 1]), np.array([True, True]))
    assert at.bird == 0.5
    assert at.label <= 0.8


def test_calibration_finds_how_sure_to_be() -> None:
    """Logits that promise three times too much are scaled back to what comes true."""
    random = np.random.default_rng(1)
    truth = Fit(unit(random.normal(size=(5, 16)).astype("f")), np.zeros(5, np.float32), 8.0)
    x = unit(random.normal(size=(4000, 16)).astype("f"))
    target = np.array([random.choice(5, p=p / p.sum()) for p in softmax(truth.logits(x))])
    found = calibrated(replace(truth, scale=24.0), x, target, np.zeros(5, np.float32))
    assert found.scale == pytest.approx(8.0, rel=0.1)
