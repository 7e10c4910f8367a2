"""The log as searching and sorting by likeness ask it; read only, with SQL of its own."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from feeder.clock import parse_utc, utc_text
from feeder.domain import UNIDENTIFIED_BIRD, ObservationType
from feeder.log_file import OpenLog, explained
from feeder.log_reader import Query

FEW = 200_000
"""Frames up to which a condition is resolved before searching; more are checked hit by hit."""

AT_ONCE = 500
"""Frames asked for in one statement."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame with the verdict that counts.

    `said` is what the verdict names, None where it declines; `likely` are the labels that a model
    held for likely, the best first.
    """

    media_id: int
    at: datetime
    is_time_trusted: bool
    deployment: str
    file_name: str
    observation_type: ObservationType
    said: str | None
    probability: float | None
    is_by_person: bool
    likely: tuple[str, ...] = ()


class SearchLog(OpenLog):
    """Reads the log. Raises LogUnavailable or LogDamaged as the log does."""

    def few(self, query: Query) -> Ids | None:
        """Ids of all frames that may meet the query, where its time, camera or species leaves few.

        None where they are many: then `seen` has to check each.
        """
        conditions: list[tuple[str, tuple[str, ...]]] = []
        since, until = (utc_text(at) if at else None for at in (query.since, query.until))
        # Each alone, so that an index answers it without looking at a frame.
        if since or until:
            sql = "SELECT media_id FROM media WHERE timestamp >= ? AND timestamp < ?"
            conditions.append((sql, (since or "", until or "~")))
        if query.deployment is not None:
            sql = (
                "SELECT media_id FROM media WHERE deployment_id ="
                " (SELECT deployment_id FROM deployment WHERE location_name = ?)"
            )
            conditions.append((sql, (query.deployment,)))
        if query.labels is not None:
            # Whatever counts now: a label that somebody once gave, which an index knows.
            sql = (
                "SELECT DISTINCT media_id FROM observation WHERE observation_type = 'animal'"
                f" AND label IN ({_places(query.labels)})"
            )
            conditions.append((sql, tuple(query.labels)))
        found: Ids | None = None
        for sql, values in conditions:
            ids = self._ids(f"{sql} LIMIT {FEW + 1}", values)
            if len(ids) <= FEW:
                found = ids if found is None else np.intersect1d(found, ids, assume_unique=True)
        return found

    def seen(self, media_ids: Sequence[int], query: Query | None = None) -> dict[int, Seen]:
        """These frames by id, without those that do not meet the query."""
        query = query or Query()
        conditions, values = [], []
        for sql, value in (
            ("timestamp >= ?", utc_text(query.since) if query.since else None),
            ("timestamp < ?", utc_text(query.until) if query.until else None),
            ("deployment = ?", query.deployment),
        ):
            if value is not None:
                conditions.append(f" AND {sql}")
                values.append(value)
        if query.labels is not None:
            conditions.append(
                f" AND observation_type = 'animal' AND label IN ({_places(query.labels)})"
            )
            values += query.labels
        found = {}
        for start in range(0, len(media_ids), AT_ONCE):
            listed = ", ".join(str(int(one)) for one in media_ids[start : start + AT_ONCE])
            rows = self._read(
                "SELECT media_id, timestamp, timestamp_trusted, deployment, file_name,"
                " observation_type, label, classification_probability, classification_method,"
                " runners_up FROM verdict"
                f" WHERE media_id IN ({listed}){''.join(conditions)}",
                tuple(values),
            )
            found.update({row[0]: _seen(row) for row in rows})
        return found

    def unnamed(self) -> Ids:
        """Ids of the frames that a machine calls `unknown` or some bird, in their order."""
        return self._ids(
            "SELECT media_id FROM current_observation WHERE classification_method = 'machine'"
            " AND (observation_type = 'unknown'"
            " OR (observation_type = 'animal' AND scientific_name = ?)) ORDER BY media_id",
            (UNIDENTIFIED_BIRD.scientific_name,),
        )

    def any_bird(self) -> set[str]:
        """The names, in whatever vocabulary, that say bird and no more."""
        rows = self._read(
            "SELECT json_extract(value, '$.name') FROM vocabulary, json_each(labels)"
            " WHERE json_extract(value, '$.scientific_name') = ?",
            (UNIDENTIFIED_BIRD.scientific_name,),
        )
        return {UNIDENTIFIED_BIRD.name, *(row[0] for row in rows)}

    def with_embedding(self) -> int:
        """How many frames have an embedding, of whichever model."""
        # Off the table's own index, which is in the order of the frames.
        return int(self._read("SELECT count(DISTINCT media_id) FROM embedding")[0][0])

    def _ids(self, sql: str, values: tuple[str, ...]) -> Ids:
        with explained(self.path):
            cursor = self._connection.execute(sql, values)
            return np.fromiter((row[0] for row in cursor), np.int64)


def _seen(row: tuple[Any, ...]) -> Seen:
    media_id, timestamp, trusted, camera, file_name, kind, label, share, method, others = row
    observation_type = ObservationType(kind)
    declines = observation_type in (ObservationType.UNKNOWN, ObservationType.BLANK)
    runners_up = tuple(other["label"] for other in json.loads(others))
    return Seen(
        media_id,
        parse_utc(timestamp),
        bool(trusted),
        camera,
        file_name,
        observation_type,
        None if declines else label,
        share,
        method == "human",
        (label, *runners_up) if label and method == "machine" else (),
    )


def _places(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
