"""Reads the log, without ever writing to it, while the daemon goes on."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from feeder import clock_ledger, schema
from feeder.clock import parse_utc, utc_text
from feeder.domain import ClockEpoch, ObservationType
from feeder.errors import LogbookError, NoSuchFrame
from feeder.log_file import BUSY_SECONDS, RESTORE, is_damage, problems

_TAGS = (
    "(SELECT json_group_array(json_object('attribute', attribute, 'value', value,"
    " 'probability', probability)) FROM tag WHERE tag.media_id = frame.media_id)"
)


@dataclass(frozen=True, slots=True)
class Query:
    """Which sightings to read: instants in UTC, `since` inclusive and `until` exclusive.

    `labels` are names as the log has them; `every_frame` reads all frames, whatever they show, and
    with `types` those that were observed to be of these. `favorites` reads only those, `among` only
    frames with these ids. `tag` is an attribute and its value. `before` is a place in the order
    in which they are read, timestamp and media id: only what comes after it is. `newest` is the
    last media id that counts.
    """

    since: datetime | None = None
    until: datetime | None = None
    labels: frozenset[str] | None = None
    deployment: str | None = None
    limit: int | None = None
    every_frame: bool = False
    types: frozenset[ObservationType] | None = None
    favorites: bool = False
    among: frozenset[int] | None = None
    tag: tuple[str, str] | None = None
    before: tuple[datetime, int] | None = None
    newest: int | None = None


@dataclass(frozen=True, slots=True)
class LogReader:
    """Reads the log without ever writing to it, while the daemon goes on."""

    path: Path

    def fingerprints(self, media_ids: Sequence[int]) -> tuple[str, ...]:
        """What tells frames of one camera apart wherever their numbers go, in their order.

        After a restored backup the log gives the numbers of the last frames again, to others. It is
        the end of a picture's SHA-256, or when it was logged where the file was not read.
        Frames that the log has not are left out.
        """
        sql = (
            "SELECT coalesce(substr(hex(sha256), -16), received_at) FROM json_each(?) AS id"
            " CROSS JOIN media AS m ON m.media_id = id.value ORDER BY id.key"
        )
        with self._connect() as connection:
            connection.row_factory = None
            found = connection.execute(sql, (json.dumps(list(media_ids)),))
            return tuple(str(one) for (one,) in found)

    def sightings(self, query: Query) -> Iterator[dict[str, Any]]:
        """Rows of the view `sighting`, or `verdict`, newest first; times are UTC datetimes.

        `timestamp_trusted` is False where the clock that gave it may have been wrong;
        `timestamp_recorded` is the time as first written where it was corrected, else None.

        `tags` are dicts of attribute, value and probability. Raises LogbookError where there is no
        log yet.
        """
        conditions: list[str] = []
        values: list[Any] = []
        for sql, value in (
            ("timestamp >= ?", utc_text(query.since) if query.since else None),
            ("timestamp < ?", utc_text(query.until) if query.until else None),
            # With a plus these lead to no index, which would put all that fits in order first.
            ("+deployment = ?", query.deployment),
            ("+media_id <= ?", query.newest),
        ):
            if value is not None:
                conditions.append(sql)
                values.append(value)
        if query.before is not None:
            at, media_id = query.before
            conditions.append("(timestamp, media_id) < (?, ?)")
            values += [utc_text(at), media_id]
        if query.labels is not None:
            conditions.append(f"label IN ({', '.join('?' * len(query.labels))})")
            values += sorted(query.labels)
        if query.types is not None:
            conditions.append(f"observation_type IN ({', '.join('?' * len(query.types))})")
            values += sorted(query.types)
        if query.among is not None:
            conditions.append("media_id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(sorted(query.among)))
        if query.favorites:
            conditions.append("media_id IN (SELECT media_id FROM media WHERE favorite = 1)")
        if query.tag is not None:
            conditions.append(
                "media_id IN (SELECT media_id FROM tag WHERE attribute = ? AND value = ?)"
            )
            values += query.tag
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        view = "verdict" if query.every_frame else "sighting"
        values.append(-1 if query.limit is None else query.limit)
        with self._connect() as connection:
            tags = _TAGS if self._has_tags(connection) else "'[]'"
            if query.tag is not None and tags is not _TAGS:
                return
            sql = (
                f"SELECT *, {tags} AS tags FROM {view} AS frame{where}"
                " ORDER BY timestamp DESC, media_id DESC LIMIT ?"
            )
            yield from map(_verdict, connection.execute(sql, values))

    def frame(self, media_id: int) -> dict[str, Any]:
        """The frame's row of the view `verdict`, as `sightings` gives it.

        Raises NoSuchFrame, and LogbookError as `sightings` does.
        """
        with self._connect() as connection:
            tags = _TAGS if self._has_tags(connection) else "'[]'"
            sql = f"SELECT *, {tags} AS tags FROM verdict AS frame WHERE media_id = ?"
            row = connection.execute(sql, (media_id,)).fetchone()
        if row is None:
            raise NoSuchFrame(
                f"There is no frame {media_id} in the log.",
                "`feeder sightings --all` shows each frame's id in its first column.",
            )
        return _verdict(row)

    def observations(self, media_id: int) -> list[dict[str, Any]]:
        """Everything that was ever said of a frame, the newest first; times are UTC datetimes.

        `state` is that of its judgement, `in force` where it is of none.
        """
        sql = (
            "SELECT observation_id, observation_type, label, scientific_name, ebird_code, kind,"
            " classification_method, classified_by, classification_timestamp,"
            " classification_probability, bird_probability, margin, cosine, reason, runners_up,"
            " bbox_x, bbox_y, bbox_width, bbox_height, judgement_id,"
            " coalesce(state, 'in force') AS state, model.digest AS model_digest,"
            " vocabulary.digest AS vocabulary_digest"
            " FROM observation AS o LEFT JOIN judgement USING (judgement_id)"
            " LEFT JOIN model ON model.model_id = o.model_id"
            " LEFT JOIN vocabulary ON vocabulary.vocabulary_id = o.vocabulary_id"
            " WHERE media_id = ? ORDER BY observation_id DESC"
        )
        with self._connect() as connection:
            return [
                {
                    **row,
                    "classification_timestamp": parse_utc(row["classification_timestamp"]),
                    "runners_up": json.loads(row["runners_up"]),
                }
                for row in connection.execute(sql, (media_id,))
            ]

    def deployments(self) -> list[dict[str, Any]]:
        """The cameras that the log knows, each with its place, and its first and newest frame.

        `deployment_start` is when its first frame was logged, `latest_timestamp` when its newest
        one was taken; UTC datetimes.
        """
        sql = (
            "SELECT location_name AS deployment, latitude, longitude, timezone, deployment_start,"
            # Back from the newest frame of all, which is short for every camera that is in use.
            " (SELECT timestamp FROM media AS m INDEXED BY media_timestamp WHERE m.deployment_id ="
            " d.deployment_id ORDER BY timestamp DESC LIMIT 1) AS latest_timestamp"
            " FROM deployment AS d ORDER BY deployment_id"
        )
        times = ("deployment_start", "latest_timestamp")
        with self._connect() as connection:
            return [
                {**row, **{name: parse_utc(row[name]) if row[name] else None for name in times}}
                for row in connection.execute(sql)
            ]

    def has_tags(self) -> bool:
        """Whether any frame bears a tag."""
        with self._connect() as connection:
            return self._has_tags(connection) and bool(
                connection.execute("SELECT 1 FROM tag LIMIT 1").fetchone()
            )

    def count(self) -> dict[str, int]:
        """Frames in the log by their current observation type."""
        sql = "SELECT observation_type AS type, count(*) AS n FROM current_observation GROUP BY 1"
        with self._connect() as connection:
            return {row["type"]: row["n"] for row in connection.execute(sql)}

    def embeddings(self, model_digest: str) -> tuple[list[int], np.ndarray[Any, Any]]:
        """Media ids and their float32 [n, d] unit vectors under one model."""
        sql = (
            "SELECT media_id, vector FROM embedding JOIN model USING (model_id)"
            " WHERE digest = ? ORDER BY media_id"
        )
        with self._connect() as connection:
            rows = connection.execute(sql, (model_digest,)).fetchall()
        vectors = [np.frombuffer(row["vector"], "<f2").astype(np.float32) for row in rows]
        return [row["media_id"] for row in rows], np.array(vectors)

    def epochs(self) -> list[ClockEpoch]:
        """What is known of this computer's clock, the oldest epoch first."""
        with self._connect() as connection:
            connection.row_factory = None
            return clock_ledger.epochs(connection)

    def problems(self) -> list[str]:
        """What SQLite's own quick check finds wrong; empty where nothing is."""
        with self._connect() as connection:
            connection.row_factory = None
            return problems(connection)

    @staticmethod
    def _has_tags(connection: sqlite3.Connection) -> bool:
        """False for a log that no daemon of this release has opened yet."""
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tag'").fetchone()
        return found is not None

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection that cannot write; what SQLite finds wrong becomes a LogbookError."""
        missing = LogbookError(
            f"There is no log at {self.path} yet.",
            "`feeder run` starts one; `--config` chooses another.",
        )
        if not self.path.exists():
            raise missing
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
                if schema.check(connection, self.path) == 0:
                    raise missing
                connection.row_factory = _as_dict
                yield connection
        except sqlite3.Error as error:
            hint = RESTORE if is_damage(error) else "`feeder doctor` looks at it."
            raise LogbookError(f"The log {self.path} cannot be read: {error}.", hint) from error


def _verdict(row: dict[str, Any]) -> dict[str, Any]:
    first = row.get("timestamp_recorded")
    return {
        **row,
        "timestamp": parse_utc(row["timestamp"]),
        # A log that no daemon of this release has opened yet lacks these two.
        "timestamp_trusted": bool(row.get("timestamp_trusted", True)),
        "timestamp_recorded": parse_utc(first) if first else None,
        "runners_up": json.loads(row["runners_up"]),
        "tags": sorted(json.loads(row["tags"]), key=itemgetter("attribute")),
    }


def _as_dict(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}
