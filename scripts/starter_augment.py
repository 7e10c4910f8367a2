"""What a feeder camera does to a picture of a bird, at random.

A bird lands too near and is cut by the frame, sits small in a wide scene, is blurred by its own
motion, stands against the light, is seen in infrared, behind a bar of the feeder, under a
timestamp, in a small and badly packed JPEG. Pictures are uint8 RGB [height, width, 3].
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from starter_photos import Box, Pixels

Light = npt.NDArray[np.float32]
"""RGB in [0, 1], and beyond where light is added."""
Random = np.random.Generator

SIZE = 224


def augment(
    image: Pixels, box: Box | None, random: Random, scenes: Sequence[Pixels], *, bird: bool
) -> Pixels:
    """`image` as a camera might have seen it, uint8 [SIZE, SIZE, 3].

    `box` is where the bird is, where that is known; `scenes` are pictures without birds, which
    distant ones are put into. What is no `bird` is neither brought near nor put elsewhere: a
    squirrel's fur from near, or a patch of lawn, is what nobody could name.
    """
    chance = random.random()
    if not bird:
        view = _crop(image, random, 0.35, 1)
    elif chance < 0.45:
        view = _crop(image, random, 0.25, 1)
    elif chance < 0.62:
        view = _crop(image, random, 0.9, 1)
    elif chance < 0.86:
        view = _near(image, box, random)
    else:
        view = _far(image, random, scenes)
    if random.random() < 0.2:  # few pixels
        side = int(random.integers(56, 150))
        view = cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA)
    shrinks = view.shape[0] > SIZE
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    view = cv2.resize(view, (SIZE, SIZE), interpolation=how)
    if random.random() < 0.5:
        view = view[:, ::-1]
    if random.random() < 0.3:
        turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), random.uniform(-15, 15), 1)
        view = np.ascontiguousarray(view)
        view = cv2.warpAffine(view, turn, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)
    return _camera(_light(np.ascontiguousarray(view), random), random)


def _window(image: Pixels, x: float, y: float, width: float, height: float) -> Pixels:
    """That part of `image`, moved inside it where it would reach out."""
    bottom, right = image.shape[:2]
    width, height = min(width, right), min(height, bottom)
    x, y = min(max(0, x), right - width), min(max(0, y), bottom - height)
    return image[int(y) : int(y) + max(8, int(height)), int(x) : int(x) + max(8, int(width))]


def _crop(image: Pixels, random: Random, least: float, most: float) -> Pixels:
    """A window of `least` to `most` of the area, upright to wide."""
    height, width = image.shape[:2]
    area = random.uniform(least, most) * height * width
    ratio = np.exp(random.uniform(np.log(0.7), np.log(1.6)))
    w, h = np.sqrt(area * ratio), np.sqrt(area / ratio)
    x, y = random.uniform(0, max(0, width - w)), random.uniform(0, max(0, height - h))
    return _window(image, x, y, w, h)


def _near(image: Pixels, box: Box | None, random: Random) -> Pixels:
    """A window around a part of the bird."""
    if box is None:
        if random.random() < 0.3:
            return _crop(image, random, 0.12, 0.4)
        height, width = image.shape[:2]
        box = (width * 0.2, height * 0.15, width * 0.6, height * 0.7)
    x, y, w, h = box
    share = random.uniform(0.5, 1.15)
    width, height = w * share * random.uniform(0.85, 1.2), h * share * random.uniform(0.85, 1.2)
    across, down = x + w / 2 + w * random.uniform(-0.35, 0.35), y + h / 2
    down += h * random.uniform(-0.35, 0.35)
    return _window(image, across - width / 2, down - height / 2, width, height)


def _far(image: Pixels, random: Random, scenes: Sequence[Pixels]) -> Pixels:
    """`image`, small, in another scene or in its own blurred surroundings."""
    side = SIZE + 32
    if scenes and random.random() < 0.5:
        scene = _crop(scenes[random.integers(len(scenes))], random, 0.4, 1)
        back = cv2.resize(scene, (side, side)).copy()
    else:
        back = cv2.GaussianBlur(cv2.resize(image, (side, side)), (0, 0), random.uniform(6, 16))
    factor = random.uniform(0.35, 0.8) * side / max(image.shape[:2])
    height, width = (max(16, int(edge * factor)) for edge in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    y, x = random.integers(0, side - height + 1), random.integers(0, side - width + 1)
    mask = np.zeros((height, width), np.float32)
    edge = max(2, int(min(mask.shape) * 0.08))
    mask[edge:-edge, edge:-edge] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), edge / 2)[..., None]
    patch = back[y : y + height, x : x + width]
    patch[:] = (small * mask + patch * (1 - mask)).astype(np.uint8)
    return back


def _light(image: Pixels, random: Random) -> Light:
    """Against the light, too dark, too bright, colourless, infrared."""
    x = image.astype(np.float32) / 255
    if random.random() < 0.12:
        x = x ** random.uniform(1.4, 3)
        x = x * random.uniform(0.3, 0.9)
        if random.random() < 0.5:  # the sky behind
            coarse = random.random((3, 3)).astype(np.float32)
            sky = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)[..., None]
            x = x + random.uniform(0.2, 0.8) * np.clip(sky - 0.4, 0, 1)
    elif random.random() < 0.75:
        x = np.clip(x, 0, 1) ** np.exp(random.uniform(-0.5, 0.5))
        mean = x.mean()
        x = (x - mean) * random.uniform(0.6, 1.4) + mean * random.uniform(0.65, 1.3)
    if random.random() < 0.6:
        gray = x.mean(2, keepdims=True)
        x = gray + (x - gray) * random.uniform(0.4, 1.4)
        x = x * np.exp(random.normal(0, 0.06, 3)).astype(np.float32)
    if random.random() < 0.06:
        infrared = x @ np.array([[0.5], [0.3], [0.2]], np.float32)
        x = np.repeat(infrared, 3, 2)
        if random.random() < 0.3:
            x = x * np.array([1, 0.9, 1.05], np.float32)
    return np.asarray(x, np.float32)


def _camera(x: Light, random: Random) -> Pixels:
    """Blur, noise, a bar of the feeder, a timestamp, JPEG."""
    if random.random() < 0.15:
        x = cv2.filter2D(x, -1, _motion(random))
    elif random.random() < 0.15:
        x = cv2.GaussianBlur(x, (0, 0), random.uniform(0.5, 2.5))
    if random.random() < 0.15:
        x = x + random.normal(0, random.uniform(0.01, 0.08), x.shape).astype(np.float32)
    image = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.12:
        height = int(random.integers(2, 40))
        y, left = random.integers(0, SIZE - height), random.integers(0, SIZE - 40)
        colour = random.integers(0, 255, 3)
        image[y : y + height, left : left + int(random.integers(20, 180))] = colour
    if random.random() < 0.08:
        text = "".join(map(chr, random.integers(45, 90, int(random.integers(6, 22)))))
        place = (int(random.integers(0, 60)), int(random.choice([14, 216])))
        size = random.uniform(0.3, 0.7)
        ink = (255, 255, 255) if random.random() < 0.7 else (0, 0, 0)
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1)
    if random.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(15, 70))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8)


def _motion(random: Random) -> Light:
    """A kernel that smears along a line of 3 to 15 pixels."""
    size = int(random.integers(3, 16))
    kernel, angle = np.zeros((size, size), np.float32), random.uniform(0, np.pi)
    middle = (size - 1) / 2
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    start = (round(middle - reach[0]), round(middle - reach[1]))
    cv2.line(kernel, start, (round(middle + reach[0]), round(middle + reach[1])), 1)
    return kernel / max(1, kernel.sum())
