"""What pictures are deleted, and why: by age, by size, for room, never those that are kept.

A round has two halves. The census goes through all pictures, newest first: which are there, how
much they take, and which are the last ones of each species. The sweep then goes through them
oldest first and deletes what a limit asks for. Both stop after a moment and go on at the next
turn, so that no frame waits for them. Rows, observations and embeddings always stay.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from feeder.clock import utc_text
from feeder.domain import ObservationType
from feeder.moves import is_same, part_of, take_aside
from feeder.picture_log import Picture, PictureLog, Place
from feeder.places import Found, Places
from feeder.safe_open import leaves
from feeder.settings_sections import RetentionSection

log = logging.getLogger("feeder.retention")

CHUNK = 100
"""Pictures read from the log at once."""

BELIEVED = timedelta(days=7)
"""A clock may have jumped where the log has no frames of this span, or none of the one before."""


class Species:
    """The last pictures of each species at each camera, as one census met them."""

    def __init__(self, keep_last: int) -> None:
        self._keep_last = keep_last
        self._last: dict[tuple[str, str], list[Place]] = {}

    def meet(self, picture: Picture) -> None:
        """Takes note of a picture that is there; the newest come first."""
        if picture.species is not None:
            last = self._last.setdefault(picture.species, [])
            if len(last) < self._keep_last:
                last.append(_place(picture))

    def protects(self, picture: Picture, pictures: PictureLog) -> bool:
        """Whether it is one of the last, came after them, or may be one since others were not."""
        if picture.species is None or self._keep_last == 0:
            return False
        last = self._last.get(picture.species, [])
        if len(last) < self._keep_last or _place(picture) >= last[-1]:
            return True
        ids = [media_id for _, media_id in last]
        return pictures.still_show(ids, picture.species) < self._keep_last


@dataclass
class Census:
    """One way through all pictures: `bytes` they take, and the last ones of each species.

    With `notes` it tells the log of those that are no more.
    """

    pictures: PictureLog
    places: Places
    species: Species
    notes: bool = True
    bytes: int = 0
    count: int = 0
    finished: bool = False
    _before: Place | None = None

    def go_on(self, is_time_up: Callable[[], bool]) -> None:
        """Looks at more pictures until the time is up or all are seen."""
        while not self.finished and not is_time_up():
            chunk = self.pictures.newest(self._before, CHUNK)
            missing = [one for one in chunk if not self._meet(one)]
            gone = [one.media_id for one in missing if self.places.would_be_seen(one)]
            if gone and self.notes:
                with self.pictures.writing():
                    self.pictures.note_gone(gone)
            self.finished = len(chunk) < CHUNK
            if chunk:
                self._before = _place(chunk[-1])

    def _meet(self, picture: Picture) -> bool:
        files = list(self.places.files(picture))
        if files:
            self.bytes += sum(file.identity.size for file in files)
            self.count += 1
            self.species.meet(picture)
        return bool(files)


@dataclass(frozen=True, slots=True)
class Due:
    """A picture that is to go: its files, and the reason in words."""

    picture: Picture
    files: tuple[Found, ...]
    reason: str

    @property
    def bytes(self) -> int:
        """What its files take."""
        return sum(file.identity.size for file in self.files)


@dataclass
class Sweep:
    """Goes from the oldest picture on and says which are due; it is told which have gone.

    It goes twice: what is due whatever room there is, then what must make room beyond that.
    """

    census: Census
    limits: RetentionSection
    now: datetime
    believes_clock: bool
    room: Callable[[Path], tuple[int, int]]
    finished: bool = False
    deleted: dict[str, int] = field(default_factory=dict)
    deleted_bytes: int = 0
    _after: Place | None = None
    _for_room: bool = False
    _missing: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted = self.limits.min_free_gigabytes
        if wanted is not None:
            for root in self.census.places.roots:
                if root.exists():
                    device, free = self.room(root)
                    self._missing[device] = wanted * 1e9 - free

    @property
    def missing_bytes(self) -> float:
        """How much less room than is to be left free the fullest disk has; 0 or less: enough."""
        return max(self._missing.values(), default=0.0)

    def due(self) -> Iterator[Due | Picture]:
        """The next pictures: a `Due` where one is to go, the bare picture where it stays."""
        chunk = self.census.pictures.oldest(self._after, CHUNK)
        for picture in chunk:
            if self._is_over(picture):
                self._end_way()
                return
            files = tuple(self.census.places.files(picture))
            reason = self._reason(picture, files) if files else ""
            if reason and not self._is_kept(picture):
                yield Due(picture, files, reason)
            else:
                yield picture
        if len(chunk) < CHUNK:
            self._end_way()

    def _end_way(self) -> None:
        self.finished, self._for_room = self._for_room, True
        self._after = None

    def passed(self, picture: Picture) -> None:
        """Takes note that a picture was dealt with, so that the next look begins behind it."""
        self._after = _place(picture)

    def gone(self, due: Due) -> None:
        """Takes note that a picture was deleted, or would have been."""
        self.census.bytes -= due.bytes
        self.census.count -= 1
        for file in due.files:
            if file.device in self._missing:
                self._missing[file.device] -= file.identity.size
        self.deleted[due.reason] = self.deleted.get(due.reason, 0) + 1
        self.deleted_bytes += due.bytes

    def _is_over(self, picture: Picture) -> bool:
        """Whether neither this picture nor a newer one can be due."""
        if self._for_room:
            return not self._is_too_large and self.missing_bytes <= 0
        is_old = self._oldest_kept is not None and picture.captured_at < self._oldest_kept
        return self.limits.after != "delete" and not is_old

    @property
    def _is_too_large(self) -> bool:
        limit = self.limits.max_gigabytes
        return limit is not None and self.census.bytes > limit * 1e9

    @property
    def _oldest_kept(self) -> datetime | None:
        if self.limits.max_days is None or not self.believes_clock:
            return None
        return self.now - timedelta(days=self.limits.max_days)

    def _reason(self, picture: Picture, files: tuple[Found, ...]) -> str:
        limits, oldest = self.limits, self._oldest_kept
        if self._for_room:
            if self._is_too_large:
                return f"pictures take more than {limits.max_gigabytes:g} GB"
            if any(self._missing.get(file.device, 0) > 0 for file in files):
                return f"less than {limits.min_free_gigabytes:g} GB free"
            return ""
        # A camera whose own clock was lost dates new pictures years back, so both times count.
        if oldest is not None and max(picture.captured_at, picture.received_at) < oldest:
            return f"older than {limits.max_days:g} days"
        is_readable = picture.observation_type is not ObservationType.UNCLASSIFIED
        if limits.after == "delete" and is_readable:
            return "it is logged"
        return ""

    def _is_kept(self, picture: Picture) -> bool:
        return (
            picture.is_favorite
            or picture.is_corrected
            or picture.observation_type is None
            or self.census.species.protects(picture, self.census.pictures)
        )


def preview(sweep: Sweep) -> Iterator[Due]:
    """Everything a whole sweep would delete now; nothing is."""
    listed: set[int] = set()
    while not sweep.finished:
        for found in sweep.due():
            if isinstance(found, Due) and found.picture.media_id not in listed:
                listed.add(found.picture.media_id)
                sweep.gone(found)
                yield found
            sweep.passed(found.picture if isinstance(found, Due) else found)


def delete_some(sweep: Sweep, is_time_up: Callable[[], bool]) -> list[Due]:
    """Deletes the next pictures that are due, in one transaction, until the time is up.

    Files go first and the note follows: a crash between them leaves a picture that the next
    census does not find. Raises OSError where a folder cannot be written to and
    LogUnavailable where the log is locked or full; the sweep may go on after either.
    """
    deleted: list[Due] = []
    failure: OSError | None = None
    pictures, places = sweep.census.pictures, sweep.census.places
    with pictures.writing():
        try:
            for found in sweep.due():
                sweep.passed(found.picture if isinstance(found, Due) else found)
                if isinstance(found, Due) and _delete(found, places):
                    sweep.gone(found)
                    deleted.append(found)
                if is_time_up():
                    break
        except OSError as error:  # what is deleted already is noted all the same
            failure = error
        pictures.note_gone(due.picture.media_id for due in deleted)
    if failure is not None:
        raise failure
    return deleted


def _delete(due: Due, places: Places) -> bool:
    """Deletes the files of a picture whose bytes are the logged ones; whether all are gone."""
    folder = places.folders.get(due.picture.deployment)
    done = [
        _delete_archived(file) if file.is_archived else _delete_dropped(file, folder)
        for file in due.files
    ]
    if due.picture.archive_path is not None:
        target = places.archive / os.fsdecode(due.picture.archive_path)
        part_of(target, due.picture.sha256).unlink(missing_ok=True)
    return all(done)


def _delete_dropped(file: Found, folder: Path | None) -> bool:
    if folder is None or leaves(folder, file.path):
        return False
    hidden = take_aside(file.path, file.identity)
    if hidden is None:
        return False
    os.unlink(hidden)
    return True


def _delete_archived(file: Found) -> bool:
    """No camera writes to the archive, but a person may have edited the picture there."""
    if not is_same(file.path, file.identity):
        return False
    os.unlink(file.path)
    return True


def is_clock_plausible(pictures: PictureLog, now: datetime) -> bool:
    """Whether the log itself shows that the time has come: frames of this week and of the last.

    A clock that jumped a year ahead would make every picture a year too old.
    """
    return pictures.has_frames(now - BELIEVED, now + timedelta(days=1)) and pictures.has_frames(
        now - 2 * BELIEVED, now - BELIEVED
    )


def is_any_older(pictures: PictureLog, days: float | None, now: datetime) -> bool:
    """Whether there is a picture older than so many days."""
    if days is None:
        return False
    first = pictures.oldest(None, 1)
    return bool(first) and first[0].captured_at < now - timedelta(days=days)


def room(folder: Path) -> tuple[int, int]:
    """The number of the file system that `folder` is on, and the bytes free there for this user."""
    return folder.stat().st_dev, shutil.disk_usage(folder).free


def _place(picture: Picture) -> Place:
    return utc_text(picture.captured_at), picture.media_id
