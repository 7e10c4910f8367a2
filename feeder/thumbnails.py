"""Small copies of pictures, for pages that need nothing beside them."""

import base64
import io
from pathlib import Path

from PIL import Image

from feeder import decoder
from feeder.classifier import MAX_PIXELS
from feeder.errors import BadFrame

EDGE = 240
"""Pixels of a thumbnail's longer edge."""


def reduced(path: Path, edge: int = EDGE) -> Image.Image | None:
    """The picture at `path` within `edge` x `edge` pixels; None where it cannot be read."""
    try:
        return made_small(path.read_bytes(), edge)
    except OSError:
        return None


def made_small(data: bytes, edge: int = EDGE) -> Image.Image | None:
    """The picture of these bytes, likewise."""
    try:
        image = decoder.decode(data, min_edge=edge, max_pixels=MAX_PIXELS).image
    except BadFrame:
        return None
    image.thumbnail((edge, edge))
    return image


def thumbnail(path: Path) -> str:
    """A JPEG data URI of at most 240 x 240 pixels without metadata; "" where the file is gone."""
    image = reduced(path)
    return "" if image is None else data_uri(image)


def data_uri(image: Image.Image) -> str:
    """The image as a JPEG data URI, likewise."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(image)).decode()


def jpeg(image: Image.Image) -> bytes:
    """The image as a JPEG file of its pixels alone: no EXIF, place, profile or comment."""
    image.info = {}  # Pillow would carry a JPEG's comment over
    small = io.BytesIO()
    image.save(small, "JPEG", quality=80, optimize=True)
    return small.getvalue()
