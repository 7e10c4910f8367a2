"""Exports that go on in further files, where a reader takes no larger ones."""

import os
from collections.abc import Iterator
from pathlib import Path

from feeder.exports.whole import ExportError


def names(path: Path) -> Iterator[Path]:
    """`visits.csv`, then `visits-2.csv` and so on."""
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


def earlier(path: Path, *, force: bool) -> list[Path]:
    """The further files of an earlier export to `path`. Raises ExportError without `force`."""
    found: list[Path] = []
    for part in names(path):
        if part != path and not os.path.lexists(part):
            break
        found.append(part)
    parts = found[1:]
    if parts and not force:
        raise ExportError(f"{parts[0]} is there already.", "--force replaces it.")
    return parts


def remove_stale(parts: list[Path], written: list[Path]) -> None:
    """Removes what an earlier, longer export went on in."""
    for part in set(parts) - set(written):
        part.unlink()
