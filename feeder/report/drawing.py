"""A report as one picture, for a chat: drawn with Pillow, and nothing of a camera's file in it."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw

from feeder.report.best_shots import Best, cut
from feeder.report.gathering import Guest, Report
from feeder.report.lettering import Lettering
from feeder.report.words import first_shown, footnotes, hours_shown, many, summary, when

WIDTH = 1080
"""Pixels: what phones show whole."""

MARGIN, GAP = 48, 24
INNER = WIDTH - 2 * MARGIN
COLUMNS = 3
CARD = ((INNER - (COLUMNS - 1) * GAP) // COLUMNS, 208)
"""Pixels of a guest's picture."""

CAPTION = 92
HERO = (INNER, 656)
MOST_CARDS = 12
"""Guests with a picture of their own; the others are a line at the end."""

BAR_HEIGHT = 130
RADIUS = 18
SMOOTH = 4
"""How much larger corners are drawn than they are shown, so that they are smooth."""

PAPER, CARD_PAPER = (250, 247, 240), (255, 255, 255)
INK, QUIET, LINE = (35, 46, 40), (98, 108, 101), (226, 220, 208)
ACCENT, BAR, EMPTY = (184, 76, 34), (94, 138, 102), (233, 228, 217)


class _Page:
    """What is drawn from top to bottom; `y` is how far it has come."""

    def __init__(self, height: int, letters: Lettering) -> None:
        self.image = Image.new("RGB", (WIDTH, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.letters = letters
        self.y = MARGIN

    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: int,
        fill: tuple[int, int, int] = INK,
        *,
        width: float = INNER,
        bold: bool = False,
        anchor: str = "ls",
    ) -> float:
        """Writes a line by its anchor, as much as fits; its width in pixels."""
        fitted = self.letters.fitted(text, size, width)
        font = self.letters.font(size)
        self.draw.text(
            at,
            fitted,
            fill,
            font,
            anchor,
            stroke_width=size / 48 if bold else 0,  # Pillow's own font has one weight
            stroke_fill=fill,
        )
        return float(font.getlength(fitted))

    def picture(
        self, shown: Image.Image | None, at: tuple[int, int], size: tuple[int, int]
    ) -> None:
        """Puts a picture there, its corners rounded, or a plain card where it has gone."""
        if shown is None:
            self.image.paste(EMPTY, (*at, at[0] + size[0], at[1] + size[1]), _rounded(size))
            middle = (at[0] + size[0] / 2, at[1] + size[1] / 2)
            self.text(middle, "no picture any more", 22, QUIET, width=size[0], anchor="mm")
            return
        self.image.paste(shown, at, _rounded(size))

    def pill(self, at: tuple[int, int], text: str) -> None:
        """A short word on the accent's colour, its left upper corner there."""
        font = self.letters.font(20)
        width, height = round(font.getlength(self.letters.write(text))) + 28, 36
        box = (*at, at[0] + width, at[1] + height)
        self.image.paste(ACCENT, box, _rounded((width, height), height // 2))
        self.text((at[0] + width / 2, at[1] + height / 2), text, 20, CARD_PAPER, anchor="mm")


def draw(report: Report, best: Mapping[str, Best]) -> Image.Image:
    """The report as RGB pixels, `WIDTH` wide; `best` are the shots by the guest's label.

    A picture that cannot be read leaves a plain card. Nothing of a file's metadata is kept.
    """
    hero = first_shown(report, best)
    others = [guest for guest in report.guests if not hero or guest is not hero[0]]
    cards = others[:MOST_CARDS]
    rest = _lines(others[MOST_CARDS:])
    notes = footnotes(report)
    rows = -(-len(cards) // COLUMNS)
    height = (
        MARGIN + 150
        + (HERO[1] + 84 if hero else 0)
        + rows * (CARD[1] + CAPTION + GAP)
        + len(rest) * 36 + (20 if rest else 0)
        + (BAR_HEIGHT + 130 if any(report.by_hour) else 0)
        + len(notes) * 34
        + (200 if not report.guests else 0)
        + MARGIN + 12
    )  # fmt: skip
    page = _Page(height, Lettering(_texts(report)))
    _head(page, report)
    if hero:
        _hero(page, report, *hero)
    _cards(page, report, cards, best)
    for line in rest:
        page.text((MARGIN, page.y + 26), line, 24, QUIET)
        page.y += 36
    page.y += 20 if rest else 0
    if any(report.by_hour):
        _hours(page, report)
    if not report.guests:
        page.text((WIDTH / 2, page.y + 90), "Nobody came by.", 40, QUIET, anchor="mm")
        page.y += 146
    for note in notes:
        page.text((MARGIN, page.y + 22), note, 21, QUIET)
        page.y += 34
    return page.image


def _head(page: _Page, report: Report) -> None:
    page.text((MARGIN, page.y + 50), report.place, 26, ACCENT, bold=True)
    size = 58 if not report.period.is_week else 52
    page.text((MARGIN, page.y + 112), report.period.title, size, bold=True)
    page.y += 150


def _hero(page: _Page, report: Report, guest: Guest, found: Best) -> None:
    page.picture(cut(found, HERO), (MARGIN, page.y), HERO)
    if guest.news:
        page.pill((MARGIN + 20, page.y + 20), guest.news)
    page.y += HERO[1]
    right = f"{many(len(guest.visits), 'visit')} · {when(report, found.visit)}"
    taken = page.letters.font(26).getlength(right)
    page.text((WIDTH - MARGIN, page.y + 42), right, 26, QUIET, anchor="rs")
    page.text((MARGIN, page.y + 44), guest.name, 34, bold=True, width=INNER - taken - GAP)
    page.y += 84


def _cards(page: _Page, report: Report, guests: Sequence[Guest], best: Mapping[str, Best]) -> None:
    for number, guest in enumerate(guests):
        row, column = divmod(number, COLUMNS)
        x = MARGIN + column * (CARD[0] + GAP)
        y = page.y + row * (CARD[1] + CAPTION + GAP)
        found = best.get(guest.label.name)
        page.picture(cut(found, CARD) if found else None, (x, y), CARD)
        if guest.news:
            page.pill((x + 12, y + 12), guest.news)
        below = y + CARD[1]
        page.text((x, below + 36), guest.name, 25, bold=True, width=CARD[0])
        shown = found.visit if found else guest.visits[0]
        said = f"{many(len(guest.visits), 'visit')} · {when(report, shown)}"
        page.text((x, below + 68), said, 21, QUIET, width=CARD[0])
    page.y += -(-len(guests) // COLUMNS) * (CARD[1] + CAPTION + GAP)


def _hours(page: _Page, report: Report) -> None:
    hours = hours_shown(report)
    most = max(report.by_hour)
    page.text((MARGIN, page.y + 24), "Visits by hour", 25, bold=True)
    page.text((WIDTH - MARGIN, page.y + 24), summary(report), 23, QUIET, anchor="rs", width=760)
    top, step = page.y + 58, INNER / len(hours)
    floor = top + BAR_HEIGHT
    page.draw.line((MARGIN, floor, WIDTH - MARGIN, floor), LINE, 2)
    for place, hour in enumerate(hours):
        count = report.by_hour[hour]
        left, wide = round(MARGIN + place * step + step * 0.16), max(4, round(step * 0.68))
        tall = round((BAR_HEIGHT - 28) * count / most)
        if count:
            fill = ACCENT if hour == report.busiest else BAR
            mask = _rounded((wide, tall + 8), min(8, wide // 2)).crop((0, 0, wide, tall))
            page.image.paste(fill, (left, floor - tall, left + wide, floor), mask)
            middle = left + wide / 2
            page.text((middle, floor - tall - 8), str(count), 19, QUIET, anchor="ms")
        page.text((left + wide / 2, floor + 28), str(hour), 19, QUIET, anchor="ms")
    page.y += BAR_HEIGHT + 130


def _lines(guests: Sequence[Guest]) -> list[str]:
    """Who has no picture on the page, four to a line."""
    named = [f"{guest.name} {len(guest.visits)}" for guest in guests]
    lines = [" · ".join(named[start : start + 4]) for start in range(0, len(named), 4)]
    return [f"also {lines[0]}", *lines[1:]] if lines else []


def _texts(report: Report) -> list[str]:
    """What may hold letters that no font is sure to have; the page's own words are plain."""
    return [report.place, *(guest.name for guest in report.guests)]


def _rounded(size: tuple[int, int], radius: int = RADIUS) -> Image.Image:
    """A mask of these pixels with round corners."""
    width, height = size
    large = Image.new("L", (width * SMOOTH, height * SMOOTH), 0)
    box = (0, 0, width * SMOOTH - 1, height * SMOOTH - 1)
    ImageDraw.Draw(large).rounded_rectangle(box, radius * SMOOTH, 255)
    return large.resize(size, Image.Resampling.BOX)
