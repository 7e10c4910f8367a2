"""Promise 7: whatever a file is called and whatever it is, nothing outside the folder is read."""

import hashlib
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
import time as wall
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.feeder_process import FeederProcess, picture
from tests.reliability.opened import watch_opens
from tests.reliability.tally import Tally

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="makes links, devices and sockets")

RACE_SECONDS = 3.0
"""Seconds for which links are put in files' and folders' places; ten times as long in full."""

SWAPS = 40
"""Times that a file's and a folder's place is taken before a new file comes."""


@dataclass
class Hostile:
    """A drop folder being filled with what nobody sane would put there."""

    folder: Path
    outside: Path
    rng: random.Random
    whole: bytes
    serial: int = 0
    expected: set[bytes] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)

    def name(self) -> bytes:
        """A file name of at most 255 bytes, none of them `/` or zero, like no other."""
        rng = self.rng
        self.serial += 1
        tail = b"%05d" % self.serial + rng.choice([b"", b".jpg", b".JPG", b".png", b"\xff", b"\n"])
        core = rng.choice(
            [
                rng.randbytes(rng.randint(1, 200)),
                b"\xff\xfe" * rng.randint(1, 100),
                b"line\nlevel=info event=forged\r\n",
                b"\x1b[2J\x1b]0;title\x07\x1bP\x9b31m\xc2\x9b1m",
                b"[bold red]x[/bold red][link=file:///etc/passwd]",
                b"<script>alert(1)</script>&amp;",
                b"%s%n{0}{frame}$(reboot)`reboot`;reboot|x",
                b"--config=x -rf",
                b"'; DROP TABLE media; --",
                "\u202egpj.\u2066\ufeff\u200b".encode(),
                "\U0001f426\u0301\u0301\u0301".encode(),
                b"\xed\xb3\xbf",  # a surrogate, as Python stands for a byte that is no text
                b"..  ..",
                b" ",
                b"CON",
                b"a" * 255,
                b"\\..\\..\\etc\\passwd",
                b"file:%2e%2e%2f",
            ]
        )
        core = core.replace(b"/", b"_").replace(b"\0", b"_")
        if core.startswith(b"."):  # hidden files are no pictures
            core = b"_" + core
        return core[: 255 - len(tail)] + tail

    def path(self) -> bytes:
        return os.path.join(os.fsencode(self.folder), self.name())

    def unique(self) -> bytes:
        """A whole picture like no other: a comment with a number behind the JPEG's first marker."""
        self.serial += 1
        return commented(self.whole, b"%012d" % self.serial)

    def make(self) -> None:
        """One more of any kind."""
        kind = self.rng.choice(_KINDS)
        self.kinds.add(kind.__name__)
        kind(self)

    def expect(self, path: bytes) -> None:
        """Notes that the ledger shall hold `path`."""
        self.expected.add(os.path.relpath(path, os.fsencode(self.folder)))


def commented(whole: bytes, text: bytes) -> bytes:
    """A JPEG with a comment segment."""
    return whole[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + whole[2:]


def a_picture(at: Hostile) -> None:
    """A whole picture."""
    _put(path := at.path(), at.unique())
    at.expect(path)


def a_text(at: Hostile) -> None:
    """A file that is none."""
    _put(path := at.path(), b"no picture %d\n" % at.serial)
    at.expect(path)


def a_link(at: Hostile) -> None:
    """A link out of the folder, to a device, to a folder or to nothing."""
    targets = (
        os.fsencode(at.outside / "secret.jpg"),
        os.fsencode(at.outside),
        b"../outside/secret.jpg",
        b"/dev/zero",
        b"/proc/self/environ",
        b"nowhere",
        b".",
    )
    os.symlink(at.rng.choice(targets), at.path())


def a_link_to_itself(at: Hostile) -> None:
    """A link that never ends."""
    path = at.path()
    os.symlink(os.path.basename(path), path)


def a_fifo(at: Hostile) -> None:
    """A pipe that nobody writes to."""
    os.mkfifo(at.path())


def a_socket(at: Hostile) -> None:
    """A socket that nobody listens at."""
    os.mknod(at.path(), stat.S_IFSOCK | 0o600)


def a_device(at: Hostile) -> None:
    """A device with no end of bytes, or none."""
    number = at.rng.choice([(1, 5), (1, 3), (1, 8), (5, 0)])  # zero, null, random, tty
    with suppress(PermissionError):  # only root makes devices
        os.mknod(at.path(), stat.S_IFCHR | 0o600, os.makedev(*number))


def a_hard_link(at: Hostile) -> None:
    """Two names of one file: one frame, two paths."""
    first, second = at.path(), at.path()
    _put(first, at.unique())
    os.link(first, second)
    at.expect(first)
    at.expect(second)


def a_folder(at: Hostile) -> None:
    """Called like a picture, with one inside that is called as badly."""
    folder = at.path()
    os.mkdir(folder)
    path = os.path.join(folder, at.name())
    _put(path, at.unique())
    at.expect(path)


def a_deep_folder(at: Hostile) -> None:
    """Ten folders below each other."""
    folder = at.path()
    os.mkdir(folder)
    for _ in range(9):
        folder = os.path.join(folder, at.name()[-40:].replace(b".", b"_"))
        os.mkdir(folder)
    path = os.path.join(folder, b"deep.jpg")
    _put(path, at.unique())
    at.expect(path)


def a_bottomless_folder(at: Hostile) -> None:
    """A path longer than the system takes as a whole: it cannot be named, so it is passed over."""
    descriptor = os.open(at.folder, os.O_RDONLY)
    for _ in range(18):
        at.serial += 1
        name = b"%0240d" % at.serial
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


_KINDS: tuple[Callable[[Hostile], None], ...] = (
    a_picture,
    a_picture,
    a_picture,
    a_text,
    a_link,
    a_link,
    a_link_to_itself,
    a_fifo,
    a_socket,
    a_device,
    a_hard_link,
    a_folder,
    a_deep_folder,
    a_bottomless_folder,
)


def _put(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def race(at: Hostile, secret: bytes, is_over: threading.Event, swaps: list[int]) -> None:
    """Puts links in the place of a file and of a folder, again and again, as fast as it can.

    Each time the file inside is a new one that the daemon wants to read, as large and as old as
    the one outside that the link leads to: nothing but the link itself could give it away.
    """
    inside = at.folder / "raced"
    inside.mkdir()
    old = (1_700_000_000, 1_700_000_000)
    while not is_over.is_set():
        swaps[0] += 1
        fresh = commented(at.whole, b"%012d" % (10**9 + swaps[0]))
        assert len(fresh) == len(secret)
        for target in (at.folder / "raced.jpg", inside / "secret.jpg"):
            staged = at.folder / ".staged"
            staged.write_bytes(fresh)
            os.utime(staged, (old[0] + swaps[0], old[1] + swaps[0]))
            os.replace(staged, target)
        os.utime(at.outside / "secret.jpg", (old[0] + swaps[0], old[1] + swaps[0]))
        for _ in range(SWAPS):
            wall.sleep(at.rng.uniform(0, 0.01))
            link = at.folder / ".link"
            link.symlink_to(at.outside / "secret.jpg")
            os.replace(at.folder / "raced.jpg", at.folder / ".away")
            os.replace(link, at.folder / "raced.jpg")
            inside.rename(at.folder / ".inside")
            inside.symlink_to(at.outside)
            wall.sleep(at.rng.uniform(0, 0.005))
            inside.unlink()
            (at.folder / ".inside").rename(inside)
            os.replace(at.folder / ".away", at.folder / "raced.jpg")


def ledger(feeder: FeederProcess) -> set[bytes]:
    """Every path in the log, as bytes below the drop folder."""
    if not feeder.database.exists():
        return set()
    with closing(sqlite3.connect(feeder.database)) as log:
        return {bytes(path) for (path,) in log.execute("SELECT file_path FROM path")}


def test_no_name_and_no_kind_of_file_leads_outside(
    feeder: FeederProcess, tmp_path: Path, tally: Tally
) -> None:
    """Of everything a folder can hold, files in it are read and nothing else, and no name shows.

    Names that are no text, move cursors or look like markup, links, FIFOs, devices, sockets, hard
    links, folders called like pictures; and links put in the place of what was just looked at.
    """
    count = tally.goal("names", short=150, full=1_000)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    outside = tmp_path / "outside"
    outside.mkdir()
    whole = picture(tmp_path / "whole.jpg", 1).read_bytes()
    secret = commented(whole, b"the secret !")
    (outside / "secret.jpg").write_bytes(secret)
    (outside / "text.jpg").write_text("more secrets", encoding="utf-8")
    feeder.folder.mkdir()
    at = Hostile(feeder.folder, outside, random.Random(seed), whole)

    with watch_opens(outside) as opened:
        (outside / "secret.jpg").read_bytes()
        assert opened.names() == {"secret.jpg"}, "the watch sees nothing"
        for _ in range(count // 2):  # for the scan
            at.make()
        feeder.start()
        assert feeder.process is not None
        for _ in range(count - count // 2):  # for the events
            at.make()
        done = ledger(feeder)
        while not at.expected <= done:
            feeder.until(lambda done=done: len(ledger(feeder)) > len(done))
            done = ledger(feeder)
        is_over, swaps = threading.Event(), [0]
        racer = threading.Thread(target=race, args=(at, secret, is_over, swaps))
        racer.start()
        wall.sleep(RACE_SECONDS * (10 if tally.full else 1))
        is_over.set()
        racer.join()
        picture(feeder.folder / "last.jpg", 2)
        feeder.until(lambda: b"last.jpg" in ledger(feeder))
        crashes = int(feeder.process.poll() is not None)
        assert feeder.stop() == 0, f"seed {seed}"
        # Of a folder that a link replaces while it is moved in, the watcher may list the names.
        reads = {name for name in opened.names() if not name.endswith("/")}

    said = (
        feeder.output.read_bytes()
        + subprocess.run(
            [sys.executable, "-m", "feeder", "--config", feeder.config, "sightings", "--all"],
            capture_output=True,
            check=True,
        ).stdout
    )
    lines = said.decode().replace("\t", " ").split("\n")  # tabs part the columns of the second
    unprintable = [line for line in lines if not line.isprintable()]
    with closing(sqlite3.connect(feeder.database)) as log:
        digests = {bytes(one) for (one,) in log.execute("SELECT sha256 FROM media")}
    tally.report(
        7,
        names=count,
        kinds=len(at.kinds),
        swaps_with_links=swaps[0] * SWAPS * 2,
        crashes=crashes,
        files_opened_outside=len(reads),
        lines_with_control_characters=len(unprintable),
    )
    assert not crashes
    assert not reads, f"seed {seed}"
    assert not unprintable, f"seed {seed}"
    assert "Traceback" not in said.decode()
    for path in outside.iterdir():
        assert hashlib.sha256(path.read_bytes()).digest() not in digests
    assert at.expected <= ledger(feeder)
    for entry in os.scandir(feeder.folder):  # no device stays behind
        if stat.S_ISCHR(entry.stat(follow_symlinks=False).st_mode):
            os.unlink(entry.path)
