"""The user's own list of the birds of a place: a text file with a name in each line.

# what comes to my garden
European Robin
Eurasian Siskin: 10-3        only in these months; October to March goes over the new year
Spinus spinus: Oct-Mar, 5    the same by another of its names, and in May
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from feeder.errors import ConfigError
from feeder.plain_text import plain
from feeder.seasons import MONTHS

ALL_YEAR = frozenset(range(1, 13))


@dataclass(frozen=True, slots=True)
class ListedSpecies:
    """A name as the file writes it, the line it stands in, and its months, 1 to 12."""

    name: str
    line: int
    months: frozenset[int] = ALL_YEAR


def read(path: Path) -> tuple[ListedSpecies, ...]:
    """The species listed in the file at `path`. Raises ConfigError naming the line that is wrong.

    What follows `#` in a line is a comment.
    """
    return tuple(_entries(path))


def _entries(path: Path) -> Iterator[ListedSpecies]:
    for number, line in enumerate(lines_of(path), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        name, colon, months = (part.strip() for part in entry.partition(":"))
        if not name or (colon and not months):
            raise _wrong(path, number, line)
        try:
            yield ListedSpecies(name, number, _months(months) if colon else ALL_YEAR)
        except ValueError as error:
            raise _wrong(path, number, line) from error


def lines_of(path: Path) -> list[str]:
    """The lines of a text file. Raises ConfigError where it is not there, or no UTF-8."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")  # reading a FIFO would wait for ever
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ConfigError(
            f"There is no file {path}.", "Correct its name in the settings, or take it out."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}.", "It must be a text file in UTF-8.") from error


def _wrong(path: Path, number: int, line: str) -> ConfigError:
    return ConfigError(
        f"{path}, line {number}: {plain(line.strip())[:80]!r} is no species with its months.",
        'Write a name, perhaps followed by months: "Eurasian Siskin: 10-3".',
    )


def _months(text: str) -> frozenset[int]:
    """`10-3, 5` as {10, 11, 12, 1, 2, 3, 5}; ValueError for anything else."""
    months: set[int] = set()
    for part in re.split(r"[,;]", text.replace("\N{EN DASH}", "-")):
        first, dash, last = part.partition("-")
        begin = _month(first)
        end = _month(last) if dash else begin
        months |= {(begin - 1 + step) % 12 + 1 for step in range((end - begin) % 12 + 1)}
    return frozenset(months)


def _month(text: str) -> int:
    """A month by its number, its English name or that name's first letters, three or more."""
    word = text.strip().rstrip(".").casefold()
    if word.isdecimal() and 1 <= int(word) <= 12:
        return int(word)
    if len(word) >= 3:
        for number, name in enumerate(MONTHS, start=1):
            if name.casefold().startswith(word):
                return number
    raise ValueError(f"{text!r} is no month")
