"""What a camera usually sees."""

import numpy as np
import pytest
from PIL import Image

from feeder.domain import Box
from feeder.scene import Scene

SIZE = (320, 240)


def garden(seed: int = 0, light: float = 1.0) -> Image.Image:
    """The same patchy garden each time, with a sensor's noise and as much light as asked for."""
    patches = np.random.default_rng(1).uniform(60, 190, (12, 16))
    noise = np.random.default_rng(seed).normal(0, 4, (240, 320))
    pixels = np.kron(patches, np.ones((20, 20))) * light + noise
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert("RGB")


def with_bird(image: Image.Image, x: int, y: int, side: int = 50) -> Image.Image:
    """`image` with a black square whose corner is at `x`, `y`."""
    image.paste((5, 5, 5), (x, y, x + side, y + side))
    return image


def watched(frames: int = 10) -> Scene:
    """A scene that has seen the empty garden a few times."""
    scene = Scene()
    for seed in range(frames):
        scene.changed(garden(seed))
    return scene


def holds(box: Box | None, x: int, y: int, side: int = 50) -> bool:
    """Whether the box covers the square, all but a pixel."""
    if box is None:
        return False
    left, top = box.x * 320, box.y * 240
    right, bottom = left + box.width * 320, top + box.height * 240
    return left <= x + 1 and top <= y + 1 and right >= x + side - 1 and bottom >= y + side - 1


def test_the_first_frame_has_nothing_to_differ_from() -> None:
    """A camera's first frame is judged as a whole."""
    assert Scene().changed(with_bird(garden(), 100, 100)) is None


def test_an_empty_garden_does_not_change() -> None:
    """Noise alone is no change."""
    scene = watched()
    assert [scene.changed(garden(seed)) for seed in range(20, 40)] == [None] * 20


@pytest.mark.parametrize(("x", "y"), [(100, 100), (0, 0), (269, 189), (200, 20)])
def test_a_bird_is_found(x: int, y: int) -> None:
    """What was not there before is inside the region, at the frame's edge too."""
    box = watched().changed(with_bird(garden(99), x, y))
    assert holds(box, x, y)
    assert box is not None
    assert box.width * box.height < 0.35
    assert min(box.x, box.y) >= 0
    assert max(box.x + box.width, box.y + box.height) <= 1


@pytest.mark.parametrize("light", [0.6, 1.3])
def test_other_light_is_no_change(light: float) -> None:
    """A cloud or the sun changes every cell alike; a bird in that light is still found."""
    scene = watched()
    assert scene.changed(garden(50, light)) is None
    assert holds(watched().changed(with_bird(garden(50, light), 150, 90)), 150, 90)


def test_a_bird_that_sits_still_stays_a_bird() -> None:
    """Thirty frames of the same bird do not make it part of the garden."""
    scene = watched()
    boxes = [scene.changed(with_bird(garden(seed), 80, 60)) for seed in range(30)]
    assert all(holds(box, 80, 60) for box in boxes)


def test_what_stays_becomes_the_garden() -> None:
    """A new flower pot is news for a while only."""
    scene = watched()
    boxes = [scene.changed(with_bird(garden(seed), 80, 60)) for seed in range(400)]
    assert boxes[-1] is None


def test_a_moved_camera_starts_anew() -> None:
    """When everything differs there is no region, and soon the new view is the usual one."""
    scene = watched()
    turned = [garden(seed).rotate(180) for seed in range(20)]
    assert scene.changed(turned[0]) is None
    for image in turned[1:]:
        scene.changed(image)
    assert holds(scene.changed(with_bird(garden(70).rotate(180), 30, 30)), 30, 30)


def test_another_shape_starts_anew() -> None:
    """Frames of another aspect ratio are not compared with the ones before."""
    scene, shape = watched(), (0, 40, 320, 200)
    assert scene.changed(garden(3).crop(shape)) is None
    bird = with_bird(garden(4), 100, 90).crop(shape)
    box = scene.changed(bird)
    assert box is not None
    assert box.x < 100 / 320 < box.x + box.width


@pytest.mark.parametrize("stay", [1, 10, 40])
def test_when_the_bird_leaves_the_perch_is_empty_at_once(stay: int) -> None:
    """However long it sat, nothing is different any more once it is gone."""
    scene = watched()
    for seed in range(stay):
        scene.changed(with_bird(garden(seed), 80, 60))
    assert [scene.changed(garden(seed)) for seed in range(20)] == [None] * 20


def test_single_cells_that_flicker_are_no_region() -> None:
    """Leaves in the sun change a cell here and there; only neighbours make a region."""
    image = garden(30)
    for x, y in ((20, 20), (100, 60), (180, 100), (260, 140), (60, 200)):
        image.paste((255, 255, 255), (x, y, x + 5, y + 5))
    assert watched().changed(image) is None


def test_too_little_is_no_region() -> None:
    """A patch of four cells is an insect."""
    assert watched().changed(with_bird(garden(31), 100, 100, side=10)) is None


def test_a_small_bird_keeps_its_surroundings() -> None:
    """A region is a quarter of the shorter side at least, and square in pixels then."""
    box = watched().changed(with_bird(garden(32), 160, 120, side=16))
    assert box is not None
    assert box.width * 320 == pytest.approx(60, abs=8)
    assert box.height * 240 == pytest.approx(60, abs=8)


def test_a_bird_that_fills_the_frame_needs_no_second_look() -> None:
    """Where the region would be nearly everything, the whole frame is enough."""
    assert watched().changed(with_bird(garden(33), 60, 30, side=160)) is None


def test_what_always_wavers_is_not_news() -> None:
    """A bush that differs in every frame a little raises its own threshold."""
    scene, random = Scene(), np.random.default_rng(5)

    def windy(seed: int) -> Image.Image:
        image = garden(seed)
        shade = int(random.integers(100, 150))
        image.paste((shade, shade, shade), (200, 100, 280, 180))
        return image

    for seed in range(60):
        scene.changed(windy(seed))
    boxes = [scene.changed(windy(seed)) for seed in range(60, 80)]
    assert sum(box is not None for box in boxes) <= 4
    assert holds(scene.changed(with_bird(windy(90), 30, 30)), 30, 30)
