"""Words on pictures: paper notes and what cameras write over their frames; Pillow's own font."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from feeder.domain import Box

INK = {"strong": ((250, 248, 240), (15, 15, 20)), "faint": ((205, 200, 185), (120, 115, 105))}
"""Paper and ink of a note, by contrast."""


@dataclass(frozen=True)
class Note:
    """How a paper note looks: its width as a share of the picture's, contrast, degrees of tilt,
    and its left and top edge as shares of the room there is."""

    width: float
    contrast: str
    tilt: float
    x: float
    y: float


def chosen(number: int) -> Note:
    """The note for picture `number`: sizes, contrasts, tilts and corners take turns."""
    rng = np.random.default_rng(number)
    return Note(
        width=(0.3, 0.45, 0.6)[number % 3],
        contrast=("strong", "faint")[number // 3 % 2],
        tilt=float(rng.uniform(-6, 6)),
        x=float(rng.uniform(0, 1)),
        y=float(rng.choice([rng.uniform(0, 0.2), rng.uniform(0.8, 1)])),
    )


def paste_note(image: Image.Image, word: str, note: Note) -> tuple[Image.Image, Box]:
    """The picture with a note that says `word` (nothing, for ""), and where the note lies."""
    paper, ink = INK[note.contrast]
    width = max(8, round(note.width * image.width))
    height = max(6, round(width * 0.3))
    # Drawn at twice the size, so that tilting leaves the letters whole.
    sheet = Image.new("RGBA", (2 * width, 2 * height), (*paper, 255))
    if word:
        _write(sheet, word, ink, (2 * width, 2 * height))
    sheet = sheet.rotate(note.tilt, Image.Resampling.BICUBIC, expand=True)
    sheet = sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.BOX)
    left = round(note.x * max(0, image.width - sheet.width))
    top = round(note.y * max(0, image.height - sheet.height))
    pasted = image.convert("RGB").copy()
    pasted.paste(sheet, (left, top), sheet)
    return pasted, _box(left, top, sheet.size, image.size)


def stamp(image: Image.Image, text: str) -> tuple[Image.Image, Box]:
    """The picture with the bar that a trail camera writes below it, and where that is."""
    height = max(8, round(0.08 * image.height))
    bar = Image.new("RGB", (image.width, height))
    _write(bar, text, (255, 255, 255), (image.width, height))
    stamped = image.convert("RGB").copy()
    stamped.paste(bar, (0, image.height - height))
    return stamped, _box(0, image.height - height, bar.size, image.size)


def _write(sheet: Image.Image, text: str, ink: tuple[int, int, int], room: tuple[int, int]) -> None:
    """Writes `text` as large as fits into the middle of the sheet."""
    draw = ImageDraw.Draw(sheet)
    size = 0.8 * room[1]
    long = draw.textlength(text, ImageFont.load_default(size))
    font = ImageFont.load_default(min(size, size * 0.9 * room[0] / max(long, 1)))
    draw.text((room[0] / 2, room[1] / 2), text, ink, font, anchor="mm")


def _box(left: int, top: int, size: tuple[int, int], frame: tuple[int, int]) -> Box:
    return Box(left / frame[0], top / frame[1], size[0] / frame[0], size[1] / frame[1])
