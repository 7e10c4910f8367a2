"""Bytes to pixels, with an allow-list of formats. Imports Pillow alone: the child stays small."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError, features

from feeder.errors import BadFrame

FORMATS = ["JPEG", "PNG", "WEBP"] + [name for name in ("AVIF",) if features.check(name.lower())]
"""What a camera sends. Pillow reads forty more, among them the ones with most past holes."""

MAX_ASPECT = 100
"""Scaling the short edge of a longer strip to a model's input makes gigabytes of it."""

# EXIF tags, from the Exif 2.32 standard (CIPA DC-008).
_EXIF_IFD = 0x8769
_ORIENTATION = 0x0112
_ORIGINAL = (0x9003, 0x9291, 0x9011)  # DateTimeOriginal, its fraction, its UTC offset
_MODIFIED = (0x0132, 0x9290, 0x9010)  # DateTime, its fraction, its UTC offset

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_BROKEN_EXIF = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error)
"""What Pillow raises on EXIF blocks that lie about their own lengths."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded file: upright RGB pixels, and what its header says.

    `width` and `height` are the upright stored picture's, before any reduction, in pixels;
    `taken` is the EXIF capture time as written, `2026:05:01 06:30:00.25+02:00`, or "".
    """

    image: Image.Image
    media_type: str
    width: int
    height: int
    taken: str


def decode(data: bytes, *, min_edge: int | None = None, max_pixels: int) -> Picture:
    """Decodes a whole picture, upright and in RGB.

    A JPEG is reduced while decoding as long as both edges stay at least `min_edge` pixels; None
    decodes in full. Raises BadFrame for any other format, above `max_pixels`, or broken data.
    """
    try:
        with warnings.catch_warnings():
            # Odd metadata is not worth a line a frame; the size is checked below.
            warnings.simplefilter("ignore")
            Image.MAX_IMAGE_PIXELS = None
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                return _load(opened, min_edge, max_pixels)
    except UnidentifiedImageError:
        accepted = ", ".join(FORMATS)
        raise BadFrame(f"not a picture in an accepted format ({accepted})") from None
    except BadFrame:
        raise
    except MemoryError:
        raise BadFrame("the picture needs more memory than the decoder is given") from None
    except (zlib.error, *_BROKEN_EXIF) as error:
        raise BadFrame(f"the picture is broken: {error}") from error
    except Exception as error:  # a codec's own surprise is one more kind of broken file
        raise BadFrame(f"the picture is broken: {type(error).__name__}: {error}") from error


def _load(opened: Image.Image, min_edge: int | None, max_pixels: int) -> Picture:
    width, height = opened.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadFrame(f"{width} x {height} pixels are too long and thin for a picture")
    if width * height > max_pixels:
        raise BadFrame(f"{width} x {height} pixels are more than the {max_pixels} allowed")
    media_type = Image.MIME.get(opened.format or "", "application/octet-stream")
    orientation, taken = _exif(opened)
    if min_edge is not None:
        opened.draft("RGB", (min_edge, min_edge))
    image = opened.convert("RGB")
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if orientation >= 5:
        width, height = height, width
    return Picture(image, media_type, width, height, taken)


def _exif(image: Image.Image) -> tuple[int, str]:
    """The orientation (1 where absent) and the capture time as written ("" where absent)."""
    try:
        root = image.getexif()
        orientation = root.get(_ORIENTATION, 1)
        detail = root.get_ifd(_EXIF_IFD)
    except _BROKEN_EXIF:
        return 1, ""
    taken = ""
    for tags in (_ORIGINAL, _MODIFIED):
        stamp, fraction, offset = (detail.get(tag) or root.get(tag) for tag in tags)
        if isinstance(stamp, str) and stamp.strip(" \0:"):
            digits = fraction.strip(" \0") if isinstance(fraction, str) else ""
            zone = offset.strip(" \0") if isinstance(offset, str) else ""
            taken = stamp.strip(" \0") + (f".{digits}" if digits.isdigit() else "") + zone
            break
    return (orientation if orientation in _UPRIGHT else 1), taken
