"""One million frames: the memory of the daemon and of its decoder does not grow with them."""

import shutil
import sqlite3
import tempfile
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.feeder_process import PATIENCE, FeederProcess
from tests.reliability.camera import fill
from tests.reliability.resident import children, resident, slope
from tests.reliability.tally import Tally

BATCH = 500
FULL = 1_000_000
MOST = 10.0
"""Bytes a frame, which is 1 MB in 100,000."""

MOST_SHORT = 3_000.0
"""The same for the short form. An allocator's own wavering is a few hundred kB, so that 2,000
frames show a picture (9 kB) or a frame's record (2 kB and more) that is kept, and nothing less."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory: a million files are no errand for a disk."""
    path = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


def test_memory_does_not_grow_with_the_frames(
    place: Path, write_config: Callable[..., Path], tally: Tally, needs: Callable[..., None]
) -> None:
    """Resident memory grows by less than 1 MB in 100,000 frames, the decoder's too.

    Frames come in batches, are recorded, and deleted. Everything but the encoder is real.
    """
    needs()
    count = tally.goal("memory", short=3_000, full=FULL)
    warm = max(1_000, min(20_000, count // 10))
    config = Path(shutil.copy(write_config(inbox="settle_seconds = 0.02"), place))
    feeder = FeederProcess(config)
    feeder.folder.mkdir()
    try:
        feeder.start(module="tests.reliability.without_encoder")
        samples = _run(feeder, count, warm)
        assert feeder.stop() == 0
    finally:
        if feeder.process is not None:
            feeder.process.kill()
            feeder.process.wait()
    counts, daemon, decoder, seconds = zip(*samples, strict=True)
    grown = {"daemon": slope(counts, daemon), "decoder": slope(counts, decoder)}
    tally.report(
        13,
        frames=count,
        frames_a_second=round((counts[-1] - counts[0]) / (seconds[-1] - seconds[0])),
        samples=len(samples),
        **{f"{who}_MB_a_100,000": f"{value / 10:.2f}" for who, value in grown.items()},
        daemon_MB=f"{daemon[0] / 1e6:.1f} to {daemon[-1] / 1e6:.1f}",
        decoder_MB=f"{decoder[0] / 1e6:.1f} to {decoder[-1] / 1e6:.1f}",
    )
    most = MOST if count >= FULL else MOST_SHORT
    assert max(grown.values()) < most


def _run(feeder: FeederProcess, count: int, warm: int) -> list[tuple[int, int, int, float]]:
    """Frames recorded, daemon's and decoder's bytes, and seconds, every so many frames."""
    samples: list[tuple[int, int, int, float]] = []
    every = max(BATCH // 2, min(10_000, count // 20))
    made = recorded = 0
    grew = wall.monotonic()
    assert feeder.process is not None
    with closing(_log(feeder)) as log:
        while recorded < count:
            # Two batches, so that one is there while the other settles.
            if made < count and made - recorded <= BATCH:
                fill(feeder.folder, made, min(BATCH, count - made))
                made += min(BATCH, count - made)
            new = log.execute(
                "SELECT media_id, file_name FROM media WHERE media_id > ? ORDER BY 1", (recorded,)
            ).fetchall()
            for _, file_name in new:
                (feeder.folder / file_name).unlink()
            if new:
                grew, recorded = wall.monotonic(), new[-1][0]
            assert wall.monotonic() - grew < PATIENCE, f"stuck at {recorded}:\n{feeder.said()}"
            if recorded >= warm + every * len(samples):
                (decoder,) = children(feeder.process.pid)
                daemon = resident(feeder.process.pid)
                samples.append((recorded, daemon, resident(decoder), wall.monotonic()))
            wall.sleep(0.02)
        assert log.execute("SELECT count(*) FROM path").fetchone()[0] == count
    return samples


def _log(feeder: FeederProcess) -> sqlite3.Connection:
    feeder.until(feeder.database.exists)
    return sqlite3.connect(feeder.database, timeout=PATIENCE, isolation_level=None)
