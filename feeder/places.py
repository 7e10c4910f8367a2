"""Where pictures lie: in their drop folders, in the archive, or nowhere any more."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feeder.config import Settings
from feeder.moves import Identity
from feeder.picture_log import Picture, PictureLog


@dataclass(frozen=True, slots=True)
class Found:
    """A file that looks like the logged picture; `device` numbers its file system."""

    path: Path
    identity: Identity
    device: int
    is_archived: bool


@dataclass(frozen=True, slots=True)
class Places:
    """The drop folders by deployment, and the archive."""

    folders: Mapping[str, Path]
    archive: Path

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        """Those that the settings name."""
        folders = {one.name: one.folder for one in settings.deployments}
        return cls(folders, settings.archive)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Every folder that pictures may lie in."""
        return (*self.folders.values(), self.archive)

    def files(self, picture: Picture) -> Iterator[Found]:
        """The picture's files that are there now, by size and mtime; in the archive by size."""
        if picture.archive_path is not None:
            path = self.archive / os.fsdecode(picture.archive_path)
            # A file system that the picture was copied to may have rounded its time.
            yield from _found(path, Identity(picture.size, None, picture.sha256), True)
        folder = self.folders.get(picture.deployment)
        if folder is None:
            return
        for file in picture.files:
            path = folder / os.fsdecode(file.name)
            yield from _found(path, Identity(file.size, file.mtime_ns, picture.sha256), False)

    def would_be_seen(self, picture: Picture) -> bool:
        """Whether it would be found if it were there: an unmounted folder is absent or empty."""
        if picture.archive_path is not None:
            return _holds_something(self.archive)
        folder = self.folders.get(picture.deployment)
        return folder is not None and _holds_something(folder)


def _found(path: Path, identity: Identity, is_archived: bool) -> Iterator[Found]:
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return
    if identity.looks_like(found):
        yield Found(path, identity, found.st_dev, is_archived)


def _holds_something(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def where(settings: Settings, media_ids: Sequence[int]) -> dict[int, Path | None]:
    """Where each frame's picture lies now; None where it is nowhere any more."""
    places = Places.of(settings)
    log = PictureLog.open(settings.database, writable=False)
    try:
        found = {one.media_id: next(places.files(one), None) for one in log.get(media_ids)}
    finally:
        log.close()
    return {media_id: file.path if file else None for media_id, file in found.items()}
