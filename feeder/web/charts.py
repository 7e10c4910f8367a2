"""Charts as SVG, drawn from numbers; pure. Colours are the style sheet's, by class.

Each is a picture with a name and a description; the numbers themselves stand in a table beside it,
which is the template's part (`figure` in charts.html.j2). Lengths are in the drawing's own units,
one of which is about a pixel.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from markupsafe import Markup, escape

from feeder.seasons import MONTHS

DAY = timedelta(days=1)

HEIGHT = 120
_FOOT = 16
"""Room for what stands below the bars."""
_HEAD = 14
_CELL, _PITCH = 11, 13
"""A day's edge in a calendar, and the distance of two."""
LEVELS = 4
_MONTHS = [name[:3] for name in MONTHS]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, with the rows that say the same in words: what, and how many."""

    title: str
    svg: Markup
    rows: Sequence[tuple[str, int]]
    column: str = ""


def bars(
    name: str,
    title: str,
    counts: Sequence[tuple[str, int]],
    marks: Mapping[int, str],
    *,
    width: int = 320,
    column: str = "",
) -> Chart:
    """A bar for each count, from the left; `marks` are what stands below some, by their place.

    `name` is unique on the page. The highest count stands above its bar.
    """
    most = max((count for _, count in counts), default=0)
    step = width / max(len(counts), 1)
    gap = 1 if step < 6 else 2
    full = HEIGHT - _FOOT - _HEAD
    drawn = [
        f'<line class="axis" x1="0" x2="{width}" y1="{HEIGHT - _FOOT}" y2="{HEIGHT - _FOOT}"/>'
    ]
    for place, (_, count) in enumerate(counts):
        if not count:
            continue
        height = max(full * count / most, 2)
        drawn.append(
            f'<rect class="bar" x="{_short(place * step + gap / 2)}"'
            f' y="{_short(HEIGHT - _FOOT - height)}" width="{_short(step - gap)}"'
            f' height="{_short(height)}" rx="{1 if step < 10 else 2}"/>'
        )
    if most:
        highest = next(place for place, (_, count) in enumerate(counts) if count == most)
        at = min(max((highest + 0.5) * step, 12), width - 12)
        drawn.append(_text(at, _HEAD - 4, f"{most:,}"))
    for place, mark in marks.items():
        drawn.append(_text(min((place + 0.5) * step, width - 4 * len(mark)), HEIGHT - 3, mark))
    total = sum(count for _, count in counts)
    said = f"{total:,} in all; most, {most:,}, {_where(counts, most)}" if most else "none"
    return Chart(title, _picture(name, title, said, width, HEIGHT, drawn), counts, column)


def by_hour(name: str, counts: Sequence[int], title: str = "Visits by hour") -> Chart:
    """A bar for each of a day's 24 hours, local time."""
    rows = [(f"{hour:02}:00", count) for hour, count in enumerate(counts)]
    return bars(name, title, rows, {hour: f"{hour:02}" for hour in range(0, 24, 4)}, column="Hour")


def by_week(name: str, days: Mapping[date, int], until: date, weeks: int) -> Chart:
    """A bar for each of so many weeks, from Monday on, up to and with the one of `until`."""
    first = monday(until) - (weeks - 1) * 7 * DAY
    counts = [0] * weeks
    for day, count in days.items():
        place = (monday(day) - first).days // 7
        if 0 <= place < weeks:
            counts[place] += count
    starts = [first + n * 7 * DAY for n in range(weeks)]
    marks = {
        place: _MONTHS[start.month - 1]
        for place, start in enumerate(starts)
        if start.day <= 7 and start.month % 2 == 1
    }
    rows = [(f"week of {start}", count) for start, count in zip(starts, counts, strict=True)]
    return bars(name, "Visits by week", rows, marks, column="Week")


def by_month(name: str, days: Mapping[date, int]) -> Chart:
    """A bar for each month of the year, the years taken together."""
    counts = [0] * 12
    for day, count in days.items():
        counts[day.month - 1] += count
    rows = list(zip(_MONTHS, counts, strict=True))
    marks = dict(enumerate(_MONTHS))
    return bars(name, "Season: visits by month, all years", rows, marks, column="Month")


def spark(counts: Sequence[int], said: str) -> Markup:
    """A small picture of how counts went, without an axis; `said` is what it says."""
    width, height = 120, 28
    most = max(counts, default=0)
    step = width / max(len(counts), 1)
    drawn = [
        f'<rect class="bar" x="{_short(place * step)}" y="{_short(height - tall)}"'
        f' width="{_short(max(step - 1, 0.5))}" height="{_short(tall)}"/>'
        for place, count in enumerate(counts)
        if count
        for tall in [max((height - 1) * count / most, 1.5)]
    ]
    drawn.append(f'<line class="axis" x1="0" x2="{width}" y1="{height}" y2="{height}"/>')
    return Markup(
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{escape(said)}">{"".join(drawn)}</svg>'
    )


def year(
    number: int, days: Mapping[date, int], steps: Sequence[int], link: Callable[[date], str]
) -> Markup:
    """A calendar of one year, a column for each week and a row for each day of it from Monday.

    Darker days have more; `steps` are the least counts of the levels. Each day that has any is a
    link. The keyboard passes them by: the same stand in a list.
    """
    start, end = date(number, 1, 1), date(number, 12, 31)
    origin = monday(start)
    drawn = []
    for month in range(1, 13):
        first = date(number, month, 1)
        column = (first - origin).days // 7 + (first.weekday() > 0)
        drawn.append(_text(column * _PITCH, 9, _MONTHS[month - 1], "start"))
    for place in range((end - start).days + 1):
        day = start + place * DAY
        column, row = divmod((day - origin).days, 7)
        count = days.get(day, 0)
        cell = (
            f'<rect class="heat-{level(count, steps)}" x="{column * _PITCH}"'
            f' y="{row * _PITCH + 14}" width="{_CELL}" height="{_CELL}" rx="2"'
        )
        if not count:
            drawn.append(f"{cell}/>")
            continue
        said = f"{day.isoformat()}: {count:,}"
        drawn.append(
            f'<a href="{escape(link(day))}" tabindex="-1" aria-label="{said}">'
            f"{cell}><title>{said}</title></rect></a>"
        )
    total = sum(count for day, count in days.items() if day.year == number)
    return Markup(
        f'<svg class="chart year" viewBox="0 0 {54 * _PITCH} {7 * _PITCH + 14}" role="group"'
        f' aria-label="{number}: {total:,} visits">{"".join(drawn)}</svg>'
    )


def steps(counts: Iterable[int]) -> tuple[int, ...]:
    """The least counts of the levels 1 to 4, so that each has about as many of the days."""
    some = sorted(count for count in counts if count)
    if not some:
        return (1, 2, 3, 4)
    found = [1, *(some[len(some) * n // LEVELS] for n in range(1, LEVELS))]
    for before, after in pairwise(range(LEVELS)):
        found[after] = max(found[after], found[before] + 1)
    return tuple(found)


def level(count: int, steps: Sequence[int]) -> int:
    """How dark a day is: 0 for none, up to 4."""
    return sum(count >= step for step in steps)


def monday(day: date) -> date:
    """The first day of its week."""
    return day - day.weekday() * DAY


def _where(counts: Sequence[tuple[str, int]], most: int) -> str:
    return "at " + next(what for what, count in counts if count == most)


def _picture(
    name: str, title: str, said: str, width: int, height: int, drawn: Iterable[str]
) -> Markup:
    return Markup(
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img"'
        f' aria-labelledby="{name}-title {name}-said"><title id="{name}-title">{escape(title)}'
        f'</title><desc id="{name}-said">{escape(said)}</desc>{"".join(drawn)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{_short(x)}" y="{_short(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
