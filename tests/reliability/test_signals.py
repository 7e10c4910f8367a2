"""Promise 14: SIGTERM ends it within ten seconds; a broken reload changes nothing."""

import io
import math
import os
import random
import shutil
import signal
import sqlite3
import threading
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from PIL import Image

from feeder.bundle import golden_image
from tests.feeder_process import PATIENCE, FeederProcess, picture
from tests.reliability.privilege import without_privilege
from tests.reliability.tally import Tally

LIMIT = 10.0
"""Seconds from the signal to the exit, at the 99th percentile."""

LOADS = ("frames", "bomb", "locked log", "reload", "all at once")


def slow_picture() -> bytes:
    """A JPEG of 70 KB whose two thousand scans take far longer to decode than is allowed."""
    whole = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(whole, "JPEG", progressive=True)
    data = whole.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 2000 + b"\xff\xd9"


@contextmanager
def arriving(folder: Path, stem: str) -> Iterator[None]:
    """Frames arrive as fast as a thread can write them, up to 300, while the block runs."""
    whole = io.BytesIO()
    golden_image().save(whole, "JPEG")
    ended = threading.Event()

    def write() -> None:
        for number in range(300):
            if ended.is_set():
                return
            staged = folder / f"{stem}-{number:03}.jpg.part"
            staged.write_bytes(whole.getvalue() + f"{stem} {number}".encode())
            staged.rename(staged.with_suffix(""))
            wall.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    yield
    ended.set()
    writer.join()


@contextmanager
def locked(database: Path, held: bool) -> Iterator[None]:
    """Another program holds the log for writing while the block runs."""
    if not held:
        yield
        return
    with closing(sqlite3.connect(database, isolation_level=None, timeout=PATIENCE)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def many_labels(path: Path, stem: str) -> None:
    """A vocabulary that no cache knows, so that taking it up takes seconds."""
    labels = (f'[[label]]\nname = "{stem} {number}"\nkind = "bird"' for number in range(4000))
    path.write_text("\n".join(labels), encoding="utf-8")


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def test_sigterm_ends_it_in_time_whatever_it_does(
    write_config: Callable[..., Path], tally: Tally, tiny_clip: Path, tmp_path: Path
) -> None:
    """Sent at random moments under load, it ends with 0 within ten seconds and loses no row."""
    count = tally.goal("terms", short=5, full=300)
    longest = 2.0 if count > len(LOADS) else 0.5
    names = tmp_path / "many.toml"
    many_labels(names, "first")
    model = f'bundle = "{tiny_clip.as_posix()}"\nthreads = 1\nvocabulary = "{names.as_posix()}"'
    feeder = FeederProcess(write_config(model=model))
    feeder.folder.mkdir()
    bomb = slow_picture()
    seconds: list[float] = []
    acknowledged: set[str] = set()
    cut_reloads = 0
    for number in range(count):
        chance = random.Random(number)
        load = LOADS[number % len(LOADS)]
        heavy = load == "all at once"
        shutil.rmtree(feeder.folder)
        feeder.folder.mkdir()
        if heavy or load == "bomb":
            (feeder.folder / "bomb.jpg").write_bytes(bomb + str(number).encode())
        feeder.start()
        assert feeder.process is not None
        with (
            arriving(feeder.folder, f"{number:03}"),
            locked(feeder.database, heavy or load == "locked log"),
        ):
            wall.sleep(chance.uniform(0, longest))
            if heavy or load == "reload":
                many_labels(names, f"round {number}")
                feeder.process.send_signal(signal.SIGHUP)
                wall.sleep(chance.uniform(0, longest / 2))
            acknowledged |= set(feeder.files())
            began = wall.monotonic()
            assert feeder.stop() == 0, feeder.said()
            seconds.append(wall.monotonic() - began)
        reloading = heavy or load == "reload"
        cut_reloads += reloading and "config reloaded" not in feeder.said()
        assert "stopped" in feeder.said()
        assert acknowledged <= set(feeder.files()), "an acknowledged row is gone"
        if "could not be written" not in feeder.said():
            judged = {line.split()[2] for line in feeder.said().splitlines() if " ms" in line}
            assert judged <= set(feeder.files()), "a judged frame was not committed at the stop"
    with closing(sqlite3.connect(feeder.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    tally.report(
        14,
        SIGTERMs=count,
        exit_0=count,
        p50=f"{percentile(seconds, 0.5):.2f} s",
        p99=f"{percentile(seconds, 0.99):.2f} s",
        longest=f"{max(seconds):.2f} s",
        acknowledged_rows=len(acknowledged),
        lost=0,
        reloads_cut_short=cut_reloads,
    )
    assert percentile(seconds, 0.99) <= LIMIT


def _deleted(path: Path) -> None:
    path.unlink()


def _a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _with(**changes: str) -> Callable[[Path], None]:
    """The working settings with another line in the place of a key's."""

    def write(path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        for key, line in changes.items():
            assert any(old.startswith(f"{key} =") for old in lines)
            lines = [line if old.startswith(f"{key} =") else old for old in lines]
        path.write_text("\n".join(lines), encoding="utf-8")

    return write


def _holding(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


BROKEN: dict[str, Callable[[Path], None]] = {
    "syntax": _with(name='name = "garden'),
    "unknown key": _with(settle_seconds="setle_seconds = 1.0"),
    "unknown section": lambda path: path.write_text(path.read_text() + "\n[inbux]\n") and None,
    "wrong type": _with(settle_seconds='settle_seconds = "soon"'),
    "out of range": _with(settle_seconds="settle_seconds = -1.0"),
    "not a number": _with(settle_seconds="settle_seconds = nan"),
    "a number of 5000 digits": _with(threads="threads = " + "9" * 5000),
    "no such date": _with(threads="threads = 2026-13-45"),
    "missing key": _with(folder=""),
    "missing model": _with(bundle='bundle = "nowhere"'),
    "missing vocabulary": _with(threads='threads = 1\nvocabulary = "nowhere"'),
    "no such zone": _with(folder='folder = "snapshots"\ntimezone = "Europe/Atlantis"'),
    "a zone outside": _with(folder='folder = "snapshots"\ntimezone = "../../etc/passwd"'),
    "drop folder is a file": _with(folder='folder = "config.toml"'),
    "NUL in a path": _with(folder='folder = "a\\u0000b"'),
    "endless name": _with(folder=f'folder = "{"x" * 5000}"'),
    "another log": lambda path: path.write_text(
        path.read_text() + '\n[logbook]\nfile = "other.db"\n'
    ) and None,
    "nested without end": _holding(b"a = " + b"[" * 100_000),
    "empty": _holding(b""),
    "binary": _holding(bytes(range(256)) * 64),
    "UTF-16": _holding("[[deployment]]\nname = 'x'\n".encode("utf-16")),
    "a directory": _a_directory,
    "a FIFO": _a_fifo,
    "a link to itself": _a_link_to_itself,
    "deleted": _deleted,
    "unreadable": lambda path: path.chmod(0),
}  # fmt: skip


def test_a_broken_reload_keeps_the_old_settings(feeder: FeederProcess, tally: Tally) -> None:
    """Whatever SIGHUP finds, it says what is wrong and goes on; a good file is taken up again."""
    good = feeder.config.read_text(encoding="utf-8")
    feeder.command = [*without_privilege(), *feeder.command]
    feeder.start()
    assert feeder.process is not None
    tried = 0
    for tried, (kind, spoil) in enumerate(BROKEN.items(), 1):
        with arriving(feeder.folder, f"{tried:02}"):
            spoil(feeder.config)
            feeder.process.send_signal(signal.SIGHUP)
            feeder.until(lambda n=tried: feeder.said().count("config kept as it was") == n)
            alone = picture(feeder.folder / f"{kind.replace(' ', '-')}.jpg", tried)
            feeder.until(lambda name=alone.name: f"  {name}  " in feeder.said())
        _replace(feeder.config, good)
        feeder.process.send_signal(signal.SIGHUP)
        feeder.until(lambda n=tried: feeder.said().count("config reloaded") == n)
    assert "Traceback" not in feeder.said()
    assert feeder.stop() == 0
    tally.report(14, broken_configs=tried, refused_in_words=tried, good_ones_taken_up=tried)


def _replace(path: Path, text: str) -> None:
    """Puts a file where anything may be."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")
