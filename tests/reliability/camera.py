"""A camera that never tires: small pictures, each of its own bytes, as fast as files can be made.

    python -m tests.reliability.camera FOLDER START COUNT

makes COUNT of them and prints the seconds that took.
"""

import struct
import sys
import time
import zlib
from pathlib import Path

WIDTH, HEIGHT = 64, 48


def snapshot(number: int) -> bytes:
    """A PNG of 64 x 48 pixels, all of the colour that `number` is."""
    row = b"\0" + number.to_bytes(3, "big") * WIDTH
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)  # 8 bits of RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * HEIGHT, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def name(number: int) -> str:
    """The file name of snapshot `number`."""
    return f"{number:08d}.png"


def fill(folder: Path, start: int, count: int) -> float:
    """Makes `count` files, and gives the seconds that took, painting them not included."""
    pictures = [snapshot(number) for number in range(start, start + count)]
    began = time.monotonic()
    for number, data in enumerate(pictures, start):
        with open(f"{folder}/{name(number)}", "wb") as file:
            file.write(data)
    return time.monotonic() - began


if __name__ == "__main__":
    print(fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
