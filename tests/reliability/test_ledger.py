"""Promise 1 once more, as a state machine: whatever happens in whatever order, once each."""

import hashlib
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from feeder import config, daemon
from feeder.classifier import Classifier
from feeder.daemon import Daemon, Station
from feeder.decoder_process import DecoderProcess
from feeder.frames import FrameReader
from feeder.inbox import Inbox
from feeder.logbook import Logbook
from tests.care import plain_care, timekeeper_of
from tests.conftest import FakeClock
from tests.feeder_process import picture
from tests.reliability.ledger import audit
from tests.reliability.tally import Tally

SHADES = st.integers(0, 7)
NAMES = st.sampled_from(["a.jpg", "b.jpg", "day/a.jpg", "day/c.jpg", "d.jpg", "latest.jpg"])


class Shared:
    """What every run of the machine uses: a classifier, a decoder, pictures, and the counts."""

    classifier: Classifier
    decoder: DecoderProcess
    pictures: Path
    turns = 0
    frames = 0


class Life(RuleBasedStateMachine):
    """A folder that cameras and people change, a daemon that is killed, a log that is locked."""

    files = Bundle("files")

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="feeder-life-"))
        text = config.fresh().replace('watcher = "auto"', 'watcher = "polling"')
        self.settings = config.parse(text, self.root / "config.toml")
        self.folder = self.settings.deployments[0].folder
        self.folder.mkdir()
        self.time = FakeClock()
        self.moment = 0
        self.locker: sqlite3.Connection | None = None
        self.seen: set[tuple[bytes, str]] = set()
        self.start()

    def start(self) -> None:
        """A daemon as after a boot: only the folder and the log are left of the last one."""
        clock = self.time.clock
        logbook = Logbook.open(self.settings.database, clock)
        logbook._connection.execute("PRAGMA busy_timeout = 1")
        station = Station(
            settings=self.settings,
            care=plain_care(self.settings.database, clock),
            inbox=Inbox(self.settings.deployments, self.settings.inbox, logbook.has_path, clock),
            reader=FrameReader(Shared.decoder, max_bytes=10**7, min_edge=32),
            classifier=Shared.classifier,
        )
        self.daemon = Daemon(
            station,
            logbook,
            load=lambda: station,
            report=lambda *_: None,
            timekeeper=timekeeper_of(logbook, clock),
            clock=clock,
        )
        self.daemon.register()

    @rule(target=files, name=NAMES, shade=SHADES)
    def write(self, name: str, shade: int) -> Path:
        """A camera writes a file, or writes one anew in place."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        self.moment += 1
        shutil.copyfile(Shared.pictures / f"{shade}.jpg", path)
        # A file is read a second after it was written at the earliest, so no two share a time.
        os.utime(path, (10**9, 10**9 + self.moment))
        return path

    @rule(target=files, path=consumes(files), name=NAMES)
    def rename(self, path: Path, name: str) -> Path:
        """Somebody renames a file, perhaps over another."""
        target = self.folder / name
        if path.exists():
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
        return target

    @rule(path=consumes(files))
    def remove(self, path: Path) -> None:
        """Somebody deletes a file."""
        path.unlink(missing_ok=True)

    @rule(seconds=st.sampled_from([0.0, 0.2, 0.6, 2.0]), turns=st.integers(1, 12))
    def run(self, seconds: float, turns: int) -> None:
        """The daemon takes some turns, so many seconds apart."""
        for _ in range(turns):
            self.time.advance(seconds)
            self.daemon._turn()
        Shared.turns += turns

    @rule()
    def quiet(self) -> None:
        """Long enough for a scan and for all it finds."""
        self.run(1.0, 15)

    @rule()
    def kill(self) -> None:
        """The daemon dies with whatever it had not committed, and starts again."""
        self.daemon.logbook._connection.close()
        self.unlock()
        self.start()

    @precondition(lambda self: self.locker is None)
    @rule()
    def lock(self) -> None:
        """Another program begins to write to the log."""
        self.locker = sqlite3.connect(self.settings.database, isolation_level=None)
        self.locker.execute("BEGIN IMMEDIATE")

    @rule()
    def unlock(self) -> None:
        """It lets go."""
        if self.locker is not None:
            self.locker.close()
            self.locker = None

    @invariant()
    def nothing_goes_away(self) -> None:
        """What was committed stays, and no frame has two rows."""
        if not hasattr(self, "daemon"):
            return
        with closing(sqlite3.connect(self.settings.database)) as connection:
            rows = connection.execute("SELECT sha256, file_name FROM media").fetchall()
        assert len({digest for digest, _ in rows}) == len(rows)
        assert self.seen <= set(rows)
        self.seen = set(rows)

    def teardown(self) -> None:
        """Left in peace, the daemon logs all that lies there, each once."""
        self.unlock()
        for _ in range(4):
            self.time.advance(30)
            for _ in range(60):
                self.daemon._turn()
        self.daemon.logbook.commit()
        found = audit(self.settings.database, self.folder)
        assert found.holds, found
        digests = {
            hashlib.sha256(path.read_bytes()).digest() for path in self.folder.rglob("*.jpg")
        }
        Shared.frames += len(digests)
        self.daemon.logbook.close()
        shutil.rmtree(self.root)


def test_the_ledger_holds_in_any_order(
    tiny_clip: Path, tmp_path: Path, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing, renaming, removing, killing and locking in any order loses and doubles nothing."""
    lives = tally.goal("lives", short=30, full=2000)
    monkeypatch.setattr(daemon, "TICK", 0.0)
    Shared.classifier = Classifier.load(tiny_clip, cache=tmp_path / "cache")
    Shared.decoder = DecoderProcess(max_pixels=10**7)
    Shared.pictures = tmp_path
    for shade in range(8):
        picture(tmp_path / f"{shade}.jpg", shade)
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=lives,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    Shared.decoder.close()
    tally.report(1, lives=lives, turns=Shared.turns, frames_at_the_ends=Shared.frames)
    assert Shared.frames > 0
