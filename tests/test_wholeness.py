"""Files that lack a part of their picture, and whole ones that look as if they did."""

import io
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from feeder import decoder
from feeder.errors import BadFrame
from feeder.wholeness import BLOCK, FEWEST_ZEROS
from tests.pictures import camera_picture


def _packed(name: str, picture: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (picture or camera_picture(200, 150)).save(buffer, name, **options)
    return buffer.getvalue()


def _translucent() -> Image.Image:
    picture = camera_picture(200, 150).convert("RGBA")
    picture.putalpha(camera_picture(200, 150).convert("L"))
    return picture


def _interlaced() -> bytes:
    """A PNG in the seven passes of Adam7, which Pillow does not write: passes of 1 x 1 pixels."""
    header = (64).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 1])
    grain = random.Random(0)
    lines = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):  # fmt: skip
        columns, rows = len(range(left, 64, across)), len(range(top, 64, down))
        lines += b"".join(b"\0" + grain.randbytes(3 * columns) for _ in range(rows))
    packed = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        check = zlib.crc32(name + content).to_bytes(4, "big")
        packed += len(content).to_bytes(4, "big") + name + content + check
    return packed


FORMATS: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: _packed("JPEG"),
    "jpeg optimised": lambda: _packed("JPEG", optimize=True),
    "jpeg restarts": lambda: _packed("JPEG", restart_marker_rows=1),
    "jpeg progressive": lambda: _packed("JPEG", progressive=True),
    "png": lambda: _packed("PNG"),
    "png stored": lambda: _packed("PNG", compress_level=0),
    "png interlaced": _interlaced,
    "png alpha": lambda: _packed("PNG", _translucent()),
    "webp": lambda: _packed("WEBP"),
    "webp lossless": lambda: _packed("WEBP", lossless=True),
    "webp alpha": lambda: _packed("WEBP", _translucent()),
    "avif": lambda: _packed("AVIF"),
    "avif alpha": lambda: _packed("AVIF", _translucent()),
}


def _is_accepted(data: bytes) -> bool:
    try:
        decoder.decode(data, max_pixels=10_000_000)
    except BadFrame:
        return False
    return True


@pytest.mark.parametrize("name", FORMATS)
def test_a_part_of_a_file_is_no_picture(name: str) -> None:
    """Cut anywhere, or with zeros from anywhere to its end, no file of any format is accepted.

    Zeros in place of a WebP's or AVIF's last few bytes alone are beyond telling.
    """
    whole = FORMATS[name]()
    assert _is_accepted(whole)
    step = max(1, len(whole) // 150)
    least = FEWEST_ZEROS + 1 if name.startswith(("webp", "avif")) else 1
    for cut in [*range(0, len(whole), step), *range(len(whole) - 30, len(whole))]:
        assert not _is_accepted(whole[:cut]), cut
        missing = len(whole) - cut
        if missing >= least and whole[cut:].strip(b"\0"):
            assert not _is_accepted(whole[:cut] + bytes(missing)), cut


@pytest.mark.parametrize("name", FORMATS)
def test_a_block_that_was_not_written_is_noticed(name: str) -> None:
    """A disk's block of zeros anywhere in a file makes it no picture."""
    whole = FORMATS[name]()
    for start in range(BLOCK, len(whole) - BLOCK, BLOCK):
        if start > len(whole) // 8:  # behind headers, of which some parts are not needed
            assert not _is_accepted(whole[:start] + bytes(BLOCK) + whole[start + BLOCK :]), start


@pytest.mark.parametrize("share", [1.0, 0.5, 0.1])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {"optimize": True}),
        ("JPEG", {"progressive": True}),
        ("PNG", {"compress_level": 0}),
        ("WEBP", {"quality": 80, "method": 0}),
        ("WEBP", {"lossless": True, "quality": 0, "method": 0}),
        ("AVIF", {"speed": 10}),
    ],
)
def test_flat_areas_are_no_missing_parts(
    name: str, options: dict[str, object], share: float
) -> None:
    """Night, fog and black bars are packed as long runs of zeros, and are whole all the same."""
    for shade in (0, 128, 255):
        picture = camera_picture(640, 480)
        picture.paste((shade, shade, shade), (0, int(480 * (1 - share)), 640, 480))
        assert _is_accepted(_packed(name, picture, **options)), shade


def test_what_follows_the_picture_does_not_matter() -> None:
    """Padding, a maker's notes or a film behind the picture leave it whole."""
    for name in ("JPEG", "PNG", "WEBP"):
        assert _is_accepted(_packed(name) + bytes(5000)), name
        assert _is_accepted(_packed(name) + b"\xff\xd8 notes"), name


def test_a_thumbnails_end_is_not_the_pictures() -> None:
    """A JPEG cut short is refused though the thumbnail in its EXIF block is whole."""
    whole = _packed("JPEG", camera_picture(640, 480))
    thumbnail = _packed("JPEG", camera_picture(64, 48))
    segment = b"Exif\0\0" + thumbnail
    with_thumbnail = (
        whole[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + whole[2:]
    )
    assert _is_accepted(with_thumbnail)
    with pytest.raises(BadFrame, match="end-of-image"):
        decoder.decode(with_thumbnail[:-2], max_pixels=10_000_000)


def test_a_jpeg_of_endless_scans_is_refused_unseen() -> None:
    """A progressive JPEG that repeats its last scan a thousand times is not decoded at all."""
    whole = _packed("JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    bomb = whole[:last] + whole[last:-2] * 1000 + whole[-2:]
    with pytest.raises(BadFrame, match="more than 100 scans"):
        decoder.decode(bomb, max_pixels=10_000_000)


def test_real_photographs_are_whole(photos: Path) -> None:
    """Of a thousand photographs from many cameras and programs none is called cut short."""
    paths = sorted(path for path in photos.rglob("*.jpg") if "decoders" not in path.parts)
    for path in random.Random(0).sample(paths, 1000):
        decoder.decode(path.read_bytes(), min_edge=448, max_pixels=64_000_000)
