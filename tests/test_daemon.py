"""The daemon as people run it: a real process, real signals, a real log."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time as wall
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from feeder.bundle import golden_image
from feeder.domain import Box
from feeder.log_reader import LogReader
from tests.feeder_process import PATIENCE, FeederProcess, picture
from tests.test_scene import garden, holds, with_bird


def test_it_says_what_it_does_and_what_to_do_next(feeder: FeederProcess) -> None:
    """At the start it names folder, model, labels and log, and with no pictures the next step."""
    feeder.start()
    said = feeder.said()
    assert f"watching  {feeder.folder}" in said
    assert "model     tiny, " in said
    assert str(feeder.database) in said
    assert "The folder is empty" in said
    assert feeder.stop() == 0


def test_however_a_frame_arrives_it_is_logged_once(feeder: FeederProcess, tmp_path: Path) -> None:
    """Copied, moved, slowly written or renamed in place: one row each, and one line."""
    feeder.start()
    staged = [picture(tmp_path / f"staged{n}.jpg", n) for n in range(4)]
    shutil.copy(staged[0], feeder.folder / "copied.jpg")
    staged[1].rename(feeder.folder / "moved.jpg")
    data = staged[2].read_bytes()
    with (feeder.folder / "slow.jpg").open("wb") as slow:
        for start in range(0, len(data), len(data) // 10):
            slow.write(data[start : start + len(data) // 10])
            slow.flush()
            wall.sleep(0.02)
    shutil.copy(staged[3], feeder.folder / "upload.jpg.part")
    (feeder.folder / "upload.jpg.part").rename(feeder.folder / "renamed.jpg")
    expected = ["copied.jpg", "moved.jpg", "renamed.jpg", "slow.jpg"]
    feeder.until(lambda: feeder.files() == expected)
    assert feeder.stop() == 0
    for name in expected:
        assert feeder.said().count(f"  {name}  ") == 1


def test_a_file_written_again_in_place_is_a_new_frame(feeder: FeederProcess) -> None:
    """`latest.jpg` gives one frame each time its bytes change, none when they do not."""
    feeder.start()
    latest = picture(feeder.folder / "latest.jpg", 1)
    feeder.until(lambda: len(feeder.files()) == 1)
    picture(latest, 2)
    feeder.until(lambda: len(feeder.files()) == 2)
    picture(latest, 2)
    picture(feeder.folder / "last.jpg", 3)
    feeder.until(lambda: "last.jpg" in feeder.files())
    assert feeder.stop() == 0
    assert feeder.files() == ["last.jpg", "latest.jpg", "latest.jpg"]


def test_killed_at_any_moment_it_loses_and_doubles_nothing(feeder: FeederProcess) -> None:
    """After kill -9 in the middle of a backlog, the next start completes it, each frame once."""
    with feeder.config.open("a", encoding="utf-8") as config:
        config.write("[logbook]\ncommit_rows = 2\n")
    feeder.folder.mkdir()
    names = [f"{number:03}.jpg" for number in range(200)]
    for shade, name in enumerate(names):
        picture(feeder.folder / name, shade)
    for count in (5, 25):
        feeder.start()
        feeder.until(lambda count=count: len(feeder.files()) >= count)
        feeder.stop(signal.SIGKILL)
        assert count <= len(feeder.files()) < len(names)
    feeder.start("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE) == 0
    assert feeder.files() == names
    with closing(sqlite3.connect(feeder.database)) as connection:
        for table in ("observation", "path", "embedding"):
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert count == len(names), table


def test_broken_files_are_rows_and_stop_nothing(feeder: FeederProcess) -> None:
    """Files that are no pictures get a row with a reason, and the next picture is classified."""
    feeder.start()
    whole = picture(feeder.folder / "a.jpg", 1).read_bytes()
    (feeder.folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (feeder.folder / "text.jpg").write_text("not a picture", encoding="utf-8")
    (feeder.folder / "empty.jpg").touch()
    os.mkfifo(feeder.folder / "fifo.jpg")
    (feeder.folder / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(whole + b" ")
    feeder.until(lambda: len(feeder.files()) == 5)
    picture(feeder.folder / "z.jpg", 2)
    feeder.until(lambda: "z.jpg" in feeder.files())
    assert feeder.stop() == 0
    assert LogReader(feeder.database).count()["unclassified"] == 3


def test_extreme_files_stop_nothing(feeder: FeederProcess) -> None:
    """Times no calendar holds and strips a thousand times as long as wide are rows like others."""
    feeder.folder.mkdir()
    for name, seconds in (("future.jpg", 9_300_000_000), ("past.jpg", -9_000_000_000)):
        path = picture(feeder.folder / name, seconds % 255)
        os.utime(path, (seconds, seconds))
    golden_image().resize((20_000, 1)).save(feeder.folder / "strip.png")
    exif = golden_image().getexif()
    exif.get_ifd(0x8769)[0x9003] = "0001:01:01 00:00:00"
    golden_image().save(feeder.folder / "year1.jpg", exif=exif)
    feeder.start("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE) == 0
    assert feeder.files() == ["future.jpg", "past.jpg", "strip.png", "year1.jpg"]
    assert LogReader(feeder.database).count()["unclassified"] == 1


def test_it_goes_on_when_nobody_reads_its_output(feeder: FeederProcess) -> None:
    """A closed pipe ends the lines, not the log."""
    feeder.folder.mkdir()
    for shade in range(5):
        picture(feeder.folder / f"{shade}.jpg", shade)
    done = subprocess.run(
        f"'{sys.executable}' -u -m feeder --config '{feeder.config}' run --once | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.startswith("watching")
    assert "Traceback" not in done.stderr
    assert len(feeder.files()) == 5


def test_once_drains_and_leaves(feeder: FeederProcess) -> None:
    """`--once` classifies what is there, in folders below too, and exits with 0."""
    (feeder.folder / "day").mkdir(parents=True)
    picture(feeder.folder / "a.jpg", 1)
    picture(feeder.folder / "day" / "b.jpg", 2)
    feeder.start("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE) == 0
    assert feeder.files() == ["a.jpg", "day/b.jpg"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_written(feeder: FeederProcess, number: int) -> None:
    """SIGTERM and SIGINT finish the frame at hand, commit what is pending, and exit with 0."""
    feeder.folder.mkdir()
    for shade in range(30):
        picture(feeder.folder / f"{shade}.jpg", shade)
    feeder.start()
    feeder.until(lambda: " ms" in feeder.said())
    assert feeder.stop(number) == 0
    assert len(feeder.files()) == feeder.said().count(" ms") > 0


@pytest.mark.parametrize(
    ("section", "line"),
    [("deployment", 'folder = "config.toml"'), ("model", 'bundle = "nowhere"')],
)
def test_a_reload_that_cannot_work_changes_nothing(
    section: str, line: str, feeder: FeederProcess
) -> None:
    """A drop folder that is a file, or a missing model, is refused and the old settings stay."""
    feeder.start()
    assert feeder.process is not None
    key = line.partition(" ")[0]
    lines = feeder.config.read_text(encoding="utf-8").splitlines()
    changed = [line if old.startswith(f"{key} =") else old for old in lines]
    feeder.config.write_text("\n".join(changed), encoding="utf-8")
    feeder.process.send_signal(signal.SIGHUP)
    feeder.until(lambda: "config kept as it was" in feeder.said())
    picture(feeder.folder / "a.jpg", 1)
    feeder.until(lambda: feeder.files() == ["a.jpg"])
    assert feeder.stop() == 0


def test_sighup_reads_the_config_again(feeder: FeederProcess) -> None:
    """A good config takes effect; a broken one is refused in words and the old one goes on."""
    feeder.start()
    assert feeder.process is not None
    good = feeder.config.read_text(encoding="utf-8")
    feeder.config.write_text(good + "[nonsense]\n", encoding="utf-8")
    feeder.process.send_signal(signal.SIGHUP)
    feeder.until(lambda: "config kept as it was" in feeder.said())
    picture(feeder.folder / "a.jpg", 1)
    feeder.until(lambda: feeder.files() == ["a.jpg"])
    feeder.config.write_text(good.replace('"snapshots"', '"elsewhere"'), encoding="utf-8")
    feeder.process.send_signal(signal.SIGHUP)
    feeder.until(lambda: "config reloaded" in feeder.said())
    picture(feeder.config.parent / "elsewhere" / "b.jpg", 2)
    feeder.until(lambda: feeder.files() == ["a.jpg", "b.jpg"])
    assert feeder.stop() == 0


def test_a_second_daemon_on_the_same_log_is_refused(feeder: FeederProcess) -> None:
    """One log has one writer; the second start says so and exits with 1."""
    feeder.start()
    second = subprocess.run(
        [sys.executable, "-m", "feeder", "--config", feeder.config, "run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "Another feeder already writes" in second.stderr
    assert feeder.stop() == 0


def test_a_locked_log_delays_and_loses_nothing(feeder: FeederProcess) -> None:
    """While another process holds the database, frames wait; then they are written."""
    feeder.start()
    picture(feeder.folder / "a.jpg", 1)
    feeder.until(lambda: feeder.files() == ["a.jpg"])
    other = sqlite3.connect(feeder.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    picture(feeder.folder / "b.jpg", 2)
    feeder.until(lambda: "  b.jpg  " in feeder.said())
    other.execute("ROLLBACK")
    other.close()
    feeder.until(lambda: feeder.files() == ["a.jpg", "b.jpg"])
    assert feeder.stop() == 0


def test_the_service_manager_is_told(feeder: FeederProcess, tmp_path: Path) -> None:
    """systemd hears READY, signs of life with a status, and STOPPING."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(PATIENCE)
        feeder.start(environment={"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "4000000"})
        assert manager.recv(4096).startswith(b"READY=1\nSTATUS=")
        assert manager.recv(4096).startswith(b"WATCHDOG=1\nSTATUS=watching ")
        assert feeder.stop() == 0
        last = b""
        while not last.startswith(b"STOPPING=1"):
            last = manager.recv(4096)


def test_real_frames_are_logged(feeder: FeederProcess, photos: Path) -> None:
    """Consecutive frames of a real camera are all logged, each once."""
    feeder.start()
    frames = sorted((photos / "sequences" / "greenfinch").glob("*.jpg"))
    for frame in frames:
        shutil.copy(frame, feeder.folder)
    feeder.until(lambda: feeder.files() == [frame.name for frame in frames])
    assert feeder.stop() == 0


@pytest.mark.parametrize("twice", [True, False])
def test_it_looks_twice_at_what_changed(
    twice: bool, write_config: Callable[..., Path], tiny_clip: Path, tmp_path: Path
) -> None:
    """A region that is surer than its frame is logged, holds the bird, and survives a reload."""
    birds = tmp_path / "birds.toml"
    labels = [f'[[label]]\nname = "{name}"\nkind = "bird"' for name in ("wren", "finch", "jay")]
    birds.write_text("\n".join(labels), encoding="utf-8")
    model = f'bundle = "{tiny_clip.as_posix()}"\nvocabulary = "{birds.as_posix()}"\n'
    model += f"look_twice = {str(twice).lower()}"
    station = FeederProcess(
        write_config(model=model, thresholds="label = 0.0\nbird = 0.0\nblank = 1.0")
    )
    station.start()
    assert station.process is not None
    for number in range(6):
        garden(number).save(station.folder / f"{number:02}.png")
    station.until(lambda: len(station.files()) == 6)
    station.process.send_signal(signal.SIGHUP)
    station.until(lambda: "config reloaded" in station.said())
    for number in range(6, 18):
        with_bird(garden(number), 90, 70).save(station.folder / f"{number:02}.png")
    station.until(lambda: len(station.files()) == 18)
    assert station.stop() == 0
    with closing(sqlite3.connect(station.database)) as connection:
        boxes = connection.execute(
            "SELECT bbox_x, bbox_y, bbox_width, bbox_height FROM observation"
            " WHERE bbox_x IS NOT NULL"
        ).fetchall()
    assert bool(boxes) is twice
    assert all(holds(Box(*box), 90, 70) for box in boxes)


def test_a_logged_picture_is_moved_to_the_archive(feeder: FeederProcess) -> None:
    """With `after = "archive"` the running daemon moves each picture once its row is durable, and
    after a kill -9 the next start finishes what was left."""
    with feeder.config.open("a", encoding="utf-8") as config:
        config.write('[retention]\nafter = "archive"\n')
    feeder.start()
    for number in range(4):
        picture(feeder.folder / f"{number}.jpg", number)
    archive = feeder.config.parent / "archive"

    def archived() -> list[str]:
        return sorted(path.name for path in archive.rglob("*.jpg"))

    feeder.until(lambda: archived() == [f"{number}.jpg" for number in range(4)])
    assert feeder.files() == archived()
    assert list(feeder.folder.iterdir()) == []
    for number in range(4, 12):
        picture(feeder.folder / f"{number}.jpg", number)
    feeder.until(lambda: len(feeder.files()) > 4)
    feeder.stop(signal.SIGKILL)
    feeder.start("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE) == 0
    assert len(archived()) == 12
    assert list(feeder.folder.iterdir()) == []
