"""Parts of a camera's picture that nobody is to judge: a time stamp, a logo, a note on the wall."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from feeder.domain import Box, Vectors

_COLUMNS, _ROWS = 64, 48
_ENOUGH = 0.25
"""The share of a cell that must be visible for its colour to count."""


def fill(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """The picture with each box filled smoothly from its surroundings; RGB in, RGB out.

    Colours come from a small copy in which hidden cells take those of ever coarser ones. Source:
    push-pull of Gortler et al. 1996, "The Lumigraph".
    """
    if not boxes:
        return image
    hidden, visible = image.convert("RGB").copy(), Image.new("L", image.size, 255)
    places = [_pixels(box, image.size) for box in boxes]
    for place in places:
        hidden.paste((0, 0, 0), place)
        visible.paste(0, place)
    shape = (_COLUMNS, _ROWS)
    colours = np.asarray(hidden.resize(shape, Image.Resampling.BOX), np.float32)
    weights = np.asarray(visible.resize(shape, Image.Resampling.BOX), np.float32)
    weights /= np.float32(255)
    small = Image.fromarray(_completed(colours, weights).round().astype(np.uint8))
    x_scale, y_scale = _COLUMNS / image.width, _ROWS / image.height
    for left, top, right, bottom in places:
        part = (left * x_scale, top * y_scale, right * x_scale, bottom * y_scale)
        size = (right - left, bottom - top)
        hidden.paste(small.resize(size, Image.Resampling.BILINEAR, box=part), (left, top))
    return hidden


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, outwards to whole pixels and at least one each way."""
    width, height = size
    left, top = min(int(box.x * width), width - 1), min(int(box.y * height), height - 1)
    right = min(width, max(left + 1, int(np.ceil((box.x + box.width) * width))))
    bottom = min(height, max(top + 1, int(np.ceil((box.y + box.height) * height))))
    return left, top, right, bottom


def _completed(colours: Vectors, weights: Vectors) -> Vectors:
    """Colours [rows, columns, 3] of all cells, from sums of which `weights` [rows, columns] of
    each cell was visible."""
    rows, columns = weights.shape
    if rows == 1 and columns == 1:
        return colours / max(float(weights[0, 0]), 1e-6)
    coarse = _completed(_halved(colours), _halved(weights))
    above = coarse.repeat(2, axis=0)[:rows].repeat(2, axis=1)[:, :columns]
    is_seen = weights >= _ENOUGH
    own = colours / np.where(is_seen, weights, 1)[..., None]
    return np.where(is_seen[..., None], np.minimum(own, 255), above)


def _halved(cells: Vectors) -> Vectors:
    """Means of two by two cells; an odd last one stands for two."""
    rows, columns = cells.shape[:2]
    even = np.pad(
        cells,
        ((0, rows % 2 if rows > 1 else 1), (0, columns % 2 if columns > 1 else 1))
        + ((0, 0),) * (cells.ndim - 2),
        mode="edge",
    )
    return np.asarray(
        (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4, np.float32
    )
