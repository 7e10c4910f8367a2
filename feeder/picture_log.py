"""The log's account of the pictures: which there are, which are favorites, which have gone.

Its connection is its own, so that a command can write while the daemon runs. SQL is here, in
`logbook` and in `log_reader` alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from feeder.clock import Clock, parse_utc, utc_text
from feeder.domain import ObservationType, SettledPath
from feeder.errors import NoSuchFrame
from feeder.log_file import explained, open_existing, transaction
from feeder.logbook import relative_name


@dataclass(frozen=True, slots=True)
class File:
    """A name under which a picture was met: path below the drop folder, size, mtime in ns."""

    name: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame's picture as the log knows it, with the verdict that counts now.

    `archive_path` is below the archive, None where it was never moved there; `files` are the
    names it had in its drop folder. `label` names what the verdict names.
    """

    media_id: int
    deployment: str
    captured_at: datetime
    received_at: datetime
    sha256: bytes | None
    size: int
    archive_path: bytes | None
    is_favorite: bool
    gone_since: datetime | None
    observation_type: ObservationType | None
    label: str | None
    is_corrected: bool
    files: tuple[File, ...] = ()

    @property
    def species(self) -> tuple[str, str] | None:
        """Camera and label of a sighting; None of any other frame."""
        if self.observation_type is not ObservationType.ANIMAL or self.label is None:
            return None
        return self.deployment, self.label


_COLUMNS = (
    "SELECT m.media_id, d.location_name, m.timestamp, m.received_at, m.sha256, m.file_size,"
    " m.archive_path, m.favorite, m.gone_since, o.observation_type, o.label,"
    " o.classification_method"
)
_TABLES = (
    " CROSS JOIN deployment AS d USING (deployment_id)"
    " LEFT JOIN current_observation AS o USING (media_id)"
)
Place = tuple[str, int]
"""A picture's place in the order of capture: `timestamp` and `media_id`."""


class PictureLog:
    """Reads and notes where pictures lie. Raises LogUnavailable or LogDamaged as the log does."""

    def __init__(self, path: Path, clock: Clock, *, writable: bool) -> None:
        self._path = path
        self._clock = clock
        self._writable = writable
        self._connect()

    @classmethod
    def open(cls, path: Path, clock: Clock | None = None, *, writable: bool = True) -> Self:
        """Opens the log that is at `path`. Raises LogbookError where none of this release is."""
        return cls(path, clock or Clock(), writable=writable)

    def reopen(self) -> None:
        """Goes on with the file that is at the path now; raises as `open`."""
        self._connection.close()
        self._connect()

    def _connect(self) -> None:
        self._connection = open_existing(self._path, writable=self._writable)

    def close(self) -> None:
        """Lets go of the log."""
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that no other writer comes between; LogUnavailable where it has to wait.

        A favorite that is set meanwhile is set before or after everything in it.
        """
        with transaction(self._connection, self._path):
            yield

    def find(self, source: SettledPath) -> Picture | None:
        """The picture that was logged from this file; None where its row is not durable yet."""
        rows = self._pictures(
            f"{_COLUMNS} FROM path AS p JOIN media AS m USING (media_id){_TABLES}"
            " WHERE p.file_path = ? AND p.file_size = ? AND p.mtime_ns = ? AND p.deployment_id ="
            " (SELECT deployment_id FROM deployment WHERE location_name = ?)",
            (relative_name(source), source.size, source.mtime_ns, source.deployment.name),
        )
        return rows[0] if rows else None

    def knows(self, deployment: str, sha256: bytes) -> bool:
        """Whether these bytes from this camera are in the log."""
        sql = (
            "SELECT 1 FROM media JOIN deployment USING (deployment_id)"
            " WHERE location_name = ? AND sha256 = ?"
        )
        return bool(self._read(sql, (deployment, sha256)))

    def get(self, media_ids: Sequence[int]) -> list[Picture]:
        """The pictures with these ids, in that order. Raises NoSuchFrame for an unknown one."""
        found = {}
        for media_id in media_ids:
            rows = self._pictures(
                f"{_COLUMNS} FROM media AS m{_TABLES} WHERE m.media_id = ?", (media_id,)
            )
            if not rows:
                raise NoSuchFrame(
                    f"There is no frame {media_id} in the log.",
                    "`feeder sightings` shows each frame's id in its first column.",
                )
            found[media_id] = rows[0]
        return list(found.values())

    def oldest(self, after: Place | None, limit: int) -> list[Picture]:
        """At most `limit` of the pictures that have not gone, from `after` on, oldest first."""
        return self._pictures(
            f"{_COLUMNS} FROM media AS m INDEXED BY media_kept{_TABLES}"
            " WHERE m.gone_since IS NULL AND (m.timestamp, m.media_id) > (?, ?)"
            " ORDER BY m.timestamp, m.media_id LIMIT ?",
            (*(after or ("", 0)), limit),
        )

    def newest(self, before: Place | None, limit: int) -> list[Picture]:
        """The same from `before` back, newest first."""
        return self._pictures(
            f"{_COLUMNS} FROM media AS m INDEXED BY media_kept{_TABLES}"
            " WHERE m.gone_since IS NULL AND (m.timestamp, m.media_id) < (?, ?)"
            " ORDER BY m.timestamp DESC, m.media_id DESC LIMIT ?",
            (*(before or ("~", 0)), limit),
        )

    def still_show(self, media_ids: Iterable[int], species: tuple[str, str]) -> int:
        """How many of these frames still have a picture and are still this camera's species."""
        listed = ", ".join(str(int(media_id)) for media_id in media_ids) or "NULL"
        ((count,),) = self._read(
            # CROSS: these few are looked up; the species is not sought among all frames.
            "SELECT count(*) FROM media AS m CROSS JOIN deployment AS d USING (deployment_id)"
            " CROSS JOIN current_observation AS o USING (media_id)"
            f" WHERE m.media_id IN ({listed}) AND m.gone_since IS NULL AND d.location_name = ?"
            " AND o.observation_type = 'animal' AND o.label = ?",
            species,
        )
        return int(count)

    def has_frames(self, since: datetime, until: datetime) -> bool:
        """Whether any frame was taken from `since` on and before `until`."""
        sql = "SELECT 1 FROM media WHERE timestamp >= ? AND timestamp < ? LIMIT 1"
        values = (utc_text(since), utc_text(until))
        return bool(self._read(sql, values))

    def note_archived(self, paths: Iterable[tuple[int, bytes]]) -> None:
        """Notes for media ids where in the archive their pictures are about to be."""
        self._connection.executemany(
            "UPDATE media SET archive_path = ?, gone_since = NULL WHERE media_id = ?",
            [(path, media_id) for media_id, path in paths],
        )

    def note_gone(self, media_ids: Iterable[int]) -> None:
        """Notes that these pictures are no more."""
        now = utc_text(self._clock.now())
        self._connection.executemany(
            "UPDATE media SET gone_since = ? WHERE media_id = ? AND gone_since IS NULL",
            [(now, media_id) for media_id in media_ids],
        )

    def set_favorite(self, media_ids: Iterable[int], favorite: bool) -> None:
        """Makes frames favorites, or no longer."""
        self._connection.executemany(
            "UPDATE media SET favorite = ? WHERE media_id = ?",
            [(int(favorite), media_id) for media_id in media_ids],
        )

    def _read(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with explained(self._path):
            return self._connection.execute(sql, values).fetchall()

    def _pictures(self, sql: str, values: tuple[Any, ...]) -> list[Picture]:
        rows = self._read(sql, values)
        files: dict[int, list[File]] = {row[0]: [] for row in rows}
        listed = ", ".join(str(media_id) for media_id in files) or "NULL"
        for media_id, *file in self._read(
            "SELECT media_id, file_path, file_size, mtime_ns FROM path"
            f" WHERE media_id IN ({listed})"
        ):
            files[media_id].append(File(*file))
        return [
            Picture(
                media_id,
                deployment,
                parse_utc(captured),
                parse_utc(received),
                sha256,
                size,
                archive_path,
                bool(favorite),
                parse_utc(gone) if gone else None,
                ObservationType(kind) if kind else None,
                label,
                method == "human",
                tuple(files[media_id]),
            )
            for media_id, deployment, captured, received, sha256, size, archive_path, favorite,
                gone, kind, label, method in rows
        ]  # fmt: skip
