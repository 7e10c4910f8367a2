"""What a damaged log still yields: the rows since the backup that has taken its place."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from feeder import schema
from feeder.log_file import explained, open_for_writing

_BY_ROWID = (
    "deployment", "model", "vocabulary", "clock_epoch", "media", "judgement", "observation",
    "embedding", "tag",
)  # fmt: skip
"""Tables whose rows are only ever added, so that what is missing has the highest numbers; those
that others refer to first."""

_UNJUDGED = (
    "SELECT media_id FROM media WHERE media_id > ?"
    " AND media_id NOT IN (SELECT media_id FROM observation)"
)


def salvage(damaged: Path, log: Path) -> int:
    """Adds to `log` the rows that it lacks and `damaged` still gives; the number of frames.

    The newest rows come from the end of each table, the older ones from its beginning, up to the
    place where it cannot be read. Rows that break a rule of the schema are left behind, and frames
    whose verdict is lost. Raises as `open_for_writing`.
    """
    with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as old:
        try:
            if schema.check(old, damaged) != schema.latest():
                return 0
        except sqlite3.DatabaseError:
            return 0
        with closing(open_for_writing(log)) as new, explained(log):
            before = _count(new)
            new.execute("BEGIN IMMEDIATE")
            (last_frame,) = new.execute("SELECT coalesce(max(media_id), 0) FROM media").fetchone()
            for table in _BY_ROWID:
                (last,) = new.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()
                _add(new, table, _rows(old, f"SELECT * FROM {table} WHERE rowid > {last}", "rowid"))
            # The only row that changes later: a judgement that was then put in force, or undone.
            _apply(
                new,
                "UPDATE judgement SET frames = ?, state = ? WHERE judgement_id = ?",
                _rows(old, "SELECT frames, state, judgement_id FROM judgement", "judgement_id"),
            )
            known = "SELECT * FROM known_species"
            _add(new, "known_species", _rows(old, known, "deployment_id, label"))
            newer_paths = f"SELECT * FROM path WHERE media_id > {last_frame}"
            _add(new, "path", _rows(old, newer_paths, "deployment_id, file_path"))
            # A frame whose verdict is lost would never be judged again: its file is read anew.
            for table in ("path", "embedding", "tag", "media"):
                new.execute(f"DELETE FROM {table} WHERE media_id IN ({_UNJUDGED})", (last_frame,))
            new.execute("COMMIT")
            return _count(new) - before


def _rows(old: sqlite3.Connection, sql: str, key: str) -> Iterator[tuple[Any, ...]]:
    """Rows from both ends, each once or twice, as far as they can be read."""
    backwards = ", ".join(f"{part} DESC" for part in key.split(", "))
    for order in (key, backwards):
        try:
            yield from old.execute(f"{sql} ORDER BY {order}")
            return
        except sqlite3.DatabaseError:
            continue  # this is where the damage is


def _add(new: sqlite3.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    columns = len(new.execute(f"SELECT * FROM {table} LIMIT 0").description)
    places = ", ".join("?" * columns)
    _apply(new, f"INSERT INTO {table} VALUES ({places}) ON CONFLICT DO NOTHING", rows)


def _apply(new: sqlite3.Connection, sql: str, rows: Iterator[tuple[Any, ...]]) -> None:
    for row in rows:
        try:
            new.execute(sql, row)
        except (sqlite3.IntegrityError, sqlite3.DataError):
            continue  # noise that happened to look like a row, or one whose frame is lost


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM media").fetchone()[0])
