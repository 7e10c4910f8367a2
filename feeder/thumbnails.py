"""Small copies of pictures, for pages that need nothing beside them."""

import base64
import io
from pathlib import Path

from feeder import decoder
from feeder.classifier import MAX_PIXELS
from feeder.errors import BadFrame

EDGE = 240


def thumbnail(path: Path) -> str:
    """A JPEG data URI of at most 240 x 240 pixels without metadata; "" where the file is gone."""
    try:
        image = decoder.decode(path.read_bytes(), min_edge=EDGE, max_pixels=MAX_PIXELS).image
    except (OSError, BadFrame):
        return ""
    image.thumbnail((EDGE, EDGE))
    image.info = {}  # Pillow would carry a JPEG's comment over
    small = io.BytesIO()
    image.save(small, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(small.getvalue()).decode()
