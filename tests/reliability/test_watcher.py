"""Promise 4: whatever becomes of the watcher, every frame is found and the state is said."""

import shutil
import signal
import subprocess
import sys
import time as wall
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.feeder_process import FeederProcess, picture
from tests.reliability.privilege import without_privilege
from tests.reliability.spoilt import spoilt_in
from tests.reliability.tally import Tally

LIMIT = 60.0
"""Seconds within which a frame is found, and a state is said."""

QUICK = {
    "inbox": "settle_seconds = 0.1\nrescan_seconds = 0.3\npolling_seconds = 0.3",
    "logbook": "commit_rows = 1",
}
"""For the suite; the full form runs the defaults."""


@dataclass
class Place:
    """A daemon in a mount namespace of its own, and its drop folder as seen from inside."""

    feeder: FeederProcess
    dropped: dict[str, float] = field(default_factory=dict)
    longest: float = 0.0
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.beside = self.feeder.config.parent
        self.folder = self.feeder.folder

    def start(self) -> None:
        """Starts the daemon: mounts of its own, no right to read what modes forbid."""
        folder = str(self.folder)
        self.feeder.command = [
            *("unshare", "--mount", "--propagation", "private"),
            *without_privilege(),
            *(sys.executable, "-m", "tests.reliability.spoilt"),
        ]
        self.feeder.start(environment=spoilt_in(self.beside))
        self.said(f"watching {folder}")

    def inside(self, path: Path) -> Path:
        """A path as the daemon sees it."""
        assert self.feeder.process is not None
        return Path(f"/proc/{self.feeder.process.pid}/root{path}")

    def mount(self, *arguments: str | Path) -> None:
        """Mounts something where only the daemon sees it; `-u` first unmounts."""
        assert self.feeder.process is not None
        program = ["umount"] if arguments[0] == "-u" else ["mount"]
        rest = [str(argument) for argument in arguments if argument != "-u"]
        pid = str(self.feeder.process.pid)
        subprocess.run(["nsenter", "-t", pid, "-m", *program, *rest], check=True)

    def drop(self, number: int, folder: Path | None = None) -> None:
        """A frame, complete at once, into the drop folder or where it will become that."""
        name = f"{len(self.dropped):03}-{number}.jpg"
        staged = picture(self.beside / "staged.jpg", len(self.dropped))
        data = staged.read_bytes() + name.encode()
        (self.inside(folder or self.folder) / name).write_bytes(data)
        self.dropped[name] = wall.monotonic()

    def said(self, words: str) -> None:
        """Waits until the state is said in these words, last of all states."""
        deadline = wall.monotonic() + LIMIT
        while words not in self.state():
            assert self._lives() and wall.monotonic() < deadline, (words, self.feeder.said())
            wall.sleep(0.02)
        self.words.append(words)

    def state(self) -> str:
        """The last state that the log tells of."""
        lines = [line for line in self.feeder.said().splitlines() if 'event="garden: ' in line]
        return lines[-1] if lines else ""

    def found(self) -> None:
        """Waits until every frame dropped so far is in the log; keeps the longest time it took."""
        while missing := set(self.dropped) - set(self.feeder.files()):
            now = wall.monotonic()
            late = [name for name in missing if now - self.dropped[name] > LIMIT]
            assert self._lives() and not late, (late, self.feeder.said())
            self.longest = max(self.longest, *(now - self.dropped[name] for name in missing))
            wall.sleep(0.02)

    def _lives(self) -> bool:
        assert self.feeder.process is not None
        return self.feeder.process.poll() is None


def deleted(place: Place) -> None:
    """Deleted, and after a while made again."""
    shutil.rmtree(place.folder)
    place.said(f"waiting for {place.folder}")
    place.folder.mkdir()
    place.drop(1)


def replaced(place: Place) -> None:
    """Deleted and made again before any scan could notice."""
    shutil.rmtree(place.folder)
    place.folder.mkdir()
    place.drop(1)


def renamed(place: Place) -> None:
    """Renamed away and back, with a frame that arrived meanwhile."""
    away = place.beside / "away"
    place.folder.rename(away)
    place.said(f"waiting for {place.folder}")
    place.drop(1, away)
    away.rename(place.folder)
    place.dropped = {name: wall.monotonic() for name in place.dropped}
    place.drop(2)


def a_file(place: Place) -> None:
    """Replaced by a file, and made again."""
    shutil.rmtree(place.folder)
    place.folder.write_bytes(b"")
    place.said(f"waiting for {place.folder} (a file is in its place)")
    place.folder.unlink()
    place.folder.mkdir()
    place.drop(1)


def unreadable(place: Place) -> None:
    """Unreadable for a while, with a frame that arrived meanwhile."""
    place.folder.chmod(0)
    place.said(f"waiting for {place.folder} (it may not be read)")
    place.drop(1)
    place.folder.chmod(0o755)
    place.dropped = {name: wall.monotonic() for name in place.dropped}
    place.drop(2)


def pointed_elsewhere(place: Place) -> None:
    """A link that is made to point to another folder, in which frames are already."""
    for name in ("first", "second"):
        (place.beside / name).mkdir(exist_ok=True)
    for name in ("first", "second"):
        place.drop(1, place.beside / name)
        if place.folder.is_symlink():
            place.folder.unlink()
        else:
            shutil.rmtree(place.folder)
        place.folder.symlink_to(place.beside / name)
        place.dropped = {done: wall.monotonic() for done in place.dropped}
        place.found()
        place.drop(2)
        place.found()
    place.folder.unlink()
    place.folder.mkdir()
    place.drop(3)


def mounted_over(place: Place) -> None:
    """Another file system mounted over it, and unmounted."""
    place.mount("-t", "tmpfs", "tmpfs", place.folder)
    place.drop(1)
    place.found()
    place.mount("-u", place.folder)
    place.drop(2)


def mounted_at_once(place: Place) -> None:
    """Unmounted and mounted again before any scan could notice."""
    place.mount("-t", "tmpfs", "tmpfs", place.folder)
    place.drop(1)
    place.found()
    place.mount("-u", place.folder)
    place.mount("-t", "tmpfs", "tmpfs", place.folder)
    place.drop(2)
    place.found()
    place.mount("-u", place.folder)


def overlaid(place: Place) -> None:
    """An overlay: a frame written into its lower layer raises no event in the folder."""
    lower, other = place.beside / "lower", place.beside / "other"
    lower.mkdir(exist_ok=True)
    other.mkdir(exist_ok=True)
    place.mount("-t", "overlay", "overlay", "-o", f"lowerdir={lower}:{other}", place.folder)
    place.drop(1, lower)
    place.found()
    place.drop(2, other)
    place.found()
    place.mount("-u", place.folder)


def overflown(place: Place) -> None:
    """More events at once than the kernel queues: those of the last frames are lost."""
    assert place.feeder.process is not None
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    place.feeder.process.send_signal(signal.SIGSTOP)
    for number in range(queue // 2):  # each is made and closed
        (place.folder / f".{number}").touch()
    place.drop(1)
    place.feeder.process.send_signal(signal.SIGCONT)
    place.found()
    for number in range(queue // 2):
        (place.folder / f".{number}").unlink()


def died(place: Place) -> None:
    """The thread that watches dies of an event."""
    said = place.feeder.said().count("is watched no more")
    (place.beside / "watcher").touch()
    place.drop(1)
    place.found()
    (place.beside / "watcher").unlink()
    deadline = wall.monotonic() + LIMIT
    while place.feeder.said().count("is watched no more") == said:
        assert wall.monotonic() < deadline, place.feeder.said()
        wall.sleep(0.02)
    place.drop(2)


CASES = (
    deleted, replaced, renamed, a_file, unreadable, pointed_elsewhere, mounted_over,
    mounted_at_once, overlaid, overflown, died,
)  # fmt: skip

Open = Callable[..., Place]


@pytest.fixture
def opened(write_config: Callable[..., Path], tmp_path: Path) -> Iterator[Open]:
    """Makes places, each with a daemon that is ended after the test."""
    places: list[Place] = []

    def make(name: str, *, quick: bool) -> Place:
        sections = QUICK if quick else {"inbox": ""}
        here = tmp_path / name
        here.mkdir()
        config = here / "config.toml"
        config.write_text(write_config(**sections).read_text(encoding="utf-8"), encoding="utf-8")
        places.append(Place(FeederProcess(config)))
        return places[-1]

    yield make
    for place in places:
        if place.feeder.process is not None:
            place.feeder.process.kill()
            place.feeder.process.wait()


def test_every_frame_is_found_whatever_becomes_of_the_folder(
    opened: Open, needs: Callable[..., None], tally: Tally
) -> None:
    """Gone, back, replaced, mounted over, silent or overflown: found in time, never an exit."""
    needs("unshare", "nsenter", "setpriv", root=True)
    rounds = tally.goal("watchers", short=1, full=10)
    if tally.full:  # a daemon for each, for they spend their time waiting for the next scan
        distinct = places = [opened(case.__name__, quick=False) for case in CASES]
    else:
        distinct = [opened("all", quick=True)]
        places = distinct * len(CASES)
    for place in distinct:
        place.start()

    def repeat(case: Callable[[Place], None], place: Place) -> None:
        for _ in range(rounds):
            case(place)
            place.found()
            place.said(f"watching {place.folder}")

    if tally.full:
        with ThreadPoolExecutor(len(CASES)) as threads:
            list(threads.map(repeat, CASES, places))
    else:
        for case, place in zip(CASES, places, strict=True):
            repeat(case, place)
    for place in distinct:
        assert place.feeder.stop() == 0
    tally.report(
        4,
        disturbances=rounds * len(CASES),
        frames=sum(len(place.dropped) for place in distinct),
        found=sum(len(place.feeder.files()) for place in distinct),
        longest=f"{max(place.longest for place in distinct):.1f} s",
        exits=0,
    )


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("max_inotify_watches", "inotify watch limit reached"),
        ("max_inotify_instances", "inotify instance limit reached"),
    ],
)
def test_every_frame_is_found_without_a_watch(
    limit: str, reason: str, opened: Open, needs: Callable[..., None], tally: Tally
) -> None:
    """Where the system has no watches left, it says so and scans instead."""
    needs("unshare", root=True)
    rounds = tally.goal("unwatched", short=1, full=10)
    place = opened("here", quick=not tally.full)
    none_left = f'echo 0 > /proc/sys/user/{limit} && exec "$@"'
    place.feeder.command = ["unshare", "-Ur", "sh", "-c", none_left, "-", *place.feeder.command]
    place.feeder.start()
    place.said(f"not watched: {reason}")
    for number in range(rounds):
        place.drop(number)
        place.found()
    assert place.feeder.stop() == 0
    tally.report(4, unwatched=limit, frames=rounds, longest_wait=f"{place.longest:.1f} s", exits=0)
