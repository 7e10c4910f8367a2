"""Promise 5: however a file comes to be, only whole pictures are classified."""

import hashlib
import heapq
import io
import itertools
import random
import signal
import sqlite3
import threading
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from tests.feeder_process import PATIENCE, FeederProcess
from tests.pictures import camera_picture
from tests.reliability.tally import Tally

SETTLE = 0.1
"""`settle_seconds` of the configuration that these tests run with."""

WRITERS = 4
AT_ONCE = 60
"""Files that each writer has under its hands at the same time."""

KILL_EVERY = 7.0
"""Seconds a daemon runs before it is ended and another one started."""

FORMATS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 85},
    "JPEG progressive": {"progressive": True},
    "PNG": {"compress_level": 6},
    "PNG stored": {"compress_level": 0},
    "WEBP": {"method": 0},
    "WEBP lossless": {"lossless": True, "method": 0, "quality": 30},
    "AVIF": {"speed": 10},
}

LEAST_MISSING = 64
"""Bytes not yet written at the end of a file laid out beforehand. Of a WebP or AVIF that lacks
fewer than 16, and has zeros in their place, nothing can tell."""

Step = Iterator[float]
"""Yields the seconds until its next step; when it ends, the file is as it will stay."""


@dataclass
class Pictures:
    """Makes pictures like no other and remembers the digests of those that were finished."""

    base: Image.Image = field(default_factory=lambda: camera_picture(192, 144))
    whole: set[str] = field(default_factory=set)
    final: dict[Path, str] = field(default_factory=dict)

    def make(self, rng: random.Random) -> bytes:
        """A file of a random format."""
        name = rng.choice(list(FORMATS))
        picture = self.base.copy()
        grain = Image.frombytes("RGB", (16, 16), rng.randbytes(16 * 16 * 3))
        picture.paste(grain, (rng.randrange(176), rng.randrange(128)))
        buffer = io.BytesIO()
        picture.save(buffer, name.split()[0], **FORMATS[name])
        return buffer.getvalue()

    def done(self, path: Path, data: bytes) -> None:
        """Notes that `path` now holds all of `data`."""
        digest = hashlib.sha256(data).hexdigest()
        self.whole.add(digest)
        self.final[path] = digest


def pauses(rng: random.Random) -> float:
    """Shorter and longer than a file takes to count as settled."""
    return rng.choice([0.01, 0.5 * SETTLE, SETTLE, 2 * SETTLE, 5 * SETTLE]) * rng.uniform(0.5, 1.5)


def cuts(data: bytes, rng: random.Random, *, last: int = 1) -> list[int]:
    """Where slices begin and end, the first 0 and the last the file's length.

    The last slice has at least `last` bytes.
    """
    inner = rng.sample(range(1, len(data) - last), rng.randint(1, 6))
    return [0, *sorted(inner), len(data)]


def at_once(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """Written in one go."""
    data = pictures.make(rng)
    path.write_bytes(data)
    pictures.done(path, data)
    yield 0.0


def slowly(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """Appended slice by slice, the file held open or opened anew each time."""
    data = pictures.make(rng)
    holds = rng.random() < 0.5
    path.touch()
    with path.open("ab") as held:
        for start, end in itertools.pairwise(cuts(data, rng)):
            if holds:
                held.write(data[start:end])
                held.flush()
            else:
                with path.open("ab") as file:
                    file.write(data[start:end])
            yield pauses(rng)
    pictures.done(path, data)


def abandoned(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """Begun and never finished."""
    data = pictures.make(rng)
    *parts, _ = cuts(data, rng)
    for start, end in itertools.pairwise(parts):
        with path.open("ab") as file:
            file.write(data[start:end])
        yield pauses(rng)
    if not path.exists():
        path.write_bytes(data[: rng.randrange(len(data))])


def laid_out(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """Made at its full size first and filled in later: its size tells nothing."""
    data = pictures.make(rng)
    with path.open("wb") as file:
        file.truncate(len(data))
        for start, end in itertools.pairwise(cuts(data, rng, last=LEAST_MISSING)):
            yield pauses(rng)
            file.seek(start)
            file.write(data[start:end])
            file.flush()
    pictures.done(path, data)


def left_laid_out(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """Made at its full size and filled in to some place only; behind it there are zeros."""
    data = pictures.make(rng)
    filled = rng.randrange(len(data) - LEAST_MISSING)
    path.write_bytes(data[:filled] + bytes(len(data) - filled))
    yield 0.0


def out_of_order(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """Filled in block by block in any order: its end may be there before its middle."""
    data = pictures.make(rng)
    borders = [*range(0, len(data) - LEAST_MISSING, 2048), len(data)]
    blocks = list(itertools.pairwise(borders))
    rng.shuffle(blocks)
    with path.open("wb") as file:
        file.truncate(len(data))
        for number, (start, end) in enumerate(blocks):
            file.seek(start)
            file.write(data[start:end])
            file.flush()
            if number % (len(blocks) // 4 + 1) == 0:
                yield pauses(rng)
    pictures.done(path, data)


def renamed(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """Uploaded under another name, which is changed when it is complete or, rudely, before."""
    data = pictures.make(rng)
    upload = path.with_name(path.name + ".part")
    slices = cuts(data, rng)
    early = rng.randrange(len(slices)) if rng.random() < 0.3 else len(slices)
    with upload.open("wb") as file:
        for number, (start, end) in enumerate(itertools.pairwise(slices)):
            if number == early:
                upload.rename(path)
            file.write(data[start:end])
            file.flush()
            yield pauses(rng)
    if upload.exists():
        upload.rename(path)
    pictures.done(path, data)


def rewritten(pictures: Pictures, path: Path, rng: random.Random) -> Step:
    """One picture, and after a while another one slowly in its place."""
    yield from at_once(pictures, path, rng)
    yield pauses(rng)
    path.write_bytes(b"")
    yield from slowly(pictures, path, rng)


WAYS: tuple[Callable[[Pictures, Path, random.Random], Step], ...] = (
    at_once,
    slowly,
    slowly,
    abandoned,
    laid_out,
    left_laid_out,
    out_of_order,
    renamed,
    rewritten,
)


def write_all(pictures: Pictures, paths: list[Path], seed: int) -> None:
    """Writes every path in its own way, many side by side."""
    rng = random.Random(seed)
    waiting = iter(paths)
    hands: list[tuple[float, int, Step]] = []
    serial = itertools.count()
    while True:
        for path in itertools.islice(waiting, AT_ONCE - len(hands)):
            way = rng.choice(WAYS)
            own = random.Random(rng.random())
            heapq.heappush(hands, (wall.monotonic(), next(serial), way(pictures, path, own)))
        if not hands:
            return
        due, _, step = heapq.heappop(hands)
        wall.sleep(max(0.0, due - wall.monotonic()))
        pause = next(step, None)
        if pause is not None:
            heapq.heappush(hands, (wall.monotonic() + pause, next(serial), step))


def test_only_whole_pictures_are_classified(feeder: FeederProcess, tally: Tally) -> None:
    """Slow, cut short, laid out, out of order, renamed early, before the start and between two.

    Every picture that was finished is classified once. Whatever stood in its place meanwhile, or
    was never finished, is no bird.
    """
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    count = tally.goal("partial", short=80, full=10_000)
    feeder.folder.mkdir()
    pictures = Pictures()
    paths = [feeder.folder / f"{number:05}.img" for number in range(count)]
    early, late = paths[: count // 5], paths[count // 5 :]

    write_all(pictures, early, seed)  # they wait for the daemon's first start
    writers = [
        threading.Thread(target=write_all, args=(pictures, late[one::WRITERS], seed + 1 + one))
        for one in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    starts = 0
    while any(writer.is_alive() for writer in writers):
        feeder.start()
        starts += 1
        for writer in writers:
            writer.join(KILL_EVERY / WRITERS)
        feeder.stop(random.Random(seed + starts).choice([signal.SIGKILL, signal.SIGTERM]))
    feeder.start("--once")
    assert feeder.process is not None
    assert feeder.process.wait(PATIENCE + count) == 0

    with closing(sqlite3.connect(feeder.database)) as log:
        rows = log.execute(
            "SELECT lower(hex(sha256)), observation_type"
            " FROM media JOIN observation USING (media_id)"
        ).fetchall()
    classified = [digest for digest, verdict in rows if verdict != "unclassified"]
    partial = set(classified) - pictures.whole
    missing = set(pictures.final.values()) - set(classified)
    tally.report(
        5,
        files=count,
        finished=len(pictures.final),
        starts=starts + 1,
        partial_pictures_refused=len(rows) - len(classified),
        partial_pictures_classified=len(partial),
        finished_pictures_not_classified=len(missing),
    )
    assert not partial, f"seed {seed}, {len(partial)} of {len(classified)}"
    assert not missing, f"seed {seed}, {len(missing)} of {len(pictures.final)}"
    assert len(classified) == len(set(classified)), f"seed {seed}: classified twice"
