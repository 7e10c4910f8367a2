"""Promise 16: the sign of life stops when scanner, worker or writer does, and only then."""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feeder.sign_of_life import SignOfLife
from tests.conftest import FakeClock
from tests.feeder_process import FeederProcess, picture
from tests.reliability.service_manager import ServiceManager
from tests.reliability.spoilt import spoilt_in
from tests.reliability.tally import Tally

WATCHDOG_SECONDS = 1.6
"""What the manager allows here: a part is late after half of it."""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    """A service manager that expects signs of life."""
    made = ServiceManager(tmp_path, WATCHDOG_SECONDS)
    yield made
    made.close()


@pytest.fixture
def feeder(
    write_config: Callable[..., Path], manager: ServiceManager, tmp_path: Path
) -> Iterator[FeederProcess]:
    """A running feeder whose parts hang while a file of theirs is there."""
    inbox = "settle_seconds = 0.1\nrescan_seconds = 0.5"
    made = FeederProcess(write_config(inbox=inbox, logbook="commit_seconds = 0.5"))
    made.command = [sys.executable, "-m", "tests.reliability.spoilt"]
    made.start(environment={**manager.environment, **spoilt_in(tmp_path)})
    yield made
    assert made.process is not None
    made.process.kill()
    made.process.wait()


PARTS = ("scanner", "worker", "writer")


def test_no_sign_of_life_while_a_part_stalls(
    feeder: FeederProcess, manager: ServiceManager, tmp_path: Path, tally: Tally
) -> None:
    """Whichever part hangs, the living process gives no sign until that part gets on again."""
    count = tally.goal("stalls", short=3, full=60)
    for number in range(count):
        part = PARTS[number % len(PARTS)]
        heard = manager.signs
        feeder.until(lambda heard=heard: manager.signs > heard)
        (tmp_path / part).touch()
        picture(feeder.folder / f"{number:03}.jpg", number)
        stalled = f"STATUS=the {part} makes no progress"
        feeder.until(lambda stalled=stalled: manager.status.startswith(stalled))
        before, told = manager.signs, len(manager.heard)
        feeder.until(lambda told=told: len(manager.heard) >= told + 3)
        assert manager.signs == before, "a sign of life was given in spite of the stall"
        assert feeder.process is not None
        assert feeder.process.poll() is None
        (tmp_path / part).unlink()
        feeder.until(lambda before=before: manager.signs > before)
        feeder.until(lambda number=number: len(feeder.files()) == number + 1)
    for part in PARTS:
        assert f"the {part} has made no progress" in feeder.said()
        assert f"the {part} gets on again" in feeder.said()
    assert feeder.stop() == 0
    tally.report(16, stalls=count, signs_of_life_during_a_stall=0, recovered=count)


def test_waiting_for_the_log_is_no_stall(
    feeder: FeederProcess, manager: ServiceManager, tally: Tally
) -> None:
    """While another program holds the log, which a restart would not mend, the signs go on.

    They are counted between two attempts to write: each takes longer than is allowed here.
    """
    picture(feeder.folder / "a.jpg", 1)
    feeder.until(lambda: feeder.files() == ["a.jpg"])
    other = sqlite3.connect(feeder.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    picture(feeder.folder / "b.jpg", 2)
    feeder.until(lambda: "waiting for another program" in feeder.said())
    before = manager.signs
    feeder.until(lambda: manager.signs > before + 12)
    other.execute("ROLLBACK")
    other.close()
    assert feeder.stop() == 0
    assert feeder.files() == ["a.jpg", "b.jpg"]
    tally.report(16, signs_of_life_while_the_log_was_locked=manager.signs - before)


def test_a_part_is_late_after_half_of_what_is_allowed(time: FakeClock) -> None:
    """Owing progress for up to half of the time is well, for longer it is not; owing none is."""
    owed = {"the scanner": time.seconds, "the worker": float("inf")}
    parts = {name: lambda name=name: owed[name] for name in owed}
    life = SignOfLife(parts, lambda: "watching", time.clock, allowed=60)
    time.advance(60)
    assert life.look()
    time.advance(1)
    assert not life.look()
    owed["the scanner"] = time.seconds
    assert life.look()
    assert "NOTIFY_SOCKET" not in os.environ
