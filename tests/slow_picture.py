"""A picture that keeps a decoder busy for long and is nevertheless whole."""

import io

from PIL import Image

from feeder.wholeness import MAX_SCANS


def slow_jpeg(width: int, height: int, scans: int = MAX_SCANS) -> bytes:
    """A progressive JPEG of `scans` scans, each of which passes over every pixel.

    An encoder writes ten; the last of them, which refines what is there, comes again and again.
    """
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 60)).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    present = whole.count(b"\xff\xda")
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * (scans - present) + whole[-2:]
