"""Promise 10: how many bytes a frame costs the card."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feeder.logbook import Logbook
from tests.feeder_process import FeederProcess, numbered, picture
from tests.reliability.tally import Tally
from tests.test_logbook import frame, seen


def written(process: int) -> int:
    """Bytes the process has made the kernel write to a disk, by proc_pid_io(5)."""
    lines = Path(f"/proc/{process}/io").read_text(encoding="utf-8").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def remember(log: Path, rows: int) -> None:
    """Makes a log with that many frames, their digests as scattered as real ones."""
    logbook = Logbook.open(log)
    logbook._connection.execute("PRAGMA synchronous = OFF")
    logbook.register_model("m" * 64, "starter")
    logbook.register_vocabulary("v" * 64, ())
    prediction = replace(seen(), embedding=np.full(480, 480**-0.5, np.float32))
    for number in range(rows):
        digest = hashlib.sha256(number.to_bytes(8, "big")).hexdigest()
        logbook.append(replace(frame(number), sha256=digest), prediction)
        if logbook.pending == 500:
            logbook.commit()
    logbook.close()


@pytest.mark.parametrize(("regime", "limit"), [("burst", 30_000), ("one by one", 150_000)])
def test_bytes_written_a_frame(
    regime: str,
    limit: int,
    write_config: Callable[..., Path],
    needs: Callable[..., None],
    tally: Tally,
) -> None:
    """On the starter model and a log with a history: a burst shares its transactions, a lone
    frame pays for one of its own."""
    needs()
    several = regime == "burst"
    frames = tally.goal(f"{regime} frames", short=150, full=3000) // (1 if several else 30)
    history = tally.goal("history", short=2000, full=100_000)
    feeder = FeederProcess(write_config(model="", backup="every_hours = 0.0"))
    remember(feeder.database, history)
    feeder.folder.mkdir()
    picture(feeder.folder / "first.jpg", 255)
    feeder.start()
    feeder.until(lambda: len(feeder.files()) == history + 1)
    assert feeder.process is not None
    before = written(feeder.process.pid)
    for number in range(frames):
        numbered(feeder.folder / f"{number:05}.jpg", number)
        if not several:
            feeder.until(lambda number=number: len(feeder.files()) == history + number + 2)
    total = history + frames + 1
    feeder.until(lambda: len(feeder.files()) == total, patience=60 + frames / 5)
    cost = (written(feeder.process.pid) - before) / frames
    assert feeder.stop() == 0
    tally.report(
        10,
        regime=regime,
        history=history,
        frames=frames,
        bytes_written_a_frame=round(cost),
        bytes_a_frame_in_the_log=feeder.database.stat().st_size // total,
    )
    if cost == 0:
        pytest.skip("the log lies on a file system that writes to no disk")
    assert cost < limit
