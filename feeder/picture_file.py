"""A logged picture's bytes, read only if they are the ones that were logged.

Whatever leaves this computer, or is shown to others, is read so.
"""

import hashlib
import os

from feeder import safe_open
from feeder.config import Settings
from feeder.errors import Vanished
from feeder.picture_log import Picture, PictureLog
from feeder.places import Found, Places


def of_frame(settings: Settings, media_id: int) -> bytes | None:
    """The bytes of a frame's picture, likewise; None where there is none any more.

    Raises NoSuchFrame for a number that the log has not, LogbookError as the log does.
    """
    log = PictureLog.open(settings.database, writable=False)
    try:
        (picture,) = log.get([media_id])
    finally:
        log.close()
    try:
        return read(Places.of(settings), picture)
    except Vanished:
        return None


def read(places: Places, picture: Picture) -> bytes:
    """The picture's bytes, from whichever of its files still holds them.

    No link is followed below the drop folder or the archive, nothing but a regular file of the
    logged size is read, and its SHA-256 has to be the logged one. Raises Vanished where no file
    passes.
    """
    for found in places.files(picture):
        root = places.archive if found.is_archived else places.folders[picture.deployment]
        try:
            descriptor = safe_open.open_file(root, found.path)
        except (Vanished, OSError):
            continue
        try:
            data = _content(descriptor, found)
        except OSError:
            continue
        finally:
            os.close(descriptor)
        if data is not None:
            return data
    raise Vanished(f"the picture of frame {picture.media_id} is gone, or is another one now")


def _content(descriptor: int, found: Found) -> bytes | None:
    """What is behind the descriptor; None where it is not what was logged."""
    if not found.identity.looks_like(os.fstat(descriptor)):
        return None
    with open(descriptor, "rb", closefd=False) as file:
        data = file.read(found.identity.size + 1)
    return data if hashlib.sha256(data).digest() == found.identity.sha256 else None
