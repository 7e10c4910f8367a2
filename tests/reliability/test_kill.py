"""Promise 1: killed at any point, it loses nothing and logs nothing twice."""

import random
import signal
import subprocess
import sys
import time as wall
from collections.abc import Callable
from pathlib import Path

from tests.feeder_process import PATIENCE, FeederProcess, numbered
from tests.reliability.faulty import POINTS
from tests.reliability.ledger import audit
from tests.reliability.tally import Tally

FRAMES = 12
"""Frames that arrive while one daemon lives."""


def test_killed_at_named_and_random_points(write_config: Callable[..., Path], tally: Tally) -> None:
    """However often and wherever it is killed, each frame ends in the log exactly once."""
    kills = tally.goal("kills", short=14, full=1000)
    feeder = FeederProcess(write_config(logbook="commit_rows = 4\ncommit_seconds = 0.2"))
    feeder.folder.mkdir()
    chance = random.Random(1)
    made, died_at = 0, dict.fromkeys([*POINTS, "anywhere"], 0)
    for kill in range(kills):
        point = list(died_at)[kill % len(died_at)]
        faults = [] if point == "anywhere" else [f"kill:{point}:{chance.randint(1, 3)}"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.faulty", feeder.config, *faults],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(FRAMES):
            # Distinct bytes: the number is part of the file.
            numbered(feeder.folder / f"{made:06}.jpg", made)
            made += 1
        if point == "anywhere":
            wall.sleep(chance.uniform(0.3, 1.5))
            process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
        died_at[point] += 1
    feeder.start("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE + made / 10) == 0
    found = audit(feeder.database, feeder.folder)
    tally.report(
        1, kills=kills, points=died_at, frames=made, missing=found.missing, twice=found.twice
    )
    assert found.frames == made
    assert found.holds
