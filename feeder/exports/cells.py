"""Cells of CSV files: text that a spreadsheet takes for text, and nothing for a command.

Names of species, cameras and places are whatever people or files call them. A spreadsheet computes
a cell that begins with `=`, `+`, `-` or `@`; so text that does gets an apostrophe before it, as
spreadsheets mark text themselves. Numbers are written as numbers and left alone. Source: OWASP's
"CSV Injection".
"""

import csv
from collections.abc import Sequence
from typing import Any, TextIO

from feeder.plain_text import plain

Cell = str | int | float | bool | None

_COMPUTED = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are their full-width forms, which some spreadsheets read alike."""


def text(value: str) -> str:
    """Text in one line, without control characters, that no spreadsheet computes."""
    one_line = plain(" ".join(value.split()))
    return f"'{one_line}" if one_line.startswith(_COMPUTED) else one_line


def unquoted(value: str) -> str:
    """The same without quotation marks, for readers that know none within a cell."""
    return text(value.replace('"', "'"))


def bare(value: str) -> str:
    """The same without commas, too, for readers that know no quoting."""
    return unquoted(value.replace(",", ";"))


def cell(value: Cell) -> str:
    """A cell as it is written: None is empty, truth is `true` or `false`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(value) if isinstance(value, str) else str(value)


class Sheet:
    """Rows of CSV (UTF-8, comma, one line each) on an open text file; `columns` head it."""

    def __init__(self, file: TextIO, columns: Sequence[str]) -> None:
        self._writer: Any = csv.writer(file, lineterminator="\n")
        self._columns = tuple(columns)
        self._writer.writerow(columns)
        self.rows = 0

    def write(self, row: dict[str, Cell]) -> None:
        """One row by column; columns left out are empty, unknown ones a KeyError."""
        unknown = row.keys() - set(self._columns)
        if unknown:
            raise KeyError(f"no such columns: {sorted(unknown)}")
        self._writer.writerow([cell(row.get(column)) for column in self._columns])
        self.rows += 1
