"""The log, written frame by frame. `log_reader` reads it, `verdict_log` the verdicts of many frames
at once, `embedding_store` their embeddings; `judgement_log` judges frames again, `observation_log`
has the SQL that both write verdicts with, `picture_log` says where pictures lie,
`clock_ledger` has the clock's part; no other file but the schema and `salvage` holds any."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from feeder import clock_ledger
from feeder.clock import Clock, utc_text
from feeder.domain import (
    ClockEpoch,
    Deployment,
    FoundPath,
    Frame,
    Label,
    Prediction,
    SettledPath,
    unclassified,
)
from feeder.errors import LogbookError, LogUnavailable
from feeder.log_file import explained, open_for_writing, transaction
from feeder.observation_log import ObservationLog
from feeder.plain_text import plain

_REFUSED = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What SQLite says of a row it will not take, whatever the state of the disk."""


LOOK_UP = 100
"""Paths looked up by one statement."""

_HAS_PATHS = (
    "WITH asked (i, name, path, size, mtime) AS (VALUES "
    + ", ".join(f"({i}, ?, ?, ?, ?)" for i in range(LOOK_UP))
    + ") SELECT i FROM asked WHERE EXISTS (SELECT 1 FROM deployment JOIN path USING (deployment_id)"
    " WHERE location_name = name AND file_path = path AND file_size = size AND mtime_ns = mtime)"
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A frame waiting to be committed; `prediction` is None where its bytes are in the log."""

    frame: Frame
    prediction: Prediction | None
    received_at: datetime


class Logbook:
    """The one writer. Rows are gathered and committed together: fewer writes wear the card less.

    What is not yet committed is remembered here alone, and its files are still in the folder, so
    a power cut costs reading those again and nothing else.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self._connection = connection
        self._path = path
        self._identity = _identity(path)
        self._clock = clock
        self._pending: list[_Row] = []
        self._pending_paths: set[tuple[Any, ...]] = set()
        self._pending_digests: set[tuple[str, str]] = set()
        self._pending_epochs: dict[int, ClockEpoch] = {}
        self._oldest = 0.0
        self._ids: dict[str, int] = {}
        self._observations = ObservationLog(connection)
        self._is_open = True
        self.on_commit: Callable[[Sequence[SettledPath]], None] | None = None
        """Told after each commit which files' rows are durable now."""

    @classmethod
    def open(cls, path: Path, clock: Clock | None = None) -> Self:
        """Opens the log at `path`, made or migrated if need be; raises as `open_for_writing`."""
        return cls(open_for_writing(path), path, clock or Clock())

    def let_go(self) -> None:
        """Closes the file and keeps what is pending, until `reopen`."""
        self._is_open = False
        self._connection.close()

    def reopen(self) -> None:
        """Goes on with the file that is at the path now; raises as `open_for_writing`."""
        self._connection = open_for_writing(self._path)
        self._forget_ids()
        self._identity = _identity(self._path)
        self._is_open = True

    def append(self, frame: Frame, prediction: Prediction) -> None:
        """Takes a frame and its verdict for the next commit."""
        self._take(_Row(_without_pixels(frame), prediction, self._clock.now()))

    def append_path(self, frame: Frame) -> None:
        """Takes note that a path holds bytes the log already has, for the next commit."""
        self._take(_Row(_without_pixels(frame), None, self._clock.now()))

    def append_epoch(self, epoch: ClockEpoch) -> None:
        """Takes what is known of the clock, for the next commit."""
        self._pending_epochs[epoch.number] = epoch

    def epochs(self) -> list[ClockEpoch]:
        """What is known of the clock, the oldest epoch first."""
        with explained(self._path):
            return clock_ledger.epochs(self._connection)

    def has_path(self, source: SettledPath) -> bool:
        """Whether this path, at this size and mtime, is done."""
        key = _path_key(source)
        if key in self._pending_paths:
            return True
        return self._exists(
            "SELECT 1 FROM path JOIN deployment USING (deployment_id) WHERE location_name = ?"
            " AND file_path = ? AND file_size = ? AND mtime_ns = ?",
            key,
        )

    def has_paths(self, found: Sequence[FoundPath]) -> list[bool]:
        """`has_path` of many paths, in their order, at about a fifth of the time for each."""
        keys = [_path_key(at) for at in found]
        done = [key in self._pending_paths for key in keys]
        for start in range(0, len(keys), LOOK_UP):
            chunk = keys[start : start + LOOK_UP]
            # Filled up, so that SQLite prepares one statement and not one for each length.
            values = chunk + [("", b"", 0, 0)] * (LOOK_UP - len(chunk))
            flat = [value for key in values for value in key]
            for (index,) in self._read(_HAS_PATHS, flat):
                done[start + index] = True
        return done

    def has_frame(self, frame: Frame) -> bool:
        """Whether these bytes from this camera are in the log."""
        if not frame.sha256:
            return False
        key = (frame.source.deployment.name, frame.sha256)
        return key in self._pending_digests or self._exists(
            "SELECT 1 FROM media JOIN deployment USING (deployment_id)"
            " WHERE location_name = ? AND sha256 = ?",
            (key[0], bytes.fromhex(key[1])),
        )

    @property
    def pending(self) -> int:
        """Rows not yet committed."""
        return len(self._pending)

    @property
    def has_news(self) -> bool:
        """Whether something is known of the clock that a later frame's time may depend on."""
        return bool(self._pending_epochs)

    @property
    def pending_seconds(self) -> float:
        """How long the oldest of them has waited."""
        return self._clock.monotonic() - self._oldest if self._pending else 0.0

    def commit(self) -> None:
        """Writes what is pending in one transaction, durably.

        Raises LogUnavailable where the disk is full or the database stays locked, LogDamaged, and
        LogbookError where the file was taken away; everything is still pending then.
        """
        if not self._pending and not self._pending_epochs:
            return
        if not self._is_open:
            raise LogUnavailable(f"waiting for a sound log at {self._path}")
        if _identity(self._path) != self._identity:
            raise LogbookError(
                f"The log {self._path} was moved or deleted while it was written to.",
                "Start again; frames that are still in their folder are read again.",
            )
        try:
            with transaction(self._connection, self._path):
                clock_ledger.write(self._connection, self._pending_epochs.values())
                for row in self._pending:
                    self._write_or_explain(row)
                clock_ledger.correct(self._connection)
        except BaseException:
            self._forget_ids()
            raise
        durable = [row.frame.source for row in self._pending]
        self._pending.clear()
        self._pending_paths.clear()
        self._pending_digests.clear()
        self._pending_epochs.clear()
        self._observations.forget_unused()
        if self.on_commit is not None:
            self.on_commit(durable)

    def register_vocabulary(self, digest: str, labels: Sequence[Label]) -> None:
        """Says what a vocabulary digest stands for; kept with the first row that bears it."""
        self._observations.register_vocabulary(digest, labels)

    def register_attribute(self, digest: str, attribute: str, values: Sequence[str]) -> None:
        """Says what an attribute's side vocabulary stands for, likewise."""
        self._observations.register_attribute(digest, attribute, values)

    def register_model(self, digest: str, name: str) -> None:
        """Says which bundle a model digest stands for, likewise."""
        self._observations.register_model(digest, name)

    def forget_deployments(self) -> None:
        """Lets a deployment's changed place or zone be written with its next frame."""
        self._ids.clear()

    def close(self) -> None:
        """Commits and closes; raises as `commit` does, closed all the same."""
        try:
            self.commit()
        finally:
            self._connection.close()

    def _forget_ids(self) -> None:
        """Ids may be of rows that were rolled back, or of another file."""
        self._ids.clear()
        self._observations.forget_ids(self._connection)

    def _take(self, row: _Row) -> None:
        if not self._pending:
            self._oldest = self._clock.monotonic()
        self._pending.append(row)
        self._pending_paths.add(_path_key(row.frame.source))
        self._pending_digests.add((row.frame.source.deployment.name, row.frame.sha256))

    def _exists(self, sql: str, values: tuple[Any, ...]) -> bool:
        return bool(self._read(sql, values))

    def _read(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows; raises LogUnavailable or LogDamaged where the log cannot be read."""
        with explained(self._path):
            return self._connection.execute(sql, values).fetchall()

    def _write_or_explain(self, row: _Row) -> None:
        """Writes a row; one that the database refuses is kept as unclassified, with the reason.

        Otherwise a single frame could hold up every later one.
        """
        self._connection.execute("SAVEPOINT row")
        try:
            self._write(row)
        except (*_REFUSED, ValueError, OverflowError) as error:
            self._connection.execute("ROLLBACK TO row")
            self._forget_ids()
            reason = plain(f"it could not be logged: {error}")
            self._write(replace(row, prediction=unclassified(reason)))
        self._connection.execute("RELEASE row")

    def _write(self, row: _Row) -> None:
        deployment_id = self._deployment(row.frame.source.deployment, row.received_at)
        media_id, is_new = self._media(deployment_id, row)
        _, name, size, mtime_ns = _path_key(row.frame.source)
        self._connection.execute(
            "INSERT INTO path VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (deployment_id, name, size, mtime_ns, media_id),
        )
        if row.prediction is not None and is_new:
            self._observations.add(media_id, row.prediction, row.received_at)
        elif not is_new:  # the picture is back
            self._connection.execute(
                "UPDATE media SET gone_since = NULL WHERE media_id = ? AND gone_since NOT NULL",
                (media_id,),
            )

    def _deployment(self, deployment: Deployment, since: datetime) -> int:
        key = f"deployment {deployment.name}"
        if key not in self._ids:
            zone = deployment.zone.key if deployment.zone else None
            self._ids[key] = self._one(
                "INSERT INTO deployment"
                " (location_name, latitude, longitude, timezone, deployment_start)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (location_name) DO UPDATE SET"
                " latitude = excluded.latitude, longitude = excluded.longitude,"
                " timezone = excluded.timezone RETURNING deployment_id",
                (
                    deployment.name,
                    deployment.latitude,
                    deployment.longitude,
                    zone,
                    utc_text(since),
                ),
            )
        return self._ids[key]

    def _media(self, deployment_id: int, row: _Row) -> tuple[int, bool]:
        """The frame's row and whether it is new."""
        frame = row.frame
        sha256 = bytes.fromhex(frame.sha256) if frame.sha256 else None
        found = self._connection.execute(
            "SELECT media_id FROM media WHERE deployment_id = ? AND sha256 = ?",
            (deployment_id, sha256),
        ).fetchone()
        if found:
            return int(found[0]), False
        _, name, size, _ = _path_key(frame.source)
        values = (
            deployment_id,
            sha256,
            utc_text(frame.captured_at),
            frame.time_source.value,
            name,
            printable(name),
            frame.media_type,
            size,
            frame.width,
            frame.height,
            utc_text(row.received_at),
            frame.trusted,
            frame.epoch,
        )
        return self._one(
            "INSERT INTO media (deployment_id, sha256, timestamp, timestamp_source, file_path,"
            " file_name, file_mediatype, file_size, width, height, received_at,"
            " timestamp_trusted, clock_epoch_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING media_id",
            values,
        ), True

    def _one(self, sql: str, values: tuple[Any, ...]) -> int:
        return int(self._connection.execute(sql, values).fetchone()[0])


def _identity(path: Path) -> tuple[int, int] | None:
    """Tells the file that was opened from another in its place; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def printable(name: bytes) -> str:
    """A file name for people and terminals: bytes that are no text, and controls, escaped."""
    return plain(name.decode("utf-8", "backslashreplace"))


def relative_name(source: SettledPath | FoundPath) -> bytes:
    """The file's path below its deployment's folder, as the system names it.

    Relative, so that moving the folder does not make every frame in it new.
    """
    return os.fsencode(os.fspath(source.path)[_start_below(source.deployment.folder) :])


@lru_cache(maxsize=64)
def _start_below(folder: Path) -> int:
    return len(os.path.join(folder, ""))


def _path_key(source: SettledPath | FoundPath) -> tuple[str, bytes, int, int]:
    return source.deployment.name, relative_name(source), source.size, source.mtime_ns


def _without_pixels(frame: Frame) -> Frame:
    """A waiting row must not hold on to megabytes."""
    return replace(frame, image=None)
