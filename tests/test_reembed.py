"""After a change of model: the old pictures are seen again, and the history is judged by it."""

import json
import os
import sqlite3
import sys
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from feeder import config
from feeder.bundle import Bundle
from feeder.classifier import MAX_PIXELS, Classifier, cut
from feeder.cli import app
from feeder.cli.wiring import open_classifier, open_reader, open_station
from feeder.config import Settings
from feeder.daemon import Station
from feeder.decoder import decode
from feeder.domain import Box, Kind, Label, ObservationType
from feeder.judgement_log import JudgementLog, State, What
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.model_change import AGAIN_SECONDS, ModelChange
from feeder.reembed import Reembedding
from feeder.relabel import is_announced, sole_judge
from tests.conftest import FakeClock
from tests.feeder_process import PATIENCE, FeederProcess, picture

COUNT = 7


@pytest.fixture
def path(tmp_path: Path, write_config: Callable[..., Path]) -> Path:
    """The settings of a feeder with seven frames, judged by the tiny model."""
    path = write_config(retention='archive = "archive"')
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for shade in range(COUNT):
        picture(folder / f"{shade}.jpg", 30 * shade)
    assert feeder(path, "run", "--once").exit_code == 0
    return path


@pytest.fixture
def settings(path: Path, tiny_clip: Path, other_clip: Path) -> Settings:
    """The settings with another model in its place."""
    return change_model(path, tiny_clip, other_clip)


def change_model(path: Path, old: Path, new: Path) -> Settings:
    """Writes another model into the settings."""
    text = path.read_text(encoding="utf-8").replace(old.as_posix(), new.as_posix())
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def feeder(path: Path, *arguments: str) -> Result:
    """What a command says."""
    return CliRunner().invoke(app, ["--config", str(path), *arguments])


@pytest.fixture
def classifier(settings: Settings) -> Classifier:
    """The new model's."""
    return open_classifier(settings)


@pytest.fixture
def see(settings: Settings, classifier: Classifier) -> Iterator[Callable[..., Reembedding]]:
    """Goes through the pictures; `stop_after` so many it stops without writing the last ones."""
    reader = open_reader(settings, classifier)

    def go(stop_after: int = 1000) -> Reembedding:
        with Reembedding.open(settings, classifier, reader, patience=5) as round_:
            while not round_.finished and round_.tally.total < stop_after:
                round_.step()
            return round_

    yield go
    reader.decoder.close()


def vectors(settings: Settings, bundle: Path) -> dict[int, np.ndarray]:
    """The embeddings of a model in the log, by frame."""
    ids, found = LogReader(settings.database).embeddings(Bundle.open(bundle).digest)
    return dict(zip(ids, found, strict=True))


def models(settings: Settings) -> list[str]:
    """Which model's verdict counts, frame by frame."""
    return [row["classified_by"] for row in rows(settings)]


def rows(settings: Settings) -> list[dict[str, Any]]:
    """What the log says of each frame, in the order of their ids."""
    found = LogReader(settings.database).sightings(Query(every_frame=True))
    return sorted(found, key=lambda row: row["media_id"])


def sql(settings: Settings, text: str) -> None:
    """Changes the log behind the program's back."""
    with closing(sqlite3.connect(settings.database)) as connection, connection:
        connection.execute(text)


def test_pictures_that_remain_are_seen(
    settings: Settings, classifier: Classifier, see: Callable[..., Reembedding], other_clip: Path
) -> None:
    """Each gets the embedding a new frame would get, of the part that its verdict is on."""
    sql(
        settings,
        "UPDATE observation SET bbox_x = 0.5, bbox_y = 0.25, bbox_width = 0.5, bbox_height = 0.5"
        " WHERE media_id = 3",
    )
    done = see()
    assert (done.tally.seen, done.tally.gone, done.tally.unreadable) == (COUNT, 0, 0)
    found = vectors(settings, other_clip)
    assert len(found) == COUNT
    folder = settings.deployments[0].folder
    for row in rows(settings):
        data = (folder / row["file_name"]).read_bytes()
        image = decode(data, min_edge=classifier.min_edge, max_pixels=MAX_PIXELS).image
        if row["bbox_x"] is not None:
            box = (row["bbox_x"], row["bbox_y"], row["bbox_width"], row["bbox_height"])
            image = cut(image, Box(*box))
        wanted = classifier.embed([image])[0]
        np.testing.assert_allclose(found[row["media_id"]], wanted, atol=1e-3)
    assert set(models(settings)) == {"tiny"}


def test_it_goes_on_where_it_was(
    settings: Settings,
    see: Callable[..., Reembedding],
    other_clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A round that was broken off has kept what it wrote; the next one does the rest."""
    monkeypatch.setattr("feeder.reembed.BATCH", 2)
    see(stop_after=5)
    assert sorted(vectors(settings, other_clip)) == [4, 5, 6, 7]
    assert see().tally.seen == COUNT - 4
    assert sorted(vectors(settings, other_clip)) == list(range(1, COUNT + 1))
    assert see().tally.total == 0
    with JudgementLog.open(settings.database) as judgements:
        (waiting,) = judgements.judgements(What.MODEL)
        assert waiting.state is State.PREPARING
        assert is_announced(judgements, Bundle.open(other_clip).digest)


def test_what_is_no_more_is_counted(
    settings: Settings, see: Callable[..., Reembedding], other_clip: Path
) -> None:
    """Gone, overwritten and broken pictures are told apart, and none is taken for another."""
    folder = settings.deployments[0].folder
    names = {row["media_id"]: row["file_name"] for row in rows(settings)}
    (folder / names[1]).unlink()
    kept = (folder / names[2]).stat()
    data = bytearray((folder / names[2]).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / names[2]).write_bytes(data)
    os.utime(folder / names[2], ns=(kept.st_atime_ns, kept.st_mtime_ns))
    done = see()
    assert (done.tally.seen, done.tally.gone, done.tally.unreadable) == (COUNT - 2, 1, 1)
    assert sorted(vectors(settings, other_clip)) == list(range(3, COUNT + 1))


def test_the_archive_is_looked_in(path: Path, tiny_clip: Path, other_clip: Path) -> None:
    """Pictures that were moved to the archive are seen there."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[retention]", '[retention]\nafter = "archive"'), "utf-8")
    assert feeder(path, "run", "--once").exit_code == 0
    settings = change_model(path, tiny_clip, other_clip)
    assert not list(settings.deployments[0].folder.glob("*.jpg"))
    said = json.loads(feeder(path, "relabel", "--embed", "--json").stdout)
    assert (said["seen"], said["gone"], said["unreadable"]) == (COUNT, 0, 0)
    assert set(models(settings)) == {"other"}


def test_a_mask_holds_for_archived_pictures(path: Path, tiny_clip: Path, other_clip: Path) -> None:
    """What is never judged is not shown to a new model either, wherever the picture lies."""
    text = path.read_text(encoding="utf-8")
    text = text.replace("[retention]", '[retention]\nafter = "archive"')
    path.write_text(text, "utf-8")
    assert feeder(path, "run", "--once").exit_code == 0
    masked = text.replace("[[deployment]]", "[[deployment]]\nmask = [[0.0, 0.0, 1.0, 0.9]]")
    path.write_text(masked, "utf-8")
    settings = change_model(path, tiny_clip, other_clip)
    assert feeder(path, "relabel", "--embed").exit_code == 0
    whole = open_classifier(settings).embed(sorted(settings.archive.rglob("*.jpg")))
    kept = np.stack([*vectors(settings, other_clip).values()])
    assert len(whole) == len(kept) == COUNT
    assert (kept @ whole.T).max() < 0.999


def test_by_hand_it_is_judged_at_once(settings: Settings, path: Path) -> None:
    """`relabel --embed` shows the pictures, judges them all, and can be undone."""
    (settings.deployments[0].folder / "3.jpg").unlink()
    before = rows(settings)
    plain = feeder(path, "relabel", "--dry-run")
    assert f"seen by another model only, and left as they are: {COUNT} frames" in plain.output
    said = feeder(path, "relabel", "--embed")
    assert said.exit_code == 0, said.output
    assert f"other has seen {COUNT - 1} pictures" in said.output
    assert "gone: 1, not readable: 0" in said.output
    assert models(settings).count("other") == COUNT - 1
    assert models(settings).count("tiny") == 1
    (row,) = json.loads(feeder(path, "relabel", "--list", "--json").stdout)
    assert (row["what"], row["state"], row["frames"]) == ("model", "in force", COUNT - 1)
    assert feeder(path, "relabel", "--undo").exit_code == 0
    assert rows(settings) == before


def test_an_interrupted_judging_begins_anew(
    settings: Settings,
    classifier: Classifier,
    see: Callable[..., Reembedding],
    path: Path,
    other_clip: Path,
) -> None:
    """What was half written counts for nothing, and the frames still wait to be judged."""
    see()
    digest = Bundle.open(other_clip).digest
    with JudgementLog.open(settings.database) as judgements:
        (waiting,) = judgements.judgements(What.MODEL)
        judgements.observations.register_vocabulary(classifier.embeddings.digest, classifier.labels)
        vector = vectors(settings, other_clip)[2]
        judgements.observe(waiting.judgement_id, [(2, classifier.judge(vector))])
        assert is_announced(judgements, digest)
    assert set(models(settings)) == {"tiny"}
    assert feeder(path, "relabel", "--seen").exit_code == 0
    assert set(models(settings)) == {"other"}
    with JudgementLog.open(settings.database) as judgements:
        states = [one.state for one in judgements.judgements(What.MODEL)]
        assert states == [State.IN_FORCE, State.UNDONE]
        assert not is_announced(judgements, digest)


def test_a_person_is_not_overruled_by_a_model(settings: Settings, path: Path) -> None:
    """A frame that a person named is seen by the new model, and keeps its name."""
    with JudgementLog.open(settings.database) as judgements:
        number = judgements.begin(What.CORRECTION, "by hand", made_by="ada")
        judgements.observe_as_person(
            number, [4], ObservationType.ANIMAL, Label("wren", Kind.BIRD), person="ada", reason=""
        )
        judgements.put_in_force(number, 1)
    said = feeder(path, "relabel", "--embed").output
    assert "as people have said, and left so: 1 frame" in said
    assert models(settings)[3] == "ada"
    assert set(models(settings)) == {"ada", "other"}


# The daemon


@pytest.fixture
def station(settings: Settings) -> Iterator[Station]:
    """The new model's station, whose folder was gone through."""
    logbook = Logbook.open(settings.database)
    made = open_station(settings, logbook)
    made.inbox.start()
    while not made.inbox.is_empty:
        assert made.inbox.take(0.05) is None
    yield made
    made.close()
    logbook.close()


def turns(chore: ModelChange, station: Station, happened: Callable[[], bool]) -> None:
    """Lets the chore have its turns until something has happened."""
    deadline = wall.monotonic() + PATIENCE
    while not happened():
        assert wall.monotonic() < deadline
        chore.turn(station)
        wall.sleep(0.01)


def test_when_all_are_seen_they_are_judged(
    settings: Settings, station: Station, tmp_path: Path, other_clip: Path
) -> None:
    """The chore sees the pictures, then has them judged by another process, once."""
    mark = tmp_path / "judged"
    chore = ModelChange([sys.executable, "-c", f"open({str(mark)!r}, 'x')"])
    turns(chore, station, mark.exists)
    assert len(vectors(settings, other_clip)) == COUNT
    for _ in range(3):
        chore.turn(station)
    chore.close()


def test_a_frame_that_waits_comes_first(
    settings: Settings,
    station: Station,
    other_clip: Path,
    time: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the inbox holds a path no old picture is looked at; a turn ends when one comes."""
    # Asked as the turn begins, and after each step: a look at the log, then pictures.
    empty = iter([False, True, True, True, False])
    monkeypatch.setattr(type(station.inbox), "is_empty", property(lambda _: next(empty)))
    chore = ModelChange([], time.clock)
    chore.turn(station)
    chore.turn(station)
    chore.close()
    assert list(empty) == []
    assert len(vectors(settings, other_clip)) == 2


@pytest.mark.parametrize("why", ["off", "stands in", "by hand"])
def test_it_keeps_still_when_it_should(
    settings: Settings, station: Station, other_clip: Path, why: str
) -> None:
    """With the setting off, for a model that stands in, and while somebody judges by hand."""
    chore = ModelChange([])
    if why == "off":
        model = settings.model.model_copy(update={"embed_again": False})
        station.settings = settings.model_copy(update={"model": model})
    station.stands_in = why == "stands in"
    with sole_judge(settings.database) if why == "by hand" else nullcontext():
        for _ in range(3):
            chore.turn(station)
    chore.close()
    assert len(vectors(settings, other_clip)) == 0


def test_a_failed_judging_is_tried_later(
    settings: Settings, station: Station, time: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and the frames go on waiting."""
    chore = ModelChange([sys.executable, "-c", "raise SystemExit(1)"], time.clock)
    turns(chore, station, lambda: "judging again failed" in caplog.text)
    chore.turn(station)
    assert caplog.text.count("judging again failed") == 1
    time.advance(AGAIN_SECONDS)
    turns(chore, station, lambda: caplog.text.count("judging again failed") == 2)
    chore.close()


def test_the_daemon_changes_the_history_by_itself(
    path: Path, settings: Settings, write_config: Callable[..., Path]
) -> None:
    """Started on another model, it logs new frames and has all the old ones judged by it."""
    (settings.deployments[0].folder / "2.jpg").unlink()
    daemon = FeederProcess(path)
    daemon.start()
    picture(daemon.folder / "new.jpg", 240)
    daemon.until(lambda: models(settings).count("other") == COUNT)
    daemon.until(lambda: f"other has judged {COUNT - 1} old frames" in daemon.said())
    assert daemon.stop() == 0
    assert "gone: 1, not readable: 0" in daemon.said()
    assert models(settings).count("tiny") == 1
    assert "Traceback" not in daemon.said()
