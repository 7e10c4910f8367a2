"""The picture of each guest that is worth showing, and how it is cut."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from feeder import decoder, picture_file
from feeder.classifier import MAX_PIXELS
from feeder.config import Settings
from feeder.domain import Box, Visit
from feeder.errors import BadFrame, Vanished
from feeder.picture_log import PictureLog
from feeder.places import Places
from feeder.report.gathering import Guest
from feeder.report.shot_log import Shot, ShotLog

TRIED = 8
"""Pictures of a guest that are looked at, the most promising ones that are there."""

ASKED = 60
"""Frames whose pictures are looked for: some may be gone, or broken."""

OF_ONE_VISIT = 3
"""How many of them one visit gives at most: its frames are much alike."""

LARGE = 320 * 240
"""Pixels of a region that are as good as more: so large is it shown."""

LOOK_EDGE = 256
"""Pixels of the longer edge at which sharpness is judged, so that noise counts for little."""

CRISP = 12.0
"""Levels of detail that count half; a picture out of focus has 3, a sharp one 20 and more."""

AIR = 0.3
"""Room left around a region, as a share of it, on each side."""

ENLARGED = 1.6
"""How much a picture is enlarged at most where there is more of it to show instead."""

LOST = 0.2
"""The share of a picture's width or height that may be cut off where nobody knows its region."""

MIDDLE = Box(0.2, 0.2, 0.6, 0.6)
"""Where a bird is looked for when no region is known: gravel around it is sharp, too."""

UP = 0.42
"""Where the middle of a cut lies in a tall picture of which no region is known: birds sit high."""


@dataclass(frozen=True, slots=True)
class File:
    """Where a picture lies, and what reads it there: raises OSError or Vanished."""

    path: Path
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Best:
    """The shot to show of a guest, the visit it is of, and how good it is, 0 to 1."""

    shot: Shot
    visit: Visit
    file: File
    score: float


def find(settings: Settings, guests: Iterable[Guest]) -> dict[str, Best]:
    """The best shot of each guest that still has a picture, by its label's name.

    Raises LogUnavailable or LogDamaged as the log does.
    """
    places = Places.of(settings)
    found = {}
    with (
        ShotLog(settings.database) as log,
        closing(PictureLog.open(settings.database, writable=False)) as pictures,
    ):

        def file(media_id: int) -> File | None:
            (picture,) = pictures.get([media_id])
            found = next(places.files(picture), None)
            read = partial(picture_file.read, places, picture)
            return File(found.path, read) if found else None

        for guest in guests:
            shots = log.shots([one for visit in guest.visits for one in visit.media_ids])
            chosen = best(guest.visits, shots, file)
            if chosen is not None:
                found[guest.label.name] = chosen
    return found


def best(
    visits: Iterable[Visit], shots: Mapping[int, Shot], file: Callable[[int], File | None]
) -> Best | None:
    """The best of one guest's pictures: a favorite before all others; None where none is left.

    `file` says where a frame's picture lies. Of those that promise most, by how sure the label is
    and how large the region, the pictures themselves decide, by how sharp they are there.
    """
    favorites, others = _promising(visits, shots)
    return _best_of(favorites, file) or _best_of(others, file)


def _best_of(
    promising: Sequence[tuple[Visit, Shot]], file: Callable[[int], File | None]
) -> Best | None:
    seen: list[Best] = []
    for visit, shot in promising[:ASKED]:
        found = file(shot.media_id)
        score = None if found is None else _score(shot, found)
        if found is not None and score is not None:
            seen.append(Best(shot, visit, found, score))
        if len(seen) == TRIED:
            break
    return max(seen, key=lambda one: one.score, default=None)


def _promising(
    visits: Iterable[Visit], shots: Mapping[int, Shot]
) -> tuple[list[tuple[Visit, Shot]], list[tuple[Visit, Shot]]]:
    """The favorites and the other frames that may be shown, what promises most first."""
    favorites, others = [], []
    for visit in visits:
        of_visit = [shots[media_id] for media_id in visit.media_ids if media_id in shots]
        # A frame that was misread on the way belongs to the visit, and is not the one to show.
        named = [one for one in of_visit if one.label == visit.label.name] or of_visit
        favorites += [(visit, one) for one in named if one.is_favorite]
        rest = sorted((one for one in named if not one.is_favorite), key=_promise)
        others += [(visit, one) for one in rest[-OF_ONE_VISIT:]]
    for pool in (favorites, others):
        pool.sort(key=lambda pair: _promise(pair[1]), reverse=True)
    return favorites, others


def _promise(shot: Shot) -> float:
    return shot.probability * _resolution(shot)


def _resolution(shot: Shot) -> float:
    """0.3 to 1, by the pixels of the region."""
    share = shot.region.width * shot.region.height if shot.region else 1.0
    pixels = (shot.width or 0) * (shot.height or 0) * share
    return 0.3 + 0.7 * min(1.0, math.sqrt(pixels / LARGE))


def _score(shot: Shot, file: File) -> float | None:
    """How good the picture is; None where it cannot be read."""
    region = shot.region or MIDDLE
    image = _decoded(shot, file, LOOK_EDGE / max(region.width, region.height))
    if image is None:
        return None
    detail = sharpness(image.crop(_pixels(region, image.size)))
    return _promise(shot) * detail / (detail + CRISP)


def sharpness(image: Image.Image) -> float:
    """The standard deviation of a picture's Laplacian, in levels, at 256 pixels' length.

    Source: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy", ICPR.
    """
    grey = image.convert("L")
    grey.thumbnail((LOOK_EDGE, LOOK_EDGE))
    level = np.asarray(grey, np.float32)
    if min(level.shape) < 3:
        return 0.0
    laplacian = (
        level[:-2, 1:-1] + level[2:, 1:-1] + level[1:-1, :-2] + level[1:-1, 2:]
        - 4 * level[1:-1, 1:-1]
    )  # fmt: skip
    return float(laplacian.std())


def cut(found: Best, size: tuple[int, int]) -> Image.Image | None:
    """The picture around the bird as `size` RGB pixels, undistorted; None where it has gone.

    Where that shape would cut too much off, it is shown whole, on a blurred copy of itself.
    """
    shot = found.shot
    stored = (shot.width or size[0], shot.height or size[1])
    left, _, right, _ = framed(shot.region, stored, size)
    image = _decoded(shot, found.file, size[0] / (right - left) * max(stored))
    if image is None:
        return None
    box = framed(shot.region, image.size, size, stored[0])
    filled = image.resize(size, Image.Resampling.LANCZOS, box=box)
    if shot.region is None and lost(box, image.size) > LOST:
        small = filled.resize((size[0] // 16, size[1] // 16), Image.Resampling.BOX)
        blurred = small.filter(ImageFilter.GaussianBlur(2)).resize(size, Image.Resampling.BICUBIC)
        whole = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
        blurred.paste(whole, ((size[0] - whole.width) // 2, (size[1] - whole.height) // 2))
        filled = blurred
    filled.info = {}  # Pillow would carry a JPEG's comment over
    return filled


def lost(box: tuple[float, float, float, float], picture: tuple[int, int]) -> float:
    """The share of a picture's width or height that lies beyond the box, whichever is more."""
    left, top, right, bottom = box
    return 1 - min((right - left) / picture[0], (bottom - top) / picture[1])


def framed(
    region: Box | None,
    picture: tuple[int, int],
    size: tuple[int, int],
    stored_width: int | None = None,
) -> tuple[float, float, float, float]:
    """The part of a picture to show: left, top, right and bottom in its pixels.

    It is as wide to high as `size`, lies within the picture, and holds the region with some air
    as far as that goes. It takes in more where the picture, `stored_width` pixels wide before it
    was reduced, would be enlarged too much.
    """
    width, height = picture
    ratio = size[0] / size[1]
    widest = min(width, height * ratio)
    if region is None:
        wide = widest
        middle = (0.5 * width, (UP if height > width else 0.5) * height)
    else:
        wanted = (1 + 2 * AIR) * max(region.width * width, region.height * height * ratio)
        least = size[0] / ENLARGED * width / (stored_width or width)
        wide = min(widest, max(wanted, least))
        middle = (
            (region.x + region.width / 2) * width,
            (region.y + region.height / 2) * height,
        )
    high = wide / ratio
    left = min(max(0.0, middle[0] - wide / 2), width - wide)
    top = min(max(0.0, middle[1] - high / 2), height - high)
    return left, top, left + wide, top + high


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top = int(box.x * size[0]), int(box.y * size[1])
    right, bottom = (box.x + box.width) * size[0], (box.y + box.height) * size[1]
    return left, top, max(left + 1, round(right)), max(top + 1, round(bottom))


def _decoded(shot: Shot, file: File, longer_edge: float) -> Image.Image | None:
    """The picture, reduced while decoding as far as its longer edge keeps so many pixels."""
    least: int | None = None
    if shot.width and shot.height:
        share = min(1.0, longer_edge / max(shot.width, shot.height))
        least = max(1, math.ceil(share * min(shot.width, shot.height)))
    try:
        return decoder.decode(file.read(), min_edge=least, max_pixels=MAX_PIXELS).image
    except (OSError, Vanished, BadFrame):
        return None
