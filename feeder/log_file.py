"""The log's file: opened, checked, set aside, put in its place. What is in it, `logbook` knows."""

import errno
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from feeder import schema
from feeder.errors import LogbookError, LogDamaged, LogUnavailable
from feeder.mounts import file_system, is_network

BUSY_SECONDS = 2.0
"""How long one attempt waits for a lock: the daemon tries again by itself, and must be able to
stop within ten seconds, a picture being decoded included."""

CHECK_SECONDS = 5.0
"""How long the check at a start may take: a log of millions of rows on an SD card would hold it up
for minutes. What it does not reach, the daily backup's check does."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

NO_ROOM = "waiting for room on the disk"
"""What the daemon says of itself while the disk is full."""

_PASSING = {
    sqlite3.SQLITE_FULL: NO_ROOM,
    sqlite3.SQLITE_BUSY: "waiting for another program to let go of the log",
    sqlite3.SQLITE_LOCKED: "waiting for another program to let go of the log",
    sqlite3.SQLITE_PROTOCOL: "waiting for another program to let go of the log",
    sqlite3.SQLITE_NOMEM: "waiting for memory to write the log",
    sqlite3.SQLITE_IOERR: "waiting for a disk that can be read and written",
    sqlite3.SQLITE_CANTOPEN: "waiting for the log to be openable",
    sqlite3.SQLITE_READONLY: "waiting for the log to be writable",
    sqlite3.SQLITE_PERM: "waiting for the log to be writable",
}
"""What may pass by itself, in words; any other error is a mistake in the program, and loud."""

_DOCTOR = "`feeder doctor` looks at the file, its folder and the disk."
RESTORE = "`feeder restore` puts the newest backup in its place; the daemon does so by itself."

_STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the clock."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The log at `path`, made or migrated if need be; rows written by it survive a power cut.

    Raises LogDamaged where its content is no sound log, LogUnavailable where it may be later
    (a full disk, a lock), and LogbookError where it never will: on a network file system, or
    written by a newer release.
    """
    kind = file_system(path)
    if is_network(kind):
        raise LogbookError(
            f"The log {path} lies on a network file system ({kind}), which does not lock and write "
            "as SQLite needs it.",
            "Set `file` under [logbook] to a local disk; `feeder backup` can copy it to the share.",
        )
    with explained(path), disk_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # NORMAL loses acknowledged rows in a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            found = problems(connection, within=CHECK_SECONDS)
            if found:
                raise LogDamaged(f"The log {path} is damaged: {found[0]}.", RESTORE)
            schema.migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_existing(
    path: Path, *, writable: bool = False, patience: float = BUSY_SECONDS
) -> sqlite3.Connection:
    """The log at `path`, for reading while the daemon goes on, or for writing beside it.

    A transaction waits at most `patience` seconds for another's. Raises LogbookError where no log
    of this release is there, LogUnavailable or LogDamaged where it cannot be read.
    """
    if not path.exists():
        raise LogbookError(
            f"There is no log at {path} yet.", "`feeder run` starts one; `--config` names another."
        )
    uri = f"{path.absolute().as_uri()}?mode={'rw' if writable else 'ro'}"
    with explained(path):
        connection = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            if schema.check(connection, path) < schema.latest():
                raise LogbookError(
                    f"The log {path} is of an earlier release.", "`feeder run` upgrades it."
                )
        except BaseException:
            connection.close()
            raise
    return connection


class OpenLog:
    """A log that stays open beside the daemon, in a `with`; who inherits has the SQL.

    Raises as `open_existing` does, then LogUnavailable or LogDamaged as the log does.
    """

    def __init__(
        self, path: Path, *, writable: bool = False, patience: float = BUSY_SECONDS
    ) -> None:
        self.path = path
        self._connection = open_existing(path, writable=writable, patience=patience)

    def close(self) -> None:
        """Lets go of the log."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with explained(self.path):
            return self._connection.execute(sql, values).fetchall()


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """One transaction on the log at `path` that no other writer comes between; all of it or none.

    Raises LogUnavailable where it has to wait too long, or LogDamaged.
    """
    with explained(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors, a full disk among them.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def problems(connection: sqlite3.Connection, *, within: float | None = None) -> list[str]:
    """What SQLite finds wrong, all of it or within so many seconds; empty where nothing is."""
    deadline = None if within is None else time.monotonic() + within
    if deadline is not None:
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return []
    finally:
        connection.set_progress_handler(None, 0)
    return [] if said == ["ok"] else said


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file's content is wrong."""
    return _code(error) in _DAMAGE


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what SQLite says of the log at `path` into LogDamaged or LogUnavailable."""
    try:
        yield
    except sqlite3.Error as error:
        code = _code(error)
        if code in _DAMAGE:
            raise LogDamaged(f"The log {path} is damaged: {error}.", RESTORE) from error
        if code in _PASSING:
            raise LogUnavailable(
                f"{_PASSING[code]} ({path}: {error})", _DOCTOR, full=code == sqlite3.SQLITE_FULL
            ) from error
        raise


@contextmanager
def disk_explained(path: Path) -> Iterator[None]:
    """The same for what the system says of the log's files."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = _PASSING[sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR]
        raise LogUnavailable(f"{said} ({path}: {error.strerror})", _DOCTOR, full=full) from error


def _code(error: sqlite3.Error) -> int:
    """SQLite's plain error code, which is the lowest byte of its extended ones."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
