"""The log's account of what was judged again: by a machine on new labels, and by people.

A judgement gathers observations that come into force, and are undone, together. Its connection is
its own, and each of its transactions short, so that it can write while the daemon runs.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from feeder.clock import Clock, parse_utc, utc_text
from feeder.domain import Label, ObservationType, Prediction, Vectors
from feeder.observation_log import PATIENCE_SECONDS, WritableLog


class What(StrEnum):
    """What a judgement is."""

    RELABEL = "relabel"
    MODEL = "model"
    CORRECTION = "correction"


class State(StrEnum):
    """Whether a judgement's observations count."""

    PREPARING = "preparing"
    IN_FORCE = "in force"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One row of the table: `frames` were looked at, and `changed` of them have an observation."""

    judgement_id: int
    what: What
    state: State
    made_by: str
    made_at: datetime
    description: str
    settings: Mapping[str, Any]
    frames: int | None
    changed: int


class JudgementLog(WritableLog):
    """Writes judgements. Raises LogUnavailable or LogDamaged as the log does."""

    def __init__(self, path: Path, clock: Clock, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(path, patience)
        self._clock = clock

    @classmethod
    def open(
        cls, path: Path, clock: Clock | None = None, *, patience: float = PATIENCE_SECONDS
    ) -> Self:
        """Opens the log that is at `path`. Raises LogbookError where none of this release is.

        A transaction waits at most `patience` seconds for another's, then LogUnavailable is raised.
        """
        return cls(path, clock or Clock(), patience)

    def begin(
        self,
        what: What,
        description: str,
        *,
        made_by: str,
        settings: Mapping[str, Any] | None = None,
        model_digest: str = "",
        vocabulary_digest: str = "",
    ) -> int:
        """A new judgement's id; what it observes counts once it is put in force."""
        with self._writing():
            row = self._connection.execute(
                "INSERT INTO judgement (what, made_by, made_at, description, settings, model_id,"
                " vocabulary_id) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING judgement_id",
                (
                    what.value,
                    made_by,
                    utc_text(self._clock.now()),
                    description,
                    json.dumps(dict(settings or {})),
                    self.observations.model_id(model_digest),
                    self.observations.vocabulary_id(vocabulary_digest),
                ),
            ).fetchone()
        return int(row[0])

    def observe(self, judgement_id: int, rows: Sequence[tuple[int, Prediction]]) -> None:
        """Adds a machine's verdicts on frames, by media id, in one transaction.

        Their embeddings are left out: they are what was judged, and in the log.
        """
        at = self._clock.now()
        with self._writing():
            self.observations.add_many(rows, at, judgement_id)

    def keep_embeddings(self, model_digest: str, vectors: Mapping[int, Vectors]) -> None:
        """Adds a registered model's unit vectors, float32 [d], by media id, in one transaction."""
        with self._writing():
            for media_id, vector in vectors.items():
                self.observations.add_embedding(media_id, model_digest, vector)

    def observe_as_person(
        self,
        judgement_id: int,
        media_ids: Sequence[int],
        observation_type: ObservationType,
        label: Label | None,
        *,
        person: str,
        reason: str,
    ) -> None:
        """Adds what a person says that frames show, in one transaction."""
        at = self._clock.now()
        with self._writing():
            for media_id in media_ids:
                self.observations.add_by_person(
                    media_id,
                    observation_type,
                    label,
                    person=person,
                    reason=reason,
                    at=at,
                    judgement_id=judgement_id,
                )

    def put_in_force(self, judgement_id: int, frames: int) -> None:
        """Lets a judgement that looked at so many frames count from now on, all of it at once."""
        with self._writing():
            self._connection.execute(
                "UPDATE judgement SET state = 'in force', frames = ? WHERE judgement_id = ?",
                (frames, judgement_id),
            )

    def undo(self, judgement_id: int) -> None:
        """Lets a judgement count no longer; its observations stay in the log."""
        with self._writing():
            self._connection.execute(
                "UPDATE judgement SET state = 'undone' WHERE judgement_id = ?", (judgement_id,)
            )

    def judgements(self, *whats: What, state: State | None = None) -> list[Judgement]:
        """The judgements of these sorts (of all sorts without any), the newest first."""
        wanted = [what.value for what in whats or What]
        return self._judgements(
            f"what IN ({', '.join('?' * len(wanted))}) AND state = coalesce(?, state)",
            (*wanted, state),
        )

    def find(self, judgement_id: int) -> Judgement | None:
        """The judgement of that number; None where there is none."""
        found = self._judgements("judgement_id = ?", (judgement_id,))
        return found[0] if found else None

    def _judgements(self, condition: str, values: Sequence[Any]) -> list[Judgement]:
        rows = self._read(
            "SELECT judgement_id, what, state, made_by, made_at, description, settings, frames,"
            " (SELECT count(*) FROM observation AS o WHERE o.judgement_id = j.judgement_id)"
            f" FROM judgement AS j WHERE {condition} ORDER BY judgement_id DESC",
            values,
        )
        return [
            Judgement(
                row[0], What(row[1]), State(row[2]), row[3], parse_utc(row[4]), row[5],
                json.loads(row[6]), row[7], row[8],
            )
            for row in rows
        ]  # fmt: skip
