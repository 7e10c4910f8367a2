"""Opening what lies below a folder, past no link."""

import os
from pathlib import Path

import pytest

from feeder import safe_open
from feeder.errors import Vanished


@pytest.fixture(params=["step by step", "by path"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A drop folder with a file in a folder, and links out of it; on either kind of system."""
    if request.param == "by path":
        monkeypatch.setattr(safe_open, "_STEPS", False)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "bird.jpg").write_text("outside")
    inside = tmp_path / "inside"
    (inside / "day").mkdir(parents=True)
    (inside / "day" / "bird.jpg").write_text("inside")
    (inside / "linked").symlink_to(outside)
    (inside / "linked.jpg").symlink_to(outside / "bird.jpg")
    return inside


def _read(folder: Path, path: Path) -> str:
    with os.fdopen(safe_open.open_file(folder, path)) as file:
        return file.read()


def test_a_file_in_a_folder_below_is_opened(folder: Path) -> None:
    """However deep it lies."""
    assert _read(folder, folder / "day" / "bird.jpg") == "inside"


def test_the_drop_folder_itself_may_be_a_link(folder: Path) -> None:
    """The settings name it, so it is meant."""
    link = folder.with_name("link")
    link.symlink_to(folder)
    assert _read(link, link / "day" / "bird.jpg") == "inside"


@pytest.mark.parametrize("name", ["linked.jpg", "linked/bird.jpg", "gone.jpg", "day/bird.jpg/x"])
def test_what_is_gone_or_behind_a_link_has_vanished(name: str, folder: Path) -> None:
    """A link for a file, a link for a folder on the way, and nothing are one and the same."""
    with pytest.raises(Vanished):
        safe_open.open_file(folder, folder / name)


@pytest.mark.parametrize("name", ["../outside/bird.jpg", "day/../../outside/bird.jpg", "a\0b"])
def test_what_does_not_lie_below_has_vanished(name: str, folder: Path) -> None:
    """A name that climbs out of the folder, or is none, opens nothing; nor does another's."""
    with pytest.raises(Vanished):
        safe_open.open_file(folder, folder / name)
    with pytest.raises(Vanished):
        safe_open.open_file(folder, folder.with_name("outside") / "bird.jpg")


def test_a_folder_is_listed_and_a_link_is_not(folder: Path) -> None:
    """Nothing is listed through a link that took a folder's place since it was seen."""
    with safe_open.scan_folder(folder, folder / "day") as entries:
        assert [entry.name for entry in entries] == ["bird.jpg"]
    if safe_open._STEPS:
        with pytest.raises(Vanished), safe_open.scan_folder(folder, folder / "linked"):
            pass


def test_no_descriptor_is_left_open(folder: Path) -> None:
    """Neither after what was found nor after what was not."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for name in ("day/bird.jpg", "linked/bird.jpg", "gone/bird.jpg"):
        try:
            os.close(safe_open.open_file(folder, folder / name))
        except Vanished:
            continue
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before
