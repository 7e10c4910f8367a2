"""Pictures spoilt in every way that a bad cable, a bad disk or a bad person finds."""

import io
import random
import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.pictures import camera_picture

Mutation = Callable[[bytearray, random.Random, list[bytes]], None]


def seeds() -> list[bytes]:
    """Whole pictures of every accepted format and of most of their ways to store pixels."""
    colour = camera_picture(120, 90)
    grey = colour.convert("L")
    translucent = colour.convert("RGBA")
    translucent.putalpha(grey)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 06:30:00"
    exif.get_ifd(0x8769)[0x9011] = "+02:00"
    wide = Image.frombytes("I;16", (60, 40), bytes(i * 7 % 256 for i in range(4800)))
    stored: list[tuple[Image.Image, str, dict[str, object]]] = [
        (colour, "JPEG", {"exif": exif, "comment": b"a comment"}),
        (colour, "JPEG", {"progressive": True, "subsampling": 0}),
        (colour, "JPEG", {"optimize": True, "restart_marker_rows": 1}),
        (colour.convert("CMYK"), "JPEG", {}),
        (grey, "JPEG", {"progressive": True}),
        (colour, "PNG", {"exif": exif}),
        (translucent, "PNG", {}),
        (colour.convert("P"), "PNG", {"transparency": 3}),
        (colour.convert("1"), "PNG", {}),
        (wide, "PNG", {}),
        (colour, "PNG", {"save_all": True, "append_images": [colour.rotate(180)]}),
        (colour, "WEBP", {"exif": exif}),
        (colour, "WEBP", {"lossless": True}),
        (translucent, "WEBP", {}),
        (colour, "WEBP", {"save_all": True, "append_images": [colour.rotate(180)]}),
        (colour, "AVIF", {"speed": 10, "exif": exif}),
        (translucent, "AVIF", {"speed": 10}),
    ]
    packed = []
    for picture, name, options in stored:
        buffer = io.BytesIO()
        picture.save(buffer, name, **options)
        packed.append(buffer.getvalue())
    return packed


def mutate(rng: random.Random, whole: list[bytes]) -> bytes:
    """One of the pictures after one to four accidents."""
    data = bytearray(rng.choice(whole))
    for _ in range(rng.choice([1, 1, 2, 4])):
        if len(data) > 40:
            rng.choice(_MUTATIONS)(data, rng, whole)
    # Most accidents to a PNG end at its checksums; half of them shall get behind these.
    if data.startswith(b"\x89PNG") and rng.random() < 0.5:
        _mend_checksums(data)
    return bytes(data)


def _flip_bits(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    for _ in range(rng.choice([1, 4, 32])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_bytes(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    for _ in range(rng.choice([1, 8])):
        data[rng.randrange(len(data))] = rng.choice([0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF])


def _edit_header(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    """Where widths, heights, depths and counts stand."""
    start = rng.randrange(min(len(data), 256) - 4)
    value = rng.choice([0, 1, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32)])
    struct.pack_into(rng.choice(["<I", ">I"]), data, start, value)


def _edit_size(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    """The picture's own width or height, where the format keeps it."""
    value = rng.choice([0, 1, 2, 5000, 16383, 65535, rng.randrange(65536)])
    if data.startswith(b"\x89PNG"):
        struct.pack_into(">I", data, rng.choice([16, 20]), value)
    elif data.startswith(b"RIFF"):
        struct.pack_into("<H", data, rng.choice([24, 26, 27, 28]), value)
    elif data.startswith(b"\xff\xd8"):
        frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        if 0 <= frame < len(data) - 9:
            struct.pack_into(">H", data, frame + rng.choice([5, 7]), value)
    else:
        found = data.find(b"ispe")
        if 0 <= found < len(data) - 16:
            struct.pack_into(">I", data, found + rng.choice([8, 12]), value)


def _edit_length(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    """The length of a chunk, segment or box, or the word before it."""
    png, jpeg = (b"IDAT", b"IHDR", b"PLTE", b"eXIf"), (b"\xff\xdb", b"\xff\xc4", b"\xff\xda")
    webp = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"EXIF")
    names = (*png, *jpeg, *webp, b"mdat", b"meta", b"iloc", b"\xff\xe1")
    places = [found for name in names if (found := data.find(name)) >= 0]
    if places:
        start = max(0, rng.choice(places) + rng.choice([-4, 2, 4]))
        if start + 4 <= len(data):
            old = int.from_bytes(data[start : start + 4], "big")
            new = rng.choice([0, old + 1, old - 1, old * 2, rng.getrandbits(32)]) & 0xFFFFFFFF
            data[start : start + 4] = new.to_bytes(4, "big")


def _truncate(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    del data[rng.randrange(20, len(data)) :]


def _cut_out(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.randrange(1, 400)]


def _repeat(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    start = rng.randrange(len(data))
    piece = bytes(data[start : start + rng.randrange(1, 400)])
    data[start:start] = piece * rng.choice([1, 2, 20])


def _splice(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    """A piece of another picture, over this one or between its bytes."""
    other = rng.choice(whole)
    start = rng.randrange(len(other))
    piece = other[start : start + rng.randrange(1, 2000)]
    at = rng.randrange(len(data))
    data[at : at + rng.choice([0, len(piece)])] = piece


def _blank(data: bytearray, rng: random.Random, whole: list[bytes]) -> None:
    start = rng.randrange(len(data))
    size = min(len(data) - start, rng.choice([1, 16, 512, 4096]))
    data[start : start + size] = bytes([rng.choice([0x00, 0xFF])]) * size


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits,
    _flip_bits,
    _set_bytes,
    _edit_header,
    _edit_size,
    _edit_length,
    _truncate,
    _cut_out,
    _repeat,
    _splice,
    _blank,
)


def _mend_checksums(data: bytearray) -> None:
    """Makes every chunk of a PNG match its checksum again, as far as chunks can be told."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(data):
            return
        data[end : end + 4] = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
