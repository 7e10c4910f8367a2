"""What a person says about a place, on the command line and to a running daemon."""

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from feeder.bundle import Bundle, golden_image, shipped_models
from feeder.cli import app
from feeder.domain import UNIDENTIFIED_BIRD
from feeder.errors import ConfigError, FeederError, VocabularyError
from feeder.label_embeddings import bundle_labels, save_photos
from tests.feeder_process import FeederProcess, picture

STARTER = 'bundle = "starter"\nthreads = 1'


@pytest.fixture
def run(write_config: Callable[..., Path]) -> Callable[..., Result]:
    """Runs a command; a section's lines are keyword arguments, and stay until given again."""
    sections: dict[str, str] = {}

    def invoke(*arguments: str, **lines: str) -> Result:
        sections.update(lines)
        path = write_config(**sections)
        return CliRunner().invoke(app, ["--config", str(path), *arguments], catch_exceptions=False)

    return invoke


@pytest.mark.parametrize(
    "command", [["region"], ["labels", "block"], ["labels", "unblock"], ["labels", "check"]]
)
def test_help_shows_examples(command: list[str]) -> None:
    """Each command's help says what it does, and how it is called."""
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output


def test_region_shows_what_is_expected_and_from_where(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    """Every bird has its odds and the reason, in the month asked for."""
    assert "nothing is known" in run("region").stderr
    (tmp_path / "birds.txt").write_text("blue-jay\nPine Siskin: 10-3\n", encoding="utf-8")
    chosen = 'species = "birds.txt"'
    (found,) = json.loads(run("region", "--month", "7", "--json", region=chosen).stdout)
    birds = {bird["name"]: bird for bird in found["birds"]}
    assert (found["month"], found["source"]) == ("July", "the list birds.txt")
    assert birds["Blue Jay"] == {"name": "Blue Jay", "odds": 1, "why": ""}
    assert birds["Pine Siskin"]["odds"] == pytest.approx(0.02)
    assert birds["Pine Siskin"]["why"] == "not on the list for garden in July"
    assert "squirrel" not in birds
    winter = run("region", "--month", "1", "--deployment", "garden")
    assert "garden\tPine Siskin\t1\texpected" in winter.stdout.splitlines()
    assert "garden, January: 2 of 181 birds are expected" in winter.stderr
    with pytest.raises(ConfigError, match="no deployment 'cabin'"):
        run("region", "--deployment", "cabin")


def test_a_list_that_is_not_there_is_refused(run: Callable[..., Result]) -> None:
    """A daemon does not start on half of its settings; the error names the file."""
    with pytest.raises(ConfigError, match=r"birds\.txt"):
        run("run", "--once", region='species = "birds.txt"')


def test_labels_are_blocked_and_listed(run: Callable[..., Result], tmp_path: Path) -> None:
    """A block is kept with the user's labels, shown in the list, and taken back."""
    assert "blocked Blue Jay" in run("labels", "block", "blue-jay").stdout
    run("labels", "add", "Mandarin Duck")
    assert "Blue Jay" in (tmp_path / "labels.toml").read_text(encoding="utf-8")
    assert "reload" in run("labels", "block", "blujay").stderr
    listed = {one["name"]: one for one in json.loads(run("labels", "list", "--json").stdout)}
    assert [name for name in listed if listed[name]["blocked"]] == ["Blue Jay"]
    run("labels", "block", "Mandarin Duck")
    again = run("labels", "add", "Mandarin Duck", "--kind", "bird", "--replace")
    assert "It is blocked" in again.stderr
    assert run("labels", "unblock", "Blue Jay").exit_code == 0
    with pytest.raises(VocabularyError, match="not blocked"):
        run("labels", "unblock", "Blue Jay")
    with pytest.raises(VocabularyError, match="Did you mean 'Blue Jay'"):
        run("labels", "block", "Blue Jey")


def test_a_block_outlives_a_change_of_vocabulary(run: Callable[..., Result]) -> None:
    """What another list lacks is not blocked there, and can be unblocked all the same."""
    run("labels", "block", "Blue Jay")
    europe = {"model": f'{STARTER}\nvocabulary = "europe"'}
    listed = json.loads(run("labels", "list", "--json", **europe).stdout)
    assert not any(one["blocked"] for one in listed)
    assert run("labels", "unblock", "blue jay").exit_code == 0


def test_the_last_label_is_not_blocked(run: Callable[..., Result], tmp_path: Path) -> None:
    """A vocabulary with nothing left to name would be none."""
    lines = '[[label]]\nname = "A"\nkind = "bird"\n[[label]]\nname = "B"\nkind = "bird"\n'
    (tmp_path / "two.toml").write_text(lines, encoding="utf-8")
    run("labels", "block", "A", model=f'{STARTER}\nvocabulary = "two.toml"')
    with pytest.raises(VocabularyError, match="last label"):
        run("labels", "block", "B")


@pytest.mark.parametrize(
    "name", ["bird", "Unknown", "blank", "EMPTY", "unidentified-bird", "human", "unclassified"]
)
def test_what_the_program_answers_is_no_label(
    name: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    """A label that a verdict or a kind is called by would make answers ambiguous."""
    with pytest.raises(VocabularyError):
        run("labels", "add", name)
    assert not (tmp_path / "labels.toml").exists()


def test_the_list_marks_labels_without_a_vector(run: Callable[..., Result], tmp_path: Path) -> None:
    """Labels that the model does not know, or that another one learnt, are marked."""
    starter = Bundle.open(shipped_models() / "starter")
    photos = tmp_path / "g.npz"
    save_photos(photos, [np.ones(480, np.float32)] * 3, starter)
    lines = '[[label]]\nname = "Gertrude"\nkind = "bird"\nphotos = "g.npz"\n'
    (tmp_path / "labels.toml").write_text(lines, encoding="utf-8")
    chosen = {"model": f'{STARTER}\nvocabulary = "europe"'}
    listed = json.loads(run("labels", "list", "--json", **chosen).stdout)
    lacking = {one["name"]: one["without_vector"] for one in listed}
    assert lacking["European Robin"] is None
    assert lacking["Gertrude"] is None
    assert lacking["Gray Partridge"] == "unknown to the model"
    known = {label.name for label in bundle_labels(starter).labels}
    assert {name for name in lacking if lacking[name] is None} - known <= {"Gertrude", "squirrel"}


def test_photos_of_another_model_are_marked(run: Callable[..., Result], tmp_path: Path) -> None:
    """A label that another model learnt from photos is in the list, and never named."""
    np.savez(tmp_path / "g.npz", embeddings=np.ones((3, 16), np.float16), bundle_digest="other")
    lines = '[[label]]\nname = "Gertrude"\nkind = "bird"\nphotos = "g.npz"\n'
    (tmp_path / "labels.toml").write_text(lines, encoding="utf-8")
    rows = run("labels", "list").stdout.splitlines()
    assert any(row.startswith("Gertrude") and "another model" in row for row in rows)


def test_adding_a_near_double_is_told(run: Callable[..., Result], tmp_path: Path) -> None:
    """A label made from the same photos as another cannot be told from it; `check` lists both."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        golden_image().rotate(number / 2).save(photos / f"{number}.png")
    assert "hardly" not in run("labels", "add", "Gertrude", "--photos", str(photos)).stderr
    added = run("labels", "add", "Henrietta", "--photos", str(photos))
    assert "hardly tells it from Gertrude" in added.stderr
    found = json.loads(run("labels", "check", "--json").stdout)
    assert ["Gertrude", "Henrietta"] in [one["labels"] for one in found["close"]]
    assert found["frames"] == 0
    assert found["never_near"] == []
    assert "Gertrude / Henrietta" in run("labels", "check").stdout


def test_check_reads_the_log(run: Callable[..., Result], tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Once there are enough frames, labels that were never near the best are listed."""
    monkeypatch.setattr("feeder.confusable.ENOUGH_FRAMES", 2)
    run("region")
    (tmp_path / "snapshots").mkdir(exist_ok=True)
    for shade in (10, 120, 240):
        picture(tmp_path / "snapshots" / f"{shade}.jpg", shade)
    assert run("run", "--once").exit_code == 0
    found = json.loads(run("labels", "check", "--json").stdout)
    assert found["frames"] == 3
    assert len(found["never_near"]) >= 180
    assert "Neither best nor second in 3 frames" in run("labels", "check").stdout


def test_eval_can_be_asked_about_a_place(run: Callable[..., Result], tmp_path: Path) -> None:
    """A picture is judged by what its camera's list and the month make likely."""
    folder = tmp_path / "labelled" / "Blue Jay"
    folder.mkdir(parents=True)
    golden_image().save(folder / "a.png")
    (tmp_path / "birds.txt").write_text("Blue Jay: 5\n", encoding="utf-8")

    def share(*options: str) -> float:
        done = run("eval", str(tmp_path / "labelled"), "--json", *options, **lines)
        (one,) = json.loads(done.stdout)["judged"]
        return float(one["truth_probability"])

    lines = {"region": 'species = "birds.txt"'}
    may = share("--deployment", "garden", "--month", "5")
    november = share("--deployment", "garden", "--month", "11")
    assert may > share() > 0
    assert may > november > 0
    assert run("eval", str(tmp_path), "--month", "5").exit_code == 2
    with pytest.raises(FeederError, match="no deployment"):
        run("eval", str(tmp_path / "labelled"), "--deployment", "cabin")


def test_a_running_daemon_takes_up_a_block_at_reload(feeder: FeederProcess) -> None:
    """Frames after SIGHUP are judged by the edited lists, and the reason says so."""
    with feeder.config.open("a", encoding="utf-8") as file:
        file.write("[thresholds]\nlabel = 0.0\nbird = 0.0\nblank = 1.0\n")
    feeder.start()
    picture(feeder.folder / "a.jpg", 10)
    feeder.until(lambda: logged(feeder, "a.jpg") is not None)
    label, _ = logged(feeder, "a.jpg") or ("", "")
    arguments = ["--config", str(feeder.config), "labels", "block", label]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert feeder.process is not None
    feeder.process.send_signal(signal.SIGHUP)
    feeder.until(lambda: "config reloaded" in feeder.said())
    picture(feeder.folder / "b.jpg", 12)
    feeder.until(lambda: logged(feeder, "b.jpg") is not None)
    other, reason = logged(feeder, "b.jpg") or ("", "")
    assert other not in ("", label, UNIDENTIFIED_BIRD.name)
    assert reason.startswith(f"{label} ")
    assert "but it is blocked; next best: " in reason
    feeder.stop()


def logged(feeder: FeederProcess, name: str) -> tuple[str, str] | None:
    """Label and reason of a frame; None as long as it is not in the log."""
    if name not in feeder.files():
        return None
    with closing(sqlite3.connect(feeder.database)) as connection:
        found: tuple[str, str] = connection.execute(
            "SELECT label, reason FROM verdict WHERE file_name = ?", (name,)
        ).fetchone()
    return found
