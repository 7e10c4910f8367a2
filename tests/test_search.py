"""Searching the log by likeness."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from feeder import config, nearest
from feeder import search as searching
from feeder import search_log as logs
from feeder.bundle import golden_image
from feeder.cli import app
from feeder.domain import (
    Candidate,
    Deployment,
    Frame,
    Kind,
    Label,
    ObservationType,
    Prediction,
    SettledPath,
    TimeSource,
    Vectors,
)
from feeder.embedding_store import EmbeddingStore
from feeder.errors import FeederError, LogbookError, VocabularyError
from feeder.log_reader import Query
from feeder.logbook import Logbook
from feeder.search import Hit, Seeker, of_frame, search
from feeder.search_log import SearchLog
from tests.tiny_bundle import make_tiny_clip

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MODEL = "m" * 64
ROBIN = Label("European Robin", Kind.BIRD, "Erithacus rubecula", "eurrob1")
WREN = Label("Eurasian Wren", Kind.BIRD, "Troglodytes troglodytes", "winwre4")
WIDTH = 8


class Log:
    """A log filled by hand, with the embeddings that a test wants."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "feeder.db"
        self.cache = folder / "cache"
        self.logbook = Logbook.open(self.path)
        self.logbook.register_vocabulary("v" * 64, (ROBIN, WREN))
        self.count = 0

    def add(
        self,
        vector: Vectors,
        label: Label | None = ROBIN,
        *,
        minutes: float | None = None,
        camera: str = "garden",
        model: str = MODEL,
        runners_up: tuple[Label, ...] = (),
    ) -> int:
        """One more frame, ten minutes after the last unless said; its id. None is unknown."""
        self.count += 1
        minutes = 10.0 * self.count if minutes is None else minutes
        source = SettledPath(
            Deployment(camera, Path("/cams") / camera),
            Path("/cams") / camera / f"{self.count}.jpg",
            self.count,
            self.count,
        )
        frame = Frame(
            source, f"{self.count:064x}", NOON + timedelta(minutes=minutes), TimeSource.EXIF
        )
        self.logbook.register_model(model, "a model")
        best = Candidate(label or WREN, 0.9, 0.3)
        candidates = (best, *(Candidate(one, 0.05, 0.2) for one in runners_up))
        kind = ObservationType.ANIMAL if label else ObservationType.UNKNOWN
        self.logbook.append(
            frame,
            Prediction(
                kind,
                "because",
                candidates,
                named=best if label else None,
                embedding=vector,
                model_digest=model,
                vocabulary_digest="v" * 64,
            ),
        )
        return self.count

    def search(self, vector: Vectors, **wanted: object) -> list[Hit]:
        """What searching gives; the keyword arguments are the query's and `search`'s."""
        self.logbook.commit()
        how = {name: wanted.pop(name) for name in ("every", "like") if name in wanted}
        with SearchLog(self.path) as log:
            return search(self.store(), log, vector, Query(**wanted), **how)  # type: ignore[arg-type]

    def store(self) -> EmbeddingStore:
        """The copy of the embeddings."""
        self.logbook.commit()
        return EmbeddingStore.open(self.path, MODEL, self.cache)


def direction(degrees: float) -> Vectors:
    """A unit vector at an angle to the first axis: `direction(0)` is what is sought."""
    vector = np.zeros(WIDTH, np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


SOUGHT = direction(0)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """An empty log."""
    return Log(tmp_path)


def ids(hits: list[Hit]) -> list[int]:
    """The frames that were found."""
    return [hit.frame.media_id for hit in hits]


def test_the_likest_come_first(log: Log) -> None:
    """Frames are ranked by their cosine, as many as asked for."""
    for degrees in (40, 10, 80, 20):
        log.add(direction(degrees))
    hits = log.search(SOUGHT, limit=3)
    assert ids(hits) == [2, 4, 1]
    expected = np.cos(np.radians([10, 20, 40]))
    np.testing.assert_allclose([hit.similarity for hit in hits], expected, atol=1e-3)


def test_a_burst_is_one_hit(log: Log) -> None:
    """Of one camera's frames within seconds the likest is given; `every` gives all."""
    log.add(direction(12), minutes=0)
    log.add(direction(10), minutes=0.3)
    log.add(direction(14), minutes=0.6, camera="pond")
    log.add(direction(30), minutes=5)
    assert ids(log.search(SOUGHT)) == [2, 3, 4]
    assert ids(log.search(SOUGHT, every=True)) == [2, 1, 3, 4]


def test_a_rare_species_is_found(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far down the ranking it is; what was called so once counts no longer."""
    monkeypatch.setattr(nearest, "FIRST", 2)
    for number in range(9):
        log.add(direction(number), WREN if number in (5, 7) else ROBIN)
    log.logbook.commit()
    with closing(sqlite3.connect(log.path)) as connection, connection:
        connection.execute(
            "INSERT INTO observation (media_id, observation_type, label, classification_method,"
            " classified_by, classification_timestamp, reason)"
            " VALUES (6, 'animal', 'Dunnock', 'human', 'ada', '', '')"
        )
    assert ids(log.search(SOUGHT, labels={"Eurasian Wren"})) == [8]
    assert ids(log.search(SOUGHT, labels={"European Robbin"})) == []


def test_a_long_burst_does_not_hide_the_rest(log: Log) -> None:
    """The log is asked further where the likest frames are all of one burst."""
    for number in range(300):
        log.add(direction(number / 100), minutes=number / 10_000)
    last = log.add(direction(60), minutes=60)
    assert ids(log.search(SOUGHT, limit=2)) == [1, last]


def test_what_is_like_a_frame_leaves_out_its_burst(log: Log) -> None:
    """Neither the frame itself nor what was taken with it is news."""
    log.add(direction(0), minutes=0)
    log.add(direction(1), minutes=0.2)
    log.add(direction(20), minutes=9)
    assert ids(log.search(SOUGHT, like=1)) == [3]
    assert ids(log.search(SOUGHT, like=1, every=True)) == [2, 3]


@pytest.mark.parametrize("few", [200_000, 1])
def test_it_is_narrowed(log: Log, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """By time, camera and species, alike whether few or many frames are left."""
    monkeypatch.setattr(logs, "FEW", few)
    log.add(direction(1), ROBIN, minutes=0)
    log.add(direction(2), WREN, minutes=10)
    log.add(direction(3), ROBIN, minutes=20, camera="pond")
    log.add(direction(4), None, minutes=30)
    log.add(direction(5), WREN, minutes=40)
    assert ids(log.search(SOUGHT, labels={"Eurasian Wren"})) == [2, 5]
    assert ids(log.search(SOUGHT, labels={"Eurasian Wren"}, limit=1)) == [2]
    assert ids(log.search(SOUGHT, labels={"Eurasian Wren", "Dunnock"})) == [2, 5]
    assert ids(log.search(SOUGHT, since=NOON + timedelta(minutes=10))) == [2, 3, 4, 5]
    assert ids(log.search(SOUGHT, until=NOON + timedelta(minutes=10))) == [1]
    assert ids(log.search(SOUGHT, deployment="pond")) == [3]
    assert ids(log.search(SOUGHT, deployment="roof")) == []
    assert ids(log.search(SOUGHT, deployment="garden", since=NOON + timedelta(minutes=35))) == [5]


def test_a_verdict_is_the_one_that_counts(log: Log) -> None:
    """A hit bears what the frame is called now; a frame that is not named bears no name."""
    log.add(direction(1), ROBIN)
    log.add(direction(2), None)
    log.logbook.commit()
    with closing(sqlite3.connect(log.path)) as connection, connection:
        connection.execute(
            "INSERT INTO observation (media_id, observation_type, label, classification_method,"
            " classified_by, classification_timestamp, reason)"
            " VALUES (1, 'animal', 'Dunnock', 'human', 'ada', '', '')"
        )
    named, unnamed = (hit.frame for hit in log.search(SOUGHT))
    assert (named.said, named.is_by_person, named.likely) == ("Dunnock", True, ())
    assert (unnamed.said, unnamed.observation_type) == (None, ObservationType.UNKNOWN)
    assert ids(log.search(SOUGHT, labels={"European Robin"})) == []


def test_other_models_frames_are_counted(log: Log) -> None:
    """They cannot be compared; a frame that both have judged is searched."""
    log.add(direction(1), model="o" * 64)
    log.add(direction(2))
    log.logbook.commit()
    with closing(sqlite3.connect(log.path)) as connection, connection:
        connection.execute(
            "INSERT INTO embedding SELECT 2, model_id, vector FROM embedding WHERE media_id = 1"
        )
    with SearchLog(log.path) as opened:
        assert opened.with_embedding() - len(log.store()) == 1
        with pytest.raises(FeederError, match="Frame 1 has no embedding of the model tiny"):
            of_frame(log.store(), opened, 1, "tiny")
        with pytest.raises(FeederError, match="no frame 9"):
            of_frame(log.store(), opened, 9, "tiny")
    assert ids(log.search(SOUGHT)) == [2]


def test_a_log_without_embeddings_gives_nothing(log: Log) -> None:
    """Nor does it fail."""
    assert log.search(SOUGHT) == []


def test_it_needs_a_log(tmp_path: Path) -> None:
    """Without a log it says who starts one, and makes none."""
    with pytest.raises(LogbookError, match="no log"):
        SearchLog(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_text_encoder_is_loaded_and_let_go(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing keeps the session once the text is a vector."""
    import weakref

    from feeder.bundle import Bundle
    from feeder.encoder import TextEncoder

    made: list[weakref.ref[TextEncoder]] = []

    class Watched(TextEncoder):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(weakref.ref(self))

    monkeypatch.setattr(searching, "TextEncoder", Watched)
    vector = Seeker(Bundle.open(tiny_clip), cache=tmp_path).text("a bird bathing")
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert [one() for one in made] == [None]


# The command


@pytest.fixture
def path(write_config: Callable[..., Path], tmp_path: Path) -> Path:
    """A config whose log holds four pictures, an hour apart, two of them alike."""
    path = write_config(
        thresholds="label = 0.0\nbird = 0.0\nblank = 1.0",
        deployment='name = "garden"\nfolder = "snapshots"\ntimezone = "America/New_York"',
    )
    folder = tmp_path / "snapshots"
    folder.mkdir()
    picture = golden_image()
    turned = (
        picture.transpose(how) for how in (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180)
    )
    for number, image in enumerate((picture, *turned, picture.resize((200, 150)))):
        exif = Image.Exif()
        exif[0x0132] = f"2026:05:01 {8 + number:02}:30:00"
        image.save(folder / f"{number}.png" if number == 3 else folder / f"{number}.jpg", exif=exif)
    assert run(path, "run", "--once").exit_code == 0
    return path


def run(path: Path, *arguments: str) -> Result:
    """Runs a command on that config; errors that users meet are raised."""
    return CliRunner().invoke(app, ["--config", str(path), *arguments], catch_exceptions=False)


def found(path: Path, *arguments: str) -> list[dict[str, object]]:
    """What `feeder search --json` gives."""
    rows = json.loads(run(path, "search", *arguments, "--json").stdout)
    assert isinstance(rows, list)
    return rows


def by_name(rows: list[dict[str, object]]) -> list[object]:
    """The files that were found."""
    return [row["file_name"] for row in rows]


def test_search_by_text_photo_and_frame(path: Path, tmp_path: Path) -> None:
    """Each way ranks the logged frames; a photo finds its own frame first."""
    assert len(found(path, "a bird bathing")) == 4
    like = tmp_path / "mine.jpg"
    golden_image().save(like)
    best, *others = found(path, "--like", str(like))
    assert best["file_name"] == "0.jpg"
    assert best["similarity"] == pytest.approx(1, abs=1e-3)
    assert best["timestamp"] == "2026-05-01T12:30:00.000Z"
    assert best["picture"] == str(tmp_path / "snapshots" / "0.jpg")
    assert others[0]["file_name"] == "3.png"
    frame = str(best["media_id"])
    assert by_name(found(path, "--like-frame", frame, "--limit", "1")) == ["3.png"]


def test_a_table_and_a_sheet_show_the_same(path: Path, tmp_path: Path) -> None:
    """The table gives local times and where each picture lies; one that is gone is still found."""
    (tmp_path / "snapshots" / "1.jpg").unlink()
    sheet = tmp_path / "sheet.html"
    result = run(path, "search", "a bird", "--sheet", str(sheet))
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][:3] == ["id", "similarity", "time"]
    assert {line[2] for line in lines[1:]} >= {"2026-05-01 08:30:00"}
    assert "gone: 1.jpg" in {line[-1] for line in lines}
    page = sheet.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "no longer readable" in page
    assert "on a terminal only" in run(path, "search", "a bird", "--pictures").stderr


def test_one_thing_is_sought(path: Path) -> None:
    """A text and a picture at once, or neither, is wrong usage."""
    assert run(path, "search").exit_code == 2
    assert run(path, "search", "").exit_code == 2
    assert run(path, "search", "a bird", "--like-frame", "1").exit_code == 2


def test_without_a_text_encoder_it_names_what_works(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    """The starter reads no text; searching by a picture works on it."""
    path = write_config(model='bundle = "starter"\nthreads = 1')
    Logbook.open(config.load(path).database).close()
    with pytest.raises(VocabularyError, match="no text encoder") as raised:
        run(path, "search", "a bird bathing")
    assert "--like PHOTO" in raised.value.hint
    assert "--like-frame ID" in raised.value.hint


def test_frames_of_another_model_are_told(path: Path, tmp_path: Path) -> None:
    """After a change of model it says how many frames it could not search."""
    other = make_tiny_clip(tmp_path / "other", seed=5)
    text = path.read_text(encoding="utf-8").splitlines()
    changed = [f'bundle = "{other.as_posix()}"' if "bundle" in line else line for line in text]
    path.write_text("\n".join(changed), encoding="utf-8")
    result = run(path, "search", "a bird", "--json")
    assert json.loads(result.stdout) == []
    assert "4 frames were not searched" in result.stderr


def test_frames_carry_their_labels(log: Log) -> None:
    """What a model held for likely comes with a frame, the best first."""
    number = log.add(direction(1), None, runners_up=(ROBIN,))
    log.logbook.commit()
    with SearchLog(log.path) as opened:
        frame = opened.seen([number])[number]
    assert frame.likely == (WREN.name, ROBIN.name)
