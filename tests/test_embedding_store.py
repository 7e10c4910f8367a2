"""The copy of the log's embeddings: it follows the log, whatever happens to either."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from feeder.embedding_store import EmbeddingStore

WIDTH = 8


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log's two tables that hold embeddings, with no row in them."""
    path = tmp_path / "feeder.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE model (model_id INTEGER PRIMARY KEY, digest TEXT);"
            "INSERT INTO model VALUES (1, 'one'), (2, 'two');"
            "CREATE TABLE embedding (media_id INTEGER, model_id INTEGER, vector BLOB,"
            " PRIMARY KEY (media_id, model_id));"
        )
    return path


def add(log: Path, media_ids: range | list[int], model_id: int = 1, seed: int = 0) -> np.ndarray:
    """Vectors for these frames, written to the log."""
    vectors = np.random.default_rng(seed).normal(size=(len(media_ids), WIDTH)).astype("<f2")
    rows = [(i, model_id, one.tobytes()) for i, one in zip(media_ids, vectors, strict=True)]
    with closing(sqlite3.connect(log)) as connection:
        connection.executemany("INSERT INTO embedding VALUES (?, ?, ?)", rows)
        connection.commit()
    return vectors.astype(np.float32)


def test_it_holds_what_the_log_holds(log: Path, tmp_path: Path) -> None:
    """Each opening adds what the log has gained, and other models' vectors stay out."""
    first = add(log, range(1, 6))
    add(log, range(1, 4), model_id=2)
    assert len(EmbeddingStore.open(log, "one", tmp_path / "cache")) == 5
    second = add(log, [6, 9], seed=1)
    store = EmbeddingStore.open(log, "one", tmp_path / "cache")
    assert store.media_ids.tolist() == [1, 2, 3, 4, 5, 6, 9]
    chunks = list(store.chunks(rows=3))
    assert [len(ids) for ids, _ in chunks] == [3, 3, 1]
    np.testing.assert_array_equal(np.vstack([v for _, v in chunks]), np.vstack([first, second]))


def test_frames_are_found_by_id(log: Path, tmp_path: Path) -> None:
    """Vectors come in the order asked for, also where a model was applied to old frames late."""
    vectors = add(log, [5, 6, 1, 3])
    store = EmbeddingStore.open(log, "one", tmp_path / "cache")
    np.testing.assert_array_equal(store.get([3, 5]), vectors[[3, 0]])
    with pytest.raises(KeyError):
        store.get([2])


def test_a_model_without_embeddings_is_empty(log: Path, tmp_path: Path) -> None:
    """A log in which a model has no vectors yet gives an empty store."""
    for digest in ("one", "three"):
        store = EmbeddingStore.open(log, digest, tmp_path / "cache")
        assert (len(store), list(store.chunks())) == (0, [])
        assert store.mapped().shape[0] == 0


def test_an_older_log_put_back_is_noticed(log: Path, tmp_path: Path) -> None:
    """Where the log's newest rows are others than those copied, everything is copied anew."""
    add(log, range(1, 6))
    EmbeddingStore.open(log, "one", tmp_path / "cache")
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("DELETE FROM embedding WHERE media_id >= 4")
        connection.commit()
    other = add(log, range(4, 7), seed=7)
    store = EmbeddingStore.open(log, "one", tmp_path / "cache")
    np.testing.assert_array_equal(store.get([4, 5, 6]), other)
    assert len(store) == 6


@pytest.mark.parametrize("lost", [1, WIDTH * 2, WIDTH * 2 * 3 + 5])
def test_a_copy_cut_short_is_made_again(log: Path, tmp_path: Path, lost: int) -> None:
    """A power cut while copying costs the copy alone."""
    vectors = add(log, range(1, 6))
    store = EmbeddingStore.open(log, "one", tmp_path / "cache")
    with store.vectors_path.open("ab") as file:
        file.truncate(store.vectors_path.stat().st_size - lost)
    again = EmbeddingStore.open(log, "one", tmp_path / "cache")
    np.testing.assert_array_equal(again.get([1, 2, 3, 4, 5]), vectors)


def test_keys_cut_short_are_added_again(log: Path, tmp_path: Path) -> None:
    """Where the keys lag behind the vectors, the rest is added once more, not twice."""
    vectors = add(log, range(1, 6))
    store = EmbeddingStore.open(log, "one", tmp_path / "cache")
    with store.vectors_path.with_suffix(".keys").open("ab") as file:
        file.truncate(3 * 16 + 7)
    again = EmbeddingStore.open(log, "one", tmp_path / "cache")
    assert again.media_ids.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(again.get([1, 2, 3, 4, 5]), vectors)
