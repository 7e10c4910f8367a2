"""Promise 2: what was acknowledged survives a power cut."""

import fcntl
import os
import random
import select
import sqlite3
import struct
import subprocess
import sys
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from feeder.logbook import Logbook
from tests.feeder_process import PATIENCE
from tests.reliability.tally import Tally
from tests.test_logbook import frame

EXT4_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN of the kernel's fs/ext4/ext4.h: the file system stops, as if unplugged."""

NO_LOG_FLUSH = 2
"""EXT4_GOING_FLAGS_NOLOGFLUSH: nor is the journal written out first."""


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """The ext4 file system in `image`, mounted; its journal is replayed as after a real cut."""
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def cut_while_writing(folder: Path, log: Path, first: int, seconds: float, mode: str) -> int:
    """Lets a process append, cuts the power after `seconds`; the frames acknowledged till then."""
    command = [sys.executable, "-m", "tests.reliability.appender", str(log), str(first)]
    writer = subprocess.Popen(
        [*command, *([mode] if mode else [])], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert writer.stdout is not None
    assert select.select([writer.stdout], [], [], PATIENCE)[0], "it never wrote"
    wall.sleep(seconds)
    heard = os.read(writer.stdout.fileno(), 1 << 20)
    device = os.open(folder, os.O_RDONLY)
    fcntl.ioctl(device, EXT4_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
    os.close(device)
    writer.kill()
    writer.wait()
    writer.stdout.close()
    return int(heard.split()[-1])


def lost_rows(log: Path, acknowledged: int) -> int:
    """Opens the log as the next start would; how many acknowledged frames are not in it."""
    logbook = Logbook.open(log)
    assert logbook._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    logbook.close()
    with closing(sqlite3.connect(log)) as connection:
        logged = {row[0].hex() for row in connection.execute("SELECT sha256 FROM media")}
    return sum(frame(number).sha256 not in logged for number in range(acknowledged))


def cut_often(folder: Path, times: int, mode: str = "", *, until_lost: bool = False) -> list[int]:
    """Lost rows of each cut. The log grows from one cut to the next."""
    chance = random.Random(2)
    image, mount = folder / "disk.img", folder / "mount"
    mount.mkdir()
    log = mount / "feeder.db"
    lost: list[int] = []
    following = 0
    for cut in range(times):
        if cut % 50 == 0:
            with image.open("wb") as file:
                file.truncate(64 << 20)
            subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
            following = 0
        with mounted(image, mount):
            seconds = chance.uniform(0, 0.15)
            acknowledged = cut_while_writing(mount, log, following, seconds, mode)
        with mounted(image, mount):
            lost.append(lost_rows(log, acknowledged))
            following = acknowledged
        if until_lost and lost[-1]:
            break
    return lost


def test_power_cuts_lose_nothing_acknowledged(
    needs: Callable[..., None], tally: Tally, tmp_path: Path
) -> None:
    """After each cut the log is sound and holds every row whose commit had returned."""
    needs("mkfs.ext4", "mount", root=True)
    cuts = tally.goal("cuts", short=8, full=500)
    lost = cut_often(tmp_path, cuts)
    tally.report(2, power_cuts=len(lost), acknowledged_rows_lost=sum(lost))
    assert lost == [0] * cuts


def test_these_cuts_do_lose_what_is_not_synced(
    needs: Callable[..., None], tally: Tally, tmp_path: Path
) -> None:
    """With SQLite's usual `synchronous = NORMAL` the same cuts lose rows: the proof can fail."""
    needs("mkfs.ext4", "mount", root=True)
    lost = cut_often(tmp_path, 20, "NORMAL", until_lost=True)
    tally.report(2, control_with_synchronous_NORMAL_lost_rows=sum(lost), at_cut=len(lost))
    assert sum(lost) > 0
