"""Small files that ask for a great deal of memory or time."""

import struct
import zlib
from collections.abc import Iterator

from feeder.wholeness import MAX_SCANS
from tests.slow_picture import slow_jpeg


def bombs() -> Iterator[tuple[str, bytes]]:
    """A name and the bytes of each."""
    yield "13370.png", flat_png(13_370, 13_370)
    yield "7900.png", flat_png(7_900, 7_900)
    yield "scans.jpg", slow_jpeg(2000, 1500, scans=1000)
    yield "slow.jpg", slow_jpeg(6_000, 4_000, scans=MAX_SCANS)
    yield "text.png", flat_png(64, 64, _chunk(b"zTXt", b"name\0\0" + zeros(1 << 30)))
    yield "profile.png", flat_png(64, 64, _chunk(b"iCCP", b"name\0\0" + zeros(1 << 30)))
    yield "canvas.webp", _webp_canvas(16_384, 16_384)
    yield "frames.png", flat_png(3_000, 3_000, _chunk(b"acTL", struct.pack(">II", 1 << 30, 0)))


def zeros(size: int) -> bytes:
    """A zlib stream (RFC 1950) of that many zeros, a thousandth as long and made at once.

    Blocks that refer to nothing before them may be repeated as they are.
    """
    block = bytes(1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    repeated = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest = packer.compress(block[: size % len(block)]) + packer.flush()
    adler = (size % 65521) << 16 | 1
    return b"\x78\xda" + repeated * (size // len(block)) + rest + adler.to_bytes(4, "big")


def flat_png(width: int, height: int, extra: bytes = b"") -> bytes:
    """A black PNG; 13,370 x 13,370 pixels take half a megabyte. `extra` are more chunks."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zeros(height * (1 + 3 * width)))
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + name + content + check


def _webp_canvas(width: int, height: int) -> bytes:
    """A canvas of a gigabyte with one small picture on it."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    flags = b"\x02\0\0\0"  # animated
    still = b"\x2f\0\0\0\0" + bytes(8)  # a lossless picture of one pixel
    frame = bytes(6) + bytes(6) + b"\x64\0\0\0" + b"VP8L" + struct.pack("<I", len(still)) + still
    frame += b"\0" * (len(frame) & 1)
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + flags + size
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body
