"""Append and query."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from feeder import schema
from feeder.domain import (
    Box,
    Candidate,
    Deployment,
    FoundPath,
    Frame,
    Kind,
    Label,
    ObservationType,
    Prediction,
    SettledPath,
    TimeSource,
    unclassified,
)
from feeder.errors import LogbookError, LogDamaged, LogUnavailable
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook, printable
from tests.conftest import FakeClock

ROBIN = Label("European Robin", Kind.BIRD, "Erithacus rubecula", "eurrob1")
WREN = Label("Eurasian Wren", Kind.BIRD, "Troglodytes troglodytes", "winwre4")
GARDEN = Deployment("garden", Path("/cams/garden"), 53.35, -6.26)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def frame(number: int, *, name: str | None = None, deployment: Deployment = GARDEN) -> Frame:
    """The frame `number`, whose digest and time follow from it."""
    path = deployment.folder / (name or f"{number}.jpg")
    source = SettledPath(deployment, path, 1000 + number, 10**18 + number)
    return Frame(
        source,
        f"{number:064x}",
        NOON + timedelta(minutes=number),
        TimeSource.EXIF,
        "image/jpeg",
        640,
        480,
    )


def seen(label: Label = ROBIN, probability: float = 0.9) -> Prediction:
    """A prediction of `label`, with a runner-up and an embedding."""
    return Prediction(
        ObservationType.ANIMAL,
        f"{label.name} {probability:.2f}",
        (best := Candidate(label, probability, 0.31), Candidate(WREN, 0.05, 0.2)),
        named=best,
        bird_probability=0.97,
        margin=probability - 0.05,
        embedding=np.full(4, 0.5, np.float32),
        model_digest="m" * 64,
        vocabulary_digest="v" * 64,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "data" / "feeder.db"


@pytest.fixture
def logbook(path: Path, time: FakeClock) -> Iterator[Logbook]:
    """An open log that knows a model and a vocabulary."""
    opened = Logbook.open(path, time.clock)
    opened.register_model("m" * 64, "tiny")
    opened.register_vocabulary("v" * 64, (ROBIN, WREN))
    yield opened
    opened.close()


def found(source: SettledPath) -> FoundPath:
    """The same file as a scan meets it."""
    return FoundPath(source.deployment, os.fspath(source.path), source.size, source.mtime_ns)


def rows(path: Path, table: str) -> int:
    """How many rows a table has."""
    with sqlite3.connect(path) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_sighting_reads_back_as_it_was_written(logbook: Logbook, path: Path) -> None:
    """Everything a reader needs of a sighting is in the view, times as UTC instants."""
    logbook.append(frame(1), seen())
    logbook.commit()
    (row,) = LogReader(path).sightings(Query())
    assert row["label"] == "European Robin"
    assert row["scientific_name"] == "Erithacus rubecula"
    assert row["ebird_code"] == "eurrob1"
    assert row["timestamp"] == NOON + timedelta(minutes=1)
    assert row["timestamp_source"] == "exif"
    assert row["classification_probability"] == pytest.approx(0.9)
    assert row["runners_up"] == [{"label": "Eurasian Wren", "probability": 0.05}]
    assert (row["model_digest"], row["vocabulary_digest"]) == ("m" * 64, "v" * 64)
    assert (row["deployment"], row["file_name"]) == ("garden", "1.jpg")
    assert row["classified_by"] == "tiny"


def test_rows_wait_for_the_commit(logbook: Logbook, path: Path, time: FakeClock) -> None:
    """Pending rows are counted and timed, and already known as done."""
    logbook.append(frame(1), seen())
    time.advance(3)
    assert (logbook.pending, logbook.pending_seconds) == (1, 3.0)
    assert rows(path, "media") == 0
    assert logbook.has_path(frame(1).source)
    assert logbook.has_frame(frame(1))
    logbook.commit()
    assert logbook.pending == 0
    assert rows(path, "media") == 1
    assert logbook.has_path(frame(1).source)


def test_the_same_bytes_are_one_frame(logbook: Logbook, path: Path) -> None:
    """A second path with known bytes, and a replay after a restart, add no frame."""
    logbook.append(frame(1), seen())
    logbook.commit()
    copy = replace(frame(1), source=frame(2).source)
    assert logbook.has_frame(copy)
    logbook.append_path(copy)
    logbook.append(frame(1), seen())
    logbook.commit()
    assert (rows(path, "media"), rows(path, "observation"), rows(path, "path")) == (1, 1, 2)
    assert logbook.has_path(copy.source)


def test_another_camera_has_frames_of_its_own(logbook: Logbook, path: Path) -> None:
    """The same bytes from two deployments are two frames."""
    pond = Deployment("pond", Path("/cams/pond"))
    logbook.append(frame(1), seen())
    assert not logbook.has_frame(frame(1, deployment=pond))
    logbook.append(frame(1, deployment=pond), seen())
    logbook.commit()
    assert rows(path, "media") == 2


def test_a_file_written_again_is_not_done(logbook: Logbook) -> None:
    """A known path with another size or mtime is new."""
    logbook.append(frame(1), seen())
    logbook.commit()
    assert logbook.has_path(frame(1).source)
    assert not logbook.has_path(replace(frame(1).source, mtime_ns=5))
    assert not logbook.has_path(replace(frame(1).source, size=5))


def test_unclassified_frames_are_rows_with_a_reason(logbook: Logbook, path: Path) -> None:
    """A frame without pixels is logged with its reason and is no sighting; one too large, too."""
    logbook.append(frame(1), unclassified("the picture is broken"))
    logbook.append(replace(frame(2), sha256=""), unclassified("too large"))
    logbook.commit()
    assert list(LogReader(path).sightings(Query())) == []
    every = list(LogReader(path).sightings(Query(every_frame=True)))
    assert [row["reason"] for row in every] == ["too large", "the picture is broken"]
    assert LogReader(path).count() == {"unclassified": 2}


def test_a_person_outranks_a_machine_and_the_newest_wins(logbook: Logbook, path: Path) -> None:
    """The current observation is a person's, else the newest, and nothing is overwritten."""
    logbook.append(frame(1), seen())
    logbook.commit()
    say = (
        "INSERT INTO observation (media_id, observation_type, label, classification_method,"
        " classified_by, classification_timestamp, reason)"
        " VALUES (1, 'animal', ?, ?, ?, '2026-05-02T00:00:00.000Z', '')"
    )
    with sqlite3.connect(path) as connection:
        connection.execute(say, ("Dunnock", "human", "ada"))
        connection.execute(
            say.replace("(media_id", "(model_id, media_id").replace("(1,", "(1, 1,"),
            ("Sparrow", "machine", "later"),
        )
    (row,) = LogReader(path).sightings(Query())
    assert (row["label"], row["classified_by"]) == ("Dunnock", "ada")
    assert rows(path, "observation") == 3


def test_sightings_are_filtered(logbook: Logbook, path: Path) -> None:
    """By time (until exclusive), labels, deployment, and count."""
    for number in range(5):
        logbook.append(frame(number), seen(ROBIN if number % 2 else WREN))
    logbook.commit()
    reader = LogReader(path)

    def found(query: Query) -> list[str]:
        return [row["file_name"] for row in reader.sightings(query)]

    assert found(Query(limit=2)) == ["4.jpg", "3.jpg"]
    since, until = NOON + timedelta(minutes=1), NOON + timedelta(minutes=3)
    assert found(Query(since=since, until=until)) == ["2.jpg", "1.jpg"]
    assert found(Query(labels=frozenset({"European Robin"}))) == ["3.jpg", "1.jpg"]
    assert found(Query(deployment="pond")) == []


def test_embeddings_come_back(logbook: Logbook, path: Path) -> None:
    """The stored vector is the one that was judged, in half precision."""
    logbook.append(frame(1), seen())
    logbook.commit()
    ids, vectors = LogReader(path).embeddings("m" * 64)
    assert ids == [1]
    assert vectors.tolist() == [[0.5, 0.5, 0.5, 0.5]]


def test_a_failed_commit_keeps_every_row(logbook: Logbook, path: Path) -> None:
    """While another process holds the database, rows stay pending; then they are written."""
    logbook._connection.execute("PRAGMA busy_timeout = 1")
    logbook.append(frame(1), seen())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LogUnavailable, match="another program"):
        logbook.commit()
    assert logbook.pending == 1
    other.execute("ROLLBACK")
    other.close()
    logbook.commit()
    assert rows(path, "media") == 1


def test_a_damaged_log_is_told_by_every_question(logbook: Logbook, path: Path) -> None:
    """Whoever meets the damage first, a scan's look-up of many paths too, says what it is."""
    for number in range(300):
        logbook.append(frame(number), seen())
    logbook.commit()
    logbook._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    logbook._connection.execute("PRAGMA cache_size = 0")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    logbook._connection.execute("PRAGMA shrink_memory")
    source = frame(7).source
    with pytest.raises(LogDamaged):
        logbook.has_paths([found(source)])
    with pytest.raises(LogDamaged):
        logbook.has_path(source)


def test_a_row_the_database_refuses_holds_up_no_other(logbook: Logbook, path: Path) -> None:
    """A verdict that breaks a rule is kept as unclassified with the reason, others as they are."""
    logbook.append(frame(1), replace(seen(), reason="\udcff is no text"))
    logbook.append(frame(2), seen())
    logbook.commit()
    assert LogReader(path).count() == {"animal": 1, "unclassified": 1}


def test_a_log_that_was_taken_away_is_noticed(logbook: Logbook, path: Path) -> None:
    """Rows are not written into a file that nobody can find any more."""
    logbook.append(frame(1), seen())
    path.rename(path.with_suffix(".old"))
    with pytest.raises(LogbookError, match="moved or deleted"):
        logbook.commit()
    path.with_suffix(".old").rename(path)


def test_the_newest_sightings_are_read_off_an_index(logbook: Logbook, path: Path) -> None:
    """The default listing does not sort the whole history."""
    with sqlite3.connect(path) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM sighting ORDER BY timestamp DESC LIMIT 20"
        ).fetchall()
    assert "media_timestamp" in str(plan)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xc3\xa9.jpg", "caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg"),
        (b"\xff\xfe.jpg", r"\xff\xfe.jpg"),
        (b"two\nlines\x1b[31m.jpg", r"two\nlines\x1b[31m.jpg"),
    ],
)
def test_any_file_name_can_be_shown(name: bytes, text: str) -> None:
    """Bytes that are no text, and control characters, are escaped."""
    assert printable(name) == text


def test_a_hostile_name_is_stored_as_bytes(logbook: Logbook, path: Path) -> None:
    """A name that is not UTF-8 is logged and recognised again."""
    odd = frame(1, name="\udcff\n<b>.jpg")
    logbook.append(odd, seen())
    logbook.commit()
    assert logbook.has_path(odd.source)
    (row,) = LogReader(path).sightings(Query())
    assert row["file_name"] == r"\xff\n<b>.jpg"


def test_a_newer_log_is_refused(path: Path, logbook: Logbook) -> None:
    """A log that a newer release wrote is neither written nor read."""
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.latest() + 1}")
    with pytest.raises(LogbookError, match="schema"):
        Logbook.open(path)
    with pytest.raises(LogbookError, match="schema"):
        list(LogReader(path).sightings(Query()))


def test_a_missing_log_says_what_to_do(tmp_path: Path) -> None:
    """Reading before the first run is an error that names `feeder run`."""
    with pytest.raises(LogbookError) as caught:
        list(LogReader(tmp_path / "none.db").sightings(Query()))
    assert "feeder run" in caught.value.hint


def test_a_reader_never_writes(logbook: Logbook, path: Path) -> None:
    """The reading connection refuses to change anything."""
    with pytest.raises(LogbookError, match="readonly"), LogReader(path)._connect() as connection:
        connection.execute("DELETE FROM media")


def test_the_database_is_durable_and_sound(logbook: Logbook, path: Path) -> None:
    """The writer runs in WAL with full synchronisation, and SQLite's check passes."""
    logbook.append(frame(1), seen())
    logbook.commit()
    assert logbook._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert logbook._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert LogReader(path).problems() == []


def test_an_old_log_keeps_its_rows(path: Path) -> None:
    """A log of the first schema is copied aside and upgraded, and its sightings are still read."""
    path.parent.mkdir()
    first = resources.files("feeder").joinpath("schema", "0001_log.sql").read_text("utf-8")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{first} PRAGMA user_version = 1;")
        connection.executescript(
            "INSERT INTO deployment (location_name, deployment_start) VALUES ('garden', '');"
            "INSERT INTO media (deployment_id, timestamp, timestamp_source, file_path, file_name,"
            " file_mediatype, file_size, received_at) VALUES"
            " (1, '2026-05-01T06:30:00.000Z', 'exif', x'61', 'a', 'image/jpeg', 1, '');"
            "INSERT INTO observation (media_id, observation_type, label, classification_method,"
            " classified_by, classification_timestamp, reason)"
            " VALUES (1, 'animal', 'European Robin', 'machine', 'starter', '', '');"
        )
    Logbook.open(path).close()
    (row,) = LogReader(path).sightings(Query())
    assert (row["label"], row["bbox_x"]) == ("European Robin", None)
    with closing(sqlite3.connect(f"{path}.before-{schema.latest()}")) as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (1,)


def test_the_judged_region_is_logged(logbook: Logbook, path: Path) -> None:
    """A verdict on a part of the frame says which part."""
    logbook.append(frame(1), replace(seen(), region=Box(0.25, 0.5, 0.3, 0.4)))
    logbook.commit()
    (row,) = LogReader(path).sightings(Query())
    assert [row[f"bbox_{name}"] for name in ("x", "y", "width", "height")] == [0.25, 0.5, 0.3, 0.4]


def test_many_paths_are_looked_up_at_once(logbook: Logbook) -> None:
    """`has_paths` says of each path what `has_path` says, committed, pending or neither."""
    shed = Deployment("shed", Path("/"))
    odd = os.fsdecode(b"2026/\xff'\n.jpg")
    known = [frame(number) for number in range(130)]
    known += [frame(200, name=odd), frame(201, deployment=shed)]
    for one in known[:120] + known[-1:]:
        logbook.append(one, seen())
    logbook.commit()
    for one in known[120:-1]:
        logbook.append(one, seen())
    others = [
        replace(known[0].source, size=1),
        replace(known[1].source, mtime_ns=1),
        replace(known[2].source, path=GARDEN.folder / "day" / "2.jpg"),
        SettledPath(shed, Path("/0.jpg"), 1000, 10**18),
        SettledPath(Deployment("new", GARDEN.folder), known[0].source.path, 1000, 10**18),
    ]
    sources = [value for pair in zip([one.source for one in known], others * 27, strict=False)
               for value in pair]  # fmt: skip
    told = logbook.has_paths([found(source) for source in sources])
    assert told == [logbook.has_path(source) for source in sources]
    assert told == [True, False] * len(known)
    assert logbook.has_paths([]) == []


def test_names_of_earlier_settings_are_forgotten(logbook: Logbook, path: Path) -> None:
    """However often the vocabulary changes, only its last labels stay in memory; rows that wait
    keep theirs until they are written."""
    for number in range(20):
        digest = f"{number:064x}"
        logbook.register_vocabulary(digest, (ROBIN, WREN))
        logbook.append(frame(number), replace(seen(), vocabulary_digest=digest))
        if number % 3 == 0:
            logbook.commit()
    logbook.commit()
    assert rows(path, "vocabulary") == 20
    assert len(logbook._observations._names) == 2
