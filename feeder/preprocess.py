"""Pixels to model input: pure, and equal to Hugging Face's PIL image processors.

Source: `transformers` 4.57, `CLIPImageProcessor` and `SiglipImageProcessor`; the golden tensors
in `tests/golden/` were made with them.
"""

import numpy as np
from PIL import Image

from feeder.bundle import Preprocessing, View
from feeder.domain import Vectors

_RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


def preprocess(image: Image.Image, how: Preprocessing) -> Vectors:
    """Model input for one picture, float32 [views, 3, size, size].

    `image` may have any mode and size; transparency is dropped, as the reference does.
    """
    rgb = image.convert("RGB")
    pixels = np.stack([np.asarray(_view(rgb, view, how)) for view in how.views])
    table = _normalised(how)
    channels = [table[c][pixels[..., c]] for c in range(3)]
    return np.stack(channels, axis=1)


def draft_size(how: Preprocessing) -> int:
    """The shorter edge, in pixels, below which decoding must not reduce a JPEG.

    Twice the input keeps the mean within 0.05 of 255 of a full decode's and the pixels, on
    average, within 0.3; the input's own size is off by twice that.
    """
    return 2 * max(how.size, how.resize)


def _view(image: Image.Image, view: View, how: Preprocessing) -> Image.Image:
    resample = _RESAMPLE[how.resample]
    if view == "squash":
        return image.resize((how.size, how.size), resample)
    short = min(image.size)
    # Truncated, not rounded, like transformers' get_resize_output_image_size.
    width, height = (int(how.resize * edge / short) for edge in image.size)
    left, top = (width - how.size) // 2, (height - how.size) // 2
    resized = image.resize((width, height), resample)
    return resized.crop((left, top, left + how.size, top + how.size))


def _normalised(how: Preprocessing) -> Vectors:
    """float32 [3, 256]: what each 8-bit value becomes in each channel."""
    values = (np.arange(256) * (1 / 255)).astype(np.float32)
    mean = np.asarray(how.mean, np.float32)[:, None]
    std = np.asarray(how.std, np.float32)[:, None]
    return (values - mean) / std
