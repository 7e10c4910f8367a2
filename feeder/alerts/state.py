"""What was told already and what is still to be sent: a small file that survives a power cut.

It is written whole, beside the old one, and put in its place, so that it is one or the other. What
a message is about is noted in the same step as the message: it is neither lost nor made twice.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from feeder.alerts.timing import Alert, Held
from feeder.clock import parse_utc, utc_text
from feeder.domain import Visit
from feeder.moves import sync_folder

log = logging.getLogger("feeder.alerts")

TOLD_DAYS = timedelta(days=2)
MOST_TOLD = 2000
"""Visits that were told of are kept in mind for so long, and so many of them."""

FRAMES = 16
"""Frames by which a visit is known again."""

MOST_HELD = 2000
MOST_OUT = 200
"""Alerts that wait, and messages that nobody takes; of more, the oldest are dropped."""


@dataclass(frozen=True, slots=True)
class Told:
    """A visit as it was when it was told of: the first of its frames, and when they were taken.

    `frames` are fingerprints as `LogReader.fingerprints` gives them, not numbers: after a restored
    backup the log gives the numbers of the last frames to others.
    """

    camera: str
    label: str
    start: datetime
    end: datetime
    trusted: bool
    frames: tuple[str, ...] = ()

    @classmethod
    def of(cls, visit: Visit, frames: Sequence[str]) -> "Told":
        """What is to be kept of a visit with these frames."""
        kept = tuple(frames[:FRAMES])
        return cls(visit.deployment, visit.label.name, visit.start, visit.end, visit.trusted, kept)

    def is_of(self, visit: Visit, frames: Sequence[str]) -> bool:
        """Whether the visit, with all its frames, goes on from this one, whatever its name by now.

        It has the same first frame, or most of the frames; or it is the same label at the same
        camera and time.
        """
        if self.camera != visit.deployment:
            return False
        overlaps = self.start <= visit.end and visit.start <= self.end
        if self.trusted and visit.trusted and not overlaps:
            return False
        shared = set(self.frames).intersection(frames)
        return (
            not shared.isdisjoint(self.frames[:1])
            or 2 * len(shared) > len(self.frames)
            or (overlaps and self.label == visit.label.name)
        )


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be sent, with a frame or without. `left` are the services that have not taken
    it, by key; None: all that there are. `frame` is the fingerprint of frame `media_id`."""

    number: int
    title: str
    body: str
    media_id: int | None
    made: datetime
    left: tuple[str, ...] | None = None
    frame: str = ""


@dataclass
class Content:
    """What the file holds. `started` is when messages were first sent from this log."""

    started: datetime
    told: list[Told] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    outbox: list[Message] = field(default_factory=list)
    sent: list[datetime] = field(default_factory=list)
    troubles: dict[str, datetime] = field(default_factory=dict)
    """What was said to be wrong and is not known to be over, with the instant it was said."""
    watched: dict[str, datetime] = field(default_factory=dict)
    """Since when a camera is expected to send something."""
    last_number: int = 0

    def was_told(self, visit: Visit, frames: Sequence[str]) -> bool:
        """Whether a message about this visit, with these frames, was made."""
        return any(one.is_of(visit, frames) for one in self.told)

    def post(self, title: str, body: str, shown: Alert | None, now: datetime) -> None:
        """Puts a message into the outbox, with the picture of the alert `shown`."""
        self.last_number += 1
        media_id, frame = (shown.media_id, shown.frame) if shown else (None, "")
        self.outbox.append(Message(self.last_number, title, body, media_id, now, frame=frame))

    def prune(self, now: datetime) -> None:
        """Forgets what no longer matters."""
        self.told = [one for one in self.told if now - one.end < TOLD_DAYS][-MOST_TOLD:]
        self.sent = [at for at in self.sent if abs(now - at) < timedelta(hours=1)]
        self.held = self.held[-MOST_HELD:]
        self.outbox = self.outbox[-MOST_OUT:]


_CONTENT = TypeAdapter(Content)


class AlertState:
    """The file at `path`; may be asked from several threads."""

    def __init__(self, path: Path, now: datetime) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._is_dirty = True
        self._complained = False
        self._content = _read(path) or Content(parse_utc(utc_text(now)))  # as exact as the log

    @contextmanager
    def reading(self) -> Iterator[Content]:
        """What it holds, while nobody else changes it."""
        with self._lock:
            yield self._content

    @contextmanager
    def changing(self) -> Iterator[Content]:
        """The same, to be changed: at the end it is on the disk, or `save` tries again."""
        with self._lock:
            yield self._content
            self._is_dirty = True
            self.save()

    def save(self) -> None:
        """Writes what has changed; says once that it cannot be, and goes on without."""
        with self._lock:
            if not self._is_dirty:
                return
            try:
                _write(self.path, _CONTENT.dump_json(self._content))
            except OSError as error:
                if not self._complained:
                    log.error("what was told cannot be noted in %s: %s", self.path, error)
                self._complained = True
                return
            self._is_dirty = self._complained = False


def _read(path: Path) -> Content | None:
    try:
        return _CONTENT.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.error("%s cannot be read, so what was told is not known: %s", path, _brief(error))
        return None


def _brief(error: Exception) -> str:
    return f"{error.error_count()} errors" if isinstance(error, ValidationError) else str(error)


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    sync_folder(path.parent)
