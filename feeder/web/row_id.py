"""Numbers of rows in addresses."""

from typing import Annotated

from fastapi import Path

LAST = 2**63 - 1
"""SQLite's largest."""

RowId = Annotated[int, Path(ge=1, le=LAST)]
"""The part of a page's address that names a row of the log."""
