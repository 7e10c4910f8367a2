"""What a fixed camera sees while nothing happens, and where a frame differs from it.

A running background of tiny grey thumbnails, as in Stauffer & Grimson 1999 with one Gaussian a
cell: cheap enough for every frame, and blind to the sun coming out, since each frame's light is
first fitted to the background's.
"""

from collections import deque

import numpy as np
import numpy.typing as npt
from PIL import Image

from feeder.domain import Box, Vectors

COLUMNS, ROWS = 64, 48
LEARNING = 0.1
"""How far a still cell moves towards each frame."""
ADOPTED = 60
"""Frames in a row after which a cell that differs is the usual thing: a bird that sits stays a
bird, and when it leaves, the perch is the perch at once; a new flower pot is news for a while."""
NOISE_AT_FIRST, LEAST_CHANGE, CHANGE_IN_NOISE = 4.0, 12.0, 4.0
"""A cell has changed when it differs by 12 of 255 and by four times its usual wavering."""
EVERYTHING = 0.5
"""The share of cells that change when the camera was moved or a lamp went on."""
LEAST_CELLS = 6
MARGIN = 0.35
"""What is added around the change on each side, as a share of its size."""
LEAST_SIDE, LARGEST_AREA = 0.25, 0.6
"""A region's least side and largest area, as shares of the frame's shorter side and area."""

Mask = npt.NDArray[np.bool_]


class Scene:
    """One camera's background. Not safe to share between threads."""

    def __init__(self) -> None:
        self._usual: Vectors | None = None
        self._noise: Vectors
        self._changed_for: npt.NDArray[np.int64]
        self._aspect: float

    def changed(self, image: Image.Image) -> Box | None:
        """Where `image` differs from the frames before it, which it then becomes one of.

        None where nothing or nearly everything differs, and for a camera's first frame.
        """
        thumbnail = image.convert("L").resize((COLUMNS, ROWS), Image.Resampling.BOX)
        seen = np.asarray(thumbnail, np.float32)
        # Frames drafted from one camera differ by a pixel at most.
        aspect = image.width / image.height
        if self._usual is None or abs(aspect - self._aspect) > 0.05 * aspect:
            self._begin(seen, aspect)
            return None
        expected = _in_light_of(self._usual, seen)
        difference = np.abs(seen - expected)
        mask = _without_specks(difference > np.maximum(LEAST_CHANGE, CHANGE_IN_NOISE * self._noise))
        if mask.mean() > EVERYTHING:
            self._begin(seen, aspect)
            return None
        self._changed_for = np.where(mask, self._changed_for + 1, 0)
        rate = np.where(self._changed_for > ADOPTED, 1, np.where(mask, 0, LEARNING))
        self._usual = np.asarray(expected + rate * (seen - expected), np.float32)
        self._noise += np.where(mask, 0, LEARNING) * (difference - self._noise)
        return _region(mask, difference, image.size)

    def _begin(self, seen: Vectors, aspect: float) -> None:
        """Takes what is `seen` for the usual, until more is known."""
        self._usual, self._aspect = seen, aspect
        self._noise = np.full_like(seen, NOISE_AT_FIRST)
        self._changed_for = np.zeros(seen.shape, np.int64)


def _in_light_of(usual: Vectors, seen: Vectors) -> Vectors:
    """`usual` [rows, columns] as brightness and contrast of `seen` would show it.

    A straight line through the cells, fitted again without the quarter that lies farthest off.
    """
    x, y = usual.ravel().astype(np.float64), seen.ravel().astype(np.float64)
    gain, offset = _line(x, y)
    off = np.abs(y - gain * x - offset)
    rank = 3 * (len(off) - 1) // 4
    keep = off <= np.partition(off, rank)[rank]
    gain, offset = _line(x[keep], y[keep])
    return np.asarray(np.clip(gain * usual + offset, 0, 255), np.float32)


def _line(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Gain, within bounds, and offset of the straight line through the points."""
    mean_x, mean_y = float(x.mean()), float(y.mean())
    x, y = x - mean_x, y - mean_y
    squares = float(x @ x)
    gain = float(x @ y) / squares if squares > len(x) else 1.0
    gain = min(max(gain, 0.3), 3.0)
    return gain, mean_y - gain * mean_x


def _without_specks(mask: Mask) -> Mask:
    """Cells with at least three changed ones among their nine: leaves flicker in single cells."""
    padded = np.pad(mask, 1).astype(np.uint8)
    near = sum(
        padded[row : row + ROWS, column : column + COLUMNS]
        for row in range(3)
        for column in range(3)
    )
    return np.asarray(mask & (np.asarray(near) >= 3))


def _region(mask: Mask, difference: Vectors, size: tuple[int, int]) -> Box | None:
    """The patch of changed cells that differs most, with its margin."""
    left = np.argwhere(mask)
    todo = {(int(row), int(column)) for row, column in left}
    best: list[tuple[int, int]] = []
    most = 0.0
    while todo:
        patch = _grown(todo)
        weight = float(sum(difference[cell] for cell in patch))
        if len(patch) >= LEAST_CELLS and weight > most:
            best, most = patch, weight
    if not best:
        return None
    rows, columns = [cell[0] for cell in best], [cell[1] for cell in best]
    width, height = size
    x, w = _side(min(columns) / COLUMNS, (max(columns) + 1) / COLUMNS, min(size) / width)
    y, h = _side(min(rows) / ROWS, (max(rows) + 1) / ROWS, min(size) / height)
    return Box(x, y, w, h) if w * h <= LARGEST_AREA else None


def _grown(todo: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """One patch of neighbouring cells, taken out of `todo`."""
    patch = [todo.pop()]
    edge = deque(patch)
    while edge:
        row, column = edge.popleft()
        for near in ((row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
            if near in todo:
                todo.remove(near)
                patch.append(near)
                edge.append(near)
    return patch


def _side(low: float, high: float, shorter: float) -> tuple[float, float]:
    """Start and length in [0, 1] of a side from `low` to `high` with its margin."""
    length = min(1.0, max((high - low) * (1 + 2 * MARGIN), LEAST_SIDE * shorter))
    start = min(max((low + high - length) / 2, 0.0), 1.0 - length)
    return start, length
