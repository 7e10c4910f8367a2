"""A path to a `Frame`: opened safely, read once, hashed, decoded, dated."""

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from feeder.clock import storable_ns, to_utc
from feeder.decoder import Picture
from feeder.decoder_process import DecoderProcess
from feeder.domain import Frame, SettledPath, TimeSource
from feeder.errors import BadFrame, NotReady, Vanished

MAX_ATTEMPTS = 3
"""Reads of a broken file before it is recorded as such: an upload may only be slow."""

FIRST_YEAR, LAST_YEAR = 1990, 2199
"""What a capture time is taken to mean: digital cameras, and dates every system can hold."""

_TAKEN = re.compile(
    r"(?P<stamp>\d{4}:\d\d:\d\d \d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)?"
)


@dataclass
class FrameReader:
    """Reads settled paths. `max_bytes` is a file's largest size; `min_edge` as in `decode`."""

    decoder: DecoderProcess
    max_bytes: int
    min_edge: int | None = None

    def read(self, source: SettledPath) -> Frame:
        """The frame at `source`; where it is no picture, `image` is None and `defect` says why.

        Raises NotReady where the file changed meanwhile or may be incomplete and has attempts
        left, Vanished where it is gone, OSError where the system will not let it be read.
        """
        modified = _modified(source)
        if source.size > self.max_bytes:
            defect = f"{source.size} bytes are more than the {self.max_bytes} allowed"
            return Frame(source, "", modified, TimeSource.MTIME, defect=defect)
        data = read_settled(source)
        digest = hashlib.sha256(data).hexdigest()
        try:
            if not data:
                raise BadFrame("the file is empty")
            picture = self.decoder.decode(data, min_edge=self.min_edge)
        except BadFrame as bad:
            if source.attempt + 1 < MAX_ATTEMPTS:
                raise NotReady(str(bad)) from bad
            return Frame(source, digest, modified, TimeSource.MTIME, defect=str(bad))
        captured_at, time_source = capture_time(picture, source.deployment.zone) or (
            modified,
            TimeSource.MTIME,
        )
        return Frame(
            source,
            digest,
            captured_at,
            time_source,
            picture.media_type,
            picture.width,
            picture.height,
            picture.image,
        )


def read_settled(source: SettledPath) -> bytes:
    """The bytes of a regular file, read without following a link at any step.

    Raises NotReady where its size or mtime is no longer `source`'s, Vanished where it is gone or
    no regular file.
    """
    if _leaves(source.path, source.deployment.folder):
        raise Vanished(f"{source.path} lies behind a link")
    # O_NONBLOCK: opening a FIFO that nobody writes to would otherwise wait for ever.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(source.path, flags)
    except FileNotFoundError:
        raise Vanished(f"{source.path} is gone") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Vanished(f"{source.path} is a link") from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise Vanished(f"{source.path} is no regular file")
        data = file.read(source.size + 1)
        after = os.fstat(descriptor)
    now = (after.st_size, storable_ns(after.st_mtime_ns))
    if now != (source.size, source.mtime_ns) or len(data) != source.size:
        raise NotReady("the file changed while it was read")
    return data


def capture_time(picture: Picture, zone: ZoneInfo | None) -> tuple[datetime, TimeSource] | None:
    """The picture's EXIF time in UTC and its source; None where absent or meaningless."""
    found = _TAKEN.fullmatch(picture.taken)
    if found is None:
        return None
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    try:
        naive = datetime.strptime(f"{found['stamp']}.{fraction}", "%Y:%m:%d %H:%M:%S.%f")
    except ValueError:
        return None
    if not FIRST_YEAR <= naive.year <= LAST_YEAR:
        return None  # a camera whose clock was never set
    if found["zone"]:
        aware = datetime.fromisoformat(naive.isoformat() + found["zone"])
        return aware.astimezone(UTC), TimeSource.EXIF_OFFSET
    return to_utc(naive, zone), TimeSource.EXIF


def _modified(source: SettledPath) -> datetime:
    """The file's mtime, held within the years that every later conversion can bear."""
    earliest = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()
    latest = datetime(LAST_YEAR, 12, 31, tzinfo=UTC).timestamp()
    return datetime.fromtimestamp(min(max(source.mtime_ns / 1e9, earliest), latest), UTC)


def _leaves(path: Path, folder: Path) -> bool:
    """Whether a folder between the drop folder and the file is a link."""
    if path.parent == folder:
        return False
    root = os.path.realpath(folder)
    below = os.path.relpath(path.parent, folder)
    return os.path.realpath(path.parent) != os.path.normpath(os.path.join(root, below))
