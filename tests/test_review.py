"""What waits for a person, and what becomes of what they say."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from rich.style import Style

from feeder import own_labels, review, schema
from feeder import vocabulary as vocabularies
from feeder.bundle import golden_image
from feeder.cli import app
from feeder.cli.half_blocks import half_blocks
from feeder.cli.review_session import Session
from feeder.corrections import Answer
from feeder.domain import (
    UNIDENTIFIED_BIRD,
    Candidate,
    Deployment,
    Group,
    Kind,
    Label,
    ObservationType,
    Prediction,
)
from feeder.errors import FeederError, LogbookError, VocabularyError
from feeder.judgement_log import JudgementLog, What
from feeder.lessons import NOTHING_THERE
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.review_log import ReviewLog, Waiting, Why
from feeder.vocabulary import Vocabulary
from tests.conftest import FakeClock
from tests.test_logbook import GARDEN, NOON, ROBIN, WREN, frame, seen

POND = Deployment("pond", Path("/cams/pond"))
CAT = Label("cat", Kind.MAMMAL)
EMPTY = Label("empty feeder", Kind.BLANK)
VOCABULARY = Vocabulary("test", (), (ROBIN, WREN, CAT, EMPTY))


class Log:
    """A log that machines and people write to, and what waits in it."""

    def __init__(self, path: Path, time: FakeClock) -> None:
        self.path = path
        self.logbook = Logbook.open(path, time.clock)
        self.logbook.register_model("m" * 64, "tiny")
        self.logbook.register_vocabulary("v" * 64, (ROBIN, WREN))
        self.judgements = JudgementLog.open(path, time.clock)
        self.judgements.observations.register_model("m" * 64, "tiny")
        self.judgements.observations.register_vocabulary("v" * 64, (ROBIN, WREN))
        self.review = ReviewLog(path)

    def shoot(self, number: int, prediction: Prediction, deployment: Deployment = GARDEN) -> None:
        """Logs the frame `number`, whose media id it is, too, where frames come in order."""
        self.logbook.append(frame(number, deployment=deployment), prediction)
        self.logbook.commit()

    def new(self) -> list[tuple[str, str, int]]:
        """Camera, label and frames of the species that wait."""
        waiting = self.review.new_species()
        return [(one.deployment, one.shown, one.frames) for one in waiting]

    def say(self, media_id: int, label: Label, why: Why = Why.CHOSEN) -> int:
        """A person says what a frame shows."""
        decision = Answer.of(label)
        return review.record(self.judgements, decision, [media_id], person="ann", why=why)

    def confirm(self, media_id: int, why: Why = Why.CHOSEN) -> int:
        """A person says that the log is right about a frame."""
        (waiting,) = self.review.get([media_id], why)
        decision = review.confirmed(waiting)
        return review.record(self.judgements, decision, [media_id], person="ann", why=why)

    def labels(self) -> list[str | None]:
        """What the log says of its frames now, the oldest first."""
        rows = LogReader(self.path).sightings(Query(every_frame=True))
        return [row["label"] for row in rows][::-1]

    def close(self) -> None:
        """Lets go of it."""
        self.review.close()
        self.judgements.close()
        self.logbook.close()


@pytest.fixture
def log(tmp_path: Path, time: FakeClock) -> Iterator[Log]:
    """An empty one."""
    opened = Log(tmp_path / "feeder.db", time)
    yield opened
    opened.close()


def blank() -> Prediction:
    """A machine's verdict on a frame of nothing, whose best label is a blank one."""
    best = Candidate(EMPTY, 0.8, 0.2)
    return replace(seen(), observation_type=ObservationType.BLANK, candidates=(best,), named=None)


def test_a_species_waits_from_its_first_sighting_until_it_is_confirmed(log: Log) -> None:
    """A new species stands in the queue with its surest frame; confirming one frame is enough."""
    log.shoot(1, seen(ROBIN, 0.7))
    log.shoot(2, seen(ROBIN, 0.95))
    log.shoot(3, seen(ROBIN, 0.8))
    (waiting,) = log.review.new_species()
    assert (waiting.media_id, waiting.frames) == (2, 3)
    assert waiting.first_seen == NOON + timedelta(minutes=1)
    assert waiting.runners_up == (("Eurasian Wren", 0.05),)
    log.confirm(1)
    log.shoot(4, seen(ROBIN))
    assert log.new() == []
    assert log.labels() == ["European Robin"] * 4


def test_each_camera_has_its_own_list(log: Log) -> None:
    """A species that is known in one garden is a first in the other."""
    log.shoot(1, seen(ROBIN))
    log.shoot(2, seen(ROBIN), POND)
    log.confirm(1)
    assert log.new() == [("pond", "European Robin", 1)]
    assert log.review.new_species("garden") == []


def test_a_corrected_species_was_never_seen(log: Log) -> None:
    """Corrected, a first sighting leaves no trace: the next one waits again, and a firm one not."""
    log.shoot(1, seen(WREN))
    log.say(1, ROBIN)
    assert log.new() == []  # a person vouches for the robin
    log.shoot(2, seen(WREN))
    assert log.new() == [("garden", "Eurasian Wren", 1)]


def test_undoing_a_confirmation_puts_the_species_back(log: Log) -> None:
    """A confirmation counts as long as it is in force."""
    log.shoot(1, seen(ROBIN))
    number = log.confirm(1)
    log.judgements.undo(number)
    assert log.new() == [("garden", "European Robin", 1)]


def test_a_judgement_in_preparation_is_no_sighting(log: Log) -> None:
    """What a relabel says counts in the queue from when it is in force."""
    log.shoot(1, seen(ROBIN))
    log.confirm(1)
    log.shoot(2, seen(ROBIN))
    number = log.judgements.begin(
        What.RELABEL, "wrens", made_by="tiny", model_digest="m" * 64, vocabulary_digest="v" * 64
    )
    log.judgements.observe(number, [(2, seen(WREN))])
    assert log.new() == []
    log.judgements.put_in_force(number, frames=1)
    assert log.new() == [("garden", "Eurasian Wren", 1)]


def test_what_is_no_species_does_not_wait(log: Log) -> None:
    """Groups, birds of whatever species and blocked names are no first of their kind."""
    pair = Label("Robin/Wren", Kind.BIRD)
    vocabulary = replace(
        VOCABULARY, groups=(Group(pair, (ROBIN.name, WREN.name)),), blocked=frozenset({WREN.name})
    )
    for number, label in enumerate((pair, UNIDENTIFIED_BIRD, WREN, CAT), start=1):
        log.shoot(number, seen(label))
    waiting = log.review.new_species(besides=review.no_species(vocabulary))
    assert [one.shown for one in waiting] == ["cat"]


def test_years_of_history_are_known(tmp_path: Path, time: FakeClock) -> None:
    """The species of a log of an earlier release do not wait; one that comes later does."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        for number in range(1, 5):
            (file,) = (
                one
                for one in resources.files("feeder").joinpath("schema").iterdir()
                if one.name.startswith(f"{number:04}")
            )
            old.executescript(file.read_text(encoding="utf-8"))
        old.execute("PRAGMA user_version = 4")
        old.execute("INSERT INTO deployment VALUES (1, 'garden', NULL, NULL, NULL, '')")
        old.execute(
            "INSERT INTO media (deployment_id, timestamp, timestamp_source, file_path, file_name,"
            " file_mediatype, file_size, received_at) VALUES (1, ?, 'exif', x'', '', '', 1, '')",
            ("2020-05-01T06:30:00.000Z",),
        )
        old.execute(
            "INSERT INTO observation (media_id, observation_type, label, classification_method,"
            " classified_by, classification_timestamp, reason)"
            " VALUES (1, 'animal', 'European Robin', 'machine', 'tiny', '', '')"
        )
        assert schema.latest() > 4
    log = Log(path, time)
    log.shoot(1, seen(ROBIN))
    log.shoot(2, seen(WREN))
    assert log.new() == [("garden", "Eurasian Wren", 1)]
    log.close()


def test_the_least_certain_sightings_come_first(log: Log) -> None:
    """By how little the best label leads; what a person has spoken of is settled."""
    for number, probability in enumerate((0.9, 0.6, 0.7), start=1):
        log.shoot(number, seen(ROBIN, probability))
    assert [one.media_id for one in log.review.uncertain(NOON, 2)] == [2, 3]
    log.confirm(2)
    assert [one.media_id for one in log.review.uncertain(NOON, 2)] == [3, 1]
    assert log.review.uncertain(NOON + timedelta(days=1), 2) == []


def test_a_sample_is_drawn_of_all_frames_and_none_twice(log: Log) -> None:
    """Blanks and corrected frames are drawn, too; a frame said to be drawn is not drawn again."""
    for number in range(1, 6):
        log.shoot(number, seen())
    log.shoot(6, blank())
    log.say(3, WREN)
    drawn = log.review.sample(NOON, 10, "m" * 64)
    assert sorted(one.media_id for one in drawn) == [1, 2, 3, 4, 5, 6]
    assert len(log.review.sample(NOON, 4, "m" * 64)) == 4
    assert log.review.sample(NOON, 10, "another model") == []
    log.confirm(6, Why.SAMPLE)
    log.confirm(3, Why.SAMPLE)
    log.say(3, ROBIN)
    assert sorted(one.media_id for one in log.review.sample(NOON, 10, "m" * 64)) == [1, 2, 4, 5]
    said = {one.media_id: one for one in log.review.said("m" * 64, "garden")}
    assert [(one.observation_type, one.drawn) for one in said.values()] == [
        (ObservationType.ANIMAL, True),
        (ObservationType.BLANK, True),
    ]
    assert said[3].label == "European Robin"


def test_a_rare_species_waits_until_it_is_named(log: Log) -> None:
    """A verdict that says it is rare puts its species in the queue, once, however many frames."""
    rare = replace(seen(WREN, 0.8), reason="Eurasian Wren 0.80 (rare here: rare in May)")
    log.shoot(1, rare)
    log.shoot(2, replace(rare, named=Candidate(WREN, 0.85, 0.3)))
    log.shoot(3, seen(ROBIN))
    (waiting,) = log.review.rare(NOON)
    assert (waiting.media_id, waiting.frames, waiting.shown) == (2, 2, "Eurasian Wren")
    assert waiting.first_seen == NOON + timedelta(minutes=1)
    assert log.review.rare(NOON, "pond") == []
    assert log.review.rare(NOON + timedelta(days=1)) == []
    log.confirm(1)
    assert log.review.rare(NOON) == []


def test_confirming_keeps_the_verdict(log: Log) -> None:
    """A confirmed blank keeps its label, an unknown takes none, a broken frame has no verdict."""
    log.shoot(1, blank())
    log.shoot(2, replace(seen(), observation_type=ObservationType.UNKNOWN, named=None))
    log.shoot(3, Prediction(ObservationType.UNCLASSIFIED, "the picture is broken"))
    one, two, three = log.review.get([1, 2, 3], Why.CHOSEN)
    assert review.confirmed(one).label == EMPTY
    assert review.confirmed(two).observation_type is ObservationType.UNKNOWN
    assert review.confirmed(two).label is None
    with pytest.raises(FeederError, match="picture is broken"):
        review.confirmed(three)
    with pytest.raises(LogbookError, match="no frame 99"):
        log.review.get([99], Why.CHOSEN)


def test_a_label_decides_the_verdict() -> None:
    """A person who names a cat, a person or an empty feeder gives that verdict."""
    kinds = {kind: Answer.of(Label("x", kind)).observation_type for kind in Kind}
    assert kinds == {
        Kind.BIRD: ObservationType.ANIMAL,
        Kind.MAMMAL: ObservationType.ANIMAL,
        Kind.HUMAN: ObservationType.HUMAN,
        Kind.BLANK: ObservationType.BLANK,
    }


def test_a_blocked_label_is_kept_in_the_users_file(tmp_path: Path) -> None:
    """`block` is written once, before any section, and read back by any of the label's names."""
    path = tmp_path / "labels.toml"
    own_labels.add(path, Label("Gertrude", Kind.BIRD), VOCABULARY)
    own_labels.block(path, "eurrob1", VOCABULARY)
    own_labels.block(path, "European Robin", VOCABULARY)
    with pytest.raises(VocabularyError, match="no label 'Great Auk'"):
        own_labels.block(path, "Great Auk", VOCABULARY)
    read = vocabularies.with_own(VOCABULARY, path)
    assert read.blocked == {"European Robin"}
    assert read.find("European Robin") == ROBIN
    assert read.find("Gertrude") is not None
    assert path.read_text(encoding="utf-8").count("European Robin") == 1


def test_taking_back_leaves_other_frames_in_the_queue(log: Log) -> None:
    """Frames drawn at random have nothing to do with each other, whatever they are called."""
    for number in (1, 2, 3):
        log.shoot(number, seen())
    one, _ = session(log, "uzuuu")
    one.run(log.review.get([1, 2, 3], Why.SAMPLE))
    assert log.labels() == [None, None, None]


def session(log: Log, keys: str, answers: tuple[str, ...] = ()) -> tuple[Session, list[str]]:
    """A person at the keyboard, and the list of what they block."""
    blocked: list[str] = []
    pressed, said = iter(keys), iter(answers)
    made = Session(
        log.review,
        log.judgements,
        VOCABULARY,
        "ann",
        block=blocked.append,
        picture_of=lambda one: None,
        zones={},
        read_key=lambda: next(pressed),
        ask=lambda what: next(said),
    )
    return made, blocked


@pytest.mark.parametrize(
    ("keys", "answers", "labels", "waiting"),
    [
        ("c", (), [WREN, WREN, ROBIN], ["European Robin"]),
        ("oq", ("nobody", "european robin"), [WREN, ROBIN, ROBIN], ["Eurasian Wren"]),
        ("O", ("cat",), [CAT, CAT, ROBIN], ["European Robin"]),
        ("ns", (), [WREN, NOTHING_THERE, ROBIN], ["Eurasian Wren", "European Robin"]),
        ("U", (), [None, None, ROBIN], ["European Robin"]),
        ("czq", (), [WREN, WREN, ROBIN], ["Eurasian Wren", "European Robin"]),
        ("o?zq", ("cat",), [WREN, WREN, ROBIN], ["Eurasian Wren", "European Robin"]),
        ("bs", ("y",), [WREN, WREN, ROBIN], ["Eurasian Wren", "European Robin"]),
        ("bq", ("",), [WREN, WREN, ROBIN], ["Eurasian Wren", "European Robin"]),
        ("q", (), [WREN, WREN, ROBIN], ["Eurasian Wren", "European Robin"]),
    ],
)
def test_a_key_is_a_decision(
    log: Log, keys: str, answers: tuple[str, ...], labels: list[Label | None], waiting: list[str]
) -> None:
    """Each key does what its name says, capitals to all frames of the species."""
    log.shoot(1, seen(WREN, 0.7))
    log.shoot(2, seen(WREN, 0.8))
    log.shoot(3, seen(ROBIN))
    one, blocked = session(log, keys + "q", answers)
    one.run(log.review.new_species())
    assert log.labels() == [label.name if label else None for label in labels]
    assert [name for _, name, _ in log.new()] == waiting
    assert blocked == (["Eurasian Wren"] if answers == ("y",) else [])


def test_a_frame_drawn_at_random_speaks_for_itself(log: Log) -> None:
    """A capital letter takes no other frame along where the frame was drawn."""
    for number in (1, 2):
        log.shoot(number, seen())
    one, _ = session(log, "Uq")
    one.run(log.review.get([1], Why.SAMPLE))
    assert log.labels() == [None, "European Robin"]


def test_half_blocks_are_two_pixels_a_character() -> None:
    """A picture keeps its shape, and its colours, within the given room."""
    image = Image.new("RGB", (400, 200), (255, 0, 0))
    image.paste((0, 0, 255), (0, 100, 400, 200))
    drawn = half_blocks(image, 20, 20)
    lines = drawn.plain.splitlines()
    assert (len(lines), len(lines[0])) == (5, 20)
    first = drawn.spans[0].style
    assert isinstance(first, Style)
    assert first.color is not None
    assert first.color.triplet == (255, 0, 0)


def test_the_command_line_lists_and_decides(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    """`feeder review` lists what waits with its picture; a decision by id takes it out."""
    path = write_config(thresholds="label = 0.0\nbird = 0.0\nblank = 1.0")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["--config", str(path), *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    (tmp_path / "snapshots").mkdir()
    golden_image().save(tmp_path / "snapshots" / "one.jpg")
    run("run", "--once")
    (line,) = run("review").splitlines()[1:]
    label = line.split("\t")[1]
    assert line.startswith("1\t")
    assert line.endswith("one.jpg")
    assert run("review", "--sample", "5").count("sample") == 1
    sheet = tmp_path / "sheet.html"
    run("review", "--sheet", str(sheet))
    assert "data:image/jpeg;base64," in sheet.read_text(encoding="utf-8")
    with pytest.raises(FeederError, match="cannot be written"):
        run("review", "--sheet", str(tmp_path / "none" / "sheet.html"))
    with pytest.raises(FeederError, match="no label"):
        run("review", "correct", "1", "--species", "Great Auk")
    run("review", "correct", "1", "--species", "Great Auk", "--new")
    assert run("review") == "Nothing waits for you.\n"
    run("review", "unknown", "1", "--sampled")
    run("review", "not-a-bird", "1", "--all-frames")
    assert "blank" in run("sightings", "--all")
    run("review", "confirm", "1")
    run("review", "correct", "1", "--species", label)
    assert run("sightings", "--json").count(label) >= 1
    run("review", "block", "1")
    assert label in (tmp_path / "labels.toml").read_text(encoding="utf-8")


def test_what_waits_says_what_it_shows(log: Log) -> None:
    """A frame that was given no name is called by its verdict, not by its best label."""
    log.shoot(1, blank())
    (waiting,) = log.review.get([1], Why.CHOSEN)
    assert isinstance(waiting, Waiting)
    assert waiting.shown == "blank"
