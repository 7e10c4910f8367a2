"""Pictures of the log in what a command says: where they lie, on a sheet, in the terminal."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from feeder import contact_sheet
from feeder.cli.half_blocks import half_blocks
from feeder.cli.output import note
from feeder.clock import Clock
from feeder.contact_sheet import Section
from feeder.errors import FeederError
from feeder.thumbnails import reduced, thumbnail

COLUMNS = 28
"""Characters across a picture in the terminal; each holds two pixels, one above the other."""


def shown_path(path: Path | None, file_name: str) -> str:
    """A path as short as it can be written here; what the file was called where it is gone."""
    if path is None:
        return f"gone: {file_name}"
    shorter = os.path.relpath(path)
    return os.fspath(path) if shorter.startswith("..") else shorter


def check_sheet(sheet: Path | None) -> None:
    """Raises FeederError before long work where the sheet's folder is not there."""
    if sheet is not None and not sheet.absolute().parent.is_dir():
        raise FeederError(f"There is no folder {sheet.parent} for the sheet.", "Make it first.")


def write_sheet(
    sheet: Path, title: str, sections: Sequence[Section], notes: Sequence[str] = ()
) -> None:
    """Writes the contact sheet and says so."""
    try:
        page = contact_sheet.render(title, sections, Clock().now(), notes)
        sheet.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise FeederError(
            f"The sheet cannot be written: {error}.", "Choose another file by --sheet."
        ) from error
    note(f"sheet: {sheet}")


def small(path: Path | None) -> str:
    """A thumbnail for a sheet, "" where the picture is gone."""
    return thumbnail(path) if path else ""


def drawn(paths: Mapping[int, Path | None]) -> dict[int, Text]:
    """Small pictures for a terminal with colours, by media id; empty where there is none."""
    found = {}
    for media_id, path in paths.items():
        image = None if path is None else reduced(path, COLUMNS)
        found[media_id] = Text() if image is None else half_blocks(image, COLUMNS, COLUMNS)
    return found
