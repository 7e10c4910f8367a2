"""Verified copies of the log, and the way back to one.

data/backups/feeder-20261121T030000Z.db     a copy, checked by SQLite after it was written
data/feeder.db.set-aside-20261122T101500Z     what was set aside, with its -wal and -shm
"""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from feeder import schema
from feeder.errors import LogbookError, LogDamaged
from feeder.log_file import BUSY_SECONDS, disk_explained, explained
from feeder.moves import sync_folder

PAGES = 2000
"""Pages copied between two reports of progress."""

SPARE = 32_000_000
"""Bytes that a copy must leave free for the log itself."""

_SIDES = ("", "-wal", "-shm")
_STAMP = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"-(\d{8}T\d{6}Z)\.db")


@dataclass(frozen=True, slots=True)
class Backup:
    """One verified copy and when it was made, in UTC."""

    path: Path
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """The copy that is the log now, None for an empty one, and what the log was, None for none."""

    copy: Path | None
    aside: Path | None

    @property
    def since(self) -> datetime | None:
        """When the copy was made, in UTC; None where that is not known."""
        return _made_at(self.copy) if self.copy else None


@dataclass(frozen=True, slots=True)
class Backups:
    """The copies of the log at `database` in `folder`, of which the newest `keep` stay."""

    database: Path
    folder: Path
    keep: int

    def listed(self) -> list[Backup]:
        """Every copy there is, the newest first."""
        found = []
        for path in self.folder.glob(f"{self.database.stem}-*.db"):
            made_at = _made_at(path)
            if made_at:
                found.append(Backup(path, made_at))
        return sorted(found, key=lambda backup: backup.path.name, reverse=True)

    def make(self, now: datetime, progress: Callable[[int, int], None] | None = None) -> Backup:
        """Copies the log as it is at one instant, while the daemon writes on, and checks the copy.

        `progress` is told pages done and pages in all. Raises LogDamaged where the copy, and so
        the log, is not sound; LogbookError where there is no log or no room.
        """
        if not self.database.exists():
            raise LogbookError(
                f"There is no log at {self.database} yet.", "`feeder run` starts one."
            )
        target = self.folder / f"{self.database.stem}-{now.astimezone(UTC).strftime(_STAMP)}.db"
        beside = target.with_name(f".{target.name}.new")
        with explained(self.database), disk_explained(self.database):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._make_room()
            try:
                _copy(self.database, beside, progress)
                _check(beside, self.database)
                _publish(beside, target)
            finally:
                for side in _SIDES:
                    beside.with_name(beside.name + side).unlink(missing_ok=True)
        for old in self.listed()[self.keep :]:
            old.path.unlink(missing_ok=True)
        return Backup(target, now)

    def is_current(self) -> bool:
        """Whether nothing was written to the log since the newest copy was begun."""
        newest = next(iter(self.listed()), None)
        if newest is None:
            return False
        sides = [self.database.with_name(self.database.name + side) for side in ("", "-wal")]
        changed = max((side.stat().st_mtime for side in sides if side.exists()), default=0.0)
        return changed < newest.made_at.timestamp()

    def restore(self, now: datetime, backup: Path | None = None) -> Restored:
        """Sets the log aside and puts a copy in its place: `backup`, or the newest sound one.

        Nothing is deleted; without a copy the next start makes an empty log. The caller holds the
        log's lock.
        """
        candidates = [backup] if backup else [one.path for one in self.listed()]
        with explained(self.database), disk_explained(self.database):
            chosen = next((path for path in candidates if not _unsound(path)), None)
            if backup is not None and chosen is None:
                raise LogDamaged(
                    f"{backup} is no sound copy: {_unsound(backup)}.", "Choose another."
                )
            beside = self.database.with_name(f".{self.database.name}.restored")
            if chosen is not None:
                shutil.copyfile(chosen, beside)
                _sync(beside)
            aside = set_aside(self.database, now)
            if chosen is not None:
                os.replace(beside, self.database)
            sync_folder(self.database.parent)
        return Restored(chosen, aside)

    def _make_room(self) -> None:
        """Lets the oldest copies go, but never the last, where the new one would not fit."""
        wanted = self.database.stat().st_size + SPARE
        copies = self.listed()
        while shutil.disk_usage(self.folder).free < wanted:
            if len(copies) < 2:
                raise LogbookError(
                    f"A copy of the log needs {wanted / 1e6:.0f} MB free at {self.folder}.",
                    "Make room, or set `folder` under [backup] to another disk.",
                )
            copies.pop().path.unlink(missing_ok=True)


def set_aside(database: Path, now: datetime) -> Path | None:
    """Renames the log with its -wal and -shm, which belong to it; gives its new name."""
    if not database.exists():
        return None
    stamp = now.astimezone(UTC).strftime(_STAMP)
    base = database.with_name(f"{database.name}.set-aside-{stamp}")
    number = 1
    while base.exists():
        number += 1
        base = base.with_name(f"{database.name}.set-aside-{stamp}-{number}")
    # The main file last: as long as it is there, an interrupted start finds the damage again.
    for side in reversed(_SIDES):
        old = database.with_name(database.name + side)
        if old.exists():
            os.replace(old, base.with_name(base.name + side))
    return base


def _made_at(copy: Path) -> datetime | None:
    stamp = _NAME.search(copy.name)
    return datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC) if stamp else None


def _copy(source: Path, target: Path, progress: Callable[[int, int], None] | None) -> None:
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as reading,
        closing(sqlite3.connect(target, isolation_level=None)) as writing,
    ):
        # One instant throughout: without this, each commit of the daemon starts the copy afresh.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        # Its readers need no -wal beside it then.
        writing.execute("PRAGMA synchronous = OFF")
        reading.backup(
            writing,
            pages=PAGES,
            progress=lambda _, remaining, total: (
                progress(total - remaining, total) if progress else None
            ),
        )
        writing.execute("PRAGMA journal_mode = DELETE")


def _check(copy: Path, source: Path) -> None:
    reason = _unsound(copy)
    if reason:
        raise LogDamaged(
            f"The log {source} is damaged: {reason}.",
            "A running daemon puts the newest backup in its place; else `feeder restore` does.",
        )


def _unsound(copy: Path) -> str:
    """What is wrong with a copy, "" where nothing is."""
    try:
        with closing(
            sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            if schema.check(connection, copy) == 0:
                return "it holds no log"
            full = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)")]
            return "" if full == ["ok"] else full[0]
    except sqlite3.DatabaseError as error:
        return str(error)


def _publish(beside: Path, target: Path) -> None:
    _sync(beside)
    os.replace(beside, target)
    sync_folder(target.parent)


def _sync(file: Path) -> None:
    """Makes a file's content survive a power cut."""
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())
