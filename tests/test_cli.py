"""The command line."""

import csv
import io
import json
import logging
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from feeder import config
from feeder.bundle import golden_image
from feeder.cli import app
from feeder.clock import Clock
from feeder.errors import FeederError
from feeder.query_terms import instant
from tests.tiny_bundle import make_tiny_clip, write_hub_files

COMMANDS = [
    [],
    ["run"],
    ["classify"],
    ["sightings"],
    ["search"],
    ["unknowns"],
    ["unknowns", "name"],
    ["visits"],
    ["stats"],
    ["favorite"],
    ["review"],
    ["review", "confirm"],
    ["review", "correct"],
    ["review", "unknown"],
    ["review", "not-a-bird"],
    ["review", "block"],
    ["calibrate"],
    ["correct"],
    ["prune"],
    ["labels"],
    ["labels", "list"],
    ["labels", "add"],
    ["labels", "remove"],
    ["eval"],
    ["model"],
    ["model", "list"],
    ["model", "verify"],
    ["model", "pull"],
    ["model", "use"],
    ["doctor"],
    ["init"],
    ["service"],
    ["service", "install"],
]


@pytest.fixture
def path(write_config: Callable[..., Path]) -> Path:
    """A config on the tiny model, whose thresholds let everything be named."""
    return write_config(
        thresholds="label = 0.0\nbird = 0.0\nblank = 1.0",
        deployment='name = "garden"\nfolder = "snapshots"\ntimezone = "America/New_York"',
    )


@pytest.fixture
def feeder(path: Path) -> Callable[..., Result]:
    """Runs a command on that config; errors that users meet are raised."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--config", str(path), *arguments], catch_exceptions=False)

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture outside the drop folder."""
    file = tmp_path / "bird.jpg"
    golden_image().save(file)
    return file


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "feeder")
def test_help_explains_every_command(command: list[str]) -> None:
    """Each command's help says what it does; those that take something show examples."""
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output or not command


def test_an_error_is_two_lines_and_exit_code_1(tmp_path: Path) -> None:
    """A user's error is said in words with a hint on stderr, without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "feeder", "--config", tmp_path / "none.toml", "run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"feeder: There is no {tmp_path / 'none.toml'}.",
        f"  `feeder init {tmp_path}` writes one.",
    ]


def test_wrong_usage_is_exit_code_2(feeder: Callable[..., Result]) -> None:
    """An unknown option ends with 2."""
    assert feeder("run", "--sideways").exit_code == 2


def test_init_writes_a_config_once(tmp_path: Path) -> None:
    """`init` makes a folder ready to run in, and never overwrites a config."""
    place = tmp_path / "new"
    assert CliRunner().invoke(app, ["init", str(place)]).exit_code == 0
    assert config.load(place / "config.toml").deployments[0].folder.is_dir()
    with pytest.raises(FeederError, match="already there"):
        CliRunner().invoke(app, ["init", str(place)], catch_exceptions=False)


def test_feeder_config_names_the_settings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FEEDER_CONFIG does what --config does."""
    monkeypatch.setenv("FEEDER_CONFIG", str(path))
    result = CliRunner().invoke(app, ["doctor", "--json"], catch_exceptions=False)
    assert json.loads(result.output)[0]["found"] == str(path)


def test_classify_names_pictures(feeder: Callable[..., Result], picture: Path) -> None:
    """JSON holds the ranked labels, the verdict and its reason; plain text is one table."""
    (found,) = json.loads(feeder("classify", str(picture), "--top", "3", "--json").stdout)
    assert len(found["labels"]) == 3
    assert found["verdict"] == "animal"
    assert found["reason"]
    lines = feeder("classify", str(picture), "--top", "3").stdout.splitlines()
    assert lines[0] == "file\tverdict\tlabel\tprobability"
    assert len(lines) == 4


def test_classify_scores_free_texts(feeder: Callable[..., Result], picture: Path) -> None:
    """With --text the probabilities are over those texts."""
    result = feeder("classify", str(picture), "--text", "apple", "--text", "an iPod", "--json")
    (found,) = json.loads(result.stdout)
    assert {entry["label"] for entry in found["labels"]} == {"apple", "an iPod"}
    assert sum(entry["probability"] for entry in found["labels"]) == pytest.approx(1)


def test_classify_goes_on_after_a_bad_picture(
    feeder: Callable[..., Result], picture: Path, tmp_path: Path
) -> None:
    """A picture that cannot be read is named, the others are classified, and the exit is 1."""
    bad = tmp_path / "bad.jpg"
    bad.write_text("no", encoding="utf-8")
    result = CliRunner().invoke(
        app,
        ["--config", str(picture.parent / "config.toml"), "classify", str(bad), str(picture)],
    )
    assert isinstance(result.exception, FeederError)
    assert "not a picture" in result.stdout
    assert str(picture) in result.stdout


def log_one(feeder: Callable[..., Result], path: Path) -> None:
    """Logs a frame taken at half past nine in the evening of 1 May in New York."""
    folder = path.parent / "snapshots"
    folder.mkdir()
    exif = golden_image().getexif()
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 21:30:00"
    golden_image().save(folder / "bird.jpg", exif=exif)
    assert feeder("run", "--once").exit_code == 0


def test_sightings_show_local_time(feeder: Callable[..., Result], path: Path) -> None:
    """Tables are in the deployment's zone, JSON and CSV in UTC."""
    log_one(feeder, path)
    assert "2026-05-01 21:30:00\t" in feeder("sightings").stdout
    (found,) = json.loads(feeder("sightings", "--json").stdout)
    assert found["timestamp"] == "2026-05-02T01:30:00.000Z"
    (row,) = csv.DictReader(io.StringIO(feeder("sightings", "--csv").stdout))
    assert row["timestamp"] == "2026-05-02T01:30:00.000Z"


def test_sightings_are_asked_for_in_local_days(feeder: Callable[..., Result], path: Path) -> None:
    """A day is the deployment's day, and --until includes it whole."""
    log_one(feeder, path)
    for options, count in (
        (("--since", "2026-05-01", "--until", "2026-05-01"), 1),
        (("--since", "2026-05-02"), 0),
        (("--until", "2026-05-01T21:30"), 0),
        (("--since", "2026-05-02T01:30Z"), 1),
    ):
        assert len(json.loads(feeder("sightings", *options, "--json").stdout)) == count, options


def test_an_unknown_time_or_camera_is_wrong_usage(feeder: Callable[..., Result]) -> None:
    """Mistyped options are explained."""
    assert "no time" in feeder("sightings", "--since", "whenever").output
    assert "garden" in feeder("sightings", "--deployment", "pond").output


def test_an_untrusted_time_is_marked(feeder: Callable[..., Result], path: Path) -> None:
    """A `?` follows it on the table; JSON and CSV say so, and what was first written."""
    log_one(feeder, path)
    with closing(sqlite3.connect(path.parent / "data" / "feeder.db")) as log:
        log.execute("UPDATE media SET timestamp_trusted = 0")
        log.commit()
    assert "2026-05-01 21:30:00?\t" in feeder("sightings").stdout
    assert "2026-05-01 21:30:00?\t" in feeder("sightings", "--all").stdout
    (found,) = json.loads(feeder("sightings", "--json").stdout)
    assert (found["timestamp_trusted"], found["timestamp_recorded"]) == (False, None)
    (row,) = csv.DictReader(io.StringIO(feeder("sightings", "--csv").stdout))
    assert (row["timestamp_trusted"], row["timestamp_recorded"]) == ("0", "")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Dublin", "2026-10-25", 25),
        ("Europe/Dublin", "2026-03-29", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/New_York", "2026-03-08", 23),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
    ],
)
def test_days_follow_the_zone_through_clock_changes(zone: str, day: str, hours: float) -> None:
    """The last moment of a day is the next local midnight, also when the clocks change."""
    since = instant(day, ZoneInfo(zone))
    until = instant(day, ZoneInfo(zone), end=True)
    assert (until - since).total_seconds() == hours * 3600


def test_adding_a_label_is_adding_a_name(feeder: Callable[..., Result]) -> None:
    """A name is enough on a model that reads; it is listed, and can be removed again."""
    before = len(json.loads(feeder("labels", "list", "--json").stdout))
    assert feeder("labels", "add", "Mandarin Duck", "--kind", "bird").exit_code == 0
    listed = json.loads(feeder("labels", "list", "--json").stdout)
    assert len(listed) == before + 1
    assert [label["name"] for label in listed if label["own"]] == ["Mandarin Duck"]
    with pytest.raises(FeederError, match="there already"):
        feeder("labels", "add", "mandarin duck")
    assert feeder("labels", "remove", "mandarin duck").exit_code == 0
    assert len(json.loads(feeder("labels", "list", "--json").stdout)) == before


def test_a_label_is_learnt_from_a_folder(
    feeder: Callable[..., Result], path: Path, tmp_path: Path
) -> None:
    """`labels add --photos` reads the folder; too few pictures are refused."""
    photos = tmp_path / "gertrude"
    photos.mkdir()
    golden_image().save(photos / "0.png")
    with pytest.raises(FeederError, match="1 readable"):
        feeder("labels", "add", "Gertrude", "--photos", str(photos))
    for number in range(1, 5):
        golden_image().rotate(number / 2).save(photos / f"{number}.png")
    assert feeder("labels", "add", "Gertrude", "--photos", str(photos)).exit_code == 0
    assert len(list((path.parent / "labels").iterdir())) == 1
    assert feeder("labels", "remove", "Gertrude").exit_code == 0
    assert list((path.parent / "labels").iterdir()) == []


def test_models_are_listed_verified_and_chosen(feeder: Callable[..., Result], path: Path) -> None:
    """`model use` tries a model, then writes its name into the config and nothing else."""
    make_tiny_clip(path.parent / "models" / "other")
    listed = json.loads(feeder("model", "list", "--json").stdout)
    assert {"other", "starter"} <= {row["name"] for row in listed}
    assert "self-test passed" in feeder("model", "verify", "other").stdout
    assert feeder("model", "use", "other").exit_code == 0
    assert config.load(path).model.bundle == "other"
    assert config.load(path).thresholds.blank == 1.0
    (path.parent / "models" / "other" / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FeederError, match="refused"):
        feeder("model", "verify", "other")


def test_a_bundle_of_an_earlier_release_is_sealed(
    feeder: Callable[..., Result], path: Path
) -> None:
    """`model seal` pins a manifest that every file agrees with, and none that was damaged."""
    folder = make_tiny_clip(path.parent / "models" / "other")
    assert "sealed already" in feeder("model", "seal", "other").stdout
    (folder / "manifest.json.sha256").unlink()
    with pytest.raises(FeederError, match="not sealed"):
        feeder("model", "verify", "other")
    assert "sealed, 8 files" in feeder("model", "seal", "other").stdout
    assert feeder("model", "verify", "other").exit_code == 0
    manifest = (folder / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").write_text(manifest.replace("0.5", "0.1", 1), encoding="utf-8")
    with pytest.raises(FeederError, match="sha256"):
        feeder("model", "seal", "other")
    (folder / "manifest.json.sha256").unlink()
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FeederError, match="refused"):
        feeder("model", "seal", "other")
    assert not (folder / "manifest.json.sha256").exists()


def test_the_doctor_looks_at_every_file_of_the_model(
    feeder: Callable[..., Result], path: Path
) -> None:
    """A damaged graph that these settings do not load is bad too, and the stand-in is named."""
    folder = make_tiny_clip(path.parent / "models" / "other")
    config.set_bundle(path, "other")
    (path.parent / "snapshots").mkdir()
    assert feeder("doctor").exit_code == 0
    graph = folder / "onnx" / "vision_model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    result = feeder("doctor", "--json")
    (bad,) = (check for check in json.loads(result.stdout) if not check["well"])
    assert bad["name"] == "model"
    assert str(graph) in bad["found"]
    assert "The starter stands in" in bad["found"]


def test_a_published_folder_is_pulled(
    feeder: Callable[..., Result], path: Path, tmp_path: Path
) -> None:
    """`model pull FOLDER` makes a bundle of a folder in the published layout."""
    write_hub_files(tmp_path / "Tiny-CLIP")
    assert feeder("model", "pull", str(tmp_path / "Tiny-CLIP")).exit_code == 0
    assert (path.parent / "models" / "tiny-clip" / "manifest.json").exists()


def test_the_doctor_finds_a_healthy_feeder_well(feeder: Callable[..., Result], path: Path) -> None:
    """With everything in place every check is well and the exit code is 0."""
    (path.parent / "snapshots").mkdir()
    result = feeder("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert checks["watcher (garden)"]["found"].startswith("native")
    assert {"model", "log", "disk", "clock", "platform"} <= set(checks)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"synchronised": lambda: True}, "synchronised"),
        ({"battery": lambda: time.time()}, "as the battery clock has it"),
        ({"synchronised": lambda: None}, "taken to be right: this system does not say"),
        ({}, "the system does not say that it is synchronised, so times are marked with a ?"),
    ],
)
def test_the_doctor_says_what_the_clock_is_worth(
    answers: dict[str, Callable[[], object]],
    found: str,
    feeder: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It names who vouches for the clock; a machine whose host keeps the time is not ill."""
    nobody = {"synchronised": lambda: False, "synchronised_at": lambda: None}
    clock = Clock(**{**nobody, "battery": lambda: None, **answers})  # type: ignore[arg-type]
    monkeypatch.setattr("feeder.doctor.Clock", lambda: clock)
    monkeypatch.setattr("feeder.doctor.awaits_synchronisation", lambda: False)
    with caplog.at_level(logging.INFO):
        result = feeder("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert "nobody vouches" not in caplog.text, "the check says so, each time it is looked at"
    assert checks["clock"]["well"]
    assert found in checks["clock"]["found"]


def test_the_doctor_says_how_to_mend(feeder: Callable[..., Result], path: Path) -> None:
    """A missing folder, a damaged log and a missing model are each named with a remedy."""
    (path.parent / "data").mkdir()
    (path.parent / "data" / "feeder.db").write_bytes(b"not a database" * 100)
    config.set_bundle(path, "nowhere")
    result = feeder("doctor", "--json")
    assert result.exit_code == 1
    bad = {check["name"]: check["mend"] for check in json.loads(result.stdout) if not check["well"]}
    assert set(bad) == {"folder (garden)", "model", "log"}
    assert all(bad.values())
