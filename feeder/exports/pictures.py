"""Copies of frames' pictures for others to see: upright, and without anything a camera wrote in.

A JPEG's metadata may hold where it was taken, to the metre, and whose camera took it.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from feeder import safe_open
from feeder.decoder import decode
from feeder.errors import BadFrame, FeederError
from feeder.picture_log import Picture, PictureLog
from feeder.places import Places

_QUALITY = 92


@dataclass(frozen=True)
class Pictures:
    """Where pictures lie; `max_bytes` and `max_pixels` are what a frame may have."""

    log: PictureLog
    places: Places
    max_bytes: int
    max_pixels: int

    def copy(self, media_id: int, to: Path) -> bool:
        """Writes the frame's picture to `to` as a JPEG without metadata.

        False where it is gone, is another one by now, or cannot be read.
        """
        (picture,) = self.log.get([media_id])
        data = self._data(picture)
        if data is None:
            return False
        try:
            image = decode(data, max_pixels=self.max_pixels).image
        except BadFrame:
            return False
        image.info = {}  # Pillow would carry a JPEG's comment over
        image.save(to, "JPEG", quality=_QUALITY)
        return True

    def _data(self, picture: Picture) -> bytes | None:
        for file in self.places.files(picture):
            folder = self.places.archive
            if not file.is_archived:
                folder = self.places.folders[picture.deployment]
            try:
                descriptor = safe_open.open_file(folder, file.path)
            except (OSError, FeederError):
                continue
            with os.fdopen(descriptor, "rb") as opened:
                data = opened.read(self.max_bytes + 1)
            if len(data) <= self.max_bytes and hashlib.sha256(data).digest() == picture.sha256:
                return data
        return None
