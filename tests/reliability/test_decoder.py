"""Promise 6: no file ends the daemon, fills the memory or holds up the next frame."""

import os
import random
import shutil
import sqlite3
import sys
import threading
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from feeder.decoder_process import DecoderProcess
from feeder.errors import BadFrame, DecoderDied
from tests.feeder_process import PATIENCE, FeederProcess, picture
from tests.reliability.bombs import bombs
from tests.reliability.mutations import mutate, seeds
from tests.reliability.tally import Tally
from tests.slow_picture import slow_jpeg

MOST_MEMORY = 256_000_000
"""Bytes that the decoder may have resident."""

MOST_SECONDS = 10.0
"""For one file."""

MIN_EDGE = 448
"""What the starter model asks of the decoder."""


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident so far; 0 where it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 0


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextmanager
def watched(pid: int) -> Iterator[list[int]]:
    """Looks at a process's children all the time; the list holds their peak in bytes."""
    peak = [0]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            peak[0] = max([peak[0], *map(peak_bytes, children(pid))])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's own data")
def test_mutated_pictures_end_as_pixels_or_a_reason(tally: Tally) -> None:
    """Whatever an accident makes of a picture, it is decoded or refused in words, within limits."""
    count = tally.goal("mutations", short=1_000, full=100_000)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    whole = seeds()
    decoder = DecoderProcess(max_pixels=64_000_000)
    longest, peak, decoded, died = 0.0, 0, 0, 0
    for number in range(count):
        data = mutate(rng, whole)
        began = wall.monotonic()
        try:
            got = decoder.decode(data, min_edge=MIN_EDGE)
        except BadFrame as bad:
            assert str(bad), f"seed {seed}, file {number}: no reason"
            if isinstance(bad, DecoderDied):
                died += 1
                print(f"file {number}: {bad}")
        else:
            decoded += 1
            assert got.image.width * got.image.height <= got.width * got.height
        longest = max(longest, wall.monotonic() - began)
        if decoder._child is not None:
            peak = max(peak, peak_bytes(decoder._child.pid))
    decoder.close()
    tally.report(
        6,
        mutated_pictures=count,
        decoded=decoded,
        decoders_ended=died,
        longest_seconds=round(longest, 2),
        peak_megabytes=round(peak / 1e6),
    )
    assert peak <= MOST_MEMORY
    if tally.full:
        assert longest <= MOST_SECONDS


def _config(
    write_config: Callable[..., Path], decode_seconds: float, rescan_seconds: float = 45.0
) -> FeederProcess:
    return FeederProcess(
        write_config(
            frames=f"decode_seconds = {decode_seconds}",
            inbox=f"settle_seconds = 0.1\nrescan_seconds = {rescan_seconds}",
        )
    )


@pytest.fixture
def hasty(write_config: Callable[..., Path]) -> Iterator[FeederProcess]:
    """A feeder that gives a picture half a second."""
    made = _config(write_config, 0.5, rescan_seconds=2.0)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


def paths_done(feeder: FeederProcess) -> int:
    """How many paths the ledger holds."""
    if not feeder.database.exists():
        return 0
    with closing(sqlite3.connect(feeder.database)) as log:
        return int(log.execute("SELECT count(*) FROM path").fetchone()[0])


def reasons(feeder: FeederProcess) -> dict[str, str]:
    """Why each unclassified file is one."""
    with closing(sqlite3.connect(feeder.database)) as log:
        return dict(
            log.execute(
                "SELECT file_name, reason FROM media JOIN observation USING (media_id)"
                " WHERE observation_type = 'unclassified'"
            )
        )


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_bombs_hold_up_nothing(hasty: FeederProcess, tally: Tally) -> None:
    """After every bomb the next good frame is logged; the daemon lives and knows the reason."""
    hasty.start()
    assert hasty.process is not None
    longest = 0.0
    with watched(hasty.process.pid) as peak:
        for shade, (name, data) in enumerate(bombs()):
            (hasty.folder / name).write_bytes(data)
            began = wall.monotonic()
            good = picture(hasty.folder / f"good{shade}.jpg", shade)
            hasty.until(lambda good=good: good.name in hasty.files())
            longest = max(longest, wall.monotonic() - began)
        hasty.until(lambda: paths_done(hasty) == 2 * (shade + 1))
    assert hasty.process.poll() is None
    refused = reasons(hasty)
    assert "13370 x 13370 pixels are more than" in refused["13370.png"]
    assert "MB to decode, more than" in refused["7900.png"]
    assert "more than 100 scans" in refused["scans.jpg"]
    assert "takes more than 0.5 s" in refused["slow.jpg"]
    assert all(refused.values())
    assert hasty.stop() == 0
    tally.report(
        6,
        bombs=shade + 1,
        refused=len(refused),
        daemon_exits=0,
        next_good_frame_after_seconds=round(longest, 1),
        peak_megabytes=round(peak[0] / 1e6),
    )
    assert 0 < peak[0] <= MOST_MEMORY


def test_a_file_that_killed_the_decoder_twice_is_left_alone(hasty: FeederProcess) -> None:
    """Touched, copied or found at the next start, it costs a look-up and no third decoder."""
    hasty.start()
    slow = hasty.folder / "slow.jpg"
    slow.write_bytes(slow_jpeg(6_000, 4_000))
    hasty.until(lambda: paths_done(hasty) == 1)
    picture(hasty.folder / "good.jpg", 1)
    hasty.until(lambda: paths_done(hasty) == 2)
    assert hasty.process is not None
    before = children(hasty.process.pid)
    shutil.copy(slow, hasty.folder / "copy.jpg")
    os.utime(slow, (1_700_000_000, 1_700_000_000))
    hasty.until(lambda: paths_done(hasty) == 4)
    assert children(hasty.process.pid) == before
    assert hasty.stop() == 0
    os.utime(slow, (1_600_000_000, 1_600_000_000))
    hasty.start("--once")
    assert hasty.process.wait(PATIENCE) == 0
    assert paths_done(hasty) == 5
    assert hasty.files() == ["good.jpg", "slow.jpg"]


def test_mutated_pictures_end_no_daemon(feeder: FeederProcess, tally: Tally) -> None:
    """A folder of them becomes a row for each, and the good frames among them are classified."""
    count = tally.goal("mutated-files", short=100, full=5_000)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    whole = seeds()
    feeder.folder.mkdir()
    for number in range(count):
        (feeder.folder / f"{number:06}.img").write_bytes(mutate(rng, whole))
    good = [picture(feeder.folder / f"good{shade}.jpg", shade).name for shade in range(20)]
    feeder.start("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE + count) == 0, f"seed {seed}"
    assert paths_done(feeder) == count + len(good), f"seed {seed}"
    refused = reasons(feeder)
    assert all(refused.values())
    assert not refused.keys() & set(good)
    tally.report(6, mutated_files_in_a_folder=count, refused=len(refused), daemon_exits=0)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_awkward_files_hold_up_nothing(feeder: FeederProcess, tally: Tally, photos: Path) -> None:
    """A folder of real broken and odd files ends as a row for each, and the next frame follows."""
    feeder.start()
    assert feeder.process is not None
    with watched(feeder.process.pid) as peak:
        shutil.copytree(photos / "decoders", feeder.folder / "decoders")
        files = sum(path.is_file() for path in (feeder.folder / "decoders").rglob("*"))
        feeder.until(lambda: paths_done(feeder) == files)
        picture(feeder.folder / "good.jpg", 1)
        feeder.until(lambda: "good.jpg" in feeder.files())
    assert feeder.stop() == 0
    refused = reasons(feeder)
    assert all(refused.values())
    tally.report(
        6,
        awkward_files=files,
        refused=len(refused),
        daemon_exits=0,
        peak_megabytes=round(peak[0] / 1e6),
    )
    assert 0 < peak[0] <= MOST_MEMORY


def test_a_stop_does_not_wait_for_a_slow_picture(
    write_config: Callable[..., Path], tally: Tally
) -> None:
    """SIGTERM in the middle of a picture that takes too long still ends the daemon with 0."""
    feeder = _config(write_config, 6.0 if tally.full else 2.0)
    feeder.start()
    assert feeder.process is not None
    try:
        (feeder.folder / "slow.jpg").write_bytes(slow_jpeg(8_000, 6_000))
        feeder.until(lambda: bool(children(feeder.process.pid)))
        wall.sleep(0.3)  # the decoder has started and has the picture
        began = wall.monotonic()
        assert feeder.stop() == 0
        took = wall.monotonic() - began
    finally:
        feeder.process.kill()
        feeder.process.wait()
    tally.report(6, stop_during_a_slow_picture_seconds=round(took, 1))
    if tally.full:
        assert took <= MOST_SECONDS
