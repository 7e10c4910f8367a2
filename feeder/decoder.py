"""Bytes to pixels, with an allow-list of formats. Imports Pillow alone: the child stays small."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

# The four plugins by name: Pillow would import all forty to find the two that are not common.
from PIL import (
    AvifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
    features,
)

from feeder.errors import BadFrame
from feeder.wholeness import FEWEST_ZEROS, require_whole, webp_end_in_zeros

FORMATS = ["JPEG", "PNG", "WEBP"] + [name for name in ("AVIF",) if features.check(name.lower())]
"""What a camera sends. Pillow reads forty more, among them the ones with most past holes."""

MAX_ASPECT = 100
"""Scaling the short edge of a longer strip to a model's input makes gigabytes of it."""

PLUGINS = (AvifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin)

PIXEL_BYTES = {"WEBP": 16, "AVIF": 11}
"""Bytes of memory that a codec and Pillow take together for a pixel, measured with Pillow 13."""

_SMALL_MODES = {"1": 1, "L": 1, "P": 1, "I;16": 2}  # bytes a pixel; Pillow takes 4 for all others

STRIP = 64
"""Rows reduced at once, about: a large picture is in memory only once."""

FLAT = 8
"""Levels between the darkest and the lightest pixel of a row that counts as flat."""

_MIXED = bytes((97 * n + 181) % 256 for n in range(FEWEST_ZEROS))  # bits of every kind
_OTHER_ENDS = (_MIXED, bytes(255 - byte for byte in _MIXED))

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


def decode(
    data: bytes, *, min_edge: int | None = None, max_pixels: int, memory: int | None = None
) -> Picture:
    """Decodes a whole picture, upright and in RGB.

    A picture is reduced as long as both edges stay at least `min_edge` pixels: a JPEG while it is
    decoded, any other to a fourth or less; None keeps every pixel. Raises BadFrame for a format
    that is not accepted, above `max_pixels`, where decoding takes more than `memory` bytes, where
    a part is missing, or for broken data.
    """
    try:
        with warnings.catch_warnings():
            # Odd metadata is not worth a line a frame; the size is checked below.
            warnings.simplefilter("ignore")
            Image.MAX_IMAGE_PIXELS = None
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                require_whole(data, opened.format or "")
                picture = _load(opened, min_edge, max_pixels, memory)
                if opened.format == "WEBP":
                    _require_end_counts(data, opened)
                return picture
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


def _load(
    opened: Image.Image, min_edge: int | None, max_pixels: int, memory: int | None
) -> Picture:
    width, height = opened.size
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadFrame(f"{width} x {height} pixels are too long and thin for a picture")
    if width * height > max_pixels:
        raise BadFrame(f"{width} x {height} pixels are more than the {max_pixels} allowed")
    media_type = Image.MIME.get(opened.format or "", "application/octet-stream")
    if min_edge is not None:
        opened.draft("RGB", (min_edge, min_edge))
    if memory is not None and (needed := _memory_for(opened, width * height)) > memory:
        raise BadFrame(
            f"{width} x {height} pixels of {opened.format} take {needed / 1e6:.0f} MB to decode,"
            f" more than the {memory / 1e6:.0f} allowed"
        )
    # After the check: of a PNG it reads the whole picture.
    orientation, taken = _exif(opened)
    image = _rgb(opened, min_edge)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if orientation >= 5:
        width, height = height, width
    return Picture(image, media_type, width, height, taken)


def _memory_for(opened: Image.Image, stored_pixels: int) -> int:
    """Bytes that decoding takes at its peak, near enough; a JPEG is already set to its draft."""
    across, down = opened.size
    each = PIXEL_BYTES.get(opened.format or "", _SMALL_MODES.get(opened.mode, 4))
    needed = across * down * each
    if isinstance(opened, JpegImagePlugin.JpegImageFile) and opened.info.get("progressive"):
        # libjpeg keeps the coefficients of the whole picture, two bytes each, until the last scan.
        shares = [component[1] * component[2] for component in opened.layer]
        needed += 2 * stored_pixels * sum(shares) // max(shares)
    return needed


def _rgb(opened: Image.Image, min_edge: int | None) -> Image.Image:
    """The pixels in RGB, each a mean of `factor` x `factor` where both edges allow."""
    width, height = opened.size
    most = min(opened.size) // min_edge if min_edge is not None else 1
    # Means of 2 x 2 pixels would be a seventh of a level too bright: every other one that has to
    # be rounded is rounded up.
    if most < 4:
        return opened.convert("RGB")
    # A power of two, as libjpeg takes: cameras' edges are multiples of it, and where the last
    # mean of a row is one of fewer pixels, the whole row is off by as much.
    factor = 1 << (most.bit_length() - 1)
    opened.load()
    reduced = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = factor * max(1, STRIP // factor)
    for top in range(0, height, rows):
        strip = opened.crop((0, top, width, min(top + rows, height))).convert("RGB")
        reduced.paste(strip.reduce(factor), (0, top // factor))
    return reduced


def _require_end_counts(data: bytes, opened: Image.Image) -> None:
    """Raises BadFrame where a WebP ends in zeros that are no part of the picture.

    Those of a whole picture stand for a flat area down to its last row, and the last of them
    count: in their place other bytes change the last rows.
    """
    end = webp_end_in_zeros(data)
    if end is None:
        return
    width, height = opened.size
    last_rows = (0, max(0, height - 16), width, height)
    seen = opened.crop(last_rows).tobytes()
    row = opened.crop((0, height - 1, width, height)).convert("RGB").tobytes()
    if all(max(row[channel::3]) - min(row[channel::3]) <= FLAT for channel in range(3)):
        for ending in _OTHER_ENDS:
            changed = data[: end - FEWEST_ZEROS] + ending + data[end:]
            try:
                with Image.open(io.BytesIO(changed), formats=["WEBP"]) as other:
                    if other.crop(last_rows).tobytes() != seen:
                        return
            except (OSError, EOFError):
                return  # it broke: so those bytes were needed
    raise BadFrame("the file is cut short: a WebP that ends in zeros")


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
