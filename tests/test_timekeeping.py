"""Whose clock a frame's time came from, and what that time is worth."""

import logging
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeder import clock_ledger, schema, system_time
from feeder.clock import Clock, namesakes, parse_utc, to_local, to_utc, utc_text
from feeder.domain import (
    ClockEpoch,
    Deployment,
    Frame,
    KnownBy,
    SettledPath,
    TimeSource,
    unclassified,
)
from feeder.errors import LogUnavailable
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.timekeeping import Timekeeper, duration
from tests.computer import Computer

TRUE = datetime(2026, 5, 1, 6, 30, tzinfo=UTC).timestamp()
YEAR = 365 * 86400.0
GARDEN = Deployment("garden", Path("/cams/garden"))


@dataclass
class Feeder:
    """A timekeeper and its log on a computer; `restart` is what a new process does."""

    computer: Computer
    path: Path
    frames: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begins anew, with nothing but what was committed."""
        self.logbook = Logbook.open(self.path, self.computer.clock)
        self.keeper = Timekeeper(
            self.computer.clock, self.logbook.epochs(), self.logbook.append_epoch, not_before=0.0
        )
        self.keeper.look()
        self.logbook.commit()

    def log(
        self,
        modified: float | None = None,
        taken: float | None = None,
        *,
        came: bool = True,
    ) -> str:
        """Logs a frame that was written now, or `modified` then; gives its name.

        `came`: the inbox saw it come. `taken` is its EXIF time.
        """
        self.frames += 1
        computer = self.computer
        wall = computer.wall if modified is None else modified
        written = (computer.since - 5.0, computer.since) if came else None
        name = f"{self.frames}.jpg"
        path = GARDEN.folder / name
        source = SettledPath(GARDEN, path, 1, round(wall * 1e9), written=written)
        at = datetime.fromtimestamp(wall if taken is None else taken, UTC)
        kind = TimeSource.MTIME if taken is None else TimeSource.EXIF_OFFSET
        frame = self.keeper.date(Frame(source, f"{self.frames:064x}", at, kind))
        self.logbook.append(frame, unclassified("a test"))
        self.logbook.commit()
        return name

    def look(self) -> None:
        """Looks at the clock and writes what it learnt."""
        self.keeper.look()
        self.logbook.commit()

    def times(self) -> dict[str, tuple[float, bool, float | None]]:
        """By file name: Unix time, whether it is trusted, and as it was first written."""
        return {
            row["file_name"]: (
                row["timestamp"].timestamp(),
                row["timestamp_trusted"],
                row["timestamp_recorded"] and row["timestamp_recorded"].timestamp(),
            )
            for row in LogReader(self.path).sightings(Query(every_frame=True))
        }


@pytest.fixture
def pi(tmp_path: Path) -> Feeder:
    """A feeder on a Pi that booted half a minute ago, with a clock that is a year behind."""
    computer = Computer(TRUE)
    computer.boot(TRUE - YEAR)
    computer.true += 30
    return Feeder(computer, tmp_path / "feeder.db")


def test_times_are_marked_and_corrected_once_the_time_is_known(pi: Feeder) -> None:
    """A wrong time is logged with a mark; the network's time moves it and keeps the first one."""
    assert not pi.keeper.is_trusted()
    name = pi.log()
    assert pi.times()[name] == (TRUE - YEAR + 30, False, None)
    pi.computer.true += 5
    pi.computer.synchronise()
    pi.look()
    assert pi.keeper.is_trusted()
    corrected = (TRUE + 30, True, TRUE - YEAR + 30)
    assert pi.times()[name] == corrected
    pi.look()
    pi.log()
    pi.restart()
    pi.log()
    assert pi.times()[name] == corrected, "once and not again"


def test_a_clock_that_was_right_only_loses_the_mark(pi: Feeder) -> None:
    """Where the network finds the clock right, no time is moved."""
    pi.computer.offset = pi.computer.started + 0.4
    pi.restart()
    name = pi.log()
    pi.computer.synchronise()
    pi.look()
    assert pi.times()[name] == (pytest.approx(TRUE + 30.4), True, None)


def test_what_happened_while_no_daemon_ran_is_made_good(pi: Feeder) -> None:
    """Rows of a killed daemon are corrected by the next one of the same boot."""
    name = pi.log()
    pi.computer.true += 3600
    pi.computer.synchronise()
    pi.restart()
    assert pi.times()[name] == (TRUE + 30, True, TRUE - YEAR + 30)


def test_a_boot_that_never_knew_the_time_stays_marked(pi: Feeder) -> None:
    """The next boot's knowledge says nothing about the one before."""
    name = pi.log()
    pi.computer.true += 60
    pi.computer.boot(pi.computer.wall)
    pi.computer.true += 30
    pi.restart()
    later = pi.log()
    pi.computer.synchronise()
    pi.look()
    assert pi.times()[name] == (TRUE - YEAR + 30, False, None)
    assert pi.times()[later] == (TRUE + 120, True, TRUE - YEAR + 120)


def test_a_file_of_the_wrong_time_read_after_it_is_corrected(pi: Feeder) -> None:
    """A frame that waited in the folder while the clock was set is moved like those before it."""
    pi.computer.true += 10
    pi.computer.synchronise()
    pi.look()
    name = pi.log(modified=TRUE - YEAR + 35, came=False)
    assert pi.times()[name] == (TRUE + 35, True, TRUE - YEAR + 35)


def test_a_clock_set_before_the_daemon_began_is_known_of(tmp_path: Path) -> None:
    """What systemd read early in the boot corrects files that are older than the daemon."""
    computer = Computer(TRUE)
    computer.boot(TRUE - YEAR)
    computer.early = computer.offset
    computer.true += 40
    computer.synchronise()
    pi = Feeder(computer, tmp_path / "feeder.db")
    name = pi.log(modified=TRUE - YEAR + 20, came=False)
    assert pi.times()[name] == (TRUE + 20, True, TRUE - YEAR + 20)


def test_once_known_it_stays_known(pi: Feeder) -> None:
    """Hours without network make the kernel doubt, not the log; nor does a restart."""
    pi.computer.synchronise()
    pi.look()
    pi.computer.true += 12 * 3600
    pi.computer.synchronised = False
    assert pi.keeper.is_trusted()
    pi.restart()
    assert pi.keeper.is_trusted()
    name = pi.log()
    assert pi.times()[name][1]


def test_a_known_clock_that_is_set_by_hand_is_unknown(
    pi: Feeder, caplog: pytest.LogCaptureFixture
) -> None:
    """A year ahead is said in words and marked; when the network sets it back, all is well."""
    pi.computer.synchronise()
    pi.look()
    pi.computer.true += 10
    pi.computer.step(YEAR)
    name = pi.log()
    assert "the clock was set 365 days ahead" in caplog.text
    assert pi.times()[name] == (TRUE + YEAR + 40, False, None)
    pi.computer.true += 10
    pi.computer.synchronise()
    pi.look()
    assert pi.times()[name] == (TRUE + 40, True, TRUE + YEAR + 40)


def test_a_time_that_has_not_come_is_marked(pi: Feeder) -> None:
    """With a known clock, a file from next year is not believed."""
    pi.computer.synchronise()
    pi.look()
    name = pi.log(modified=TRUE + YEAR)
    assert not pi.times()[name][1]


def test_another_machines_time_is_trusted_as_it_is(pi: Feeder) -> None:
    """A camera with a clock of its own is neither marked nor moved by this one's troubles."""
    by_exif = pi.log(taken=TRUE + 25)
    by_file = pi.log(modified=TRUE - 3 * YEAR)
    pi.computer.synchronise()
    pi.look()
    assert pi.times()[by_exif] == (TRUE + 25, True, None)
    assert pi.times()[by_file] == (TRUE - 3 * YEAR, True, None)


def test_a_picture_taken_before_and_written_after_the_step(pi: Feeder) -> None:
    """An EXIF time of this computer's wrong clock is corrected though the file's is right."""
    taken = pi.computer.wall
    pi.computer.true += 1
    pi.computer.synchronise()
    pi.look()
    name = pi.log(taken=taken)
    assert pi.times()[name] == (TRUE + 30, True, TRUE - YEAR + 30)


def test_a_time_that_two_clocks_may_have_written_stays_marked(pi: Feeder) -> None:
    """Where it cannot be told which boot a file is of, it is not guessed."""
    pi.computer.true += 60
    pi.look()
    pi.computer.boot(TRUE - YEAR + 20)  # and the last boot's daemon was killed
    pi.computer.true += 30
    pi.restart()
    left = pi.log(modified=TRUE - YEAR + 45, came=False)
    came = pi.log()
    pi.computer.synchronise()
    pi.look()
    assert pi.times()[left][1] is False
    assert pi.times()[came] == (TRUE + 120, True, TRUE - YEAR + 50)


def test_what_the_last_boot_had_logged_is_not_looked_for_again(pi: Feeder) -> None:
    """A drained folder holds nothing of the boot before: the time is this boot's."""
    pi.computer.true += 60
    pi.keeper.look(drained=pi.computer.since)
    pi.keeper.rest(drained=pi.computer.since)
    pi.logbook.commit()
    pi.computer.boot(TRUE - YEAR + 20)
    pi.computer.true += 30
    pi.restart()
    left = pi.log(modified=TRUE - YEAR + 45, came=False)
    pi.computer.synchronise()
    pi.look()
    assert pi.times()[left] == (TRUE + 115, True, TRUE - YEAR + 45)


def test_a_machine_that_never_says_is_marked_and_told_once(
    pi: Feeder, caplog: pytest.LogCaptureFixture
) -> None:
    """A virtual machine whose kernel knows no time server has marks, and one line at the start."""
    caplog.set_level(logging.INFO)
    pi.computer.offset = pi.computer.started
    caplog.clear()
    pi.restart()
    for _ in range(100):
        pi.computer.true += 60
        pi.look()
    name = pi.log()
    assert pi.times()[name][1] is False
    assert len([record for record in caplog.records if "vouches" in record.message]) == 1


def test_a_system_that_cannot_tell_is_believed(tmp_path: Path) -> None:
    """On macOS or Windows the clock is taken to be right, unless it lies before the program."""
    computer = Computer(TRUE)
    computer.boot(TRUE)
    computer.synchronised = None
    told: list[ClockEpoch] = []
    assert Timekeeper(computer.clock, [], told.append, not_before=TRUE - 1).is_trusted()
    assert told[-1].known_by is KnownBy.ASSUMED
    assert not Timekeeper(computer.clock, [], told.append, not_before=TRUE + 1).is_trusted()


def test_a_battery_clock_is_believed_until_the_network_knows_better(pi: Feeder) -> None:
    """A Pi with a battery clock needs no network; its times are moved when there is one."""
    pi.computer.offset = pi.computer.started - 40
    pi.computer.battery = pi.computer.wall + 3
    pi.restart()
    name = pi.log()
    assert pi.times()[name] == (TRUE - 10, True, None)
    pi.computer.synchronise()
    pi.look()
    assert pi.times()[name] == (TRUE + 30, True, TRUE - 10)


def test_a_battery_clock_of_another_year_is_not_believed(pi: Feeder) -> None:
    """An empty battery clock vouches for nothing."""
    pi.computer.battery = 60.0
    pi.look()
    assert not pi.keeper.is_trusted()


def test_what_timesyncd_noted_counts_until_the_clock_is_set_by_hand(pi: Feeder) -> None:
    """A daemon that starts days after the network was there still knows the time."""
    pi.computer.offset = pi.computer.started
    pi.computer.synchronised_at = TRUE + 35
    pi.computer.true += 3600
    pi.restart()
    assert pi.keeper.is_trusted()
    pi.computer.step(-YEAR)
    assert not pi.keeper.is_trusted()


def test_a_locked_log_loses_nothing_of_the_clock(pi: Feeder) -> None:
    """Epochs and corrections wait with the rows, and are written with them."""
    name = pi.log()
    pi.computer.synchronise()
    pi.logbook._connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(pi.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="another program"):
            pi.look()
        assert pi.logbook.has_news
        assert pi.times()[name][1] is False
    pi.look()
    assert pi.times()[name] == (TRUE + 30, True, TRUE - YEAR + 30)


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31)),
    st.integers(-(10**12), 10**12),
)
def test_the_database_moves_times_as_python_does(naive: datetime, shift: int) -> None:
    """A corrected time is the first one plus the seconds between the clocks, to a millisecond."""
    first = parse_utc(utc_text(naive.replace(tzinfo=UTC)))
    try:
        expected = first + timedelta(milliseconds=shift)
    except OverflowError:
        return
    with closing(sqlite3.connect(":memory:")) as log:
        schema.migrate(log, Path("unused"))
        epoch = ClockEpoch(1, "boot", 0.0, 0.0, 0.0, 0.0, 1.0)
        known = replace(epoch, number=2, offset=shift / 1000, known_by=KnownBy.NETWORK)
        clock_ledger.write(log, [epoch, known])
        log.execute("INSERT INTO deployment (location_name, deployment_start) VALUES ('a', '')")
        log.execute(
            "INSERT INTO media (deployment_id, timestamp, timestamp_source, file_path, file_name,"
            " file_mediatype, file_size, received_at, timestamp_trusted, clock_epoch_id)"
            " VALUES (1, ?, 'mtime', x'61', 'a', 'image/jpeg', 1, '', 0, 1)",
            (utc_text(first),),
        )
        assert clock_ledger.correct(log) == 1
        assert clock_ledger.correct(log) == 0
        found = log.execute("SELECT timestamp, timestamp_recorded, timestamp_trusted FROM media")
        assert found.fetchone() == (utc_text(expected), utc_text(first), 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (364 * 86400 + 7300, "364 days 2 h"),
        (-90, "1 min 30 s"),
        (86400, "1 day"),
        (3601, "1 h"),
        (2, "2 s"),
    ],
)
def test_a_step_is_told_in_words(seconds: float, text: str) -> None:
    """Two units are enough."""
    assert duration(seconds) == text


ZONES = [ZoneInfo(name) for name in ("Europe/Dublin", "America/New_York", "Australia/Lord_Howe")]


@given(st.sampled_from(ZONES), st.integers(0, 40 * 365 * 86400), st.integers(-600, 600))
def test_a_local_time_is_read_as_the_instant_near_the_file(
    zone: ZoneInfo, seconds: int, apart: int
) -> None:
    """Whatever the zone does with its clocks, a picture ten minutes from its file is dated right.

    In half an hour that comes twice, an hour that does not come, and all others.
    """
    instant = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    naive = to_local(instant, zone).replace(tzinfo=None)
    near = instant + timedelta(seconds=apart)
    assert to_utc(naive, zone, near) == instant
    assert instant in namesakes(to_utc(naive, zone), zone)


@pytest.mark.parametrize(
    ("zone", "naive", "first", "second"),
    [
        ("Europe/Dublin", "2026-10-25T01:30", "2026-10-25T00:30Z", "2026-10-25T01:30Z"),
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30Z", "2026-11-01T06:30Z"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45Z", "2026-04-04T15:15Z"),
        # These do not come: read as if the clocks had not gone forward, or already had.
        ("Europe/Dublin", "2026-03-29T01:30", "2026-03-29T01:30Z", "2026-03-29T00:30Z"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45Z", "2026-10-03T15:15Z"),
    ],
)
def test_the_hour_that_comes_twice_and_the_one_that_does_not(
    zone: str, naive: str, first: str, second: str
) -> None:
    """The reading nearer to the file's time is taken; with nothing near, the first."""
    local, in_zone = datetime.fromisoformat(naive), ZoneInfo(zone)
    one, other = datetime.fromisoformat(first), datetime.fromisoformat(second)
    assert to_utc(local, in_zone) == one
    assert to_utc(local, in_zone, one + timedelta(seconds=9)) == one
    assert to_utc(local, in_zone, other + timedelta(seconds=9)) == other


def test_this_computer_can_be_asked() -> None:
    """The real clock, boot and kernel answer, and are only read."""
    clock = Clock()
    since, offset = clock.reading()
    assert since > 0
    assert since + offset == pytest.approx(datetime.now(UTC).timestamp(), abs=30)
    assert clock.boot_id() == clock.boot_id() != ""
    assert clock.synchronised() in ((True, False) if sys.platform == "linux" else (None,))
    assert clock.early_offset() is None or clock.early_offset() > 0  # type: ignore[operator]


def test_systemds_own_words_are_read() -> None:
    """Wall and since-boot time of a unit's start give the offset; a unit that never did, none."""
    said = (
        "ActiveEnterTimestamp=Fri 2026-05-01 06:30:12.250000 UTC\n"
        "ActiveEnterTimestampMonotonic=12250000\n"
    )
    assert system_time.parse_early(said) == TRUE
    never = "ActiveEnterTimestamp=\nActiveEnterTimestampMonotonic=0\n"
    assert system_time.parse_early(never) is None
