"""Observations as rows: the SQL of verdicts, of the models and vocabularies they come from, and of
embeddings. It writes on a connection of its owner's, within the owner's transaction."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from feeder.clock import utc_text
from feeder.domain import Box, Label, ObservationType, Prediction, Tag, Vectors
from feeder.log_file import OpenLog, transaction

PATIENCE_SECONDS = 30.0
"""How long a transaction waits for the daemon's, which are short."""


class ObservationLog:
    """Adds observations; nothing that is there is ever changed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names: dict[str, str] = {}
        self._named_last: dict[str, str] = {}  # the key of the newest model and vocabularies
        self._ids: dict[str, int] = {}
        self._model_names: dict[int, str] = {}

    def register_vocabulary(self, digest: str, labels: Sequence[Label]) -> None:
        """Says what a vocabulary digest stands for; written with the first row that bears it."""
        described = [
            {"name": at.name, "scientific_name": at.scientific_name, "kind": at.kind}
            for at in labels
        ]
        self._name("vocabulary", digest, json.dumps(described))

    def register_attribute(self, digest: str, attribute: str, values: Sequence[str]) -> None:
        """Says what an attribute's side vocabulary stands for, likewise."""
        described = [{"name": value, "attribute": attribute} for value in values]
        self._name("vocabulary", digest, json.dumps(described), slot=f"attribute {attribute}")

    def register_model(self, digest: str, name: str) -> None:
        """Says which bundle a model digest stands for, likewise."""
        self._name("model", digest, name)

    def forget_unused(self) -> None:
        """After a commit: what earlier settings named is in the log by now or was never used."""
        self._names = {key: self._names[key] for key in self._named_last.values()}

    def forget_ids(self, connection: sqlite3.Connection) -> None:
        """After a rollback, or to go on with another file: ids are looked up anew."""
        self._connection = connection
        self._ids.clear()
        self._model_names.clear()

    def add(
        self,
        media_id: int,
        prediction: Prediction,
        at: datetime,
        judgement_id: int | None = None,
    ) -> None:
        """A machine's verdict on a frame, given at the instant `at`, with its embedding and tags.

        A judgement brings no tags: it may be undone, and they can be asked for anew. One that is
        there already, of the same model, vocabulary and judgement, stays as it is.
        """
        self.add_many([(media_id, prediction)], at, judgement_id)
        if prediction.embedding is not None:
            self.add_embedding(media_id, prediction.model_digest, prediction.embedding)
        if judgement_id is None and prediction.tags:
            self.add_tags(media_id, prediction.model_digest, prediction.tags)

    def add_many(
        self,
        rows: Iterable[tuple[int, Prediction]],
        at: datetime,
        judgement_id: int | None = None,
    ) -> None:
        """Verdicts on many frames, by media id, without their embeddings; else as `add`."""
        text = utc_text(at)
        self._connection.executemany(
            "INSERT INTO observation (media_id, judgement_id, observation_type, label,"
            " scientific_name, ebird_code, kind, classification_method, classified_by,"
            " classification_timestamp, classification_probability, bird_probability, margin,"
            " cosine, reason, runners_up, model_id, vocabulary_id,"
            " bbox_x, bbox_y, bbox_width, bbox_height)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'machine', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            # Not OR IGNORE, which would also pass over a verdict that breaks a rule.
            " ON CONFLICT DO NOTHING",
            [self._row(media_id, prediction, text, judgement_id) for media_id, prediction in rows],
        )

    def add_embedding(self, media_id: int, model_digest: str, vector: Vectors) -> None:
        """A frame's unit vector, float32 [d], of a registered model; one there already stays."""
        self._connection.execute(
            "INSERT INTO embedding VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (media_id, self.model_id(model_digest), vector.astype("<f2").tobytes()),
        )

    def _row(
        self, media_id: int, prediction: Prediction, at: str, judgement_id: int | None
    ) -> tuple[Any, ...]:
        shown = prediction.named or prediction.best
        model_id = self.model_id(prediction.model_digest)
        runners_up = [
            {"label": other.label.name, "probability": round(other.probability, 4)}
            for other in prediction.candidates
            if other is not shown
        ]
        return (
            media_id,
            judgement_id,
            prediction.observation_type.value,
            *_described(shown.label if shown else None),
            self._model_name(model_id),
            at,
            shown.probability if shown else None,
            prediction.bird_probability,
            prediction.margin,
            shown.cosine if shown else None,
            prediction.reason,
            json.dumps(runners_up),
            model_id,
            self.vocabulary_id(prediction.vocabulary_digest),
            *(_box(prediction.region) if prediction.region else (None,) * 4),
        )

    def add_tags(self, media_id: int, model_digest: str, tags: Sequence[Tag]) -> None:
        """What side vocabularies say of a frame, on the embedding of that model."""
        self._connection.executemany(
            "INSERT INTO tag (media_id, model_id, vocabulary_id, attribute, value, probability)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (
                    media_id,
                    self.model_id(model_digest),
                    self.vocabulary_id(tag.vocabulary_digest),
                    tag.attribute,
                    tag.value,
                    round(tag.probability, 4),
                )
                for tag in tags
            ],
        )

    def add_by_person(
        self,
        media_id: int,
        observation_type: ObservationType,
        label: Label | None,
        *,
        person: str,
        reason: str,
        at: datetime,
        judgement_id: int,
    ) -> None:
        """What a person says a frame shows; it counts over whatever a machine says."""
        self._connection.execute(
            "INSERT INTO observation (media_id, judgement_id, observation_type, label,"
            " scientific_name, ebird_code, kind, classification_method, classified_by,"
            " classification_timestamp, reason) VALUES (?, ?, ?, ?, ?, ?, ?, 'human', ?, ?, ?)",
            (
                media_id,
                judgement_id,
                observation_type.value,
                *_described(label),
                person,
                utc_text(at),
                reason,
            ),
        )

    def model_id(self, digest: str) -> int | None:
        """The row of a registered model, written if need be; None for ""."""
        return self._id_of("model", "name", digest)

    def vocabulary_id(self, digest: str) -> int | None:
        """The row of a registered vocabulary, likewise."""
        return self._id_of("vocabulary", "labels", digest)

    def _name(self, table: str, digest: str, said: str, slot: str = "") -> None:
        self._named_last[slot or table] = key = f"{table} {digest}"
        self._names[key] = said

    def _id_of(self, table: str, column: str, digest: str) -> int | None:
        if not digest:
            return None
        key = f"{table} {digest}"
        if key not in self._ids:
            found = self._connection.execute(
                f"SELECT {table}_id FROM {table} WHERE digest = ?", (digest,)
            ).fetchone()
            if found is None:
                found = self._connection.execute(
                    f"INSERT INTO {table} (digest, {column}) VALUES (?, ?) RETURNING {table}_id",
                    (digest, self._names[key]),
                ).fetchone()
            self._ids[key] = int(found[0])
        return self._ids[key]

    def _model_name(self, model_id: int | None) -> str:
        if model_id is None:
            return "feeder"
        if model_id not in self._model_names:
            sql = "SELECT name FROM model WHERE model_id = ?"
            (self._model_names[model_id],) = self._connection.execute(sql, (model_id,)).fetchone()
        return self._model_names[model_id]


def _box(region: Box) -> tuple[float, ...]:
    return region.x, region.y, region.width, region.height


class WritableLog(OpenLog):
    """A log that stays open for adding observations, within short transactions."""

    def __init__(self, path: Path, patience: float = PATIENCE_SECONDS) -> None:
        super().__init__(path, writable=True, patience=patience)
        self.observations = ObservationLog(self._connection)
        """Where models and vocabularies are registered before they are written of."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with transaction(self._connection, self.path):
                yield
        except BaseException:
            self.observations.forget_ids(self._connection)
            raise


def _described(label: Label | None) -> tuple[Any, ...]:
    """A label's columns: name, scientific name, code, kind."""
    if label is None:
        return (None,) * 4
    return label.name, label.scientific_name or None, label.ebird_code or None, label.kind.value
