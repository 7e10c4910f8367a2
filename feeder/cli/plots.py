"""Charts of block characters, for a terminal."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from feeder.cli.output import out

EIGHTHS = " ▏▎▍▌▋▊▉"
SHADES = "·░▒▓█"


def bars(title: str, rows: Sequence[tuple[str, int, str]]) -> None:
    """A bar chart: each row's name, its count, and what is said behind its bar."""
    drawn = _grid(title)
    text = max((len(name) + len(beside) for name, _, beside in rows), default=0)
    width = max(8, min(40, out.width - text - 16))
    most = max((count for _, count, _ in rows), default=0)
    for name, count, beside in rows:
        drawn.add_row(
            Text(name), _number(count), _green(bar(count, most, width)), Text(beside, style="dim")
        )
    out.print(drawn)


def heat(title: str, heads: str, rows: Sequence[tuple[str, Sequence[int]]]) -> None:
    """A shade for each count of a row, under `heads`, and a bar for their sum."""
    drawn = _grid(title)
    drawn.add_row("", Text(heads, style="dim"))
    most = max((count for _, counts in rows for count in counts), default=0)
    sums = [sum(counts) for _, counts in rows]
    width = max(6, min(30, out.width - len(heads) - 28))
    for (name, counts), total in zip(rows, sums, strict=True):
        shades = "".join(shade(count, most) for count in counts)
        drawn.add_row(
            Text(name), _green(shades), _number(total), _green(bar(total, max(sums), width))
        )
    out.print(drawn)


def bar(count: int, most: int, width: int) -> str:
    """`count` as a bar, `most` being `width` characters long; never nothing for something."""
    eighths = max(round(8 * width * count / most), 1) if count else 0
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def shade(count: int, most: int) -> str:
    """`count` as one of five shades: the first for none, the last for `most`."""
    return SHADES[-(-count * (len(SHADES) - 1) // most) if most else 0]


def _grid(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False)


def _number(count: int) -> Text:
    return Text(str(count), justify="right")


def _green(text: str) -> Text:
    return Text(text, style="green")
