"""What is unknown, sorted by likeness and named a cluster at a time."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from feeder import clusters, config, person, unknowns
from feeder.cli import app
from feeder.clusters import NONE, cluster, medoid_first, near_identical
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType, Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.encoder import unit
from feeder.errors import FeederError
from feeder.judgement_log import JudgementLog, State, What
from feeder.log_reader import LogReader, Query
from feeder.search_log import SearchLog
from feeder.unknowns import Unknowns, recall, remember, sort
from tests.test_search import MODEL, NOON, ROBIN, WREN, Log, direction

SISKIN = Label("Eurasian Siskin", Kind.BIRD, "Spinus spinus", "eursis")
WIDTH = 32


def alike(kinds: int, each: int, odd: int = 0, spread: float = 0.3, seed: int = 0) -> Vectors:
    """Unit vectors: so many of each kind, kind after kind, then some of no kind."""
    drawn = np.random.default_rng(seed)
    centres = np.repeat(unit(drawn.normal(size=(kinds, WIDTH))), each, axis=0)
    of_a_kind = centres + spread / np.sqrt(WIDTH) * drawn.normal(size=centres.shape)
    return unit(np.concatenate([of_a_kind, drawn.normal(size=(odd, WIDTH))]).astype(np.float32))


def sorted_apart(vectors: Vectors, min_size: int = 5) -> np.ndarray:
    """The clusters of pictures taken ten minutes apart."""
    times = [NOON + timedelta(minutes=10 * number) for number in range(len(vectors))]
    return cluster(vectors, ["garden"] * len(vectors), times, min_size)


def are_kinds(found: np.ndarray, kinds: int, each: int) -> bool:
    """Whether each kind is one cluster of its own."""
    rows = found[: kinds * each].reshape(kinds, each)
    return bool((rows == rows[:, :1]).all()) and sorted(rows[:, 0]) == list(range(kinds))


def test_each_kind_is_a_cluster() -> None:
    """Pictures that are alike come together, and what is like nothing stays alone."""
    found = sorted_apart(alike(4, 12, odd=10))
    assert are_kinds(found, 4, 12)
    assert (found[48:] == NONE).all()


def test_clusters_are_the_same_each_time() -> None:
    """Nothing is left to chance."""
    vectors = alike(5, 9, odd=20, spread=0.6)
    np.testing.assert_array_equal(sorted_apart(vectors), sorted_apart(vectors))


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_a_few_pictures_are_no_cluster(count: int) -> None:
    """HDBSCAN tells clusters from each other, so that there must be enough for two."""
    assert (sorted_apart(alike(1, count)) == NONE).all()


def test_beyond_the_sample_the_rest_joins_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """HDBSCAN sees a bounded sample; the others are put with the nearest, or stay alone."""
    seen: list[int] = []
    hdbscan = clusters._hdbscan

    def watched(vectors: Vectors, min_size: int) -> np.ndarray:
        seen.append(len(vectors))
        return hdbscan(vectors, min_size)

    monkeypatch.setattr(clusters, "SAMPLE", 100)
    monkeypatch.setattr(clusters, "_hdbscan", watched)
    found = sorted_apart(alike(4, 60, odd=30))
    assert seen == [100]
    kinds = found[:240].reshape(4, 60)
    assert [set(row) - {NONE} for row in kinds] == [{row.max()} for row in kinds]
    assert len({row.max() for row in kinds}) == 4
    assert (kinds != NONE).mean() > 0.9
    assert (found[240:] == NONE).mean() > 0.8


def test_a_burst_counts_once() -> None:
    """Ten copies of one picture within a minute are no cluster; they go where the first goes."""
    kinds = alike(3, 8)
    burst = np.repeat(alike(1, 1, seed=9), 10, axis=0)
    times = [NOON + timedelta(minutes=10 * number) for number in range(24)]
    times += [times[-1] + timedelta(hours=1, seconds=6 * number) for number in range(10)]
    found = cluster(np.concatenate([kinds, burst]), ["garden"] * 34, times, 5)
    assert are_kinds(found, 3, 8)
    assert (found[24:] == NONE).all()


def test_repeats_are_of_one_camera_at_one_time() -> None:
    """Another camera's picture, a later one and a different one stand for themselves."""
    vectors = unit(np.array([[1, 0], [1, 0.1], [0, 1], [1, 0], [1, 0.1], [1, 0]], np.float32))
    cameras = ["garden", "garden", "garden", "pond", "garden", "garden"]
    times = [NOON + timedelta(seconds=seconds) for seconds in (0, 10, 12, 14, 35, 300)]
    assert near_identical(vectors, cameras, times).tolist() == [0, 0, 2, 3, 0, 5]


def test_the_medoid_is_nearest_to_all() -> None:
    """It has the least sum of squared distances, by brute force."""
    vectors = alike(1, 30, spread=0.9)
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=(1, 2))
    assert medoid_first(vectors).tolist() == np.argsort(distances, kind="stable").tolist()


def test_without_scikit_learn_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, which a small machine need not carry."""
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(FeederError, match="needs scikit-learn") as raised:
        sorted_apart(alike(2, 9))
    assert "-m pip install" in raised.value.hint


# In the log


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """Two kinds of unknown birds, five frames each, one of them called "unidentified bird"."""
    log = Log(tmp_path)
    for number in range(5):
        log.add(direction(number), None, runners_up=(ROBIN,))
        log.add(direction(90 + number), UNIDENTIFIED_BIRD, runners_up=(ROBIN, WREN))
    log.add(direction(45), ROBIN)
    log.logbook.commit()
    return log


def sort_it(log: Log) -> Unknowns:
    """The clusters of the log."""
    with SearchLog(log.path) as opened:
        return sort(log.store(), opened)


def members(found: Unknowns) -> list[list[int]]:
    """The frames of each cluster."""
    return [[frame.media_id for frame in one.frames] for one in found.clusters]


def test_what_no_species_was_named_on_is_sorted(log: Log) -> None:
    """Unknown frames and unidentified birds, by likeness, with what the model nearly said."""
    found = sort_it(log)
    assert sorted(members(found)) == [[1, 3, 5, 7, 9], [2, 4, 6, 8, 10]]
    first, second = sorted(found.clusters, key=lambda one: one.media_id)
    assert (first.media_id, second.media_id) == (5, 6)
    assert first.nearly == ((WREN.name, 5),)
    assert second.nearly == ((ROBIN.name, 5),)
    assert (found.frames, found.alone, found.not_sorted, found.too_old) == (10, 0, 0, 0)


def test_other_models_frames_are_not_sorted(log: Log) -> None:
    """They are counted, for they cannot be compared."""
    log.add(direction(1), None, model="o" * 64)
    found = sort_it(log)
    assert (found.frames, found.not_sorted) == (10, 1)


def test_the_oldest_are_left_out_of_too_many(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: only so many of the newest are looked at."""
    monkeypatch.setattr(unknowns, "MOST_FRAMES", 8)
    found = sort_it(log)
    assert (found.frames, found.too_old) == (8, 2)


def test_a_cluster_is_named_as_it_was_shown(log: Log, tmp_path: Path) -> None:
    """A frame that came since is not named, whatever it is like."""
    with SearchLog(log.path) as opened:
        remember(sort_it(log), opened, log.cache)
        new = log.add(direction(2), None)
        log.logbook.commit()
        assert [frame.media_id for frame in recall(5, opened, log.cache)] == [1, 3, 5, 7, 9]
        for other in (new, 11):
            with pytest.raises(FeederError, match="in no cluster"):
                recall(other, opened, log.cache)


def test_nothing_is_named_before_it_was_shown(log: Log) -> None:
    """It asks for the list first."""
    with SearchLog(log.path) as opened, pytest.raises(FeederError, match="Nothing has been sorted"):
        recall(5, opened, log.cache)


def test_another_log_at_the_same_place_is_noticed(log: Log, tmp_path: Path) -> None:
    """A backup put back may give the same ids to other frames, which nobody has seen together."""
    with SearchLog(log.path) as opened:
        remember(sort_it(log), opened, log.cache)
    log.logbook.close()
    log.path.unlink()
    other = Log(tmp_path)
    for number in range(12):
        other.add(direction(number), None, camera="pond")
    other.logbook.commit()
    with SearchLog(log.path) as opened, pytest.raises(FeederError, match="not the one"):
        recall(5, opened, log.cache)


# The command


@pytest.fixture
def feeder(
    write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs a command where the log holds two clusters; errors that users meet are raised."""
    path = write_config(model='bundle = "starter"\nthreads = 1')
    database = config.load(path).database
    log = Log(database.parent)
    for number in range(5):
        log.add(direction(number), None)
        log.add(direction(90 + number), UNIDENTIFIED_BIRD, runners_up=(ROBIN,))
    log.logbook.commit()
    log.logbook.close()
    # The embeddings are not the starter's, so that a test need not find pictures that are.
    given = EmbeddingStore.open
    monkeypatch.setattr(
        EmbeddingStore, "open", lambda path, digest, cache: given(path, MODEL, cache)
    )

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--config", str(path), *arguments], catch_exceptions=False)

    return run


def log_of(feeder: Callable[..., Result]) -> list[dict[str, object]]:
    """Every frame with its verdict, the oldest first."""
    rows = json.loads(feeder("sightings", "--all", "--limit", "0", "--json").stdout)
    return list(reversed(rows))


def test_it_lists_clusters(feeder: Callable[..., Result], tmp_path: Path) -> None:
    """A table, JSON and a sheet show the same clusters."""
    sheet = tmp_path / "sheet.html"
    result = feeder("unknowns", "--sheet", str(sheet))
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[:2] for line in lines] == [["id", "frames"], ["5", "5"], ["6", "5"]]
    assert lines[2][-2] == "European Robin 5"
    assert "unknown frames: 10" in result.stderr
    found = json.loads(feeder("unknowns", "--json").stdout)
    assert [one["media_ids"] for one in found] == [[1, 3, 5, 7, 9], [2, 4, 6, 8, 10]]
    assert found[0]["first"] == "2026-05-01T12:10:00.000Z"
    assert "5: 5 frames" in sheet.read_text(encoding="utf-8")


def test_naming_one_names_all_of_it(feeder: Callable[..., Result], tmp_path: Path) -> None:
    """One judgement calls each frame of the cluster so, and undoing it takes all of it back."""
    feeder("unknowns")
    result = feeder("unknowns", "name", "5", "eursis")
    assert "5 frames are Eurasian Siskin now" in result.stdout
    rows = log_of(feeder)
    named = [row for row in rows if row["label"] == "Eurasian Siskin"]
    assert [row["media_id"] for row in named] == [1, 3, 5, 7, 9]
    assert {row["classified_by"] for row in named} == {person.name()}
    assert {row["scientific_name"] for row in named} == {"Spinus spinus"}
    assert {row["observation_type"] for row in named} == {ObservationType.ANIMAL}
    with JudgementLog.open(tmp_path / "data" / "feeder.db") as judgements:
        (judgement,) = judgements.judgements(What.CORRECTION, state=State.IN_FORCE)
        assert (judgement.frames, judgement.changed) == (5, 5)
        judgements.undo(judgement.judgement_id)
    assert {row["observation_type"] for row in log_of(feeder)} == {"unknown", "animal"}
    assert not any(row["label"] == "Eurasian Siskin" for row in log_of(feeder))


def test_what_a_person_has_said_stays(feeder: Callable[..., Result], tmp_path: Path) -> None:
    """Frames that were corrected meanwhile are not named; with all of them there is nothing to."""
    feeder("unknowns")
    with JudgementLog.open(tmp_path / "data" / "feeder.db") as judgements:
        unknowns.name(judgements, [3, 5], ROBIN, "ada")
    assert "3 frames are Eurasian Siskin now" in feeder("unknowns", "name", "5", "eursis").stdout
    rows = {row["media_id"]: row["label"] for row in log_of(feeder)}
    assert (rows[1], rows[3], rows[5]) == ("Eurasian Siskin", ROBIN.name, ROBIN.name)
    with pytest.raises(FeederError, match="judged every frame"):
        feeder("unknowns", "name", "1", "eursis")
    assert [one["media_id"] for one in json.loads(feeder("unknowns", "--json").stdout)] == []


def test_a_name_must_be_known_or_new(feeder: Callable[..., Result]) -> None:
    """A misspelt name is not written to the log; --new takes any, with its scientific name."""
    feeder("unknowns")
    with pytest.raises(FeederError, match="Did you mean 'Eurasian Siskin'"):
        feeder("unknowns", "name", "5", "Eurasian Siskn")
    said = ("--new", "--scientific", "Felis silvestris", "--kind", "mammal")
    assert "Tom now" in feeder("unknowns", "name", "5", "Tom", *said).stdout
    (kind,) = {
        (row["kind"], row["scientific_name"]) for row in log_of(feeder) if row["label"] == "Tom"
    }
    assert kind == ("mammal", "Felis silvestris")


def test_no_unknown_frames_is_no_error(write_config: Callable[..., Path], tmp_path: Path) -> None:
    """An empty list, said in words."""
    path = write_config(model='bundle = "starter"\nthreads = 1')
    Log(config.load(path).database.parent).logbook.close()
    command = ["--config", str(path), "unknowns", "--json"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert json.loads(result.stdout) == []
    assert "unknown frames: 0" in result.stderr


def test_a_person_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's, and some name where it has none."""
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert person.name() == "ada"

    def nobody() -> str:
        raise OSError("no user")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert person.name() == "someone"


def test_the_log_reads_a_blank_name(log: Log) -> None:
    """A cluster may be named as nothing, or as a person: then no animal was seen."""
    with JudgementLog.open(log.path) as judgements:
        unknowns.name(judgements, [1, 3], Label("empty feeder", Kind.BLANK), "ada")
        unknowns.name(judgements, [2], Label("person", Kind.HUMAN), "ada")
    rows = {row["media_id"]: row for row in LogReader(log.path).sightings(Query(every_frame=True))}
    assert [rows[number]["observation_type"] for number in (1, 2, 3)] == ["blank", "human", "blank"]
