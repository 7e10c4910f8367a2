"""What edited labels would change: shown in words, numbers and pictures, and not done."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from feeder import label_edits
from feeder.change_sheet import MAX_FRAMES, MOST_OF_A_CHANGE, newest_of_each
from feeder.cli import app
from feeder.domain import Kind, Label, ObservationType
from feeder.errors import VocabularyError
from feeder.judge_again import Change
from feeder.verdict_log import Verdict
from feeder.vocabulary import Vocabulary
from tests.feeder_process import picture
from tests.history import vocabulary

COUNT = 12

ROBIN_AND_WREN = """
title = "two"
[[label]]
name = "robin"
kind = "bird"
[[label]]
name = "wren"
kind = "bird"
scientific_name = "Troglodytes troglodytes"
[[label]]
name = "dunnock"
kind = "bird"
[[label]]
name = "person"
kind = "human"
"""


@pytest.fixture
def path(tmp_path: Path, tiny_clip: Path, write_config: Callable[..., Path]) -> Path:
    """The settings of a feeder whose log holds twelve frames, judged on four labels."""
    (tmp_path / "two.toml").write_text(ROBIN_AND_WREN, encoding="utf-8")
    lines = f'bundle = "{tiny_clip.as_posix()}"\nthreads = 1\nvocabulary = "two.toml"'
    path = write_config(model=lines, thresholds="label = 0.3\nbird = 0.3")
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for shade in range(COUNT):
        picture(folder / f"{shade:02}.jpg", 20 * shade)
    assert feeder(path, "run", "--once").exit_code == 0
    return path


def feeder(path: Path, *arguments: str) -> Result:
    """What a command says."""
    return CliRunner().invoke(app, ["--config", str(path), *arguments])


def plan(path: Path, *arguments: str) -> dict[str, object]:
    """What a preview says, as JSON."""
    done = feeder(path, "labels", "preview", "--json", *arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def labels(path: Path) -> list[str]:
    """What the log says of its frames."""
    rows = json.loads(feeder(path, "sightings", "--all", "--limit", "0", "--json").stdout)
    return [row["label"] for row in rows]


def commonest(path: Path) -> str:
    """The label that most frames have."""
    said = labels(path)
    return max(set(said), key=said.count)


def state(path: Path) -> dict[str, str]:
    """Every file of the feeder's folder but the cache and SQLite's own, by its digest."""
    return {
        str(one.relative_to(path.parent)): hashlib.sha256(one.read_bytes()).hexdigest()
        for one in sorted(path.parent.rglob("*"))
        if one.is_file() and "cache" not in one.parts and one.suffix not in (".db-shm", ".lock")
    }


def test_nothing_is_written(path: Path) -> None:
    """Labels, settings and log are byte for byte what they were."""
    before = state(path)
    for arguments in (
        ["--remove", commonest(path)],
        ["--add", "magpie", "--prompt", "a {label} in the snow"],
        ["--threshold", "label=0.99", "--rename", "wren=jenny"],
        ["--add", "Gertrude", "--photos", str(path.parent / "snapshots")],
    ):
        plan(path, *arguments)
    assert state(path) == before


def test_without_an_edit_it_compares_with_the_labels_as_they_are(path: Path) -> None:
    """Nothing differs at first; after an edit of the labels, what `feeder relabel` would do."""
    assert plan(path)["changed"] == 0
    name = commonest(path)
    count = labels(path).count(name)
    assert feeder(path, "labels", "remove", name).exit_code == 0
    foretold = plan(path)
    assert foretold["changed"] == count
    assert json.loads(feeder(path, "relabel", "--dry-run", "--json").stdout) == foretold
    assert name in labels(path)
    assert feeder(path, "relabel", "--yes").exit_code == 0
    assert name not in labels(path)
    assert plan(path)["changed"] == 0


def test_a_preview_is_what_an_edit_then_does(path: Path) -> None:
    """Adding and removing labels for good changes what the preview of it said."""
    gone = commonest(path)
    foretold = plan(path, "--remove", gone, "--add", "magpie")
    assert feeder(path, "labels", "add", "magpie").exit_code == 0
    assert feeder(path, "labels", "remove", gone).exit_code == 0
    done = json.loads(feeder(path, "relabel", "--json").stdout)
    assert done == foretold
    assert done["changed"] > 0


def test_a_renamed_label_carries_its_frames_along(path: Path) -> None:
    """A label of the same prompts under a new name is a change of name alone."""
    name = commonest(path)
    count = labels(path).count(name)
    (path.parent / "labels.toml").write_text(
        f'remove = ["{name}"]\n[[label]]\nname = "jenny"\nkind = "bird"\n'
        f'prompts = ["a photo of a {name}."]\n',
        encoding="utf-8",
    )
    assert feeder(path, "relabel").exit_code == 0
    assert labels(path).count("jenny") == count > 0
    (change,) = plan(path, "--rename", "jenny=kitty")["changes"]  # type: ignore[misc]
    assert (change["from"]["label"], change["to"]["label"]) == ("jenny", "kitty")
    assert change["frames"] == count


def test_thresholds_are_tried_out(path: Path) -> None:
    """A threshold that nothing reaches makes every sighting an unknown, and says how many."""
    found = plan(path, "--threshold", "label=1", "--threshold", "bird=1", "--threshold", "blank=1")
    assert found["frames"] == COUNT
    to = {change["to"]["observation_type"] for change in found["changes"]}  # type: ignore[attr-defined]
    assert to == {"unknown"}


def test_prompts_are_tried_out(path: Path) -> None:
    """Templates come one by one or from a file, a line each; each needs its {label}."""
    file = path.parent / "prompts.txt"
    file.write_text("zzz {label} qqq\n\n{label} at dusk\n", encoding="utf-8")
    both = ("--template", "zzz {label} qqq", "--template", "{label} at dusk")
    assert plan(path, "--prompts", str(file)) == plan(path, *both)
    wrong = feeder(path, "labels", "preview", "--template", "a bird")
    assert isinstance(wrong.exception, VocabularyError)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--threshold", "label=2"], "no probability"),
        (["--threshold", "label=nan"], "no probability"),
        (["--threshold", "sure=0.5"], "none of label, bird"),
        (["--rename", "wren"], "OLD=NEW"),
        (["--kind", "bird"], "need one --add"),
        (["--add", "a", "--add", "b", "--ebird", "x"], "need one --add"),
        (["--deployment", "pond"], "there are: garden"),
    ],
)
def test_what_is_miswritten_is_told(path: Path, arguments: list[str], said: str) -> None:
    """A wrong option is wrong usage, and says how it is written."""
    done = feeder(path, "labels", "preview", *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_a_model_without_text_says_so(tmp_path: Path, write_config: Callable[..., Path]) -> None:
    """The starter learns no name and reads no template, and says what would help."""
    path = write_config(model='bundle = "starter"\nthreads = 1')
    (tmp_path / "snapshots").mkdir()
    picture(tmp_path / "snapshots" / "a.jpg", 1)
    assert feeder(path, "run", "--once").exit_code == 0
    for arguments in (["--add", "Gertrude"], ["--template", "a {label}"]):
        done = feeder(path, "labels", "preview", *arguments)
        assert isinstance(done.exception, VocabularyError)
        assert "no text encoder" in str(done.exception)
    assert plan(path, "--rename", "House Finch=Garden Finch")["frames"] == 1


def test_the_sheet_shows_the_pictures_there_are(path: Path) -> None:
    """Each changed frame is on it, with its picture where it remains, and nothing is loaded."""
    (path.parent / "snapshots" / "03.jpg").unlink()
    sheet = path.parent / "sheet.html"
    name = commonest(path)
    done = feeder(
        path, "labels", "preview", "--rename", f"{name}=<b>&{name}", "--sheet", str(sheet)
    )
    assert done.exit_code == 0, done.output
    html = sheet.read_text(encoding="utf-8")
    assert f"&lt;b&gt;&amp;{name}" in html
    assert "<b>&" not in html
    changed = int(done.stdout.splitlines()[-1].split()[0])
    assert html.count("data:image/jpeg") + html.count(">no longer readable<") == changed > 0
    style = html.split("<style>")[1].split("</style>")[0]
    pinned = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'sha256-{pinned}'" in html
    assert "<script" not in html
    assert 'src="data:' in html
    assert str(path.parent) not in html


def test_an_empty_sheet_says_so(path: Path) -> None:
    """Where nothing would change, the page says it in a sentence."""
    sheet = path.parent / "sheet.html"
    feeder(path, "labels", "preview", "--sheet", str(sheet))
    assert "No frame of the log would be called anything else." in sheet.read_text("utf-8")


def test_a_sheet_needs_its_folder(path: Path) -> None:
    """A folder that is not there is told before anything is judged."""
    done = feeder(path, "labels", "preview", "--sheet", str(path.parent / "no" / "sheet.html"))
    assert "There is no folder" in str(done.exception)


def test_changed_frames_are_counted_as_visits_too() -> None:
    """A gap parts them, and so does another camera; their order is no matter."""
    at = Verdict(ObservationType.ANIMAL, "a")
    cameras, seconds = np.array([1, 2, 1, 1, 1]), np.array([400, 20, 99, 0, 699])
    change = Change(at, at, np.arange(5), cameras, seconds)
    assert change.visits(timedelta(minutes=5)) == 3
    assert change.visits(timedelta(minutes=6)) == 2


def test_a_sheet_has_room_for_each_change(tmp_path: Path) -> None:
    """The newest of each change are shown, and not more than a page holds."""
    was = Verdict(ObservationType.ANIMAL, "a")

    def changes(count: int) -> list[Change]:
        now = (Verdict(ObservationType.ANIMAL, str(one)) for one in range(count))
        frames = np.arange(1, 101)
        return [Change(was, one, frames, frames, frames) for one in now]

    assert newest_of_each([]) == []
    assert newest_of_each(changes(2))[1] == list(range(100, 100 - MOST_OF_A_CHANGE, -1))
    chosen = newest_of_each(changes(300))
    assert [len(one) for one in chosen] == [1] * MAX_FRAMES + [0] * 100


# Labels, edited in memory


def names(edited: Vocabulary) -> list[str]:
    """The labels in their order."""
    return [label.name for label in edited.labels]


def test_a_label_comes_back(tmp_path: Path) -> None:
    """Adding a shipped label that was removed puts it back as it was shipped."""
    base = vocabulary()
    without = label_edits.remove(base, "Robin")
    assert "robin" not in names(without)
    assert without.removed == {"robin"}
    back = label_edits.add(without, Label("robin", Kind.MAMMAL), base)
    assert back.find("robin") == base.find("robin")
    assert not back.removed


def test_a_name_that_is_taken_is_refused() -> None:
    """No two labels get one name, by adding or renaming; unknown ones are told."""
    base = vocabulary()
    with pytest.raises(VocabularyError, match="there already"):
        label_edits.add(base, Label("Robin", Kind.BIRD), base)
    with pytest.raises(VocabularyError, match="there already"):
        label_edits.rename(base, "robin", "wren")
    with pytest.raises(VocabularyError, match="no label 'robbin'"):
        label_edits.remove(base, "robbin")


def test_photos_take_the_place_of_a_shipped_label(tmp_path: Path) -> None:
    """As with `feeder labels add`, what was learnt from photos replaces a label of that name."""
    base = vocabulary()
    taught = Label("robin", Kind.BIRD, photos=tmp_path / "robin.npz")
    edited = label_edits.add(base, taught, base)
    assert edited.find("robin") is taught
    assert len(edited.labels) == len(base.labels)
    assert edited.own == {"robin"}


def test_a_renamed_label_is_still_found() -> None:
    """Its old name is an alias, so that a bundle without text still knows its vector."""
    edited = label_edits.rename(vocabulary(), "robin", "redbreast")
    label = edited.find("robin")
    assert label is not None
    assert (label.name, label.aliases) == ("redbreast", ("robin",))
    assert names(edited).index("redbreast") == 0
