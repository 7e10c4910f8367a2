"""Visits counted ahead by day: a file in the cache, which can be computed again at any time.

It is a database of its own beside the log; its SQL is here and in no other module.
"""

import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from feeder.clock import parse_utc, utc_text
from feeder.domain import Kind, Label
from feeder.log_changes import Mark
from feeder.log_file import BUSY_SECONDS, disk_explained, explained
from feeder.visit_counts import HOURS, DayCount

_FORM = 1
"""Of the tables; a file of another form is made anew."""

_SCHEMA = """
CREATE TABLE day_count (
    day TEXT NOT NULL, camera TEXT NOT NULL, label TEXT NOT NULL,
    visits INTEGER NOT NULL, undated INTEGER NOT NULL, frames INTEGER NOT NULL,
    hours BLOB NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,
    best INTEGER NOT NULL, confidence REAL NOT NULL, favorite INTEGER NOT NULL,
    PRIMARY KEY (label, day, camera)
) STRICT, WITHOUT ROWID;
CREATE INDEX day_count_day ON day_count (day, label, visits);
CREATE TABLE label (
    name TEXT PRIMARY KEY, scientific_name TEXT NOT NULL, ebird_code TEXT NOT NULL,
    kind TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE due (day TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE known (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

_HOURS = struct.Struct(f"<{HOURS}H")
_MOST = 2**16 - 1


@dataclass(frozen=True, slots=True)
class Total:
    """What a label's days add up to within a period. `best` is the best frame of its last day."""

    label: Label
    visits: int
    undated: int
    frames: int
    days: int
    first: datetime
    last: datetime
    best: int


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame that shows a label well."""

    media_id: int
    day: date
    camera: str
    confidence: float
    is_favorite: bool


@dataclass(frozen=True, slots=True)
class Span:
    """When the first and the last visit of a label's day at a camera began, UTC."""

    camera: str
    first: datetime
    last: datetime


class Tally:
    """The counts in the file at `path`, for any thread. Raises LogUnavailable as the log does.

    A file that is damaged or of another release is made anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Makes the file, or makes it anew; of several processes that want it one does."""
        with disk_explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(f"{self.path.name}.lock")):
                self._prepare()

    def _prepare(self) -> None:
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as connection:
                (form,) = connection.execute("PRAGMA user_version").fetchone()
                if form == _FORM:
                    return
                if form == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(
                        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_FORM}; COMMIT;"
                    )
                    return
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                with explained(self.path):
                    raise
        self._discard()
        self._prepare()

    def _discard(self) -> None:
        for ending in ("", "-wal", "-shm"):
            with disk_explained(self.path):
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def mark(self, key: str) -> Mark | None:
        """How far the log was counted under this key; None where it was not."""
        with self._connect() as connection:
            known = dict(connection.execute("SELECT name, value FROM known"))
        if known.get("key") != key or "mark" not in known:
            return None
        try:
            return Mark.of(json.loads(known["mark"]))
        except (KeyError, TypeError, ValueError):  # another release wrote it
            return None

    def note(self, key: str, mark: Mark, due: Iterable[date], *, afresh: bool) -> None:
        """Notes how far the log was looked at, and which days are to be counted for that.

        With `afresh` whatever was counted is forgotten.
        """
        with self._writing() as connection:
            if afresh:
                for table in ("day_count", "label", "due"):
                    connection.execute(f"DELETE FROM {table}")
            connection.executemany(
                "INSERT OR IGNORE INTO due VALUES (?)", ((day.isoformat(),) for day in due)
            )
            connection.executemany(
                "INSERT OR REPLACE INTO known VALUES (?, ?)",
                (("key", key), ("mark", json.dumps(mark.record()))),
            )

    def due(self, most: int) -> list[date]:
        """The newest days that are to be counted, at most so many."""
        with self._connect() as connection:
            rows = connection.execute("SELECT day FROM due ORDER BY day DESC LIMIT ?", (most,))
            return [date.fromisoformat(day) for (day,) in rows]

    def replace(self, days: Sequence[date], counts: Iterable[DayCount]) -> None:
        """Puts these counts in the place of all there are of these days, which are due no more."""
        chosen = [(day.isoformat(),) for day in days]
        with self._writing() as connection:
            connection.executemany("DELETE FROM day_count WHERE day = ?", chosen)
            connection.executemany("DELETE FROM due WHERE day = ?", chosen)
            for one in counts:
                label = one.label
                connection.execute(
                    "INSERT OR REPLACE INTO label VALUES (?, ?, ?, ?)",
                    (label.name, label.scientific_name, label.ebird_code, label.kind),
                )
                connection.execute(
                    "INSERT INTO day_count VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(one)
                )

    def days_due(self) -> int:
        """How many days are to be counted yet."""
        with self._connect() as connection:
            (days,) = connection.execute("SELECT count(*) FROM due").fetchone()
            return int(days)

    def totals(self, since: date | None = None, label: str | None = None) -> list[Total]:
        """Every label since a day, the most frequent first; or that of one label alone."""
        sql = (
            "SELECT d.label, l.scientific_name, l.ebird_code, l.kind, sum(visits), sum(undated),"
            " sum(frames), count(DISTINCT CASE WHEN visits THEN day END), min(first),"
            " max(last || ' ' || best)"
            " FROM day_count AS d JOIN label AS l ON l.name = d.label WHERE d.day >= ?"
        )
        values = [since.isoformat() if since else ""]
        if label is not None:
            sql += " AND d.label = ?"
            values.append(label)
        with self._connect() as connection:
            rows = connection.execute(f"{sql} GROUP BY d.label", values).fetchall()
        found = [_total(row) for row in rows]
        return sorted(found, key=lambda one: (-one.visits, -one.undated, one.label.name))

    def labels(self) -> list[str]:
        """The names of all labels that came."""
        sql = (
            "SELECT name FROM label WHERE EXISTS"
            " (SELECT 1 FROM day_count WHERE label = name) ORDER BY name"
        )
        with self._connect() as connection:
            return [name for (name,) in connection.execute(sql)]

    def days(self, label: str | None = None, since: date | None = None) -> dict[date, int]:
        """Visits on each day that had any, the oldest first: of one label or of all."""
        sql = "SELECT day, sum(visits) FROM day_count WHERE day >= ? AND visits > 0"
        values = [since.isoformat() if since else ""]
        if label is not None:
            sql += " AND label = ?"
            values.append(label)
        with self._connect() as connection:
            rows = connection.execute(f"{sql} GROUP BY day ORDER BY day", values)
            return {date.fromisoformat(day): count for day, count in rows}

    def days_by_label(self, since: date) -> Iterator[tuple[str, date, int]]:
        """Label, day and visits since a day, in no order."""
        sql = (
            "SELECT label, day, sum(visits) FROM day_count WHERE day >= ? AND visits > 0"
            " GROUP BY day, label"
        )
        with self._connect() as connection:
            for label, day, count in connection.execute(sql, (since.isoformat(),)):
                yield label, date.fromisoformat(day), count

    def hours(self, label: str, since: date | None = None) -> list[int]:
        """A label's visits in each of a day's 24 hours."""
        sql = "SELECT hours FROM day_count WHERE label = ? AND day >= ?"
        found = [0] * HOURS
        with self._connect() as connection:
            for (packed,) in connection.execute(sql, (label, since.isoformat() if since else "")):
                found = [sum(pair) for pair in zip(found, _HOURS.unpack(packed), strict=True)]
        return found

    def shots(self, label: str, most: int) -> list[Shot]:
        """The frames that show a label best, one of each day: favorites, then by confidence."""
        sql = (
            "SELECT best, day, camera, confidence, favorite FROM day_count WHERE label = ?"
            " ORDER BY favorite DESC, confidence DESC, last DESC LIMIT ?"
        )
        with self._connect() as connection:
            return [
                Shot(best, date.fromisoformat(day), camera, confidence, bool(favorite))
                for best, day, camera, confidence, favorite in connection.execute(
                    sql, (label, most)
                )
            ]

    def spans(self, label: str, most: int) -> list[Span]:
        """The newest days at any camera on which a label came, at most so many."""
        sql = (
            "SELECT camera, first, last FROM day_count WHERE label = ?"
            " ORDER BY day DESC, camera LIMIT ?"
        )
        with self._connect() as connection:
            return [
                Span(camera, parse_utc(first), parse_utc(last))
                for camera, first, last in connection.execute(sql, (label, most))
            ]

    def last_before(self, day: date, labels: Sequence[str]) -> dict[str, date] | None:
        """The last day before `day` on which each label came; those that never did are left out.

        None while days before it are to be counted yet, and where the log begins with it: all
        would be new.
        """
        listed = json.dumps(list(labels))
        with self._connect() as connection:
            limit = day.isoformat()
            is_due, has_any = (
                connection.execute(
                    f"SELECT 1 FROM {table} WHERE day < ? LIMIT 1", (limit,)
                ).fetchone()
                for table in ("due", "day_count")
            )
            if is_due or not has_any:
                return None
            rows = connection.execute(
                "SELECT label, max(day) FROM day_count WHERE day < ? AND visits > 0"
                " AND label IN (SELECT value FROM json_each(?)) GROUP BY label",
                (limit, listed),
            )
            return {label: date.fromisoformat(last) for label, last in rows}

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        with (
            explained(self.path),
            closing(
                sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            ) as connection,
        ):
            # What a power cut takes is counted again.
            connection.execute("PRAGMA synchronous = NORMAL")
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")


def _row(one: DayCount) -> tuple[Any, ...]:
    assert one.first is not None and one.last is not None
    return (
        one.day.isoformat(), one.camera, one.label.name, one.visits, one.undated, one.frames,
        _HOURS.pack(*(min(hour, _MOST) for hour in one.hours)), utc_text(one.first),
        utc_text(one.last), one.best, one.confidence, int(one.is_favorite),
    )  # fmt: skip


def _total(row: Sequence[Any]) -> Total:
    name, scientific_name, code, kind, visits, undated, frames, days, first, last_and_best = row
    last, best = last_and_best.split()
    label = Label(name, Kind(kind), scientific_name, code)
    return Total(label, visits, undated, frames, days, parse_utc(first), parse_utc(last), int(best))
