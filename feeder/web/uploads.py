"""A picture that somebody sends: decoded where nothing it does can harm, and never logged."""

from typing import BinaryIO

from PIL import Image

from feeder.config import Settings
from feeder.decoder_process import DecoderProcess
from feeder.errors import FeederError


class TooLarge(FeederError):
    """An upload of more bytes than the settings allow."""


def decoded(settings: Settings, upload: BinaryIO, min_edge: int | None = None) -> Image.Image:
    """The picture upright in RGB; a JPEG perhaps reduced to no less than `min_edge` pixels.

    Raises TooLarge, and BadFrame where it is no picture within the limits of [frames].
    """
    limits = settings.frames
    megabytes = min(settings.web.max_megabytes, limits.max_megabytes)
    data = upload.read(int(megabytes * 1e6) + 1)
    if len(data) > megabytes * 1e6:
        raise TooLarge(
            f"The upload is larger than {megabytes:g} megabytes.",
            "`max_megabytes` under [web] and [frames] in config.toml are the limits.",
        )
    # A process for each: uploads are rare, and it would hold memory that a small computer needs.
    decoder = DecoderProcess(int(limits.max_megapixels * 1e6), limits.decode_seconds)
    try:
        return decoder.decode(data, min_edge=min_edge).image
    finally:
        decoder.close()
