"""A burst of 100,000 files in under 10 s: all are recorded, and what waits takes under 16 MB."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.feeder_process import PATIENCE, FeederProcess
from tests.reliability.camera import fill, name
from tests.reliability.resident import anonymous
from tests.reliability.tally import Tally

STUBBED = "tests.reliability.without_encoder"
MOST = 16_000_000
"""Bytes that the queues may grow by."""

LARGE = 10_000
"""Files that are more than wait in memory, so that a scan must bring them."""


@pytest.fixture
def places(tmp_path: Path, tally: Tally) -> Iterator[list[Path]]:
    """Where to try it: on the disk, and with `--full` in memory, where files are made faster."""
    chosen = [tmp_path]
    if tally.full:
        chosen.append(Path(tempfile.mkdtemp(dir="/dev/shm")))
    yield chosen
    for place in chosen[1:]:
        shutil.rmtree(place)


def test_a_burst_is_recorded_whole(
    places: list[Path],
    write_config: Callable[..., Path],
    tally: Tally,
    needs: Callable[..., None],
) -> None:
    """Every file of a burst is recorded once, in bounded memory; a frame that comes while they
    wait goes before them. A large burst is also interrupted by a kill -9.

    Memory is what the daemon wrote to beyond what it had after a warm-up with other frames, so
    that decoding, the database's cache and the allocator are not counted. The short form fits
    into the queues, so it cannot show that they are bounded, only what a waiting path costs; and
    it is not interrupted, since a start would find what was lost.
    """
    needs()
    count = tally.goal("burst", short=1_500, full=100_000)
    for place in places:
        config = write_config()
        if config.parent != place:
            config = Path(shutil.copy(config, place))
        feeder = FeederProcess(config)
        feeder.folder.mkdir()
        try:
            _try(feeder, count, tally)
        finally:
            if feeder.process is not None:
                feeder.process.kill()
                feeder.process.wait()


def _try(feeder: FeederProcess, count: int, tally: Tally) -> None:
    feeder.start(module=STUBBED)
    warm = min(5_000, max(500, count // 5))
    fill(feeder.folder, 0, warm)
    _wait(feeder, lambda: _recorded(feeder) == warm)
    wall.sleep(2)  # until it has given back what it could
    assert feeder.process is not None
    before = highest = anonymous(feeder.process.pid)
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.camera", feeder.folder, str(warm), str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )
    while _recorded(feeder) < warm + count * 0.4:
        highest = max(highest, anonymous(feeder.process.pid))
        wall.sleep(0.05)
        assert feeder.process.poll() is None, feeder.said()
    written = float(writer.communicate()[0])
    # The first frame after the burst is number 0xffffff, which no burst reaches.
    late, waited, passed = 0xFFFFFF, wall.monotonic(), _recorded(feeder)
    waiting = warm + count - passed
    fill(feeder.folder, late, 1)
    _wait(feeder, lambda: _place(feeder, late) is not None)
    seconds = wall.monotonic() - waited
    overtaking = (_place(feeder, late) or 0) - passed - 1
    assert overtaking < waiting / 2
    highest = max(highest, anonymous(feeder.process.pid))
    killed_at = None
    if count >= LARGE:
        feeder.stop(signal.SIGKILL)
        killed_at = _recorded(feeder)
        feeder.start(module=STUBBED)
    _wait(feeder, lambda: _recorded(feeder) >= warm + count + 1)
    assert feeder.stop() == 0
    recorded = _names(feeder)
    made = {os.fsencode(name(number)) for number in [*range(warm + count), late]}
    tally.report(
        3,
        files=count,
        on=feeder.folder.parent,
        seconds_to_write=round(written, 1),
        recorded=len(set(recorded) & made) - warm - 1,
        twice=len(recorded) - len(set(recorded)),
        queues_grew_by_MB=round((highest - before) / 1e6, 1),
        late_frame_waited_for=f"{overtaking} of {waiting} and {seconds:.1f} s",
        killed_at=killed_at,
    )
    assert sorted(recorded) == sorted(made)
    assert highest - before < MOST


def _wait(feeder: FeederProcess, happened: Callable[[], bool]) -> None:
    """Waits as long as the log grows."""
    grew, size = wall.monotonic(), -1
    while not happened():
        if (now := _recorded(feeder)) != size:
            grew, size = wall.monotonic(), now
        assert wall.monotonic() - grew < PATIENCE, f"stuck at {size} frames:\n{feeder.said()}"
        wall.sleep(0.1)


def _recorded(feeder: FeederProcess) -> int:
    """How many frames are in the log: every one here has bytes of its own."""
    return int((_ask(feeder, "SELECT max(media_id) FROM media") or [(0,)])[0][0] or 0)


def _place(feeder: FeederProcess, number: int) -> int | None:
    """Which frame of the log snapshot `number` is, the first one being 1."""
    found = _ask(feeder, f"SELECT media_id FROM media WHERE file_name = '{name(number)}'")
    return int(found[0][0]) if found else None


def _names(feeder: FeederProcess) -> list[bytes]:
    """The file of each frame, and that the ledger has the same."""
    names = [row[0] for row in _ask(feeder, "SELECT file_path FROM media")]
    assert sorted(names) == [
        row[0] for row in _ask(feeder, "SELECT file_path FROM path ORDER BY file_path")
    ]
    return names


def _ask(feeder: FeederProcess, sql: str) -> list[tuple[bytes]]:
    if not feeder.database.exists():
        return []
    with closing(sqlite3.connect(feeder.database, timeout=PATIENCE)) as connection:
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:  # its tables are being made
            return []
