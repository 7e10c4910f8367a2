"""The log's sightings as visits are made of them: in time order, one at a time.

SQL is here as in `log_reader`, on connections that cannot write.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from feeder import schema
from feeder.clock import parse_utc, utc_text
from feeder.domain import UNIDENTIFIED_ANIMAL, Kind, Label, Sighting
from feeder.errors import LogbookError
from feeder.log_reader import LogReader

_SIGHTINGS = (
    "SELECT m.media_id, d.location_name, m.timestamp, m.timestamp_trusted, m.favorite, o.label,"
    " o.scientific_name, o.ebird_code, o.kind, o.classification_method,"
    " o.classification_probability, o.runners_up"
    # CROSS: in the order of the index on media, not of the observations.
    " FROM media AS m CROSS JOIN current_observation AS o USING (media_id)"
    " CROSS JOIN deployment AS d USING (deployment_id)"
    " WHERE o.observation_type = 'animal'"
)

NEWS = 2000
"""Frames looked at by one call of `added`."""


class SightingLog(LogReader):
    """Reads sightings. Raises LogbookError where there is no log of this release."""

    def in_order(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        deployment: str | None = None,
        newest: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[Sighting]:
        """Sightings by time and media id, from `since` on and before `until`; one camera's or all.

        `newest` is the last media id that counts. They are read as they are asked for, so that
        memory does not grow with the log.
        """
        sql = _SIGHTINGS
        values: list[str | int] = []
        for condition, value in (
            (" AND m.timestamp >= ?", utc_text(since) if since else None),
            (" AND m.timestamp < ?", utc_text(until) if until else None),
            (" AND d.location_name = ?", deployment),
            (" AND m.media_id <= ?", newest),
        ):
            if value is not None:
                sql += condition
                values.append(value)
        end = " DESC" if newest_first else ""
        sql += f" ORDER BY m.timestamp{end}, m.media_id{end}"
        with self._connect() as connection:
            self._prepare(connection)
            yield from map(_sighting, connection.execute(sql, values))

    def last_of(self, label: str, before: datetime, deployment: str | None) -> datetime | None:
        """About when a label was last seen before an instant: its newest frame then, in UTC."""
        sql = (
            "SELECT m.timestamp FROM observation AS o INDEXED BY observation_label"
            " CROSS JOIN media AS m USING (media_id)"
            " CROSS JOIN deployment AS d USING (deployment_id)"
            " WHERE o.observation_type = 'animal' AND o.label = ? AND m.timestamp < ?"
            " AND m.timestamp_trusted AND d.location_name = coalesce(?, d.location_name)"
            " AND o.observation_id ="
            " (SELECT observation_id FROM current_observation AS c WHERE c.media_id = o.media_id)"
            " ORDER BY o.media_id DESC LIMIT 1"
        )
        with self._connect() as connection:
            self._prepare(connection)
            row = connection.execute(sql, (label, utc_text(before), deployment)).fetchone()
        return parse_utc(row[0]) if row else None

    def newest_frame(self) -> int:
        """The media id that the log gave last; 0 where it has none."""
        with self._connect() as connection:
            return _newest_frame(connection)

    def added(self, after: int) -> tuple[int, list[Sighting]]:
        """The sightings among the next frames after media id `after`, and the last frame's id."""
        with self._connect() as connection:
            self._prepare(connection)
            last = min(_newest_frame(connection), after + NEWS)
            sql = f"{_SIGHTINGS} AND m.media_id > ? AND m.media_id <= ? ORDER BY m.media_id"
            return last, [_sighting(row) for row in connection.execute(sql, (after, last))]

    def zones(self) -> dict[str, ZoneInfo | None]:
        """The cameras that the log knows, with the time zone each was last configured with."""
        sql = "SELECT location_name AS name, timezone FROM deployment ORDER BY deployment_id"
        with self._connect() as connection:
            return {row["name"]: _zone(row["timezone"]) for row in connection.execute(sql)}

    def labels(self) -> list[Label]:
        """What models could name or people named, in whichever vocabularies there have been."""
        people = (
            "SELECT DISTINCT label, scientific_name, ebird_code, kind"
            " FROM observation INDEXED BY observation_human"
            " WHERE classification_method = 'human' AND label IS NOT NULL"
        )
        with self._connect() as connection:
            self._prepare(connection)
            vocabularies = connection.execute("SELECT labels FROM vocabulary").fetchall()
            found = [_label(*row) for row in connection.execute(people)]
        for (listed,) in vocabularies:
            found += [
                _label(entry["name"], entry["scientific_name"], None, entry["kind"])
                for entry in json.loads(listed)
                if "kind" in entry  # not a side vocabulary's values
            ]
        return list(dict.fromkeys(found))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.row_factory = None
        if schema.check(connection, self.path) < schema.latest():
            raise LogbookError(
                f"The log {self.path} is of an earlier release.", "`feeder run` upgrades it."
            )


def _newest_frame(connection: sqlite3.Connection) -> int:
    connection.row_factory = None
    (newest,) = connection.execute("SELECT coalesce(max(media_id), 0) FROM media").fetchone()
    return int(newest)


def _sighting(row: Sequence[Any]) -> Sighting:
    (media_id, deployment, at, trusted, favorite, name, scientific_name, code, kind, method,
     probability, runners_up) = row  # fmt: skip
    by_person = method == "human"
    return Sighting(
        media_id,
        deployment,
        parse_utc(at),
        _label(name, scientific_name, code, kind),
        None if by_person else probability or 0.0,
        () if by_person else tuple(
            (other["label"], other["probability"]) for other in json.loads(runners_up)
        ),
        bool(trusted),
        bool(favorite),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _label(
    name: str | None, scientific_name: str | None, code: str | None, kind: str | None
) -> Label:
    # A person may say that it is an animal and no more; at a feeder that is a bird.
    return Label(
        name or UNIDENTIFIED_ANIMAL, Kind(kind or "bird"), scientific_name or "", code or ""
    )


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None  # this computer knows fewer zones than the one that wrote it
