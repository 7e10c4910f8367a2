"""Tags in the log: written with their frame, read with it, and asked for again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feeder.attributes import AskedOf, Attribute, Value
from feeder.domain import Box, Tag, Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.encoder import unit
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.retag import retag
from feeder.tag_log import TagLog
from feeder.tagging import Question, Tagger
from tests.conftest import FakeClock
from tests.test_logbook import NOON, ROBIN, WREN, frame, seen

MODEL = "m" * 64
BATHING = Tag("behaviour", "bathing", 0.9, "t" * 64)


@pytest.fixture
def path(tmp_path: Path, time: FakeClock) -> Path:
    """A log of a bathing robin, a robin seen in part of its frame, and a plain one."""
    path = tmp_path / "feeder.db"
    logbook = Logbook.open(path, time.clock)
    logbook.register_model(MODEL, "tiny")
    logbook.register_vocabulary("v" * 64, (ROBIN, WREN))
    logbook.register_attribute("t" * 64, "behaviour", ["bathing", "eating"])
    vectors = np.eye(4, dtype=np.float32)
    logbook.append(frame(1), replace(seen(), embedding=vectors[0], tags=(BATHING,)))
    part = replace(seen(), embedding=vectors[1], region=Box(0.1, 0.1, 0.4, 0.4))
    logbook.append(frame(2), part)
    logbook.append(frame(3), replace(seen(WREN), embedding=vectors[0]))
    logbook.close()
    return path


@pytest.fixture
def log(path: Path) -> Iterator[TagLog]:
    """Opened on it, with the model and the test's side vocabularies known."""
    with TagLog(path) as opened:
        opened.observations.register_model(MODEL, "tiny")
        tagger().register(opened.observations)
        yield opened


def tagger() -> Tagger:
    """Two questions on vectors of 4: one asked of birds, one of whole frames."""
    values = (Value("one"), Value("two"))
    return Tagger(
        tuple(
            Question(Attribute(name, asked_of, 0.6, values), axes(), 10.0, name[0] * 64)
            for name, asked_of in (("pose", AskedOf.BIRD), ("lens", AskedOf.FRAME))
        )
    )


def axes() -> Vectors:
    """Two of four directions."""
    return unit(np.eye(4, dtype=np.float32)[:2])


def tags(path: Path) -> list[list[str]]:
    """The tags of every frame, the oldest first."""
    rows = list(LogReader(path).sightings(Query(every_frame=True)))[::-1]
    return [[f"{tag['attribute']}={tag['value']}" for tag in row["tags"]] for row in rows]


def test_a_frame_brings_its_tags(path: Path) -> None:
    """Tags are written with their frame, read with it, and can be asked for."""
    assert tags(path) == [["behaviour=bathing"], [], []]
    (row,) = LogReader(path).sightings(Query(tag=("behaviour", "bathing")))
    assert row["tags"] == [{"attribute": "behaviour", "value": "bathing", "probability": 0.9}]
    assert list(LogReader(path).sightings(Query(tag=("behaviour", "eating")))) == []
    assert LogReader(path).has_tags()


def test_the_log_says_what_a_side_vocabulary_was(path: Path) -> None:
    """The values that were asked for stand in the log beside the labels."""
    with closing(sqlite3.connect(path)) as connection:
        (labels,) = connection.execute(
            "SELECT labels FROM tag JOIN vocabulary USING (vocabulary_id)"
        ).fetchone()
    assert '"bathing"' in labels
    assert '"behaviour"' in labels


def test_the_history_is_asked_again(path: Path, log: TagLog, tmp_path: Path) -> None:
    """What is asked now takes the place of what was said, as the daemon would say it."""
    store = EmbeddingStore.open(path, MODEL, tmp_path / "cache")
    assert retag(store, log, tagger(), MODEL) == 5
    assert tags(path) == [
        ["lens=one", "pose=one"],
        ["pose=two"],  # a part of the frame was judged, which says nothing of the lens
        ["lens=one", "pose=one"],
    ]
    assert retag(store, log, tagger(), MODEL) == 5


def test_a_correction_counts_when_asked_again(path: Path, log: TagLog, tmp_path: Path) -> None:
    """A frame that a person calls empty is asked nothing about a bird."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO observation (media_id, observation_type, classification_method,"
            " classified_by, classification_timestamp, reason)"
            " VALUES (1, 'blank', 'human', 'ada', '', '')"
        )
    retag(EmbeddingStore.open(path, MODEL, tmp_path / "cache"), log, tagger(), MODEL)
    assert tags(path)[0] == ["lens=one"]


def test_asking_again_goes_on_where_it_was_broken_off(
    path: Path, log: TagLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done stays done for the same question; for another it begins anew."""
    store = EmbeddingStore.open(path, MODEL, tmp_path / "cache")
    monkeypatch.setattr(EmbeddingStore.chunks, "__defaults__", (1,))
    monkeypatch.setattr("feeder.retag.ROWS", 1)

    def break_off(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retag(store, log, tagger(), MODEL, progress=break_off)
    assert tags(path) == [["lens=one", "pose=one"], ["pose=two"], []]
    assert log.progress(MODEL, tagger().digest) == 2
    assert log.progress(MODEL, "another") == 0
    assert retag(store, log, tagger(), MODEL) == 2
    assert tags(path)[2] == ["lens=one", "pose=one"]
    assert log.progress(MODEL, tagger().digest) == 0


def test_tags_are_counted_and_followed(path: Path, log: TagLog) -> None:
    """The log says how often a tag was given, and when, at one camera."""
    (counted,) = log.counted()
    assert (counted.attribute, counted.value, counted.frames) == ("behaviour", "bathing", 1)
    ((at, value),) = log.said("behaviour", "garden", NOON)
    assert (at, value) == (frame(1).captured_at, "bathing")
    assert log.said("behaviour", "pond", NOON) == []


def test_an_old_log_has_no_tags(path: Path) -> None:
    """A log that no daemon of this release has opened is read all the same."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE tag")
    assert tags(path) == [[], [], []]
    assert list(LogReader(path).sightings(Query(tag=("behaviour", "bathing")))) == []
    assert not LogReader(path).has_tags()
