"""Promises 8 and 9 once more: system calls that fail, by strace."""

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.feeder_process import FeederProcess, numbered
from tests.reliability.ledger import audit
from tests.reliability.tally import Tally

FAULTS = {"fdatasync:error=EIO": 5, "pwrite64:error=ENOSPC": 90, "pwrite64:error=EIO": 90}
"""What fails, and every how many calls at most: a transaction has to get through in between."""


@pytest.mark.parametrize("fault", FAULTS)
def test_failing_writes(
    fault: str, write_config: Callable[..., Path], needs: Callable[..., None], tally: Tally
) -> None:
    """Calls that fail now and then delay rows; none is lost, none doubled, the log stays sound."""
    needs("strace")
    rounds = tally.goal("faults", short=1, full=25)
    feeder = FeederProcess(write_config(logbook="commit_rows = 3\ncommit_seconds = 0.2"))
    feeder.folder.mkdir()
    chance = random.Random(fault)
    made, failures = 0, 0
    traced = feeder.config.with_name("strace.txt")
    for _ in range(rounds):
        first, step = (chance.randint(FAULTS[fault], 2 * FAULTS[fault]) for _ in range(2))
        call = fault.split(":")[0]
        feeder.spawn(
            ["strace", "-f", "-qq", "-o", str(traced), "-e", f"trace={call}",
             "-e", f"inject={fault}:when={first}..{first + 5 * step}+{step}",
             sys.executable, "-m", "tests.reliability.faulty", str(feeder.config),
             "set:feeder.daemon:RETRY_SECONDS=0.2"]
        )  # fmt: skip
        for _ in range(40):
            numbered(feeder.folder / f"{made:04}.jpg", made)
            made += 1
        feeder.until(lambda made=made: len(feeder.files()) == made)
        assert feeder.process is not None and feeder.process.poll() is None
        feeder.stop_child()
        failures += traced.read_text(encoding="utf-8").count("(INJECTED)")
    found = audit(feeder.database, feeder.folder)
    tally.report(
        8,
        fault=fault,
        injected=failures,
        frames=found.frames,
        missing=found.missing,
        twice=found.twice,
    )
    assert failures > 0
    assert found.frames == made
    assert found.holds
