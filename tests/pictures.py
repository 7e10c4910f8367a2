"""Pictures of every shape and mode a camera or a person may send, from integer arithmetic alone."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from feeder.bundle import golden_image


def _texture(width: int, height: int) -> Image.Image:
    """Stripes, rings and pixel-sized grain: everything that resampling can get wrong."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    rings = ((x - width // 3) ** 2 + (y - height // 2) ** 2) // 37 % 256
    stripes = (x * 7 + y * 3) % 256
    grain = (x * 7919 + y * 104729 + x * y * 31) % 251
    return Image.fromarray(np.stack([rings, stripes, grain], axis=2).astype(np.uint8), "RGB")


def _translucent() -> Image.Image:
    picture = golden_image().convert("RGBA")
    alpha = np.tile(np.arange(320) % 256, (240, 1)).astype(np.uint8)
    picture.putalpha(Image.fromarray(alpha, "L"))
    return picture


def _palette() -> Image.Image:
    y, x = np.mgrid[0:90, 0:130]
    picture = Image.fromarray(((x + 2 * y) % 256).astype(np.uint8), "P")
    picture.putpalette([(i * step) % 256 for i in range(256) for step in (1, 5, 11)])
    return picture


def camera_picture(width: int, height: int) -> Image.Image:
    """Coarse shapes over ever finer and fainter ones, the way light falls off in a photograph."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    for cells in (2, 4, 8, 16, 32, 64, 128, 256, 512):
        layer = rng.integers(0, 256, (cells * height // width + 2, cells + 2, 3))
        grown = Image.fromarray(layer.astype(np.uint8)).resize((width, height))
        total += (np.asarray(grown, np.float32) - 128) / cells**0.8
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))


PICTURES: dict[str, Callable[[], Image.Image]] = {
    "golden": golden_image,
    "odd": lambda: _texture(333, 251),
    "portrait": lambda: _texture(101, 233),
    "panorama": lambda: _texture(640, 40),
    "square": lambda: _texture(32, 32),
    "tiny": lambda: _texture(7, 5),
    "large": lambda: _texture(1601, 1203),
    "rgba": _translucent,
    "grey": lambda: golden_image().convert("L"),
    "grey_alpha": lambda: _translucent().convert("LA"),
    "palette": _palette,
}
