"""How long pictures stay, where they go, and that none is lost on the way."""

import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feeder import config, moves, schema
from feeder.cli import app
from feeder.config import InboxSection
from feeder.errors import ConfigError, LogbookError
from feeder.inbox import Inbox
from feeder.judgement_log import JudgementLog
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.moves import ASIDE, Identity, is_same, put_back, rename_new, take_aside
from feeder.picture_log import PictureLog
from tests.garden import NOW, Garden

MakeGarden = Callable[..., Garden]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeGarden]:
    """Makes gardens with the given lines under [retention]; one root holds one."""
    made: list[Garden] = []

    def one(retention: str = "", *cameras: str) -> Garden:
        made.append(Garden(tmp_path, retention, cameras or ("garden",)))
        return made[-1]

    yield one
    for garden in made:
        garden.close()


def with_history(garden: Garden) -> Garden:
    """Frames of this week and the last, so that the clock is believed; nothing else is said."""
    for days in (1, 8):
        garden.shoot(f"recent{days}.jpg", days_ago=days, species=None)
    return garden


# What stays


def test_nothing_is_deleted_or_moved_unless_asked_to(make: MakeGarden) -> None:
    """With no [retention] every file stays where it is, however old and on however full a disk."""
    garden = make()
    for days in (0, 10, 4000):
        garden.shoot(f"{days}.jpg", days_ago=days, species=None)
    garden.room = 0
    garden.tidy()
    assert garden.files() == ["garden/0.jpg", "garden/10.jpg", "garden/4000.jpg"]


def test_pictures_go_by_age_and_rows_stay(make: MakeGarden) -> None:
    """Older than max_days a picture goes; its row, observation and sighting are still read."""
    garden = with_history(make("max_days = 30\nkeep_last = 0"))
    garden.shoot("old.jpg", days_ago=31)
    garden.shoot("young.jpg", days_ago=29)
    garden.tidy()
    assert garden.files() == ["garden/recent1.jpg", "garden/recent8.jpg", "garden/young.jpg"]
    assert garden.rows() == (4, 4)
    names = {row["file_name"] for row in LogReader(garden.settings.database).sightings(Query())}
    assert names == {"old.jpg", "young.jpg"}
    (picture,) = garden.pictures.get([garden.media_id("old.jpg")])
    assert picture.gone_since == NOW


def test_a_camera_that_lost_its_clock_loses_no_picture(make: MakeGarden) -> None:
    """A picture dated years back, yet logged today, is no old one."""
    garden = with_history(make("max_days = 30\nkeep_last = 0"))
    garden.shoot("reset.jpg", days_ago=4000, received_days_ago=0)
    garden.tidy()
    assert "garden/reset.jpg" in garden.files()


def test_the_last_of_each_species_stay_at_each_camera(make: MakeGarden) -> None:
    """The newest `keep_last` of a label at a camera are never deleted; blanks are."""
    garden = with_history(make("max_days = 30\nkeep_last = 2", "garden", "pond"))
    for camera in ("garden", "pond"):
        for days in (41, 42, 43, 44):
            garden.shoot(f"robin{days}.jpg", days_ago=days, camera=camera)
        garden.shoot("wren.jpg", days_ago=400, species="Eurasian Wren", camera=camera)
        garden.shoot("blank.jpg", days_ago=40, species=None, camera=camera)
    garden.tidy()
    kept = [f"{c}/{n}.jpg" for c in ("garden", "pond") for n in ("robin41", "robin42", "wren")]
    assert sorted(kept) == [name for name in garden.files() if "recent" not in name]


def test_favorites_and_corrected_frames_stay(make: MakeGarden) -> None:
    """What a person chose or named is never deleted, until that is taken back."""
    garden = with_history(make("max_days = 30\nkeep_last = 0"))
    for name in ("favorite.jpg", "corrected.jpg", "other.jpg"):
        garden.shoot(name, days_ago=50)
    garden.make_favorite("favorite.jpg")
    number = garden.correct("corrected.jpg", "Dunnock")
    garden.tidy()
    left = {"garden/corrected.jpg", "garden/favorite.jpg"}
    assert left == {name for name in garden.files() if "recent" not in name}
    garden.make_favorite("favorite.jpg", False)
    with JudgementLog.open(garden.settings.database, garden.clock) as judgements:
        judgements.undo(number)
    garden.tidy()
    assert left.isdisjoint(garden.files())


def test_a_species_judged_anew_keeps_its_last(make: MakeGarden) -> None:
    """The last pictures are those of the current label: a renamed one makes room for another."""
    garden = with_history(make("max_days = 30\nkeep_last = 1"))
    garden.shoot("older.jpg", days_ago=50)
    garden.shoot("newer.jpg", days_ago=40)
    garden.correct("newer.jpg", "Dunnock")
    garden.tidy()
    assert {"garden/older.jpg", "garden/newer.jpg"} <= set(garden.files())


def test_only_logged_files_are_deleted(make: MakeGarden) -> None:
    """A file that the log does not have, or has otherwise, is not Feeder's to delete."""
    garden = with_history(make("max_days = 30\nkeep_last = 0"))
    garden.drop("stranger.jpg", b"not logged")
    edited = garden.shoot("edited.jpg", days_ago=40)
    before = edited.stat()
    edited.write_bytes(b"x" * before.st_size)
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    garden.tidy()
    assert {"garden/stranger.jpg", "garden/edited.jpg"} <= set(garden.files())


def test_the_oldest_go_first_until_the_rest_fits(make: MakeGarden) -> None:
    """max_gigabytes counts the pictures that are there, not those somebody removed by hand."""
    garden = make("max_gigabytes = 0.0000003\nkeep_last = 0")  # 300 bytes
    for days in range(6):
        garden.shoot(f"{days}.jpg", days_ago=days, data=bytes([days]) * 100)
    (garden.root / "garden" / "2.jpg").unlink()
    garden.tidy()
    assert garden.files() == ["garden/0.jpg", "garden/1.jpg", "garden/3.jpg"]


def test_room_is_made_when_the_disk_runs_full(
    make: MakeGarden, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest go until enough is free; kept ones stay, and the shortage is said in words."""
    garden = make("min_free_gigabytes = 1\nkeep_last = 1")
    for days in range(6):
        garden.shoot(f"{days}.jpg", days_ago=days, data=bytes([days]) * 100)
    garden.room = 10**9 - 250
    garden.tidy()
    assert garden.files() == ["garden/0.jpg", "garden/1.jpg", "garden/2.jpg"]
    assert "look at what fills the disk" in caplog.text
    garden.change("min_free_gigabytes = 1\nkeep_last = 1 ")
    garden.room = 0
    garden.tidy()
    assert garden.files() == ["garden/0.jpg"]
    assert "every picture left is one that is kept" in caplog.text


def test_deleting_that_makes_no_room_stops(make: MakeGarden) -> None:
    """Where something else fills the disk, one round's pictures go, and no more for an hour."""
    garden = make("min_free_gigabytes = 1\nkeep_last = 0")
    for days in range(10):
        garden.shoot(f"{days}.jpg", days_ago=days, data=bytes([days]) * 100)
    garden.room = 10**9 - 150
    for _ in range(5):
        garden.tidy()
    assert len(garden.files()) == 8


def test_an_unmounted_folder_means_nothing_has_gone(make: MakeGarden) -> None:
    """Pictures of a folder that is empty or absent are not taken for deleted."""
    garden = with_history(make("max_days = 30\nkeep_last = 0"))
    garden.shoot("old.jpg", days_ago=40)
    (garden.root / "garden").rename(garden.root / "elsewhere")
    (garden.root / "garden").mkdir()
    garden.tidy()
    (garden.root / "garden").rmdir()
    (garden.root / "elsewhere").rename(garden.root / "garden")
    garden.tidy()
    assert garden.files() == ["garden/recent1.jpg", "garden/recent8.jpg"]


# The clock


def test_a_clock_a_year_ahead_deletes_nothing(
    make: MakeGarden, caplog: pytest.LogCaptureFixture
) -> None:
    """Age counts only while the log has frames of this week and the last by the same clock."""
    garden = with_history(make("max_days = 30\nkeep_last = 0"))
    garden.now = NOW + timedelta(days=365)
    before = garden.files()
    garden.tidy()
    garden.shoot("after.jpg", days_ago=-365, species=None)
    garden.tidy()
    assert garden.files() == ["garden/after.jpg", *before]
    assert "the clock may have jumped" in caplog.text


def test_nothing_is_deleted_while_the_clock_is_unknown(make: MakeGarden) -> None:
    """No limit counts before the clock is known to be right."""
    garden = make("max_gigabytes = 0.000000001\nkeep_last = 0")
    garden.shoot("robin.jpg", days_ago=30)
    garden.is_clock_right = False
    garden.tidy()
    assert len(garden.files()) == 1
    garden.is_clock_right = True
    garden.tidy()
    assert garden.files() == []


def test_weeks_of_frames_vouch_for_a_clock_that_nobody_sets(make: MakeGarden) -> None:
    """A computer without network time does not fill its disk for ever."""
    garden = with_history(make("max_days = 3\nkeep_last = 0"))
    garden.is_clock_right = False
    garden.tidy()
    assert garden.files() == ["garden/recent1.jpg"]


# After the commit


def test_deleted_once_logged_but_not_before(make: MakeGarden) -> None:
    """`delete` takes a picture after its row is durable, yet no broken file and no last one."""
    garden = make('after = "delete"\nkeep_last = 1')
    garden.shoot("robin1.jpg", days_ago=1)
    garden.shoot("robin2.jpg", days_ago=0)
    garden.shoot("blank.jpg", species=None)
    garden.shoot("broken.jpg", species="")
    garden.shoot("pending.jpg", species=None, commit=False)
    garden.tidy()
    assert garden.files() == ["garden/broken.jpg", "garden/pending.jpg", "garden/robin2.jpg"]
    garden.logbook.commit()
    garden.tidy()
    assert "garden/pending.jpg" not in garden.files()


def test_archived_into_dated_folders_of_the_camera(make: MakeGarden) -> None:
    """The day is the local one of capture; broken files have a place of their own."""
    garden = make('after = "archive"')
    # Half past eleven in the evening of 20 June in UTC is the next day in Dublin's summer.
    midsummer = NOW - timedelta(days=154) + timedelta(hours=11, minutes=30)
    garden.shoot("a.jpg", days_ago=(NOW - midsummer) / timedelta(days=1))
    garden.shoot("below/b.jpg")
    garden.shoot("c.jpg", species="")
    garden.tidy()
    assert garden.files() == [
        "archive/garden/2026/2026-06-21/a.jpg",
        "archive/garden/2026/2026-11-21/b.jpg",
        "archive/garden/unclassified/2026/2026-11-21/c.jpg",
    ]


def test_nothing_is_archived_before_its_row_is_durable(make: MakeGarden) -> None:
    """A frame that waits for its commit waits in its folder, though a scan meets it."""
    garden = make('after = "archive"')
    source = garden.drop("a.jpg", b"a")
    garden.log(source, commit=False)
    garden.housekeeping.met(source)
    garden.tidy()
    assert garden.files() == ["garden/a.jpg"]
    garden.logbook.commit()
    garden.tidy()
    assert garden.files() == ["archive/garden/2026/2026-11-21/a.jpg"]


def test_no_archived_picture_is_overwritten(make: MakeGarden) -> None:
    """Namesakes of a day all stay, under names with a piece of their digest."""
    garden = make('after = "archive"')
    for number in range(3):
        garden.shoot("latest.jpg", data=b"frame %d" % number)
        garden.tidy()
    files = garden.files()
    assert len(files) == 3
    assert {(garden.root / name).read_bytes() for name in files} == {
        b"frame 0",
        b"frame 1",
        b"frame 2",
    }


def test_two_files_of_one_picture_are_one_in_the_archive(make: MakeGarden) -> None:
    """Exact duplicates, together or later, end as one archived picture that the log finds."""
    garden = make('after = "archive"')
    garden.shoot("a.jpg", data=b"same", commit=False)
    garden.shoot("b.jpg", data=b"same")
    garden.tidy()
    garden.shoot("c.jpg", data=b"same")
    garden.tidy()
    assert garden.files() == ["archive/garden/2026/2026-11-21/a.jpg"]
    (picture,) = garden.pictures.get([garden.media_id("a.jpg")])
    assert picture.archive_path == b"garden/2026/2026-11-21/a.jpg"


def test_limits_count_in_the_archive_too(make: MakeGarden) -> None:
    """Age deletes archived pictures; one that a person edited there stays."""
    garden = with_history(make('after = "archive"\nmax_days = 30\nkeep_last = 0'))
    garden.shoot("a.jpg", days_ago=20)
    garden.shoot("b.jpg", days_ago=20)
    garden.tidy()
    edited = garden.root / "archive/garden/2026/2026-11-01/b.jpg"
    edited.write_bytes(b"x" * edited.stat().st_size)
    garden.now = NOW + timedelta(days=11)
    for days in (9, 2):
        garden.shoot(f"later{days}.jpg", days_ago=days - 11, species=None)
    garden.tidy()
    assert [name for name in garden.files() if "later" not in name and "recent" not in name] == [
        "archive/garden/2026/2026-11-01/b.jpg"
    ]


def test_a_picture_that_comes_back_counts_again(make: MakeGarden) -> None:
    """Bytes whose picture was deleted are no new frame, and their file is one more picture."""
    garden = make('after = "delete"')
    garden.shoot("a.jpg", species=None, data=b"again")
    garden.tidy()
    garden.shoot("b.jpg", species=None, data=b"again")
    (picture,) = garden.pictures.get([garden.media_id("a.jpg")])
    assert picture.gone_since is None
    garden.tidy()
    assert (garden.files(), garden.rows()) == ([], (1, 1))


def test_a_read_only_folder_is_said_once(
    make: MakeGarden, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where files may only be read they stay, which is one line in the log, not one a file."""
    garden = make('after = "archive"')

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(source))

    monkeypatch.setattr(moves, "rename_new", refuse)
    for number in range(5):
        garden.shoot(f"{number}.jpg")
        garden.tidy()
    assert len(garden.files("garden")) == 5
    assert caplog.text.count("pictures stay in their folder") == 1


def test_a_full_archive_costs_no_picture(make: MakeGarden, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that cannot be completed leaves the picture under its own name and nothing else."""
    garden = make('after = "archive"')
    real = os.fsync

    def across(source: Path, target: Path) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename_new(source, target)

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".part"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(moves, "rename_new", across)
    monkeypatch.setattr(os, "fsync", full)
    garden.shoot("a.jpg")
    garden.tidy()
    assert garden.files() == ["garden/a.jpg"]


def test_a_failing_disk_does_not_stop_the_daemon(
    make: MakeGarden, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a picture can be neither moved nor put back, that is said, and a scan puts it back."""
    garden = make('after = "archive"')
    garden.shoot("a.jpg")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("feeder.archive.move_new", fail)
        broken.setattr("feeder.archive.put_back", fail)
        garden.tidy()
    assert "Input/output error" in caplog.text
    garden.change('after = "archive" ')
    for _ in range(2):
        scan(garden, lambda inbox: (inbox.take(0), inbox.take(0)))
    garden.tidy()
    assert garden.files() == ["archive/garden/2026/2026-11-21/a.jpg"]


def test_a_locked_log_moves_nothing(make: MakeGarden) -> None:
    """While the log cannot be told where a picture goes, the picture stays; then it goes."""
    garden = make('after = "archive"')
    garden.shoot("a.jpg")
    garden.pictures._connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(garden.settings.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        garden.tidy()
        assert garden.files() == ["garden/a.jpg"]
        other.execute("ROLLBACK")
    scan(garden, lambda inbox: inbox.take(0))
    garden.tidy()
    assert garden.files() == ["archive/garden/2026/2026-11-21/a.jpg"]


def scan(garden: Garden, look: Callable[[Inbox], object]) -> None:
    """One scan of the drop folders, as the daemon makes it."""
    inbox = Inbox(
        garden.settings.deployments,
        InboxSection(watcher="polling"),
        garden.logbook.has_path,
        on_recorded=garden.housekeeping.met,
    )
    inbox.start()
    look(inbox)
    inbox.close()


def test_a_scan_finishes_what_a_crash_left(make: MakeGarden) -> None:
    """A logged file that was not moved yet, and one left under a hidden name, are moved then."""
    garden = make()
    garden.shoot("a.jpg")
    garden.shoot("b.jpg")
    (garden.root / "garden/b.jpg").rename(garden.root / f"garden/{ASIDE}b.jpg")
    garden.change('after = "archive"')
    for _ in range(2):
        scan(garden, lambda inbox: (inbox.take(0), inbox.take(0)))
    garden.tidy()
    assert garden.files() == [
        "archive/garden/2026/2026-11-21/a.jpg",
        "archive/garden/2026/2026-11-21/b.jpg",
    ]


# Moving a file


def identity(path: Path) -> Identity:
    """Of the file as it is now, without its digest."""
    found = path.stat()
    return Identity(found.st_size, found.st_mtime_ns, None)


def test_a_file_being_written_keeps_its_name(tmp_path: Path) -> None:
    """A file that somebody has open for writing is not taken, however still it has stood."""
    path = tmp_path / "latest.jpg"
    path.write_bytes(b"frame")
    with path.open("r+b"):
        assert take_aside(path, identity(path)) is None
    assert [one.name for one in tmp_path.iterdir()] == ["latest.jpg"]
    assert take_aside(path, identity(path)) == tmp_path / f"{ASIDE}latest.jpg"


def test_what_is_put_back_overwrites_nothing(tmp_path: Path) -> None:
    """Where a newer file has taken the name meanwhile, both are there afterwards."""
    path = tmp_path / "latest.jpg"
    path.write_bytes(b"older")
    hidden = take_aside(path, identity(path))
    assert hidden is not None
    path.write_bytes(b"newer")
    found = put_back(hidden)
    assert (path.read_bytes(), found.read_bytes()) == (b"newer", b"older")
    assert found.suffix == ".jpg"
    assert not found.name.startswith(".")


def test_the_longest_name_can_be_taken_aside(tmp_path: Path) -> None:
    """A name of 255 bytes, not all of them text, is moved and put back."""
    path = tmp_path / os.fsdecode(b"\xff" * 251 + b".jpg")
    path.write_bytes(b"x")
    hidden = take_aside(path, identity(path))
    assert hidden is not None
    assert put_back(hidden).read_bytes() == b"x"


@pytest.mark.parametrize("way", ["renameat2", "link", "look"])
def test_no_way_of_renaming_replaces_a_file(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the file system offers, a taken name is refused and a free one is given."""
    if way != "renameat2":
        monkeypatch.setattr(moves, "_renameat2", lambda: None)
    if way == "look":

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    with pytest.raises(FileExistsError):
        rename_new(one, two)
    assert (one.read_bytes(), two.read_bytes()) == (b"1", b"2")
    rename_new(one, tmp_path / "three")
    assert not one.exists()
    assert (tmp_path / "three").read_bytes() == b"1"


def test_other_bytes_are_another_file(tmp_path: Path) -> None:
    """A file of the same size and time that holds other bytes is not the one that was logged."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    found = path.stat()
    assert not is_same(path, Identity(found.st_size, found.st_mtime_ns, bytes(32)))


# The log


def test_a_log_of_the_second_schema_keeps_its_rows(tmp_path: Path) -> None:
    """The upgrade keeps every row, makes nothing a favorite and takes nothing for gone."""
    path = tmp_path / "feeder.db"
    scripts = resources.files("feeder").joinpath("schema")
    with closing(sqlite3.connect(path)) as connection:
        for name in ("0001_log.sql", "0002_region.sql"):
            connection.executescript(scripts.joinpath(name).read_text("utf-8"))
        connection.execute("PRAGMA user_version = 2")
        connection.execute(
            "INSERT INTO deployment (location_name, deployment_start) VALUES ('garden', '')"
        )
        for number in range(1, 51):
            time = f"2026-05-01T06:30:{number:02}.000Z"
            connection.execute(
                "INSERT INTO media (deployment_id, sha256, timestamp, timestamp_source, file_path,"
                " file_name, file_mediatype, file_size, received_at)"
                " VALUES (1, ?, ?, 'exif', ?, ?, 'image/jpeg', 1, ?)",
                (bytes([number]) * 32, time, b"%d" % number, str(number), time),
            )
            connection.execute("INSERT INTO path VALUES (1, ?, 1, 1, ?)", (b"%d" % number, number))
            connection.execute(
                "INSERT INTO observation (media_id, observation_type, label,"
                " classification_method, classified_by, classification_timestamp, reason)"
                " VALUES (?, 'animal', 'European Robin', 'machine', 'starter', '', '')",
                (number,),
            )
        connection.commit()
        tables = ("deployment", "media", "path", "observation")
        columns = {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            for name in tables
        }
        before = {
            name: connection.execute(f"SELECT {', '.join(columns[name])} FROM {name}").fetchall()
            for name in tables
        }
    Logbook.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.latest(),)
        for name in tables:
            listed = ", ".join(columns[name])
            kept = connection.execute(f"SELECT {listed} FROM {name}").fetchall()
            assert sorted(kept) == sorted(before[name])
        states = connection.execute(
            "SELECT DISTINCT favorite, archive_path, gone_since FROM media"
        ).fetchall()
    assert states == [(0, None, None)]
    assert len(list(LogReader(path).sightings(Query()))) == 50
    pictures = PictureLog.open(path)
    assert len(pictures.oldest(None, 100)) == 50
    pictures.close()


def test_no_question_goes_through_the_whole_log(make: MakeGarden) -> None:
    """Whatever a round asks the log is answered off an index, however many frames there are."""
    garden = with_history(make('after = "archive"\nmax_days = 30\nkeep_last = 20'))
    asked: set[str] = set()
    garden.pictures._connection.set_trace_callback(asked.add)
    for days in range(40, 65):
        garden.shoot(f"{days}.jpg", days_ago=days)
    garden.tidy()
    questions = [sql for sql in asked if sql.startswith(("SELECT", "UPDATE"))]
    assert any("count(*)" in sql for sql in questions)
    for sql in questions:
        plan = garden.sql(f"EXPLAIN QUERY PLAN {sql}")
        for step in (str(row[3]) for row in plan):
            assert "SCAN" not in step, sql
            assert "(deployment_id=?)" not in step, f"all frames of a camera: {sql}"


def test_an_earlier_log_is_not_written_to(tmp_path: Path) -> None:
    """A command does not upgrade the log under a running daemon, and says who does."""
    with closing(sqlite3.connect(tmp_path / "feeder.db")) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(LogbookError) as caught:
        PictureLog.open(tmp_path / "feeder.db")
    assert "feeder run" in caught.value.hint


@pytest.mark.parametrize(
    ("archive", "folder"), [("snapshots/old", "snapshots"), ("a", "a"), ("a", "a/b")]
)
def test_an_archive_in_a_drop_folder_is_refused(tmp_path: Path, archive: str, folder: str) -> None:
    """Archived pictures would be found again, so the settings are refused with a hint."""
    text = f'[[deployment]]\nname = "g"\nfolder = "{folder}"\n[retention]\n'
    with pytest.raises(ConfigError) as caught:
        config.parse(f'{text}after = "archive"\narchive = "{archive}"', tmp_path / "config.toml")
    assert "[retention]" in caught.value.hint
    config.parse(f'{text}archive = "{archive}"', tmp_path / "config.toml")


# The commands


@pytest.fixture
def feeder(tmp_path: Path) -> Callable[..., Result]:
    """Runs a command on the garden's settings, which a first call writes."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            app, ["--config", str(tmp_path / "config.toml"), *arguments], catch_exceptions=False
        )

    return run


def write_settings(garden: Garden, retention: str) -> None:
    """The garden's config.toml."""
    (garden.root / "config.toml").write_text(
        '[[deployment]]\nname = "garden"\nfolder = "garden"\n[retention]\n' + retention,
        encoding="utf-8",
    )


def test_a_favorite_is_made_while_the_daemon_runs(
    make: MakeGarden, feeder: Callable[..., Result]
) -> None:
    """`feeder favorite` marks frames by the id that the table shows, and takes it back."""
    garden = make()
    write_settings(garden, "")
    garden.shoot("a.jpg")
    garden.shoot("b.jpg")
    line = next(one for one in feeder("sightings").stdout.splitlines() if "b.jpg" in one)
    number = line.split("\t")[0]
    assert feeder("favorite", number).exit_code == 0
    (row,) = json.loads(feeder("sightings", "--favorites", "--json").stdout)
    assert (row["file_name"], row["favorite"]) == ("b.jpg", True)
    assert row["picture"] == str(garden.root / "garden/b.jpg")
    assert feeder("favorite", "--remove", number).exit_code == 0
    assert json.loads(feeder("sightings", "--favorites", "--json").stdout) == []
    with pytest.raises(LogbookError, match="no frame 99"):
        feeder("favorite", "1", "99")
    assert json.loads(feeder("sightings", "--favorites", "--json").stdout) == []


def test_prune_lists_what_would_go_and_why(make: MakeGarden, feeder: Callable[..., Result]) -> None:
    """--dry-run deletes and notes nothing; without it the same pictures go."""
    import json

    days = (datetime.now(UTC) - NOW) / timedelta(days=1)
    garden = make()
    write_settings(garden, "max_days = 30\nkeep_last = 0")
    for ago in (1, 8, 40, 50):
        garden.shoot(f"{ago}.jpg", days_ago=ago - days)
    listed = json.loads(feeder("prune", "--dry-run", "--json").stdout)
    assert [Path(row["files"][0]).name for row in listed] == ["50.jpg", "40.jpg"]
    assert {row["reason"] for row in listed} == {"older than 30 days"}
    assert listed[0]["bytes"] == len("garden/50.jpg")
    assert len(garden.files()) == 4
    result = feeder("prune")
    assert result.exit_code == 0
    assert "older than 30 days" in result.stdout
    assert garden.files() == ["garden/1.jpg", "garden/8.jpg"]
    rows = json.loads(feeder("sightings", "--json").stdout)
    assert [row["picture"] is None for row in rows] == [False, False, True, True]


def test_prune_without_limits_says_so(make: MakeGarden, feeder: Callable[..., Result]) -> None:
    """With nothing turned on, nothing is due, and the answer says why."""
    garden = make()
    write_settings(garden, "")
    garden.shoot("a.jpg", days_ago=4000)
    result = feeder("prune")
    assert result.exit_code == 0
    assert "sets no limit" in result.output
    assert garden.files() == ["garden/a.jpg"]


def test_the_doctor_looks_at_the_archive(make: MakeGarden, feeder: Callable[..., Result]) -> None:
    """An archive that is a file, or that should be mounted, is named with a remedy."""
    garden = make()
    (garden.root / "file").touch()
    for archive in ("file", "/nowhere/on/this/computer"):
        write_settings(garden, f'after = "archive"\narchive = "{archive}"')
        checks = {one["name"]: one for one in json.loads(feeder("doctor", "--json").stdout)}
        assert not checks["archive"]["well"]
        assert checks["archive"]["mend"]
