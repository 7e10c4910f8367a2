"""Copies of the log, and the way back."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from feeder.backup import Backups
from feeder.cli import app
from feeder.domain import ObservationType
from feeder.errors import LogbookError, LogDamaged
from feeder.judgement_log import JudgementLog, What
from feeder.log_file import open_for_writing
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.reserve import Reserve
from feeder.salvage import salvage
from tests.test_logbook import frame, seen

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three frames, closed."""
    path = tmp_path / "data" / "feeder.db"
    fill(path, range(3))
    return path


def fill(path: Path, numbers: range) -> None:
    """Appends frames of these numbers to the log at `path`."""
    logbook = Logbook.open(path)
    logbook.register_model("m" * 64, "tiny")
    logbook.register_vocabulary("v" * 64, ())
    for number in numbers:
        logbook.append(frame(number), seen())
    logbook.close()


def damage(path: Path) -> None:
    """Overwrites half of a database, as a failing card would."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * (size // 2))


def count(path: Path) -> int:
    """Frames in the log at `path`."""
    return sum(LogReader(path).count().values())


def test_a_backup_holds_what_is_committed_while_the_log_is_open(log: Path, tmp_path: Path) -> None:
    """A copy is made beside a writer that has committed rows and holds others back."""
    backups = Backups(log, tmp_path / "backups", keep=3)
    logbook = Logbook.open(log)
    logbook.register_model("m" * 64, "tiny")
    logbook.append(frame(3), seen())
    logbook.commit()
    logbook.append(frame(4), seen())
    made = backups.make(NOON)
    assert count(made.path) == 4
    assert made.path.name == "feeder-20261121T120000Z.db"
    logbook.close()
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]


def test_only_the_newest_stay(log: Path, tmp_path: Path) -> None:
    """As many copies stay as were asked for, the newest first in the list."""
    backups = Backups(log, tmp_path / "backups", keep=2)
    for day in range(4):
        backups.make(NOON + timedelta(days=day))
    made = [backup.made_at for backup in backups.listed()]
    assert made == [NOON + timedelta(days=3), NOON + timedelta(days=2)]


def test_a_damaged_log_gives_no_backup(log: Path, tmp_path: Path) -> None:
    """The check after copying finds what is wrong, and the older copies stay."""
    backups = Backups(log, tmp_path / "backups", keep=1)
    backups.make(NOON)
    damage(log)
    with pytest.raises(LogDamaged, match="is damaged"):
        backups.make(NOON + timedelta(days=1))
    assert [backup.made_at for backup in backups.listed()] == [NOON]


def test_restoring_sets_the_log_aside(log: Path, tmp_path: Path) -> None:
    """The copy takes the log's place, and what was there keeps its -wal under a dated name."""
    backups = Backups(log, tmp_path / "backups", keep=3)
    copy = backups.make(NOON).path
    writer = open_for_writing(log)
    writer.execute("UPDATE media SET file_name = 'changed'")
    assert log.with_name("feeder.db-wal").exists()
    assert backups.restore(NOON).copy == copy
    writer.close()
    assert count(log) == 3
    aside = log.with_name("feeder.db.set-aside-20261121T120000Z")
    with closing(sqlite3.connect(aside)) as connection:
        changed = connection.execute("SELECT DISTINCT file_name FROM media").fetchall()
    assert changed == [("changed",)]


def test_a_damaged_copy_is_passed_over(log: Path, tmp_path: Path) -> None:
    """The newest copy that is sound is taken; by name, a damaged one is refused."""
    backups = Backups(log, tmp_path / "backups", keep=3)
    older, newer = backups.make(NOON).path, backups.make(NOON + timedelta(days=1)).path
    damage(newer)
    assert backups.restore(NOON + timedelta(days=2)).copy == older
    with pytest.raises(LogbookError, match="no sound copy"):
        backups.restore(NOON + timedelta(days=3), newer)
    assert count(log) == 3


def test_what_a_damaged_log_still_yields_is_saved(log: Path, tmp_path: Path) -> None:
    """Rows newer than the backup are taken over, those beyond the damage too; noise is not."""
    backups = Backups(log, tmp_path / "backups", keep=3)
    backups.make(NOON)
    fill(log, range(3, 400))
    with closing(sqlite3.connect(log)) as connection, connection:
        connection.execute("INSERT INTO known_species VALUES (1, 'European Robin')")
    # A file's path and its printed name stand side by side in its row, and nowhere else.
    page = log.read_bytes().index(b"200.jpg200.jpg") // 4096
    with log.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xa5" * 4096)
    done = backups.restore(NOON)
    assert done.aside is not None
    saved = salvage(done.aside, log)
    assert 397 - 60 < saved < 397
    assert count(log) == 3 + saved
    assert not LogReader(log).problems()
    newest = next(LogReader(log).sightings(Query(limit=1)))
    assert newest["file_name"] == "399.jpg"
    with closing(sqlite3.connect(log)) as connection:
        assert len(connection.execute("SELECT * FROM known_species").fetchall()) == 1


def test_a_judgement_in_force_since_the_backup_is_in_force_again(log: Path, tmp_path: Path) -> None:
    """The state of a judgement that the backup saw in preparation is taken from the damaged log."""
    with JudgementLog.open(log) as judgements:
        number = judgements.begin(What.CORRECTION, "3 frames", made_by="ann")
        backups = Backups(log, tmp_path / "backups", keep=3)
        backups.make(NOON)
        judgements.observe_as_person(
            number, [1, 2], ObservationType.UNKNOWN, None, person="ann", reason="too dark"
        )
        judgements.put_in_force(number, frames=2)
    done = backups.restore(NOON)
    assert done.aside is not None
    salvage(done.aside, log)
    assert LogReader(log).count() == {"animal": 1, "unknown": 2}


def test_a_log_on_a_share_is_refused(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says why, and where to put it."""
    monkeypatch.setattr("feeder.log_file.file_system", lambda path: "nfs4")
    with pytest.raises(LogbookError, match="network file system") as caught:
        Logbook.open(log)
    assert "local disk" in caught.value.hint


def test_the_reserve_takes_real_room_and_gives_it_back(tmp_path: Path) -> None:
    """Its blocks are allocated, not a hole, and releasing it frees them."""
    reserve = Reserve(tmp_path / "reserve", 1_000_000)
    assert reserve.hold() and reserve.is_held
    assert reserve.path.stat().st_blocks * 512 >= 1_000_000
    assert reserve.release() and not reserve.is_held
    assert not reserve.release()


def test_the_commands_back_up_list_and_restore(write_config: Callable[..., Path]) -> None:
    """`backup`, `backup --list` and `restore` work on the configured log, and say what they did."""
    config = write_config()
    log = config.parent / "data" / "feeder.db"
    runner = CliRunner()

    def run(*arguments: str) -> str:
        done = runner.invoke(app, ["--config", str(config), *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    fill(log, range(2))
    run("backup")
    fill(log, range(2, 5))
    assert str(log.parent / "backups") in run("backup", "--list")
    assert "restored" in run("restore")
    assert count(log) == 2


def test_a_damaged_log_is_told_by_its_own_exit_code(write_config: Callable[..., Path]) -> None:
    """`feeder backup` exits with 3, by which the daemon knows that it must restore."""
    config = write_config()
    log = config.parent / "data" / "feeder.db"
    fill(log, range(50))
    damage(log)
    done = CliRunner().invoke(app, ["--config", str(config), "backup"])
    assert done.exit_code == 3
    assert "is damaged" in done.output
