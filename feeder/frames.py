"""A path to a `Frame`: opened safely, read once, hashed; then, if it is new, decoded and dated."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from feeder import mask, safe_open
from feeder.clock import storable_ns, to_utc
from feeder.decoder import Picture
from feeder.decoder_process import DecoderProcess
from feeder.domain import Frame, SettledPath, TimeSource
from feeder.errors import BadFrame, DecoderDied, NotReady, Vanished

MAX_ATTEMPTS = 3
"""Reads of a broken file before it is recorded as such: an upload may only be slow."""

MAX_DEATHS = 2
"""Decoders that the same bytes may kill: the first may have died of something else."""

MAX_SUSPECTS = 1000
"""Digests remembered that have killed one decoder; most of their files are gone soon."""

FIRST_YEAR, LAST_YEAR = 1990, 2199
"""What a capture time is taken to mean: digital cameras, and dates every system can hold."""

_TAKEN = re.compile(
    r"(?P<stamp>\d{4}:\d\d:\d\d \d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)?"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file's bytes; `frame` is what is known of it before it is decoded."""

    frame: Frame
    data: bytes = field(default=b"", repr=False)


@dataclass
class FrameReader:
    """Reads settled paths. `max_bytes` is a file's largest size; `min_edge` as in `decode`."""

    decoder: DecoderProcess
    max_bytes: int
    min_edge: int | None = None
    _deaths: dict[str, int] = field(default_factory=dict, init=False)

    def read(self, source: SettledPath) -> Snapshot:
        """The bytes at `source` and their digest; of a file over the size cap the reason alone.

        Raises NotReady where the file changed meanwhile, Vanished where it is gone, OSError where
        the system will not let it be read.
        """
        frame = Frame(source, "", _modified(source), TimeSource.MTIME)
        if source.size > self.max_bytes:
            defect = f"{source.size} bytes are more than the {self.max_bytes} allowed"
            return Snapshot(replace(frame, defect=defect))
        data = read_settled(source)
        return Snapshot(replace(frame, sha256=hashlib.sha256(data).hexdigest()), data)

    def decode(self, snapshot: Snapshot) -> Frame:
        """The whole frame; where it is no picture, `image` is None and `defect` says why.

        Raises NotReady where the file may be incomplete and has attempts left, or where it ended
        a decoder for the first time; OSError where no decoder can be started.
        """
        frame = snapshot.frame
        if frame.defect:
            return frame
        try:
            if not snapshot.data:
                raise BadFrame("the file is empty")
            picture = self.decoder.decode(snapshot.data, min_edge=self.min_edge)
        except DecoderDied as died:
            if self._count_death(frame.sha256) < MAX_DEATHS:
                raise NotReady(str(died)) from died
            return replace(frame, defect=str(died))
        except BadFrame as bad:
            if frame.source.attempt + 1 < MAX_ATTEMPTS:
                raise NotReady(str(bad)) from bad
            return replace(frame, defect=str(bad))
        captured_at, time_source = capture_time(
            picture, frame.source.deployment.zone, frame.captured_at
        ) or (
            frame.captured_at,
            frame.time_source,
        )
        return replace(
            frame,
            captured_at=captured_at,
            time_source=time_source,
            media_type=picture.media_type,
            width=picture.width,
            height=picture.height,
            image=mask.fill(picture.image, frame.source.deployment.mask),
        )

    def _count_death(self, digest: str) -> int:
        """How often these bytes have now ended a decoder, under whatever name."""
        deaths = self._deaths.pop(digest, 0) + 1
        if deaths < MAX_DEATHS:
            self._deaths[digest] = deaths
            if len(self._deaths) > MAX_SUSPECTS:
                del self._deaths[next(iter(self._deaths))]
        return deaths


def read_settled(source: SettledPath) -> bytes:
    """The bytes of a regular file, read without following a link at any step.

    Raises NotReady where its size or mtime is no longer `source`'s, Vanished where it is gone or
    no regular file.
    """
    descriptor = safe_open.open_file(source.deployment.folder, source.path)
    try:
        # Before it becomes a file object, which a folder cannot.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Vanished(f"{source.path} is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(source.size + 1)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    now = (after.st_size, storable_ns(after.st_mtime_ns))
    if now != (source.size, source.mtime_ns) or len(data) != source.size:
        raise NotReady("the file changed while it was read")
    return data


def capture_time(
    picture: Picture, zone: ZoneInfo | None, modified: datetime
) -> tuple[datetime, TimeSource] | None:
    """The picture's EXIF time in UTC and its source; None where absent or meaningless.

    Where the clocks go back, a local time means two instants: the one nearer to `modified`.
    """
    found = _TAKEN.fullmatch(picture.taken)
    if found is None:
        return None
    fraction = (found["fraction"] or "").ljust(6, "0")[:6]
    try:
        naive = datetime.strptime(f"{found['stamp']}.{fraction}", "%Y:%m:%d %H:%M:%S.%f")
        # The zone may be none, too: "+99:99".
        aware = datetime.fromisoformat(naive.isoformat() + (found["zone"] or "Z"))
    except ValueError:
        return None
    if not FIRST_YEAR <= naive.year <= LAST_YEAR:
        return None  # a camera whose clock was never set
    if found["zone"]:
        return aware.astimezone(UTC), TimeSource.EXIF_OFFSET
    return to_utc(naive, zone, modified), TimeSource.EXIF


def _modified(source: SettledPath) -> datetime:
    """The file's mtime, held within the years that every later conversion can bear."""
    earliest = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()
    latest = datetime(LAST_YEAR, 12, 31, tzinfo=UTC).timestamp()
    return datetime.fromtimestamp(min(max(source.mtime_ns / 1e9, earliest), latest), UTC)
