"""A log of as many frames as wanted, made without a picture: vectors around the labels' own."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from feeder.classifier import Classifier, as_kept
from feeder.clock import utc_text
from feeder.domain import Vectors
from feeder.log_file import open_for_writing

BATCH = 10_000
FIRST = datetime(2023, 5, 1, 6, tzinfo=UTC)
DAY = timedelta(hours=12)
"""Frames are taken in twelve hours of each day, evenly, so that all of them take three years."""

OFTEN = 0.2
"""The share of frames that resemble the most frequent label."""

NOISE = 3.5
"""How far a frame lies from its label's vector, whose length is one: some stay unknown."""


def make_log(path: Path, classifier: Classifier, count: int, *, often: str, seed: int = 0) -> None:
    """Writes a log of `count` frames at `path`, judged by `classifier`, without pictures.

    A fifth of them resemble the label `often`, the others any of the others; every tenth was
    judged on a part of it.
    """
    rng = np.random.default_rng(seed)
    with closing(open_for_writing(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        _write_names(connection, classifier)
        for start in range(0, count, BATCH):
            vectors = _vectors(classifier, min(BATCH, count - start), often, rng)
            _write(connection, classifier, vectors, start, count)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _vectors(classifier: Classifier, count: int, often: str, rng: np.random.Generator) -> Vectors:
    rows = classifier.embeddings.vectors
    share = np.full(len(rows), (1 - OFTEN) / (len(rows) - 1))
    named = [label.name for label in classifier.labels].index(often)
    share[int(np.flatnonzero(classifier.embeddings.owner == named)[0])] = OFTEN
    noise = rng.normal(size=(count, rows.shape[1])) * NOISE / np.sqrt(rows.shape[1])
    vectors = rows[rng.choice(len(rows), count, p=share)] + noise
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return as_kept(unit.astype(np.float32))


def _write_names(connection: sqlite3.Connection, classifier: Classifier) -> None:
    bundle = classifier.bundle
    labels = [
        {"name": one.name, "scientific_name": one.scientific_name, "kind": one.kind}
        for one in classifier.labels
    ]
    connection.execute(
        "INSERT INTO deployment (location_name, deployment_start) VALUES ('garden', ?)",
        (utc_text(FIRST),),
    )
    connection.execute(
        "INSERT INTO model (digest, name) VALUES (?, ?)", (bundle.digest, bundle.manifest.name)
    )
    connection.execute(
        "INSERT INTO vocabulary (digest, labels) VALUES (?, ?)",
        (classifier.embeddings.digest, json.dumps(labels)),
    )


def _write(
    connection: sqlite3.Connection, classifier: Classifier, vectors: Vectors, start: int, count: int
) -> None:
    rows = list(_rows(classifier, vectors, start, count))
    connection.executemany(
        "INSERT INTO media (deployment_id, sha256, timestamp, timestamp_source, file_path,"
        " file_name, file_mediatype, file_size, width, height, received_at, gone_since)"
        " VALUES (1, ?, ?, 'mtime', ?, ?, 'image/jpeg', 82000, 640, 480, ?, ?)",
        [row[0] for row in rows],
    )
    connection.executemany("INSERT INTO path VALUES (1, ?, 82000, ?, ?)", [row[1] for row in rows])
    connection.executemany(
        "INSERT INTO observation (media_id, observation_type, label, scientific_name, ebird_code,"
        " kind, classification_method, classified_by, classification_timestamp,"
        " classification_probability, bird_probability, margin, cosine, reason, runners_up,"
        " model_id, vocabulary_id, bbox_x, bbox_y, bbox_width, bbox_height)"
        " VALUES (?, ?, ?, ?, ?, ?, 'machine', 'starter', ?, ?, ?, ?, ?, ?, ?, 1, 1, ?, ?, ?, ?)",
        [row[2] for row in rows],
    )
    connection.executemany("INSERT INTO embedding VALUES (?, 1, ?)", [row[3] for row in rows])


def _rows(
    classifier: Classifier, vectors: Vectors, start: int, count: int
) -> Iterator[tuple[tuple[object, ...], ...]]:
    """The rows of `media`, `path`, `observation` and `embedding`, of one frame after the other."""
    context = classifier.context("garden", FIRST)
    probabilities = classifier.probabilities(vectors, context)
    said = classifier.decide(probabilities, context)
    runners = np.argsort(-probabilities, axis=1)[:, 1:5]
    halves = vectors.astype("<f2")
    for row in range(len(vectors)):
        media_id = start + row + 1
        day, share = divmod(1096 * (media_id - 1) / count, 1)
        at = utc_text(FIRST + timedelta(days=day) + share * DAY)
        name = f"{at[:10]}/{media_id:08}.jpg"
        label = said.label(row) or classifier.labels[int(said.best[row])]
        runners_up = [
            {"label": classifier.labels[int(i)].name, "probability": float(probabilities[row, i])}
            for i in runners[row]
        ]
        box = (0.25, 0.25, 0.5, 0.5) if media_id % 10 == 0 else (None,) * 4
        digest = hashlib.sha256(b"%d" % media_id).digest()
        yield (
            (digest, at, name.encode(), name, at, at),
            (name.encode(), 10**18 + media_id, media_id),
            (
                media_id, said.type(row), label.name, label.scientific_name or None,
                label.ebird_code or None, label.kind, at, float(said.named_probability[row]),
                float(said.bird[row]), float(said.margin[row]), 0.5, said.reason(row),
                json.dumps(runners_up), *box,
            ),
            (media_id, halves[row].tobytes()),
        )  # fmt: skip
