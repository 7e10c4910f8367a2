"""What people say of frames: kept, found, undone, learnt from."""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from feeder import config, corrections, person
from feeder.cli import app
from feeder.cli.wiring import open_classifier, open_station
from feeder.config import Settings
from feeder.correction_log import Choice, CorrectionLog
from feeder.corrections import NOT_A_BIRD, UNKNOWN, Answer
from feeder.daemon import Daemon
from feeder.domain import Kind, Label, Vectors
from feeder.encoder import unit
from feeder.errors import FeederError, LogbookError
from feeder.judgement_log import JudgementLog, State, What
from feeder.lesson_trial import shares, trial
from feeder.lesson_watch import LOOK_SECONDS, LessonWatch
from feeder.lessons import FRAMES_A_BURST, MOST_BURSTS, Told, bursts, lessons
from feeder.logbook import Logbook
from tests.care import timekeeper_of
from tests.conftest import FakeClock
from tests.test_logbook import NOON, ROBIN, WREN, frame, seen

WIDTH = 16
FINCH = Label("House Finch", Kind.BIRD, "Haemorhous mexicanus", "houfin")


@pytest.fixture
def settings(write_config: Callable[..., Path], tiny_clip: Path) -> Settings:
    """A config on the tiny model, which reads text, with thresholds that let all be named."""
    path = write_config(
        thresholds="label = 0.0\nbird = 0.0\nblank = 1.0",
        model=f'bundle = "{tiny_clip.as_posix()}"\nvocabulary = "north-america"\nthreads = 1',
    )
    return config.load(path)


@pytest.fixture
def digest(settings: Settings) -> str:
    """The tiny model's."""
    return open_classifier(settings).bundle.digest


@pytest.fixture
def vectors() -> Vectors:
    """Six frames' vectors: five of one bird, and one of another."""
    random = np.random.default_rng(5)
    way = random.normal(size=WIDTH)
    near = [way + random.normal(size=WIDTH) * 0.1 for _ in range(5)]
    return unit(np.array([*near, -way], np.float32))


@pytest.fixture
def log(settings: Settings, digest: str, vectors: Vectors, time: FakeClock) -> CorrectionLog:
    """Six frames called European Robin, ten minutes apart save the first three."""
    settings.database.parent.mkdir(parents=True, exist_ok=True)
    logbook = Logbook.open(settings.database, time.clock)
    logbook.register_model(digest, "tiny")
    logbook.register_vocabulary("v" * 64, (ROBIN, WREN))
    for number, vector in enumerate(vectors, start=1):
        taken = NOON + timedelta(minutes=number if number < 4 else 10 * number)
        prediction = replace(seen(), embedding=vector, model_digest=digest)
        logbook.append(replace(frame(number), captured_at=taken), prediction)
    logbook.close()
    return CorrectionLog(settings.database)


@pytest.fixture
def judgements(log: CorrectionLog, time: FakeClock) -> Iterator[JudgementLog]:
    """Opened on that log."""
    with JudgementLog.open(log.path, time.clock) as opened:
        yield opened


@pytest.fixture
def feeder(settings: Settings, log: CorrectionLog) -> Callable[..., Result]:
    """Runs `feeder correct` on it; errors that users meet are raised."""

    def run(*arguments: str) -> Result:
        command = ["--config", str(settings.path), "correct", *arguments]
        return CliRunner().invoke(app, command, catch_exceptions=False)

    return run


def said(log: CorrectionLog) -> list[str]:
    """What the log says of its frames now."""
    return [one.words for one in log.frames(range(1, 7))]


def keep(
    judgements: JudgementLog,
    log: CorrectionLog,
    media_ids: list[int],
    answer: Answer,
    note: str = "",
) -> int:
    """Ann's correction of these frames."""
    return corrections.correct(judgements, log.frames(media_ids), answer, person="ann", note=note)


def test_a_correction_counts_and_the_original_stays(
    judgements: JudgementLog, log: CorrectionLog
) -> None:
    """The person's word is what the log says; what the machine said is in it as before."""
    number = keep(judgements, log, [2, 4], Answer.of(FINCH), "red head")
    assert said(log)[1:4] == ["House Finch", "European Robin", "House Finch"]
    with closing(sqlite3.connect(log.path)) as connection:
        rows = connection.execute(
            "SELECT label, classification_method, classified_by, reason, judgement_id"
            " FROM observation WHERE media_id = 2 ORDER BY observation_id"
        ).fetchall()
    assert [row[:2] for row in rows] == [("European Robin", "machine"), ("House Finch", "human")]
    assert rows[1][2:] == ("ann", "red head", number)


def test_corrections_are_undone_one_by_one(judgements: JudgementLog, log: CorrectionLog) -> None:
    """The newest goes first, or the one that is named; none is undone twice."""
    first = keep(judgements, log, [1], Answer.of(FINCH))
    keep(judgements, log, [1, 2], NOT_A_BIRD)
    assert said(log)[:2] == ["blank", "blank"]
    corrections.undo(judgements)
    assert said(log)[:2] == ["House Finch", "European Robin"]
    assert corrections.undo(judgements, first).judgement_id == first
    assert said(log)[0] == "European Robin"
    for number in (first, None, 99):
        with pytest.raises(FeederError):
            corrections.undo(judgements, number)


def test_agreeing_is_a_confirmation(judgements: JudgementLog, log: CorrectionLog) -> None:
    """To say what the log says already is kept, as the person's word and as a confirmation."""
    keep(judgements, log, [1], Answer.of(ROBIN))
    (now,) = log.frames([1])
    assert (now.words, now.by_person) == ("European Robin", True)
    with closing(sqlite3.connect(log.path)) as connection:
        (reason,) = connection.execute(
            "SELECT reason FROM observation WHERE classification_method = 'human'"
        ).fetchone()
    assert reason == "confirmed"


@pytest.mark.parametrize(
    ("answer", "row"),
    [
        (Answer.of(Label("squirrel", Kind.MAMMAL)), ("animal", "squirrel", "mammal")),
        (Answer.of(Label("person", Kind.HUMAN)), ("human", "person", "human")),
        (NOT_A_BIRD, ("blank", "nothing there", "blank")),
        (UNKNOWN, ("unknown", None, None)),
    ],
)
def test_what_is_said_in_camtrap_dps_terms(
    judgements: JudgementLog, log: CorrectionLog, answer: Answer, row: tuple[str, str, str]
) -> None:
    """A label's kind decides the observation type; a bird that is none is blank."""
    keep(judgements, log, [1], answer)
    with closing(sqlite3.connect(log.path)) as connection:
        sql = "SELECT observation_type, label, kind FROM verdict WHERE media_id = 1"
        assert connection.execute(sql).fetchone() == row


def test_a_visit_is_corrected_whole(feeder: Callable[..., Result], log: CorrectionLog) -> None:
    """All of its frames are; what a person called nothing is no visit, and that is said."""
    assert feeder("--visit", "2", "--species", "house finch", "--yes").exit_code == 0
    assert said(log) == ["House Finch"] * 3 + ["European Robin"] * 3
    feeder("4", "--not-a-bird")
    with pytest.raises(FeederError, match="no visit"):
        feeder("--visit", "4", "--unknown", "--yes")


def test_every_sighting_between_two_times(judgements: JudgementLog, log: CorrectionLog) -> None:
    """By any of its names, from a time on, before another, at a camera; never a blank."""
    keep(judgements, log, [6], NOT_A_BIRD)
    for name in ("european robin", "ERITHACUS RUBECULA", "eurrob1"):
        assert [one.media_id for one in log.every(Choice([name]))] == [1, 2, 3, 4, 5]
    since, until = NOON + timedelta(minutes=2), NOON + timedelta(minutes=50)
    assert [one.media_id for one in log.every(Choice(["eurrob1"], since, until))] == [2, 3, 4]
    assert log.every(Choice(["eurrob1"], deployment="pond")) == []


def test_unknown_frames_are_refused(log: CorrectionLog, tmp_path: Path) -> None:
    """A frame that is not in the log, and a log that is not there, are said in words."""
    with pytest.raises(LogbookError, match="no frame 99"):
        log.frames([1, 99])
    with pytest.raises(LogbookError, match="no log"):
        CorrectionLog(tmp_path / "none.db").frames([1])


def test_what_is_learnt_is_what_is_in_force(
    judgements: JudgementLog, log: CorrectionLog, digest: str, vectors: Vectors
) -> None:
    """Each frame teaches what its newest word in force says; "unknown" teaches nothing."""
    keep(judgements, log, [1, 2, 3], Answer.of(WREN))
    newer = keep(judgements, log, [2], Answer.of(FINCH))
    keep(judgements, log, [3], UNKNOWN)
    keep(judgements, log, [4], NOT_A_BIRD)
    told = {one.media_id: one.label.name for one in log.told(digest)}
    assert told == {1: "Eurasian Wren", 2: "House Finch", 4: "nothing there"}
    before = log.state(digest)
    corrections.undo(judgements, newer)
    assert log.state(digest) != before
    (first, second, _) = log.told(digest)
    assert second.label.name == "Eurasian Wren"
    np.testing.assert_allclose(first.vector, vectors[0], atol=1e-3)
    assert log.told("other") == []
    assert [label.name for label in log.names()] == [
        "Eurasian Wren",
        "House Finch",
        "nothing there",
    ]


def test_frames_of_one_moment_are_one_burst(
    judgements: JudgementLog, log: CorrectionLog, digest: str
) -> None:
    """Frames less than five minutes apart at one camera are one; later bursts count higher."""
    keep(judgements, log, [6, 1, 4, 2], Answer.of(WREN))
    told = log.told(digest)
    assert [one.media_id for one in told] == [1, 2, 4, 6]
    assert bursts(told).tolist() == [0, 0, 1, 2]
    elsewhere = [told[0], replace(told[1], deployment="pond")]
    assert len(set(bursts(elsewhere).tolist())) == 2
    (lesson,) = lessons(told)
    assert lesson.bursts.tolist() == [0, 0, 1, 2]


def test_corrections_teach_the_classifier(
    settings: Settings, judgements: JudgementLog, log: CorrectionLog, digest: str, vectors: Vectors
) -> None:
    """Frames like the corrected ones get their label, the digest says so, and an undo unlearns."""
    untaught = open_classifier(settings)
    before = untaught.judge(vectors[4]).named
    elf = Label("Woodland Elf", Kind.BIRD)
    keep(judgements, log, [1, 2, 3, 4], Answer.of(elf))
    taught = open_classifier(settings)
    named = taught.judge(vectors[4]).named
    assert named is not None and named.label == elf
    assert taught.labels[-1] == elf
    assert taught.embeddings.digest != untaught.embeddings.digest
    assert taught.probabilities(vectors).shape == (6, len(taught.labels))
    corrections.undo(judgements)
    again = open_classifier(settings)
    assert again.embeddings.digest == untaught.embeddings.digest
    after = again.judge(vectors[4]).named
    assert before is not None and after is not None and after.label == before.label


def test_a_model_that_sees_the_frames_later_learns_from_them(
    judgements: JudgementLog, log: CorrectionLog, vectors: Vectors
) -> None:
    """Each frame with a person's word that another model has seen is news to that model."""
    keep(judgements, log, [1], Answer.of(WREN))
    other = "o" * 64
    before = log.state(other)
    judgements.observations.register_model(other, "other")
    judgements.begin(What.MODEL, "seen", made_by="other", model_digest=other)
    judgements.keep_embeddings(other, {1: vectors[0]})
    assert log.state(other) != before
    assert [one.media_id for one in log.told(other)] == [1]


def test_the_newest_moments_teach_and_few_frames_of_each() -> None:
    """However many frames are named at once, what is learnt from stays bounded."""
    way = unit(np.ones((1, WIDTH), np.float32))[0]
    moments = [NOON + timedelta(hours=number) for number in range(MOST_BURSTS + 5)]
    told = [
        Told(number, "garden", at + timedelta(seconds=frame), WREN, way)
        for number, at in enumerate(moments)
        for frame in range(FRAMES_A_BURST + 1)
    ]
    (lesson,) = lessons(told)
    assert len(lesson.vectors) == MOST_BURSTS * FRAMES_A_BURST
    assert len(set(lesson.bursts.tolist())) == MOST_BURSTS


def test_it_can_be_turned_off(
    settings: Settings, judgements: JudgementLog, log: CorrectionLog
) -> None:
    """With `learn_from_corrections = false` nothing is learnt from them."""
    keep(judgements, log, [1, 2, 3], Answer.of(Label("Woodland Elf", Kind.BIRD)))
    off = settings.model_copy(
        update={"model": settings.model.model_copy(update={"learn_from_corrections": False})}
    )
    assert "Woodland Elf" not in [label.name for label in open_classifier(off).labels]
    assert "Woodland Elf" in [label.name for label in open_classifier(settings).labels]


def test_groups_and_removed_labels_teach_nothing(
    settings: Settings, judgements: JudgementLog, log: CorrectionLog, digest: str
) -> None:
    """What stands for several species, and what the user took out of the labels, stay out."""
    classifier = open_classifier(settings)
    gone = classifier.labels[0]
    settings.own_labels.write_text(f'remove = ["{gone.name}"]\n', encoding="utf-8")
    keep(judgements, log, [1, 2, 3], Answer.of(gone))
    keep(judgements, log, [4, 5, 6], Answer.of(Label("some bird", Kind.BIRD, "Aves")))
    names = [label.name for label in open_classifier(settings).labels]
    assert names == [label.name for label in classifier.labels[1:]]


def test_the_daemon_learns_while_it_runs(
    settings: Settings,
    judgements: JudgementLog,
    log: CorrectionLog,
    vectors: Vectors,
    time: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """New corrections count within two looks, on the same encoder, and are in the log by digest."""
    logbook = Logbook.open(log.path, time.clock)
    station = open_station(settings, logbook)
    load = partial(open_station, settings, logbook)
    daemon = Daemon(
        station, logbook, load, lambda *_: None, timekeeper_of(logbook, time.clock), time.clock
    )
    watch = LessonWatch(daemon)
    encoder = station.classifier._image_encoder

    def look(times: int) -> None:
        for _ in range(times):
            time.advance(LOOK_SECONDS)
            watch()

    try:
        look(3)
        before = station.classifier.embeddings.digest
        with caplog.at_level(logging.INFO):
            keep(judgements, log, [1, 2, 3, 4], Answer.of(Label("Woodland Elf", Kind.BIRD)))
            look(2)
        assert "learnt" in caplog.text
        named = station.classifier.judge(vectors[4]).named
        assert named is not None and named.label.name == "Woodland Elf"
        assert station.classifier._image_encoder is encoder
        after = station.classifier.embeddings.digest
        prediction = station.classifier.judge(vectors[4])
        logbook.append(frame(7), prediction)
        logbook.commit()
        with closing(sqlite3.connect(log.path)) as connection:
            sql = "SELECT labels FROM vocabulary WHERE digest = ?"
            assert "Woodland Elf" in connection.execute(sql, (after,)).fetchone()[0]
        corrections.undo(judgements)
        look(2)
        assert station.classifier.embeddings.digest == before
        station.settings = settings.model_copy(
            update={"model": settings.model.model_copy(update={"learn_from_corrections": False})}
        )
        look(1)
        assert watch._learnt is None  # it would keep a model that was replaced
    finally:
        station.close()
        logbook.close()


def test_accuracy_is_measured_on_visits_held_out(
    settings: Settings, judgements: JudgementLog, log: CorrectionLog, digest: str
) -> None:
    """What a frame teaches is never measured on its own burst, and one burst gives nothing."""
    elf = Label("Woodland Elf", Kind.BIRD)
    classifier = open_classifier(settings)
    keep(judgements, log, [1, 2, 3], Answer.of(elf))
    assert trial(classifier, log.told(digest)) == []
    keep(judgements, log, [4, 5], Answer.of(elf))
    tried = trial(classifier, log.told(digest))
    before, after = shares(tried)
    assert (before.count, before.total) == (0, 5)
    # Frames 4 and 5 are told by the first three; those are known from two others, too few.
    assert [one.told.media_id for one in tried if one.after] == [4, 5]
    assert after.count == 2
    assert "Woodland Elf" in [label.name for label in classifier.labels]


def test_the_command_corrects_and_undoes(
    feeder: Callable[..., Result], log: CorrectionLog, settings: Settings
) -> None:
    """It shows what it corrects, keeps it under the user's name, lists it and takes it back."""
    shown = feeder("1", "2", "--species", "houfin", "--note", "red head")
    assert shown.exit_code == 0
    assert "2  European Robin -> House Finch" in shown.output
    assert said(log)[:3] == ["House Finch", "House Finch", "European Robin"]
    (listed,) = json.loads(feeder("--list", "--json").output)
    assert (listed["frames"], listed["state"]) == (2, State.IN_FORCE)
    assert listed["made_by"] == person.name()
    assert "red head" in feeder("--list").output
    assert "undone" in feeder("--undo").output
    assert said(log)[0] == "European Robin"


def test_the_command_looks_before_it_leaps(
    feeder: Callable[..., Result], log: CorrectionLog
) -> None:
    """Many frames are corrected with --yes or an answer at a terminal; --dry-run shows them."""
    whole = ("--every", "European Robin", "--species", "House Finch")
    assert "6  European Robin -> House Finch" in feeder(*whole, "--dry-run").output
    with pytest.raises(FeederError, match="6 frames"):
        feeder(*whole)
    assert said(log) == ["European Robin"] * 6
    made = json.loads(feeder("--visit", "2", "--not-a-bird", "--yes", "--json").output)
    assert [one["media_id"] for one in made["frames"]] == [1, 2, 3]
    assert made["judgement_id"] == 1
    assert feeder(*whole, "--since", "2026-05-01T12:45+00:00", "--yes").exit_code == 0
    assert said(log) == ["blank"] * 3 + ["European Robin"] + ["House Finch"] * 2
    assert "(2 named by a person)" in feeder("--every", "houfin", "--unknown", "--dry-run").output


def test_a_name_that_is_none_is_refused(feeder: Callable[..., Result], log: CorrectionLog) -> None:
    """A misspelt name gets a suggestion; --new makes a label, which is a name from then on."""
    with pytest.raises(FeederError, match="Did you mean 'House Finch'"):
        feeder("1", "--species", "House Fnch")
    with pytest.raises(FeederError, match="Did you mean 'squirrel'"):
        feeder("1", "--species", "Eastern Gray Squirrel")
    new = ("--new", "--scientific", "Acanthis cabaret", "--ebird", "lesred1")
    assert feeder("1", "--species", "Lesser Redpoll", *new).exit_code == 0
    assert feeder("2", "--species", "acanthis cabaret").exit_code == 0
    assert said(log)[:2] == ["Lesser Redpoll"] * 2
    with pytest.raises(FeederError, match="answers so itself"):
        feeder("3", "--species", "unknown", "--new")
    with pytest.raises(FeederError, match="already"):
        feeder("3", "--species", "houfin", "--new")


def test_labels_list_shows_what_people_called_frames(
    settings: Settings, feeder: Callable[..., Result]
) -> None:
    """A name given by --new stands beside the vocabulary's, and says where it is from."""
    assert feeder("1", "--species", "Gertrude", "--new").exit_code == 0
    done = CliRunner().invoke(app, ["--config", str(settings.path), "labels", "list", "--json"])
    given = [one["name"] for one in json.loads(done.stdout) if one["from_corrections"]]
    assert given == ["Gertrude"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("1",),
        ("1", "--visit", "2", "--unknown"),
        ("1", "--unknown", "--not-a-bird"),
        ("1", "--unknown", "--since", "today"),
        ("1", "--unknown", "--new"),
        ("1", "--species", "houfin", "--kind", "mammal"),
        ("--every", "houfin", "--unknown", "--deployment", "nowhere"),
    ],
    ids=" ".join,
)
def test_what_does_not_go_together_is_wrong_usage(
    feeder: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    """It says what is missing or too much, and changes nothing."""
    assert feeder(*arguments).exit_code == 2


def test_the_command_says_what_corrections_are_worth(feeder: Callable[..., Result]) -> None:
    """With counts and intervals, and that few visits are too few to say."""
    assert "nothing to hold out" in feeder("--evaluate").output
    feeder("1", "2", "3", "4", "5", "--species", "Woodland Elf", "--new")
    shown = feeder("--evaluate")
    assert "too few to say" in shown.output
    (row,) = json.loads(feeder("--evaluate", "--json").output)
    assert (row["frames"], row["visits"], row["right_before"], row["enough"]) == (5, 3, 0, False)
