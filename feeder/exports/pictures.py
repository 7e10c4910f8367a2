"""Copies of frames' pictures for others to see: upright, and without anything a camera wrote in.

A JPEG's metadata may hold where it was taken, to the metre, and whose camera took it.
"""

from dataclasses import dataclass
from pathlib import Path

from feeder import picture_file
from feeder.decoder import decode
from feeder.errors import BadFrame, Vanished
from feeder.picture_log import PictureLog
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
        if picture.size > self.max_bytes:
            return False
        try:
            data = picture_file.read(self.places, picture)
            image = decode(data, max_pixels=self.max_pixels).image
        except (Vanished, BadFrame):
            return False
        image.info = {}  # Pillow would carry a JPEG's comment over
        image.save(to, "JPEG", quality=_QUALITY)
        return True
