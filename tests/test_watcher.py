"""What tells of changes in a folder."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feeder.watcher import PortableWatcher, Watcher, watcher
from tests.feeder_process import PATIENCE

if sys.platform != "linux":
    pytest.skip("what Linux's kernel tells of", allow_module_level=True)

from feeder.inotify import Inotify

KEPT = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
"""Events that the kernel keeps for a slow reader; a file that is made raises two."""


class Ear:
    """Hears what a watcher tells, and waits for it."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self.lost = 0
        self._stirred = threading.Condition()

    def tell(self, path: str) -> None:
        with self._stirred:
            self.heard.add(path)
            self._stirred.notify_all()

    def lose(self) -> None:
        with self._stirred:
            self.lost += 1
            self._stirred.notify_all()

    def hears(self, *paths: Path) -> bool:
        """Whether all these are told of in time."""
        return self.until(lambda: {os.fspath(path) for path in paths} <= self.heard)

    def until(self, happened: Callable[[], bool]) -> bool:
        """Whether it happens in time."""
        with self._stirred:
            return self._stirred.wait_for(happened, PATIENCE)


@pytest.fixture
def ear() -> Ear:
    """Hears what is told."""
    return Ear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The watched folder, with one below it."""
    path = tmp_path / "snapshots"
    (path / "day").mkdir(parents=True)
    return path


OpenWatcher = Callable[..., Watcher]


@pytest.fixture
def watch(folder: Path, ear: Ear) -> Iterator[OpenWatcher]:
    """Starts watchers on the folder and stops them after the test."""
    opened: list[Watcher] = []

    def start(recursive: bool = True) -> Watcher:
        one = watcher(os.fspath(folder), recursive, ear.tell, ear.lose)
        one.start()
        opened.append(one)
        # It watches the folders below only once it has walked there.
        if recursive:
            one.cover(os.fspath(folder / "day"))
        return one

    yield start
    for one in opened:
        one.stop()


def test_it_tells_of_files_however_they_come(
    tmp_path: Path, folder: Path, ear: Ear, watch: OpenWatcher
) -> None:
    """A file that is written, renamed to or linked is told of, in folders below, too."""
    watch()
    outside = tmp_path / "outside.jpg"
    outside.touch()
    (folder / "written.jpg").write_bytes(b"x")
    os.link(outside, folder / "linked.jpg")
    outside.rename(folder / "renamed.jpg")
    (folder / "day" / "below.jpg").touch()
    came = ("written.jpg", "linked.jpg", "renamed.jpg", "day/below.jpg")
    assert ear.hears(*(folder / name for name in came))


def test_it_tells_of_what_a_new_folder_holds(
    tmp_path: Path, folder: Path, ear: Ear, watch: OpenWatcher
) -> None:
    """The files of a folder that is moved in are told of, and those that come into it later."""
    watch()
    (tmp_path / "card" / "100").mkdir(parents=True)
    (tmp_path / "card" / "100" / "old.jpg").touch()
    (tmp_path / "card").rename(folder / "card")
    assert ear.hears(folder / "card" / "100" / "old.jpg")
    (folder / "card" / "100" / "new.jpg").touch()
    assert ear.hears(folder / "card" / "100" / "new.jpg")


def test_a_renamed_folder_is_followed(folder: Path, ear: Ear, watch: OpenWatcher) -> None:
    """What comes into a renamed folder, or one below it, is told of under its new name."""
    watch()
    (folder / "day" / "hour").mkdir()
    (folder / "day").rename(folder / "yesterday")
    (folder / "mark.jpg").touch()
    assert ear.hears(folder / "mark.jpg")
    (folder / "yesterday" / "hour" / "a.jpg").touch()
    assert ear.hears(folder / "yesterday" / "hour" / "a.jpg")


def test_a_folder_that_left_is_let_go(
    tmp_path: Path, folder: Path, ear: Ear, watch: OpenWatcher
) -> None:
    """A folder that was moved away is watched no more, nor are those below it."""
    (folder / "day" / "hour").mkdir()
    one = watch()
    assert isinstance(one, Inotify)
    one.cover(os.fspath(folder / "day" / "hour"))
    (folder / "day").rename(tmp_path / "day")
    (folder / "mark.jpg").touch()
    assert ear.hears(folder / "mark.jpg")
    (tmp_path / "day" / "hour" / "a.jpg").touch()
    (folder / "later.jpg").touch()
    assert ear.hears(folder / "later.jpg")
    assert ear.heard == {os.fspath(folder / name) for name in ("mark.jpg", "later.jpg")}
    assert list(one._folders.values()) == [os.fspath(folder)]


def test_hidden_folders_and_links_are_passed_over(
    tmp_path: Path, folder: Path, ear: Ear, watch: OpenWatcher
) -> None:
    """Nothing is told of what lies in a hidden folder or behind a link."""
    (tmp_path / "elsewhere").mkdir()
    (folder / ".trash").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    one = watch()
    (folder / ".new").mkdir()
    one.cover(os.fspath(folder / "link"))
    for place in (folder / ".trash", folder / ".new", tmp_path / "elsewhere"):
        (place / "a.jpg").touch()
    (folder / "mark.jpg").touch()
    assert ear.hears(folder / "mark.jpg")
    assert ear.heard <= {os.fspath(folder / "mark.jpg"), os.fspath(folder / "link")}


def test_folders_below_can_be_left_out(folder: Path, ear: Ear, watch: OpenWatcher) -> None:
    """Without `recursive` nothing is told of folders below."""
    one = watch(recursive=False)
    one.cover(os.fspath(folder / "day"))
    (folder / "day" / "a.jpg").touch()
    (folder / "mark.jpg").touch()
    assert ear.hears(folder / "mark.jpg")
    assert ear.heard == {os.fspath(folder / "mark.jpg")}


def test_it_says_when_the_kernel_dropped_events(folder: Path, ear: Ear) -> None:
    """With more events than the kernel keeps for a slow reader, it says that some were lost."""
    may_go_on = threading.Event()
    mark = os.fspath(folder / "mark.jpg")

    def slowly(path: str) -> None:
        may_go_on.wait(PATIENCE)
        if path == mark:
            ear.tell(path)

    one = Inotify(os.fspath(folder), False, slowly, ear.lose)
    one.start()
    try:
        for number in range(KEPT // 2 + 2_000):
            (folder / f"{number}.jpg").touch()
        may_go_on.set()
        assert ear.until(lambda: ear.lost > 0)
        Path(mark).touch()
        assert ear.hears(Path(mark))
    finally:
        may_go_on.set()
        one.stop()


@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_it_ends_with_its_folder(
    how: str, tmp_path: Path, folder: Path, ear: Ear, watch: OpenWatcher
) -> None:
    """When the watched folder goes, it says so and is alive no more."""
    one = watch()
    if how == "removed":
        (folder / "day").rmdir()
        folder.rmdir()
    else:
        folder.rename(tmp_path / "elsewhere")
    assert ear.until(lambda: ear.lost > 0)
    assert not one.is_alive()
    one.cover(os.fspath(tmp_path))


def test_what_cannot_be_watched_is_an_error(tmp_path: Path, ear: Ear) -> None:
    """A folder that is not there raises OSError and leaves nothing open."""
    before = len(os.listdir("/proc/self/fd"))
    one = watcher(os.fspath(tmp_path / "absent"), True, ear.tell, ear.lose)
    with pytest.raises(FileNotFoundError):
        one.start()
    assert not one.is_alive()
    one.stop()
    assert len(os.listdir("/proc/self/fd")) == before


def test_it_leaves_nothing_open(folder: Path, ear: Ear) -> None:
    """Stopping gives back the descriptors and the thread, also once the folder has gone."""
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for gone in (False, True):
        one = watcher(os.fspath(folder), True, ear.tell, ear.lose)
        one.start()
        if gone:
            folder.rename(folder.with_name("elsewhere"))
            assert ear.until(lambda: ear.lost > 0)
        one.stop()
        one.stop()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_the_portable_watcher_tells_of_files(tmp_path: Path, folder: Path, ear: Ear) -> None:
    """Where there is no inotify, watchdog tells of files in the folder and below."""
    one = PortableWatcher(os.fspath(folder), True, ear.tell)
    one.start()
    try:
        assert one.is_alive()
        (folder / "day" / "a.jpg").touch()
        (tmp_path / "b.jpg").touch()
        (tmp_path / "b.jpg").rename(folder / "b.jpg")
        assert ear.hears(folder / "day" / "a.jpg", folder / "b.jpg")
    finally:
        one.stop()
    assert not one.is_alive()
