"""Promise 9: a locked log delays, a damaged one is replaced by the last sound backup."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time as wall
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feeder.errors import LogbookError
from feeder.log_reader import LogReader
from tests.feeder_process import PATIENCE, FeederProcess, numbered, picture
from tests.reliability.ledger import Audit, audit, pictures
from tests.reliability.tally import Tally

FRAMES = 30
WITHIN = 60.0
"""Seconds in which it must be running again."""


@pytest.fixture
def feeder(write_config: Callable[..., Path]) -> Iterator[FeederProcess]:
    """A feeder with a backup of its first frames, and more frames logged after that; stopped."""
    made = FeederProcess(write_config(logbook="commit_seconds = 0.2", backup="every_hours = 0.0"))
    made.folder.mkdir()
    for number in range(FRAMES):
        picture(made.folder / f"{number:03}.jpg", number)
    run_once(made)
    command = [sys.executable, "-m", "feeder", "--config", made.config, "backup"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for number in range(FRAMES, 2 * FRAMES):
        picture(made.folder / f"{number:03}.jpg", number)
    run_once(made)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


def run_once(feeder: FeederProcess) -> None:
    """Logs what is in the folder."""
    feeder.start_unwatched("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE) == 0


def spoil(path: Path, chance: random.Random, pages: int = 4) -> None:
    """Overwrites pages of a database with noise, its first one among them every other time."""
    count = path.stat().st_size // 4096
    chosen = {chance.randrange(count) for _ in range(pages)}
    if chance.random() < 0.5:
        chosen.add(0)
    with path.open("r+b") as file:
        for page in chosen:
            file.seek(page * 4096)
            file.write(chance.randbytes(4096))


def is_damaged(log: Path) -> bool:
    """Whether the noise hit something: a page's unused end does not matter."""
    try:
        return bool(LogReader(log).problems())
    except LogbookError:
        return True


def is_whole(feeder: FeederProcess) -> Callable[[], bool]:
    """Whether the log can be read and holds every frame of the folder once."""

    def check() -> bool:
        try:
            found = audit(feeder.database, feeder.folder)
        except (sqlite3.Error, AssertionError):
            return False
        return found.holds

    return check


def set_aside(feeder: FeederProcess) -> list[Path]:
    """The damaged logs that were kept."""
    return sorted(feeder.database.parent.glob("feeder.db.set-aside-*Z"))


def final_audit(feeder: FeederProcess) -> Audit:
    """Stops the daemon and compares folder and log."""
    assert feeder.stop() == 0
    return audit(feeder.database, feeder.folder)


def test_damage_found_at_a_start(feeder: FeederProcess, tally: Tally) -> None:
    """The log is set aside, the backup takes its place, and the folder fills what it lacks."""
    times = tally.goal("damaged-starts", short=2, full=100)
    chance = random.Random(9)
    longest = 0.0
    sound = feeder.database.with_name("sound.db")
    shutil.copy(feeder.database, sound)
    found = Audit(0, 0, 0)
    for time in range(times):
        shutil.copy(sound, feeder.database)
        while not is_damaged(feeder.database):
            spoil(feeder.database, chance)
        began = wall.monotonic()
        feeder.start()
        feeder.until(is_whole(feeder))
        longest = max(longest, wall.monotonic() - began)
        assert "was set aside" in feeder.said() and "backups" in feeder.said()
        found = final_audit(feeder)
        assert found.frames == 2 * FRAMES and found.holds
        assert len(set_aside(feeder)) == time + 1
    tally.report(
        9,
        damaged_starts=times,
        missing=found.missing,
        twice=found.twice,
        longest_seconds_until_whole=f"{longest:.1f}",
    )
    assert longest <= WITHIN


def test_what_was_archived_since_the_backup_is_read_again(
    feeder: FeederProcess, tally: Tally
) -> None:
    """Pictures that were put away after the backup come back from the archive, each once."""
    with feeder.config.open("a", encoding="utf-8") as config:
        config.write('[retention]\nafter = "archive"\n')
    run_once(feeder)
    archive = feeder.config.parent / "archive"
    assert len(pictures(archive)) == 2 * FRAMES and not pictures(feeder.folder)
    # Without its first page it is no database, and nothing can be saved from it.
    with feeder.database.open("r+b") as file:
        file.write(random.Random(11).randbytes(4096))
    feeder.start()
    feeder.until(lambda: len(feeder.files()) == 2 * FRAMES)
    feeder.until(lambda: len(pictures(archive)) == 2 * FRAMES)
    assert f"{FRAMES} pictures went back from the archive" in feeder.said()
    assert feeder.stop() == 0
    logged = feeder.files()
    assert logged == sorted(set(logged))
    tally.report(9, archived_since_the_backup=FRAMES, missing=2 * FRAMES - len(logged), twice=0)


def test_damage_while_running(feeder: FeederProcess, tally: Tally) -> None:
    """Pages that go bad under a running daemon are found by its next backup at the latest."""
    times = tally.goal("damaged-while-running", short=1, full=30)
    chance = random.Random(10)
    made, longest = 2 * FRAMES, 0.0
    text = feeder.config.read_text(encoding="utf-8")
    feeder.config.write_text(text.replace("every_hours = 0.0", "every_hours = 0.00001"))
    for _ in range(times):
        feeder.start_faulty("set:feeder.log_care:LOOK_SECONDS=1")
        aside = len(set_aside(feeder))
        feeder.until(lambda: "backed up the log" in feeder.said())
        spoil(feeder.database, chance, pages=20)
        began = wall.monotonic()
        for _ in range(5):
            picture(feeder.folder / f"{made:03}.jpg", made % 256)
            made += 1
        feeder.until(lambda aside=aside: len(set_aside(feeder)) > aside)
        feeder.until(is_whole(feeder))
        longest = max(longest, wall.monotonic() - began)
        assert feeder.process is not None and feeder.process.poll() is None
        found = final_audit(feeder)
        assert found.holds
    tally.report(
        9,
        damaged_while_running=times,
        missing=found.missing,
        twice=found.twice,
        longest_seconds_until_whole=f"{longest:.1f}",
    )
    assert longest <= WITHIN


def test_a_long_lock(feeder: FeederProcess, tally: Tally) -> None:
    """While another program holds the log for minutes, frames wait; then each is logged once."""
    seconds = tally.goal("lock-seconds", short=5, full=600)
    feeder.start()
    other = sqlite3.connect(feeder.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began, made = wall.monotonic(), 2 * FRAMES
    while wall.monotonic() - began < seconds:
        numbered(feeder.folder / f"{made:06}.jpg", made)
        made += 1
        wall.sleep(0.2)
    feeder.until(lambda: "waiting for another program" in feeder.said())
    other.execute("ROLLBACK")
    other.close()
    feeder.until(lambda: len(feeder.files()) == made)
    found = final_audit(feeder)
    tally.report(9, locked_seconds=seconds, frames=made, missing=found.missing, twice=found.twice)
    assert found.frames == made and found.holds
