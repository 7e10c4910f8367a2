"""Whether the log has changed: a glance that costs next to nothing, for who follows it."""

import os
import sqlite3
from pathlib import Path
from typing import Self

from feeder import schema
from feeder.errors import LogbookError
from feeder.log_file import explained, open_existing


class LogWatch:
    """Looks at the log at `path`, which need not be there yet. For one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version: int | None = None
        self._was_replaced = False

    def changed(self) -> bool:
        """Whether another program has committed since the last call, or put another log there.

        The first call says True where there is a log. Raises LogbookError where what is there is
        none of this release, LogUnavailable or LogDamaged where it cannot be read.
        """
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            self.close()
            return False
        file = (there.st_dev, there.st_ino)
        self._was_replaced = self._file is not None and file != self._file
        if self._connection is None or file != self._file:
            self.close()
            self._file = file
            self._connection = self._opened()
            if self._connection is None:
                return False
        with explained(self.path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        has_changed, self._version = int(version) != self._version, int(version)
        return has_changed

    @property
    def is_there(self) -> bool:
        """Whether the last look met a log."""
        return self._connection is not None

    @property
    def was_replaced(self) -> bool:
        """Whether the last look met another file than the one before."""
        return self._was_replaced

    def close(self) -> None:
        """Lets go of the log; the next look is a first one."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._version = None, None

    def _opened(self) -> sqlite3.Connection | None:
        """None while the log is being made."""
        try:
            return open_existing(self.path)
        except LogbookError:
            if self._is_empty():
                return None
            raise

    def _is_empty(self) -> bool:
        """Whether there is nothing in the file yet, as for a moment at the first start."""
        try:
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True)
            try:
                return schema.check(connection, self.path) == 0
            finally:
                connection.close()
        except (sqlite3.Error, LogbookError):
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
