"""The archive: dated folders into which pictures are moved once their rows are durable."""

import errno
import filecmp
import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from feeder.bundle import file_digest
from feeder.clock import to_local
from feeder.domain import Deployment, ObservationType, SettledPath
from feeder.moves import Identity, make_folders, move_new, others, put_back, sync_folder, take_aside
from feeder.picture_log import Picture, PictureLog
from feeder.safe_open import leaves

log = logging.getLogger("feeder.archive")

UNCLASSIFIED = "unclassified"
"""The sub-folder for files that could not be decoded, so that a person can look at them."""

_MARGIN = 3600.0
"""Seconds by which a file's time and a backup's may differ."""

_UNFIT = re.compile(r"[/\\:*?\"<>|\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class _Move:
    """A file taken aside, and where it goes."""

    source: SettledPath
    hidden: Path
    picture: Picture
    target: Path


class Archive:
    """Moves logged pictures from drop folders to `folder`.

    The log is told where a picture will be before it is moved, so it can be found after a crash
    at any moment: there, or in its drop folder, where the next scan meets it and tries again.
    """

    def __init__(self, folder: Path, pictures: PictureLog) -> None:
        self._folder = folder
        self._pictures = pictures
        self._closed: set[str] = set()

    def put_away(self, sources: Iterable[SettledPath]) -> None:
        """Moves those of these files whose rows are durable and that are still the logged ones.

        Raises LogUnavailable where the log is locked or full; nothing has moved then.
        """
        moves: list[_Move] = []
        try:
            for source in sources:
                if move := self._begin(source, moves):
                    moves.append(move)
            if moves:
                with self._pictures.writing():
                    self._pictures.note_archived(
                        (move.picture.media_id, os.fsencode(move.target.relative_to(self._folder)))
                        for move in moves
                    )
        except BaseException:
            for move in moves:
                put_back(move.hidden)
            raise
        for move in moves:
            self._finish(move)

    def take_back(self, deployments: Iterable[Deployment], since: datetime | None) -> int:
        """Moves files that the log does not know back to their drop folders; how many.

        For a log that was restored from a copy made at `since` (None: from none): what was put
        away after that is read again. Raises LogUnavailable.
        """
        earliest = since.timestamp() - _MARGIN if since else 0.0
        count = 0
        for deployment in deployments:
            for path in sorted(self._folder.joinpath(_camera(deployment.name)).rglob("*")):
                # A move sets the time of the change of a file's entry, and keeps its mtime.
                if path.is_symlink() or not path.is_file() or path.stat().st_ctime < earliest:
                    continue
                digest = bytes.fromhex(file_digest(path))
                if not self._pictures.knows(deployment.name, digest):
                    _give_back(path, deployment.folder, digest)
                    count += 1
        return count

    def _begin(self, source: SettledPath, moves: Sequence[_Move]) -> _Move | None:
        """Takes a file aside where it is to be moved, and chooses a place that no other takes."""
        name = source.deployment.name
        if name in self._closed or leaves(source.deployment.folder, source.path):
            return None
        picture = self._pictures.find(source)
        if picture is None:
            return None
        try:
            hidden = take_aside(source.path, Identity(source.size, source.mtime_ns, picture.sha256))
        except OSError as error:
            self._say_closed(name, source.path.parent, error)
            return None
        if hidden is None:
            return None
        try:
            target = self._target(picture, hidden, source, moves)
        except OSError as error:
            put_back(hidden)
            self._say_closed(name, self._folder, error)
            return None
        return _Move(source, hidden, picture, target)

    def _target(
        self, picture: Picture, hidden: Path, source: SettledPath, moves: Sequence[_Move]
    ) -> Path:
        """A path in the archive that is free, or that holds this very picture already."""
        for move in moves:
            if move.picture.media_id == picture.media_id:
                return move.target  # two files of one picture
        place = dated(source.deployment.name, picture, source.deployment.zone)
        plain = self._folder / place / source.path.name
        token = picture.sha256.hex() if picture.sha256 else f"{source.mtime_ns:x}-{source.size:x}"
        candidates = [plain, *others(plain, token)]
        if picture.archive_path is not None:
            candidates.insert(0, self._folder / os.fsdecode(picture.archive_path))
        for candidate in candidates:
            is_free = not os.path.lexists(candidate) or _holds_the_same(candidate, hidden)
            if is_free and candidate not in [move.target for move in moves]:
                return candidate
        raise FileExistsError(errno.EEXIST, "no name is free in the archive", os.fspath(plain))

    def _finish(self, move: _Move) -> None:
        identity = Identity(move.source.size, move.source.mtime_ns, move.picture.sha256)
        try:
            make_folders(move.target.parent, self._folder)
            if os.path.lexists(move.target) and _holds_the_same(move.target, move.hidden):
                # A second file of one picture, or a copy that was made before a crash.
                sync_folder(move.target.parent)
                move.hidden.unlink()
            else:
                move_new(move.hidden, move.target, identity)
        except OSError as error:
            if not move.hidden.exists():
                return  # another program put it back meanwhile; the next scan meets it
            put_back(move.hidden)
            if not isinstance(error, FileExistsError):
                self._say_closed(move.source.deployment.name, self._folder, error)

    def _say_closed(self, deployment: str, folder: Path, error: OSError) -> None:
        """Says once why a camera's pictures stay where they are, and leaves them there."""
        self._closed.add(deployment)
        log.error(
            "%s: pictures stay in their folder: %s: %s; tried again in an hour, at the next start"
            " or after a reload",
            deployment,
            folder,
            error.strerror or error,
        )

    def open_again(self) -> None:
        """Tries those cameras again whose pictures could not be moved."""
        self._closed.clear()


def dated(deployment: str, picture: Picture, zone: ZoneInfo | None) -> Path:
    """`garden/2026/2026-05-01` for a picture taken on that day where its camera stands."""
    day = to_local(picture.captured_at, zone).date()
    camera = Path(_camera(deployment))
    if picture.observation_type is ObservationType.UNCLASSIFIED:
        camera /= UNCLASSIFIED
    return camera / f"{day:%Y}" / day.isoformat()


def _camera(deployment: str) -> str:
    """A deployment's name as a folder's."""
    return _UNFIT.sub("_", deployment).strip(". ") or "camera"


def _give_back(path: Path, folder: Path, digest: bytes) -> None:
    found = path.stat()
    plain = folder / path.name
    for candidate in (plain, *others(plain, digest.hex())):
        try:
            move_new(path, candidate, Identity(found.st_size, found.st_mtime_ns, digest))
        except FileExistsError:
            continue
        return
    log.warning("no name is free in %s for %s, which stays in the archive", folder, path)


def _holds_the_same(one: Path, other: Path) -> bool:
    if not one.is_file() or one.is_symlink():
        return False
    return filecmp.cmp(one, other, shallow=False)
