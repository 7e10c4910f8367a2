"""Every embedding of one model in one plain file, read many times faster than out of the log.

A copy that can be made again: the log's `embedding` table is the truth, and what it has gained
since is added at each opening.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from feeder.domain import Vectors
from feeder.log_file import explained

ROWS = 16_384
"""Vectors in one chunk: 32 MB of them as float32 at a width of 512."""

Ids = npt.NDArray[np.int64]
_KEY = np.dtype([("rowid", "<i8"), ("media_id", "<i8")])


@dataclass(frozen=True)
class EmbeddingStore:
    """n unit vectors of width d as float16, in the order in which the log got them.

    `media_ids` int64 [n] are the frames'; each frame is there once.
    """

    vectors_path: Path
    media_ids: Ids
    width: int

    @classmethod
    def open(cls, log: Path, model_digest: str, cache: Path) -> "EmbeddingStore":
        """Opens the file in `cache`, with whatever `log` has gained since.

        Raises LogUnavailable or LogDamaged as the log does, OSError where the cache cannot be
        written.
        """
        cache.mkdir(parents=True, exist_ok=True)
        which = hashlib.sha256(f"{log.absolute()} {model_digest}".encode()).hexdigest()[:16]
        vectors, keys = (cache / f"embeddings-{which}.{end}" for end in ("f16", "keys"))
        # One adds at a time; who reads meanwhile reads what was there.
        with (
            FileLock(cache / f"embeddings-{which}.lock"),
            explained(log),
            closing(sqlite3.connect(f"{log.absolute().as_uri()}?mode=ro", uri=True)) as connection,
        ):
            media_ids, width = _catch_up(connection, model_digest, vectors, keys)
        return cls(vectors, media_ids, width)

    def __len__(self) -> int:
        return len(self.media_ids)

    def chunks(self, rows: int = ROWS) -> Iterator[tuple[Ids, Vectors]]:
        """All of it, so many rows at a time: media ids and float32 [rows, d]."""
        if not len(self):
            return
        with self.vectors_path.open("rb") as file:
            for start in range(0, len(self), rows):
                ids = self.media_ids[start : start + rows]
                vectors = np.fromfile(file, "<f2", len(ids) * self.width)
                yield ids, vectors.reshape(-1, self.width).astype(np.float32)

    def get(self, media_ids: Sequence[int]) -> Vectors:
        """float32 [len(media_ids), d]. Raises KeyError for a frame that has no embedding."""
        wanted = np.asarray(media_ids, np.int64)
        order = np.argsort(self.media_ids, kind="stable")
        places = np.searchsorted(self.media_ids, wanted, sorter=order)
        found = order[np.minimum(places, len(order) - 1)] if len(order) else places
        if len(order) == 0 or (self.media_ids[found] != wanted).any():
            raise KeyError("a frame without an embedding")
        return self.mapped()[found].astype(np.float32)

    def mapped(self) -> npt.NDArray[np.float16]:
        """float16 [n, d], read from the file as it is used."""
        if not len(self):
            return np.empty((0, self.width), np.float16)
        return np.memmap(self.vectors_path, "<f2", "r", shape=(len(self), self.width))


def _catch_up(
    connection: sqlite3.Connection, model_digest: str, vectors: Path, keys: Path
) -> tuple[Ids, int]:
    """Adds to the two files what the log has gained; all media ids, and the vectors' width."""
    model = connection.execute(
        "SELECT model_id, (SELECT length(vector) / 2 FROM embedding AS e"
        " WHERE e.model_id = m.model_id LIMIT 1) FROM model AS m WHERE digest = ?",
        (model_digest,),
    ).fetchone()
    if model is None or model[1] is None:
        return np.empty(0, np.int64), 0
    model_id, width = model
    known = np.fromfile(keys, _KEY) if keys.exists() else np.empty(0, _KEY)
    if len(known) and not _agrees(connection, model_id, known[-1], vectors, len(known), width):
        known = known[:0]
    with vectors.open("ab") as vector_file, keys.open("ab") as key_file:
        vector_file.truncate(len(known) * width * 2)
        key_file.truncate(len(known) * _KEY.itemsize)
        cursor = connection.execute(
            "SELECT rowid, media_id, vector FROM embedding WHERE model_id = ? AND rowid > ?"
            " ORDER BY rowid",
            (model_id, int(known["rowid"][-1]) if len(known) else 0),
        )
        added = [known]
        while rows := cursor.fetchmany(ROWS):
            new = np.array([(rowid, media_id) for rowid, media_id, _ in rows], _KEY)
            vector_file.write(b"".join(vector for *_, vector in rows))
            # A key without its vector would be worse than a vector without its key.
            vector_file.flush()
            os.fsync(vector_file.fileno())
            key_file.write(new.tobytes())
            added.append(new)
    return np.concatenate(added)["media_id"].astype(np.int64), width


def _agrees(
    connection: sqlite3.Connection,
    model_id: int,
    last: npt.NDArray[np.void],
    vectors: Path,
    count: int,
    width: int,
) -> bool:
    """Whether the copy's last row is the log's, as it is not after an older log was put back.

    Rows are only ever added, so that all earlier ones agree then, too.
    """
    size = width * 2
    if not vectors.exists() or vectors.stat().st_size < count * size:
        return False
    with vectors.open("rb") as file:
        file.seek((count - 1) * size)
        vector = file.read(size)
    row = connection.execute(
        "SELECT media_id, vector FROM embedding WHERE rowid = ? AND model_id = ?",
        (int(last["rowid"]), model_id),
    ).fetchone()
    return bool(row == (int(last["media_id"]), vector))
