"""Promise 8: a full disk delays and loses nothing."""

import sqlite3
import subprocess
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.feeder_process import FeederProcess, numbered
from tests.reliability.ledger import audit
from tests.reliability.tally import Tally

BLOCK = 4096


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of so many megabytes at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> None:
    """Takes every block that is free, as a neighbour's recordings would."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BLOCK))
        except OSError:
            return


def drop(feeder: FeederProcess, made: int, count: int) -> int:
    """Adds distinct pictures to the drop folder; gives how many there are then."""
    for number in range(made, made + count):
        numbered(feeder.folder / f"{number:06}.jpg", number)
    return made + count


def logged(feeder: FeederProcess) -> int:
    """Frames whose rows are committed, as a reader sees them."""
    return len(feeder.files())


def test_full_disk_cycles(
    write_config: Callable[..., Path], needs: Callable[..., None], tally: Tally, tmp_path: Path
) -> None:
    """The reserve takes what is at hand, then frames wait; with room again it goes on by itself."""
    needs("mount", root=True)
    cycles = tally.goal("full-disk", short=1, full=100)
    with small_disk(tmp_path / "disk", 16) as disk:
        log = f'file = "{disk / "feeder.db"}"\ncommit_seconds = 0.2\nreserve_megabytes = 2.0'
        feeder = FeederProcess(write_config(logbook=log, backup="every_hours = 0.0"))
        feeder.database = disk / "feeder.db"
        feeder.start()
        made = drop(feeder, 0, 3)
        feeder.until(lambda: logged(feeder) == made)
        feeder.until(lambda: (disk / "feeder.db.reserve").exists())
        resumed, reserves = [], 0
        reserve = disk / "feeder.db.reserve"
        for cycle in range(cycles):
            # Else the space that the write-ahead log has already would take hundreds of frames.
            with closing(sqlite3.connect(feeder.database)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            fill(disk)
            made = drop(feeder, made, 5)
            if reserve.exists():
                feeder.until(lambda made=made: not reserve.exists() or logged(feeder) == made)
                reserves += not reserve.exists()
            # Until not even a page fits, whatever the log did with what it had.
            said = feeder.said().count("waiting for room")
            while feeder.said().count("waiting for room") == said:
                fill(disk)
                made = drop(feeder, made, 2)
                wall.sleep(0.5)
            assert feeder.process is not None and feeder.process.poll() is None
            if cycle % 10 == 9:
                # A start on a full disk waits likewise.
                feeder.stop()
                feeder.start_unwatched()
                feeder.until(lambda: "waiting for room" in feeder.said())
            (disk / "ballast").unlink()
            began = wall.monotonic()
            feeder.until(lambda made=made: logged(feeder) == made)
            resumed.append(wall.monotonic() - began)
        assert feeder.stop() == 0
        found = audit(feeder.database, feeder.folder)
    tally.report(
        8,
        full_disk_cycles=cycles,
        reserves_used=reserves,
        frames=made,
        missing=found.missing,
        twice=found.twice,
        longest_seconds_to_resume=f"{max(resumed):.1f}",
    )
    assert found.frames == made
    assert found.holds
    assert max(resumed) <= 30
