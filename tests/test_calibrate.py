"""`feeder calibrate`: from the log, from a folder, and what the daemon makes of it."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from feeder import calibration_file, config
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle, Thresholds
from feeder.calibration import INEXACT, KINDS, UNLISTED
from feeder.calibration_file import Entry
from feeder.classifier import Classifier
from feeder.cli import app
from feeder.cli.wiring import open_classifier
from feeder.domain import (
    Deployment,
    Frame,
    Group,
    Kind,
    Label,
    ObservationType,
    SettledPath,
    TimeSource,
)
from feeder.embedding_store import EmbeddingStore
from feeder.errors import ConfigError, FeederError
from feeder.judgement_log import JudgementLog, What
from feeder.labelled import LabelledPicture
from feeder.logbook import Logbook
from feeder.review_log import ReviewLog, Said, Why
from feeder.reviewed import Truths, from_folder, from_log
from tests.conftest import FakeClock

GARDEN = Deployment("garden", Path("/cams/garden"))
START = datetime(2026, 5, 1, 6, tzinfo=UTC)

ENTRY = Entry(
    deployment="garden",
    bundle="b" * 64,
    graph="onnx/vision_model.onnx",
    vocabulary="v" * 64,
    temperature=2.5,
    thresholds=Thresholds(label=0.7, bird=0.6, blank=0.55),
    made_at="2026-05-01T06:30:00.000Z",
    made_from="120 frames",
    frames=120,
    error_before=0.2,
    error_after=0.05,
    nll_before=1.5,
    nll_after=1.1,
)


@pytest.fixture
def config_path(write_config: Callable[..., Path]) -> Path:
    """A config on the tiny model."""
    return write_config()


@pytest.fixture
def feeder(config_path: Path) -> Callable[..., str]:
    """Runs a command on that config and gives what it says."""

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(
            app, ["--config", str(config_path), *arguments], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        return done.output

    return run


def log_frames(config_path: Path, count: int, *, drawn: int) -> None:
    """A log of so many frames, about half of them rightly named, which a person has named.

    The first `drawn` of them were drawn at random. Each frame is a burst of its own.
    """
    settings = config.load(config_path)
    classifier = open_classifier(settings)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    logbook = Logbook.open(settings.database)
    logbook.register_model(classifier.bundle.digest, "tiny")
    logbook.register_vocabulary(classifier.embeddings.digest, classifier.labels)
    best = classifier.probabilities(vectors).argmax(axis=1)
    for number, vector in enumerate(vectors):
        source = SettledPath(GARDEN, GARDEN.folder / f"{number}.jpg", 1, number)
        taken = START + timedelta(hours=number)
        frame = Frame(source, f"{number:064x}", taken, TimeSource.EXIF, "image/jpeg", 8, 8)
        logbook.append(frame, classifier.judge(vector))
    logbook.close()
    with JudgementLog.open(settings.database) as log:
        for why, rows in ((Why.SAMPLE, range(drawn)), (Why.NEW, range(drawn, count))):
            number = log.begin(
                What.CORRECTION, "frames", made_by="ann", settings={"review": why.value}
            )
            for row in rows:
                place = int(best[row]) if row % 2 else int(rng.integers(len(classifier.labels)))
                label = classifier.labels[place]
                log.observe_as_person(
                    number, [row + 1], _verdict(label), label, person="ann", reason="seen"
                )
            log.put_in_force(number, len(rows))


def _verdict(label: Label) -> ObservationType:
    others = {Kind.BLANK: ObservationType.BLANK, Kind.HUMAN: ObservationType.HUMAN}
    return others.get(label.kind, ObservationType.ANIMAL)


def test_it_is_kept_where_the_daemon_reads_it(
    feeder: Callable[..., str], config_path: Path
) -> None:
    """What was fitted to frames drawn at random enters every verdict on that camera's frames."""
    log_frames(config_path, 130, drawn=120)
    said = json.loads(feeder("calibrate", "--json", "--dry-run"))[0]
    assert said["frames"] == 120
    assert not config.load(config_path).calibration.exists()
    said = feeder("calibrate")
    assert "expected calibration error" in said
    assert "120 of 120 reviewed frames drawn at random" in said
    classifier = open_classifier(config.load(config_path))
    context = classifier.context("garden", START)
    # Half of the frames are labelled at random, and the tiny model is all too sure of them.
    assert context.temperature > 2
    assert classifier.context("pond", START).temperature == 1.0
    assert "garden" in feeder("calibrate", "--show")
    assert json.loads(feeder("calibrate", "--show", "--json"))[0]["frames"] == 120
    feeder("calibrate", "--reset")
    assert open_classifier(config.load(config_path)).context("garden", START).temperature == 1.0


def test_corrections_alone_are_no_sample(feeder: Callable[..., str], config_path: Path) -> None:
    """Without frames drawn at random it refuses, and says how many it takes and what to do."""
    log_frames(config_path, 120, drawn=20)
    with pytest.raises(FeederError, match=r"garden: 20 frames .* 100 are needed") as refused:
        feeder("calibrate")
    assert "100 others were not drawn at random" in str(refused.value)
    assert "feeder review --sample 80" in refused.value.hint
    assert "looks worse here than it is" in feeder("calibrate", "--all-reviewed", "--dry-run")


def test_a_labelled_folder_serves_as_well(
    feeder: Callable[..., str], config_path: Path, tmp_path: Path
) -> None:
    """`--from` fits to pictures, says what it left out, and needs no log."""
    rng = np.random.default_rng(0)
    classifier = open_classifier(config.load(config_path))
    for label in [*(one.name for one in classifier.labels[:10]), "Great Auk"]:
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    (tmp_path / "photos" / classifier.labels[0].name / "broken.png").write_bytes(b"\x89PNG")
    said = feeder("calibrate", "--from", str(tmp_path / "photos"), "--deployment", "garden")
    assert "no label 'Great Auk' (10 pictures)" in said
    assert "broken.png" in said
    assert "from 100 frames" in said
    (entry,) = calibration_file.read(config.load(config_path).calibration)
    assert (entry.deployment, entry.frames) == ("garden", 100)


def test_a_file_reads_back(tmp_path: Path) -> None:
    """What is put is what is read; a key is there once, and a reset takes a camera's out."""
    path = tmp_path / "calibration.toml"
    assert calibration_file.read(path) == []
    pond, other = (ENTRY.model_copy(update=at) for at in ({"deployment": "pond"}, {"graph": "x"}))
    calibration_file.put(path, [ENTRY, pond])
    newer = ENTRY.model_copy(update={"temperature": 3.0})
    calibration_file.put(path, [newer, other])
    assert calibration_file.read(path) == [pond, newer, other]
    assert calibration_file.reset(path, ["garden", "porch"]) == ["garden"]
    assert calibration_file.read(path) == [pond]
    assert calibration_file.reset(path, ["pond"]) == ["pond"]
    assert calibration_file.read(path) == []


def test_a_calibration_of_another_model_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds for one graph of one bundle; what is only for others is told."""
    path = tmp_path / "calibration.toml"
    calibration_file.put(path, [ENTRY])
    of = calibration_file.of
    assert of(path, ENTRY.bundle, ENTRY.graph, ["garden"]) == {"garden": ENTRY}
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert of(path, "c" * 64, ENTRY.graph, ["garden"]) == {}
        assert of(path, ENTRY.bundle, "onnx/other.onnx", ["garden"]) == {}
    assert "garden is of another model, and is ignored" in caplog.text
    caplog.clear()
    assert of(path, "c" * 64, ENTRY.graph, ["pond"]) == {}
    assert not caplog.records


@pytest.mark.parametrize("text", ["temperature", "[[calibration]]\ntemperature = -1\n", "\xff"])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    """A file that means nothing is named, with what to do."""
    path = tmp_path / "calibration.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"calibration\.toml"):
        calibration_file.read(path)


def test_the_settings_win_over_it(write_config: Callable[..., Path]) -> None:
    """A threshold that config.toml states stays; the temperature and the others are the found."""
    settings = config.load(write_config(thresholds="label = 0.33"))
    bundle = Bundle.open(Path(settings.bundle_name))
    graph = bundle.graph_file(bundle.manifest.image, "auto")
    entry = ENTRY.model_copy(update={"bundle": bundle.digest, "graph": graph})
    calibration_file.put(settings.calibration, [entry])
    context = open_classifier(settings).context("garden", START)
    assert context.temperature == 2.5
    assert (context.thresholds.label, context.thresholds.bird) == (0.33, 0.6)


@pytest.fixture(scope="module")
def classifier(tiny_clip: Path) -> Iterator[Classifier]:
    """The tiny model on a vocabulary with every kind and a group."""
    robin, wren = (Label(name, Kind.BIRD) for name in ("European Robin", "Eurasian Wren"))
    labels = (
        robin,
        replace(wren, scientific_name="Troglodytes troglodytes"),
        Label("Other bird", Kind.BIRD, "Aves"),
        Label("empty feeder", Kind.BLANK),
        Label("night", Kind.BLANK),
        Label("person", Kind.HUMAN),
    )
    group = Group(Label("Robin/Wren", Kind.BIRD), (robin.name, wren.name))
    vocabulary = vocabularies.Vocabulary("t", ("a {label}",), labels, (group,))
    yield Classifier(Bundle.open(tiny_clip), vocabulary, threads=1)


@pytest.mark.parametrize(
    ("verdict", "label", "scientific_name", "meant"),
    [
        ("animal", "european robin", None, (0, Kind.BIRD)),
        ("animal", "Winter Wren", "Troglodytes troglodytes", (1, Kind.BIRD)),
        ("animal", "Great Auk", None, (2, Kind.BIRD)),
        ("animal", "Robin/Wren", None, (INEXACT, Kind.BIRD)),
        ("animal", "unidentified bird", "Aves", (INEXACT, Kind.BIRD)),
        ("blank", None, None, (3, Kind.BLANK)),
        ("blank", "night", None, (3, Kind.BLANK)),
        ("human", None, None, (5, Kind.HUMAN)),
        ("unknown", None, None, None),
    ],
)
def test_what_a_person_says_is_a_truth(
    classifier: Classifier,
    verdict: str,
    label: str | None,
    scientific_name: str | None,
    meant: tuple[int, Kind] | None,
) -> None:
    """A label by any name; a bird not listed is another bird; a group is known by kind alone."""
    said = Said(1, "garden", START, ObservationType(verdict), label, scientific_name, None, True)
    assert Truths(classifier).of_verdict(said) == meant


def test_a_mammal_not_listed_makes_every_name_wrong(classifier: Classifier) -> None:
    """What the vocabulary has no label for is no place in it."""
    assert Truths(classifier).of_name("badger", None, Kind.MAMMAL) == (UNLISTED, Kind.MAMMAL)


def test_pictures_of_one_source_are_held_out_together(
    classifier: Classifier, tmp_path: Path
) -> None:
    """Where there are sources enough; else each picture is by itself."""
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")

    def bursts(sources: int) -> list[int]:
        pictures = [
            LabelledPicture(tmp_path / "one.png", "one.png", name, f"{number % sources:02}")
            for number, name in enumerate(["European Robin", "bird", "empty"] * 8)
        ]
        found, unmatched, bad = from_folder(pictures, classifier, "garden", START)
        assert not unmatched
        assert not bad
        assert found.truth[:3].tolist() == [0, INEXACT, 3]
        assert found.kind[:3].tolist() == [
            KINDS.index(kind) for kind in (Kind.BIRD, Kind.BIRD, Kind.BLANK)
        ]
        return found.burst.tolist()

    assert bursts(12) == [number % 12 for number in range(24)]
    assert bursts(3) == list(range(24))


def test_the_logs_embeddings_are_judged_as_the_daemon_does(
    config_path: Path, time: FakeClock
) -> None:
    """At temperature 1 an example's probabilities are those that the log has of its frame."""
    log_frames(config_path, 6, drawn=6)
    settings = config.load(config_path)
    judge = open_classifier(settings)
    with ReviewLog(settings.database) as log:
        said = log.said(judge.bundle.digest, "garden")
    store = EmbeddingStore.open(settings.database, judge.bundle.digest, settings.cache)
    examples = from_log(said, store, judge)
    assert examples.burst.tolist() == list(range(6))
    own = judge.probabilities(store.get([one.media_id for one in said]))
    np.testing.assert_allclose(examples.probabilities(1.0), own, rtol=1e-5)
    assert examples.probabilities(5.0).max() < own.max()
