"""`feeder attributes`, and tags from the camera's folder to the reader's screen."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from feeder.bundle import Bundle, golden_image
from feeder.cli import app
from feeder.errors import FeederError
from tests.test_classifier import textless as textless

Run = Callable[..., Result]


@pytest.fixture
def feeder(write_config: Callable[..., Path], textless: Bundle) -> Run:
    """Runs a command on a model without a text encoder, for which everything is a bird."""
    path = write_config(
        model=f'bundle = "{textless.folder.as_posix()}"\nthreads = 1\nlook_twice = false',
        thresholds="label = 0.0\nbird = 0.0\nblank = 1.0",
    )

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--config", str(path), *arguments], catch_exceptions=False)

    return run


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Pictures of two sorts that even random weights tell apart, five of each."""
    made = {}
    for name, colour in (("empty", (20, 20, 230)), ("full", (230, 30, 20))):
        made[name] = tmp_path / f"photos-{name}"
        made[name].mkdir()
        for number in range(5):
            shade = tuple(max(0, part - 3 * number) for part in colour)
            picture = Image.new("RGB", (64, 48), shade)
            picture.paste(golden_image().resize((10, 10)), (number * 4, number * 3))
            picture.save(made[name] / f"{name}-{number}.png")
    return made


def teach(feeder: Run, folders: dict[str, Path]) -> str:
    """Has both sorts learnt; what the second command said."""
    for name, folder in folders.items():
        said = feeder("attributes", "learn", f"feeder={name}", "--photos", str(folder))
        assert said.exit_code == 0, said.output
    return said.output


@pytest.mark.parametrize("command", ["", "list", "learn", "forget", "again", "status"])
def test_help_explains_every_command(command: str) -> None:
    """Each command's help shows examples."""
    said = CliRunner().invoke(app, ["attributes", *command.split(), "--help"])
    assert said.exit_code == 0
    assert "Examples:" in said.output


def test_tags_reach_the_reader(feeder: Run, folders: dict[str, Path], tmp_path: Path) -> None:
    """A taught attribute is said of each frame as it comes, and the log can be asked for it."""
    assert "told right" in teach(feeder, folders)
    drop = tmp_path / "snapshots"
    drop.mkdir()
    for name, folder in folders.items():
        shutil.copy(folder / f"{name}-2.png", drop / f"{name}.png")
    said = feeder("run", "--once")
    assert "not asked: behaviour, sex, age, lens (the model reads no text)" in said.output
    found = json.loads(feeder("sightings", "--json", "--tag", "feeder=empty").stdout)
    assert [row["file_name"] for row in found] == ["empty.png"]
    assert found[0]["tags"][0]["probability"] >= 0.6
    rows = csv.DictReader(io.StringIO(feeder("sightings", "--csv").stdout))
    assert {row["file_name"]: row["tags"] for row in rows} == {
        "empty.png": "feeder=empty",
        "full.png": "feeder=full",
    }
    assert "\tfeeder=full" in feeder("sightings").stdout
    listed = json.loads(feeder("attributes", "list", "--json").stdout)
    assert listed["asked"][0]["frames"] == {"full": 1, "empty": 1}
    assert "not enough is known" in feeder("attributes", "status").stdout
    (state,) = json.loads(feeder("attributes", "status", "--json").stdout)
    assert state["is_empty"] is None


def test_the_history_is_asked_again(feeder: Run, folders: dict[str, Path], tmp_path: Path) -> None:
    """What is learnt today is said of yesterday's frames, without their pictures."""
    shutil.copytree(folders["empty"], tmp_path / "snapshots")
    feeder("run", "--once")
    shutil.rmtree(tmp_path / "snapshots")
    assert feeder("sightings", "--tag", "feeder=empty").stdout.count("\n") == 1
    teach(feeder, folders)
    said = json.loads(feeder("attributes", "again", "--json").stdout)
    assert said == {"frames": 5, "tags": 5}
    assert feeder("sightings", "--tag", "feeder=empty").stdout.count("\n") == 6
    assert feeder("attributes", "forget", "feeder=full").exit_code == 0
    assert "5 frames again (nothing): 0 tags" in feeder("attributes", "again").stdout


def test_mistakes_are_explained(feeder: Run, folders: dict[str, Path]) -> None:
    """A tag that is none, a new attribute without its kind, and nothing to forget."""
    photos = str(folders["full"])
    assert feeder("attributes", "learn", "feeder", "--photos", photos).exit_code == 2
    assert feeder("sightings", "--tag", "bathing").exit_code == 2
    with pytest.raises(FeederError, match="is new"):
        feeder("attributes", "learn", "moult=yes", "--photos", photos)
    with pytest.raises(FeederError, match="Nothing was learnt"):
        feeder("attributes", "forget", "feeder=full")
    assert (
        feeder("attributes", "learn", "moult=yes", "--of", "bird", "--photos", photos).exit_code
        == 0
    )
    listed = json.loads(feeder("attributes", "list", "--json").stdout)
    assert listed["not_asked"]["moult"] == "photos of yes alone; a second value is needed"
