"""Text drawn into pictures: a font that has the letters, and lines that fit."""

import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

from PIL import ImageFont

SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "FreeSans.ttf",
    "Arial.ttf",
)
"""Where Pillow's own font ends: what Linux, macOS and Windows have of other letters."""

_PLAIN = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l",
        "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th",
        "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{HYPHEN}": "-", "„": "“",
    }
)  # fmt: skip

_NOWHERE = "\U0010ffff"
"""No character: every font draws its empty box for it."""

Font = ImageFont.FreeTypeFont


class Lettering:
    """Draws these texts: in Pillow's own font, in one of the system's, or in plain letters.

    Pillow's own has English letters alone. Where the texts need others and no font of this
    computer has all of them, accents are left off (`Cap` for `Čáp`) and what is left is a `?`.
    """

    def __init__(self, texts: Iterable[str], system_fonts: tuple[str, ...] = SYSTEM_FONTS) -> None:
        needed = {letter for text in texts for letter in text if not letter.isspace()}
        self._name = ""
        if not _has(_font("", 40), needed):
            self._name = next(filter(lambda name: _suits(name, needed), system_fonts), "")

    def font(self, size: int) -> Font:
        """The font at so many pixels."""
        return _font(self._name, size)

    def write(self, text: str) -> str:
        """The text in letters that the font has; white space and what is invisible is a blank."""
        text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        font = self.font(40)
        return "".join(one if _has(font, {one}) else _plain(one, font) for one in text)

    def fitted(self, text: str, size: int, width: float) -> str:
        """The text, as much of it as `width` pixels hold, with `…` where it was cut."""
        text, font = self.write(text), self.font(size)
        if font.getlength(text) <= width:
            return text
        end = self.write("…")
        while text and font.getlength(text + end) > width:
            text = text[:-1]
        return text.rstrip() + end


def _plain(letter: str, font: Font) -> str:
    base = unicodedata.normalize("NFKD", letter.translate(_PLAIN))
    kept = [one for one in base if not unicodedata.combining(one)]
    return "".join(one if one.isspace() or _has(font, {one}) else "?" for one in kept)


def _suits(name: str, letters: set[str]) -> bool:
    try:
        return _has(_font(name, 40), letters)
    except OSError:
        return False  # this computer has no such font


def _has(font: Font, letters: set[str]) -> bool:
    return all(letter.isspace() or _shape(font, letter) != _shape(font, _NOWHERE)
               for letter in letters)  # fmt: skip


@lru_cache(maxsize=4096)
def _shape(font: Font, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@cache
def _font(name: str, size: int) -> Font:
    """The system's font of that name, or Pillow's own for ""; OSError where there is none."""
    if name:
        return ImageFont.truetype(name, size)
    own = ImageFont.load_default(size)
    if not isinstance(own, Font):
        raise OSError("Pillow was built without FreeType, so that it draws no text")
    return own
