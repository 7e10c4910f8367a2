"""Fine-tuning the starter's networks and writing their graph; needs the extra `tune`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.export
torch = pytest.importorskip("torch", reason="needs the extra `tune` (torch)")
pytest.importorskip("cv2", reason="needs the extra `tune` (opencv-python-headless)")
pytest.importorskip("tflite", reason="needs the extra `tune` (tflite)")
import onnxruntime as ort  # noqa: E402 - after the checks above

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))
from starter_augment import SIZE, augment  # noqa: E402 - they need those packages
from starter_graph import Towers, write_graph  # noqa: E402
from starter_towers import MEAN, STD, MobileNet, TinyViT, mobilenet  # noqa: E402
from starter_tune import Lessons, Plan, Tower, tune  # noqa: E402

PLAN = Plan(epochs=2, rate=1e-4, kept=0.5, per_epoch=6, batch=6)


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    """Twelve noisy one-colour pictures of two birds and a scene, one bird of unknown species."""
    random = np.random.default_rng(0)
    colours = [(200, 40, 40), (40, 60, 200), (90, 160, 90)]
    target = np.array([number % 3 for number in range(11)] + [-1])
    images = [
        np.clip(random.normal(colours[label], 20, (90, 120, 3)), 0, 255).astype(np.uint8)
        for label in target
    ]
    boxes = [(30.0, 20.0, 50.0, 40.0) if label == 0 else None for label in target]
    scenes = np.flatnonzero(target == 2).tolist()
    return Lessons(images, boxes, target, np.array([True, True, False]), scenes)


def small_tower() -> Tower:
    """A MobileNetV2 with seeded random weights, so that two of them are equal."""
    torch.manual_seed(0)
    return Tower(MobileNet(), 2, labels=3, classes=torch.nn.Linear(1280, 5))


def state(tower: Tower) -> dict[str, Any]:
    """All of a tower's numbers, by name."""
    return {name: value.numpy() for name, value in tower.state_dict().items()}


def test_an_interrupted_run_goes_on_where_it_was(lessons: Lessons, tmp_path: Path) -> None:
    """Two epochs in one run, or one and then the other, give the same network."""
    whole = state(tune(small_tower(), lessons, tmp_path / "whole.pt", PLAN))
    halves = tmp_path / "halves.pt"

    class Interrupted(Exception):
        """The power went."""

    tower = small_tower()
    seen = 0

    def after_the_first_epoch(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > 2:  # the teacher's scores, the first epoch's one step, the second's
            raise Interrupted

    assert tower.classes is not None
    tower.classes.register_forward_pre_hook(after_the_first_epoch)
    with pytest.raises(Interrupted):
        tune(tower, lessons, halves, PLAN)
    again = state(tune(small_tower(), lessons, halves, PLAN))
    assert all(np.array_equal(whole[name], again[name]) for name in whole)
    finished = state(tune(small_tower(), lessons, halves, PLAN))
    assert all(np.array_equal(whole[name], finished[name]) for name in whole)


def test_a_tower_learns(lessons: Lessons, photos: Path, tmp_path: Path) -> None:
    """The published bird classifier tells three colours apart after a few steps."""
    (file,) = (photos.parent / "peer").glob("*.tflite")
    body, classes = mobilenet(file)
    before = {name: value.clone() for name, value in body.state_dict().items()}
    plan = Plan(epochs=1, rate=3e-4, kept=0.5, per_epoch=80, batch=8)
    tuned = tune(Tower(body, 2, labels=3, classes=classes), lessons, tmp_path / "t.pt", plan)
    after = tuned.body.state_dict()
    assert any(not torch.equal(after[name], before[name]) for name in before)
    pixels = torch.stack([pixels_of(image) for image in lessons.images])
    with torch.no_grad():
        best = tuned.logits(tuned.body(pixels)).argmax(-1).numpy()
    named = lessons.target >= 0
    assert (best == lessons.target)[named].mean() > 0.8


def pixels_of(image: np.ndarray) -> torch.Tensor:
    """[3, 224, 224], as the towers want it."""
    small = np.asarray(Image.fromarray(image).resize((SIZE, SIZE)), np.float32) / 255
    return torch.tensor((small - np.float32(MEAN)) / np.float32(STD)).permute(2, 0, 1)


def test_the_graph_says_what_the_towers_say(tmp_path: Path) -> None:
    """8-bit weights cost little of the cosine, and the file is a quarter as large."""
    torch.manual_seed(1)
    towers = Towers([Tower(TinyViT(), 32, 3), Tower(MobileNet(), 16, 3)], [0.6, 0.4])
    path = tmp_path / "small.onnx"
    write_graph(towers, path)
    assert path.stat().st_size < 10e6
    pixels = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        expected = towers(pixels).numpy()
    (got,) = ort.InferenceSession(path).run(["image_embeds"], {"pixel_values": pixels.numpy()})
    assert np.linalg.norm(expected, axis=1) == pytest.approx(1, abs=1e-5)
    assert (expected * got).sum(axis=1) == pytest.approx(1, abs=0.02)


def test_a_camera_spoils_pictures_in_every_way(lessons: Lessons) -> None:
    """Whatever is drawn, the result is a picture of the right size, and seeded draws repeat."""
    scenes = [lessons.images[row] for row in lessons.scenes]
    for seed in range(200):
        row = seed % len(lessons.images)
        image, box = lessons.images[row], lessons.boxes[row]
        drawn = [
            augment(image, box, np.random.default_rng(seed), scenes, bird=seed % 3 > 0)
            for _ in range(2)
        ]
        assert drawn[0].shape == (SIZE, SIZE, 3)
        assert drawn[0].dtype == np.uint8
        assert np.array_equal(*drawn)


def test_the_published_bird_classifier_is_loaded_as_it_is(photos: Path) -> None:
    """Dequantised, it knows House Sparrows by their scientific name."""
    peer = photos.parent / "peer"
    (file,), (list_of_labels,) = peer.glob("*.tflite"), peer.glob("*labels.txt")
    net, classes = mobilenet(file)
    names = list_of_labels.read_text("utf-8").splitlines()
    pictures = sorted((photos / "garden/House Sparrow").iterdir())
    pixels = torch.stack(
        [pixels_of(np.asarray(Image.open(path).convert("RGB"))) for path in pictures]
    )
    with torch.no_grad():
        best = classes(net(pixels)).argmax(-1)
    right = [names[one].startswith("Passer domesticus") for one in best]
    assert np.mean(right) > 0.5
