"""A picture in a terminal: each character is two pixels, one above the other."""

from PIL import Image
from rich.style import Style
from rich.text import Text

_UPPER_HALF = "\N{UPPER HALF BLOCK}"


def half_blocks(image: Image.Image, columns: int, rows: int) -> Text:
    """An RGB picture within so many columns and rows of characters, its shape kept."""
    scale = min(columns / image.width, 2 * rows / image.height)
    width, height = max(1, int(image.width * scale)), max(2, int(image.height * scale) // 2 * 2)
    pixels = image.convert("RGB").resize((width, height), Image.Resampling.BOX).load()
    assert pixels is not None
    drawn = Text(no_wrap=True)
    for y in range(0, height, 2):
        drawn.append("\n" if y else "")
        for x in range(width):
            upper, lower = (f"rgb{pixels[x, row]}".replace(" ", "") for row in (y, y + 1))
            drawn.append(_UPPER_HALF, Style.parse(f"{upper} on {lower}"))
    return drawn
