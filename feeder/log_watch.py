"""Whether the log has changed: a glance that costs next to nothing, for who follows it."""

import os
import sqlite3
from pathlib import Path
from typing import Self

from feeder.errors import LogbookError
from feeder.log_file import explained, open_existing


class LogWatch:
    """Looks at the log at `path`, which need not be there yet. For one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Whether another program has committed since the last call, or put another log there.

        The first call says True where there is a log. Raises LogUnavailable or LogDamaged where it
        cannot be read.
        """
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            self.close()
            return False
        file = (there.st_dev, there.st_ino)
        if self._connection is None or (self._seen or ())[:2] != file:
            self.close()
            try:
                self._connection = open_existing(self.path)
            except LogbookError:
                if self.path.stat().st_size == 0:  # being made at this moment
                    return False
                raise
        with explained(self.path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        seen = (*file, int(version))
        has_changed, self._seen = seen != self._seen, seen
        return has_changed

    def close(self) -> None:
        """Lets go of the log; the next look is a first one."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._seen = None, None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
