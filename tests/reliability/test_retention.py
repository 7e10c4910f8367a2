"""Promise 15: no picture is lost that was to be kept, whatever happens at whatever moment."""

import contextlib
import ctypes
import errno
import hashlib
import os
import random
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from feeder import moves
from feeder.clock import storable_ns
from feeder.domain import SettledPath
from feeder.inbox import Inbox
from feeder.moves import ASIDE, rename_new
from feeder.settings_sections import InboxSection
from tests.garden import Garden
from tests.reliability.tally import Tally

SPECIES = ("European Robin", "Eurasian Wren", None, "")
CAMERAS = ("garden", "pond")


def contents(garden: Garden) -> dict[str, list[str]]:
    """For each digest the files that hold it, hidden ones among them."""
    found: dict[str, list[str]] = {}
    for name in garden.files():
        digest = hashlib.sha256((garden.root / name).read_bytes()).hexdigest()
        found.setdefault(digest, []).append(name)
    return found


def scan(garden: Garden) -> None:
    """One scan of the drop folders; what it gives is read by nobody, as if the model were busy."""
    inbox = Inbox(
        garden.settings.deployments,
        InboxSection(watcher="polling"),
        garden.logbook.has_path,
        on_recorded=garden.housekeeping.met,
    )
    inbox.start()
    inbox.take(0)
    inbox.close()


# The rules, against a model of them


@dataclass
class Shot:
    """What the model knows of a frame."""

    name: str
    camera: str
    digest: str
    size: int
    days: float
    species: str | None
    received: float
    favorite: bool = False
    corrected: bool = False

    @property
    def place(self) -> tuple[float, str]:
        """Newest first."""
        return (self.days, self.name)


class Model:
    """Fills a garden at random and says what [retention] may take from it."""

    def __init__(self, root: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.garden = Garden(root, "", CAMERAS)
        self.shots: dict[str, Shot] = {}
        self.strangers: set[str] = set()
        self.number = 0
        self.limits: dict[str, Any] = {}
        self.deleted = 0

    def shoot(self) -> None:
        """A new frame, some of them with a camera's clock that was lost."""
        self.number += 1
        name, camera = f"{self.number:04}.jpg", self.random.choice(CAMERAS)
        data = self.random.randbytes(self.random.randint(50, 150))
        received = self.random.choice((0.5, 8.5, self.random.uniform(0, 100)))
        days = received + self.random.choice((0, 0, 0, 3000)) + self.number * 1e-5
        species = self.random.choice(SPECIES)
        self.garden.shoot(
            name, days_ago=days, species=species, camera=camera, data=data,
            received_days_ago=received, commit=False,
        )  # fmt: skip
        digest = hashlib.sha256(data).hexdigest()
        shot = Shot(name, camera, digest, len(data), days, species, received)
        self.shots[digest] = shot

    def meddle(self) -> None:
        """What people do: strangers' files, favorites, corrections, files removed by hand."""
        what = self.random.choice(("stranger", "favorite", "no favorite", "correct", "remove"))
        if what == "stranger":
            data = self.random.randbytes(60)
            self.garden.drop(f"stranger{self.number}-{len(self.strangers)}.jpg", data)
            self.strangers.add(hashlib.sha256(data).hexdigest())
        if not self.shots:
            return
        shot = self.random.choice(list(self.shots.values()))
        if what in ("favorite", "no favorite"):
            shot.favorite = what == "favorite"
            self.garden.make_favorite(shot.name, shot.favorite)
        elif what == "correct":
            shot.corrected, shot.species = True, "Dunnock"
            self.garden.correct(shot.name, "Dunnock")
        elif what == "remove":
            for name in contents(self.garden).get(shot.digest, []):
                (self.garden.root / name).unlink()

    def tidy(self) -> None:
        """A round under random limits; whatever it did must be what it was asked to do."""
        choose = self.random.random
        self.limits = {
            "after": self.random.choice(("keep", "archive", "delete")),
            "keep_last": self.random.choice((0, 1, 3)),
            "max_days": self.random.choice((None, 5.0, 40.0)),
            "max_bytes": self.random.choice((None, 500, 2000)),
            "free": self.random.choice((None, 300)),
        }
        lines = [f'after = "{self.limits["after"]}"', f"keep_last = {self.limits['keep_last']}"]
        if self.limits["max_days"]:
            lines.append(f"max_days = {self.limits['max_days']}")
        if self.limits["max_bytes"]:
            lines.append(f"max_gigabytes = {self.limits['max_bytes'] / 1e9:.10f}")
        if self.limits["free"]:
            lines.append("min_free_gigabytes = 1.0")
        there = sum((self.garden.root / name).stat().st_size for name in self.garden.files())
        self.garden.disk = there + 10**9 - (self.limits["free"] or 0)
        self.garden.is_clock_right = choose() < 0.9
        before, rows = contents(self.garden), self.garden.rows()
        self.garden.change("\n".join(lines))
        scan(self.garden)
        self.garden.tidy()
        self.check(before, contents(self.garden))
        assert self.garden.rows() == rows

    def check(self, before: dict[str, list[str]], after: dict[str, list[str]]) -> None:
        """Nothing went that had to stay, nothing stayed that had to go, all else is whole."""
        assert self.strangers <= set(after)
        there = {digest: self.shots[digest] for digest in before if digest in self.shots}
        gone = [shot for digest, shot in there.items() if digest not in after]
        self.deleted += len(gone)
        kept = self.kept(list(there.values()))
        assert not [shot for shot in gone if shot.digest in kept]
        left = [shot for digest, shot in there.items() if digest in after]
        assert len(left) + len(gone) == len(there)
        free_to_go = [shot for shot in left if shot.digest not in kept]
        limits = self.limits
        days = [shot.days for shot in self.shots.values()]
        believed = any(-1 < day <= 7 for day in days) and any(7 < day <= 14 for day in days)
        if not self.garden.is_clock_right and not believed:
            assert not gone
            return

        def is_old(shot: Shot) -> bool:
            age = min(shot.days, shot.received)
            return bool(limits["max_days"]) and believed and age > limits["max_days"]

        def is_logged_away(shot: Shot) -> bool:
            return limits["after"] == "delete" and shot.species != ""

        # Whatever is due by itself has gone; what else has gone made room, the oldest first.
        assert not [shot for shot in free_to_go if is_old(shot) or is_logged_away(shot)]
        for_room = [shot for shot in gone if not is_old(shot) and not is_logged_away(shot)]
        total = sum(shot.size for shot in left)
        if limits["max_bytes"] and total > limits["max_bytes"]:
            assert not free_to_go
        made = sum(shot.size for shot in gone)
        if limits["free"] and made < limits["free"]:
            assert not free_to_go
        if for_room:
            last = min(for_room, key=lambda shot: shot.place)
            size_asked = limits["max_bytes"] and total + last.size > limits["max_bytes"]
            room_asked = limits["free"] and made - last.size < limits["free"]
            assert size_asked or room_asked
            assert not [shot for shot in free_to_go if shot.place > last.place]
        self.check_places(left, after)

    def check_places(self, left: list[Shot], after: dict[str, list[str]]) -> None:
        """Each picture is there once, and in the archive if that was asked for."""
        for shot in left:
            (name,) = after[shot.digest]
            if self.limits["after"] == "archive":
                assert name.startswith("archive/")
            assert ASIDE not in name

    def kept(self, there: list[Shot]) -> set[str]:
        """Favorites, corrected frames and the last of each species among those that were there."""
        kept = {shot.digest for shot in there if shot.favorite or shot.corrected}
        kinds = {(shot.camera, shot.species) for shot in there if shot.species}
        for kind in kinds:
            group = [shot for shot in there if (shot.camera, shot.species) == kind]
            group.sort(key=lambda shot: shot.place)
            kept |= {shot.digest for shot in group[: self.limits["keep_last"]]}
        if not self.deletes:
            kept |= {shot.digest for shot in there}
        return kept

    @property
    def deletes(self) -> bool:
        """Whether anything that may delete is turned on."""
        limits = self.limits
        named = limits["max_days"] or limits["max_bytes"] or limits["free"]
        return bool(named) or limits["after"] == "delete"


def test_the_rules_hold_whatever_people_do(tally: Tally, tmp_path: Path) -> None:
    """Random gardens under random limits lose what the limits ask for and nothing else."""
    gardens = tally.goal("retention", short=20, full=2000)
    deleted = rounds = 0
    for seed in range(gardens):
        root = tmp_path / str(seed)
        root.mkdir()
        model = Model(root, seed)
        try:
            for _ in range(4):
                for _ in range(model.random.randint(1, 12)):
                    model.shoot()
                model.garden.logbook.commit()
                for _ in range(model.random.randint(0, 5)):
                    model.meddle()
                model.tidy()
                rounds += 1
        finally:
            model.garden.close()
        deleted += model.deleted
    tally.report(15, random_rounds=rounds, deleted_as_asked=deleted, deleted_or_kept_wrongly=0)
    assert deleted > gardens


# kill -9 before each thing that lasts


EFFECTS = ("link", "unlink", "rename", "fsync", "mkdir", "utime", "chmod")


class Killer:
    """Ends the process with SIGKILL right before its n-th effect on the disk."""

    def __init__(self, garden: Garden, n: int, across: bool) -> None:
        self.left = n
        for name in EFFECTS:
            setattr(os, name, self.wrapped(getattr(os, name)))
        rename = renaming(across=across, before=self.count)
        moves._renameat2 = lambda: rename  # type: ignore[assignment]
        garden.pictures._connection.set_trace_callback(self.statement)

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.count()
            return function(*arguments, **named)

        return call

    def statement(self, sql: str) -> None:
        if sql.startswith(("COMMIT", "BEGIN")):
            self.count()

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def renaming(
    *, across: bool, before: Callable[[], None] = lambda: None
) -> Callable[[bytes, bytes], int]:
    """The system's own rename; with `across`, each folder is as if on a disk of its own."""
    renameat2 = moves._renameat2()

    def rename(source: bytes, target: bytes) -> int:
        if across and os.path.dirname(source) != os.path.dirname(target):
            ctypes.set_errno(errno.EXDEV)
            return -1
        before()
        assert renameat2 is not None
        return renameat2(source, target)

    return rename


def run_until_killed(root: Path, retention: str, n: int, across: bool) -> bool:
    """Tidies a garden in a child that is killed before its n-th effect; False where it ended."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            garden = Garden(root, retention)
            Killer(garden, n, across)
            scan(garden)
            garden.tidy()
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        assert os.WTERMSIG(ended) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(ended) == 0
    return False


SCENES = {
    "archive": ('after = "archive"', False),
    "archive on another disk": ('after = "archive"', True),
    "delete": ('after = "delete"\nkeep_last = 1', False),
    "limits": ("max_days = 30\nkeep_last = 1", False),
    "limits in the archive": ('after = "archive"\nmax_days = 30\nkeep_last = 1', True),
}


def test_killed_anywhere_it_loses_no_picture(
    tally: Tally,
    needs: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After kill -9 before any effect on the disk, every picture that stays is there once."""
    needs()
    goal = tally.goal("retention_kills", short=60, full=2000)
    chance = random.Random(15)
    kills = whole = 0
    fill(tmp_path / "filled")
    for number in range(goal):
        scene = list(SCENES)[number % len(SCENES)]
        retention, across = SCENES[scene]
        root = tmp_path / str(number)
        shutil.copytree(tmp_path / "filled", root)
        n = number // len(SCENES) if number < 40 * len(SCENES) else chance.randrange(40)
        for _ in range(chance.choice((1, 1, 2))):  # some are killed in their recovery, too
            if run_until_killed(root, retention, n, across):
                kills += 1
            else:
                whole += 1
            n = chance.randrange(10)
        rename = renaming(across=across)
        with monkeypatch.context() as disks:
            disks.setattr(moves, "_renameat2", lambda rename=rename: rename)
            recovered(root, retention, scene)
    tally.report(15, kills=kills, ended_before_a_kill=whole, pictures_lost_or_doubled=0)
    assert kills > goal // 3


def fill(root: Path) -> None:
    """A garden of old and young frames, namesakes and duplicates, all logged, none moved yet."""
    root.mkdir()
    garden = Garden(root)
    for days in (1, 8):
        garden.shoot(f"recent{days}.jpg", days_ago=days, species=None)
    garden.shoot("old1.jpg", days_ago=40)
    garden.shoot("old2.jpg", days_ago=41)
    garden.shoot("below/old1.jpg", days_ago=40, data=b"a namesake")
    garden.shoot("twin1.jpg", data=b"twin")
    garden.shoot("twin2.jpg", data=b"twin")
    garden.shoot("favorite.jpg", days_ago=50)
    garden.make_favorite("favorite.jpg")
    garden.close()


def recovered(root: Path, retention: str, scene: str) -> None:
    """A start after the kill brings everything where it belongs."""
    garden = Garden(root, retention)
    try:
        there = contents(garden)
        for name in ("favorite", "twin", "recent", "old"):
            if scene in ("archive", "archive on another disk"):
                assert any(name in file for files in there.values() for file in files)
        for _ in range(3):  # the first scan puts back, the next one finds
            scan(garden)
            garden.tidy()
        frames = {
            str(digest): str(name)
            for digest, name in garden.sql("SELECT lower(hex(sha256)), file_name FROM media")
        }
        there = contents(garden)
        assert set(there) <= set(frames)
        names = {frames[digest] for digest in there}
        expected = set(frames.values())
        if scene == "delete":
            expected = {"favorite.jpg", "twin1.jpg"}
        elif "limits" in scene:
            expected -= {"old1.jpg", "old2.jpg", "below/old1.jpg"}
        assert names == expected, scene
        for digest, files in there.items():
            if "archive" in scene:
                assert len(files) == 1, files
                assert files[0].startswith("archive/"), files
            assert not [file for file in files if "/." in file], (frames[digest], files)
        for media_id, gone in garden.sql("SELECT media_id, gone_since FROM media"):
            (picture,) = garden.pictures.get([int(str(media_id))])
            assert picture.sha256 is not None
            is_there = picture.sha256.hex() in there
            assert bool(gone) != is_there or scene.startswith("archive")
            found = list(garden.housekeeping._rounds._places.files(picture))
            assert bool(found) == is_there, "the log says where it lies"
    finally:
        garden.close()


# A camera that rewrites one file


WAYS = ("replaced", "rewritten", "rewritten late")


@pytest.mark.parametrize("retention", ['after = "archive"', 'after = "delete"\nkeep_last = 0'])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("way", WAYS)
def test_a_frame_that_takes_the_files_place_is_not_lost(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    moment: str,
    retention: str,
    needs: Callable[..., None],
) -> None:
    """A new `latest.jpg` that comes between any two steps is found as a frame of its own."""
    needs()
    garden = Garden(tmp_path, retention)
    latest = garden.shoot("latest.jpg", data=b"first", species=None)
    with contextlib.ExitStack() as open_files:
        writers: list[Any] = []

        def rewrite() -> None:
            if way == "replaced":
                (tmp_path / "new").write_bytes(b"other")
                (tmp_path / "new").replace(latest)
            elif way == "rewritten":
                latest.write_bytes(b"other")
            elif moment == "before":  # open already, yet written only when all is over
                writers.append(open_files.enter_context(latest.open("r+b")))

        def interrupted(source: Path, target: Path) -> None:
            monkeypatch.setattr(moves, "rename_new", rename_new)
            if moment == "before":
                rewrite()
            rename_new(source, target)
            if moment == "after":
                rewrite()

        monkeypatch.setattr(moves, "rename_new", interrupted)
        garden.tidy()
        for writer in writers:
            writer.write(b"other")
            writer.flush()
    visible = {
        path.read_bytes(): path.name for path in latest.parent.iterdir() if path.name[0] != "."
    }
    if way == "rewritten late" and moment == "after":
        assert visible == {}  # nobody wrote: the picture went as asked
    else:
        assert b"other" in visible
    assert b"other" not in [path.read_bytes() for path in garden.settings.archive.rglob("*.jpg")]
    garden.close()


def test_a_camera_that_never_rests_loses_no_frame(
    tally: Tally, needs: Callable[..., None], tmp_path: Path
) -> None:
    """Of a file that is swapped for a new frame all the time, every frame is accounted for."""
    needs()
    exchange = exchanger()
    goal = tally.goal("retention_swaps", short=100, full=5000)
    garden = Garden(tmp_path, 'after = "archive"')
    latest = garden.root / "garden" / "latest.jpg"
    resting, returned = threading.Event(), set[bytes]()
    made, chance = [0], random.Random(15)

    def shoot() -> None:
        """Puts the next frame in the last one's place and keeps what it gets in return."""
        staged = tmp_path / "staged"
        while not resting.is_set():
            made[0] += 1
            staged.write_bytes(b"frame %08d" % made[0])
            if exchange(staged, latest):
                returned.add(staged.read_bytes())
            else:  # it is just being moved
                with contextlib.suppress(FileExistsError):
                    rename_new(staged, latest)
                    continue
                made[0] -= 1
            resting.wait(chance.choice((0.0005, 0.002, 0.02)))

    camera = threading.Thread(target=shoot)
    camera.start()
    try:
        logged = 0
        while logged < goal:
            logged += log_and_archive(garden, latest)
    finally:
        resting.set()
        camera.join()
    scan(garden)
    in_folder = {path.read_bytes() for path in latest.parent.iterdir()}
    archived = [path.read_bytes() for path in garden.settings.archive.rglob("*.jpg")]
    frames = {b"frame %08d" % number for number in range(1, made[0] + 1)}
    assert len(archived) == len(set(archived))
    assert returned | in_folder | set(archived) == frames
    on_record = {bytes.fromhex(str(row[0])) for row in garden.sql("SELECT hex(sha256) FROM media")}
    assert {hashlib.sha256(data).digest() for data in archived} <= on_record
    tally.report(15, swapped_frames=made[0], logged=logged, archived=len(archived), frames_lost=0)
    garden.close()


def log_and_archive(garden: Garden, latest: Path) -> bool:
    """Logs what the file holds now and lets it be archived, as the daemon does."""
    try:
        with latest.open("rb") as file:
            found, data = os.fstat(file.fileno()), file.read()
    except FileNotFoundError:
        return False
    (deployment,) = garden.settings.deployments
    source = SettledPath(deployment, latest, found.st_size, storable_ns(found.st_mtime_ns))
    garden.log(source, species=None, data=data)
    garden.tidy()
    return True


def exchanger() -> Callable[[Path, Path], bool]:
    """Swaps two files in one step; False where one of them is not there."""
    function = ctypes.CDLL(None, use_errno=True).renameat2

    def exchange(one: Path, other: Path) -> bool:
        return bool(function(-100, os.fsencode(one), -100, os.fsencode(other), 2) == 0)

    return exchange
