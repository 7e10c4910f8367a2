"""The log's account of corrections: what people said, what it is about, what may be corrected.

It reads alone, on connections of its own, while the daemon goes on. SQL is in log modules only.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from feeder.clock import parse_utc, utc_text
from feeder.domain import Kind, Label, ObservationType
from feeder.errors import NoSuchFrame
from feeder.lessons import NOTHING_THERE, Told
from feeder.log_file import explained, open_existing

MOST_TOLD = 20_000
"""What people said that is learnt from at once: 40 MB of vectors at a width of 512."""

_TAUGHT = ("animal", "human", "blank")
"""Of an `unknown` of a person's, nobody learns what it is."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the log says now that a frame shows; `label` is None where it has no name for it."""

    media_id: int
    deployment: str
    captured_at: datetime
    observation_type: ObservationType
    label: str | None
    by_person: bool

    @property
    def words(self) -> str:
        """What is shown to people: the name of what is there, else the type."""
        if self.observation_type in (ObservationType.ANIMAL, ObservationType.HUMAN):
            return self.label or self.observation_type.value
        return self.observation_type.value


@dataclass(frozen=True, slots=True)
class Choice:
    """Sightings that the log calls by one name: `species` in any of its names' spellings.

    Instants in UTC, `since` inclusive and `until` exclusive.
    """

    species: Sequence[str]
    since: datetime | None = None
    until: datetime | None = None
    deployment: str | None = None


_SHOWN = (
    "SELECT media_id, deployment, timestamp, observation_type, label,"
    " classification_method = 'human' FROM verdict"
)


@dataclass(frozen=True, slots=True)
class CorrectionLog:
    """Reads the log at `path`. Raises LogUnavailable or LogDamaged as the log does."""

    path: Path

    def told(self, model_digest: str) -> list[Told]:
        """What people say that frames show, with the frames' vectors of one model, by media id.

        MOST_TOLD at most, the newest frames.
        """
        # CROSS: people's few rows are gone through, and the frames' looked up.
        sql = (
            "SELECT o.media_id, location_name, timestamp, o.observation_type, o.label,"
            " o.scientific_name, o.ebird_code, o.kind, vector"
            " FROM observation AS o INDEXED BY observation_human"
            " LEFT JOIN judgement AS j USING (judgement_id)"
            " CROSS JOIN media AS m USING (media_id) CROSS JOIN deployment USING (deployment_id)"
            " CROSS JOIN embedding AS e ON e.media_id = o.media_id AND e.model_id ="
            " (SELECT model_id FROM model WHERE digest = ?)"
            " WHERE o.classification_method = 'human'"
            " AND coalesce(j.state, 'in force') = 'in force'"
            " ORDER BY o.media_id DESC, o.observation_id DESC LIMIT ?"
        )
        newest: dict[int, tuple[Any, ...]] = {}
        with self._connect() as connection:
            for row in connection.execute(sql, (model_digest, MOST_TOLD)):
                newest.setdefault(row[0], row)
        return [
            Told(row[0], row[1], parse_utc(row[2]), _label(row[4:8]), _vector(row[8]))
            for row in reversed(newest.values())
            if row[3] in _TAUGHT and (row[4] or row[3] == "blank")
        ]

    def names(self) -> list[Label]:
        """Every label that a person has ever given, by name."""
        sql = (
            "SELECT DISTINCT label, scientific_name, ebird_code, kind FROM observation"
            " WHERE classification_method = 'human' AND kind IS NOT NULL ORDER BY label"
        )
        with self._connect() as connection:
            return [_label(row) for row in connection.execute(sql)]

    def state(self, model_digest: str) -> tuple[int, ...]:
        """What is another after any correction or its being undone, and once a model that is new
        has seen a frame that people named."""
        sql = (
            "SELECT coalesce(max(judgement_id), 0), coalesce(sum(state = 'in force'), 0)"
            " FROM judgement WHERE what = 'correction'"
        )
        with self._connect() as connection:
            judged = connection.execute(sql).fetchone()
            (seen,) = connection.execute(
                "SELECT count(*) FROM observation AS o INDEXED BY observation_human"
                " CROSS JOIN embedding AS e ON e.media_id = o.media_id AND e.model_id ="
                " (SELECT model_id FROM model WHERE digest = ?)"
                " WHERE o.classification_method = 'human'",
                (model_digest,),
            ).fetchone()
            return (*map(int, judged), int(seen))

    def frames(self, media_ids: Sequence[int]) -> list[Shown]:
        """These frames, in that order, each once. Raises LogbookError for an unknown one."""
        found = []
        with self._connect() as connection:
            for media_id in dict.fromkeys(media_ids):
                row = connection.execute(f"{_SHOWN} WHERE media_id = ?", (media_id,)).fetchone()
                if row is None:
                    raise NoSuchFrame(
                        f"There is no frame {media_id} in the log.",
                        "`feeder sightings` shows each frame's id in its first column.",
                    )
                found.append(_shown(row))
        return found

    def about(self, judgement_ids: Sequence[int], most: int) -> dict[int, list[int]]:
        """The first frames of each of these judgements, at most so many of each."""
        sql = (
            "SELECT judgement_id, media_id FROM (SELECT judgement_id, media_id, row_number() OVER"
            " (PARTITION BY judgement_id ORDER BY media_id) AS place FROM observation"
            " WHERE judgement_id IN (SELECT value FROM json_each(?))) WHERE place <= ?"
            " ORDER BY judgement_id, place"
        )
        found: dict[int, list[int]] = {number: [] for number in judgement_ids}
        with self._connect() as connection:
            for number, media_id in connection.execute(sql, (json.dumps([*found]), most)):
                found[number].append(media_id)
        return found

    def every(self, choice: Choice) -> list[Shown]:
        """The sightings of that species, the oldest first."""
        listed = ", ".join("lower(?)" for _ in choice.species)
        sql = (
            f"{_SHOWN} WHERE observation_type = 'animal' AND (lower(label) IN ({listed})"
            f" OR lower(scientific_name) IN ({listed}) OR lower(ebird_code) IN ({listed}))"
        )
        values = [*choice.species] * 3
        for condition, value in (
            ("timestamp >= ?", utc_text(choice.since) if choice.since else None),
            ("timestamp < ?", utc_text(choice.until) if choice.until else None),
            ("deployment = ?", choice.deployment),
        ):
            if value is not None:
                sql += f" AND {condition}"
                values.append(value)
        with self._connect() as connection:
            rows = connection.execute(f"{sql} ORDER BY timestamp, media_id", values)
            return [_shown(row) for row in rows]

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with explained(self.path), closing(open_existing(self.path)) as connection:
            yield connection


def _shown(row: tuple[Any, ...]) -> Shown:
    media_id, deployment, timestamp, kind, label, by_person = row
    return Shown(
        media_id, deployment, parse_utc(timestamp), ObservationType(kind), label, bool(by_person)
    )


def _label(columns: Sequence[Any]) -> Label:
    name, scientific_name, code, kind = columns
    if name is None:
        return NOTHING_THERE
    return Label(name, Kind(kind or "bird"), scientific_name or "", code or "")


def _vector(data: bytes) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(data, "<f2").astype(np.float32)
