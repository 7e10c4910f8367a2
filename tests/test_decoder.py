"""Bytes -> upright RGB, small enough for the model."""

import io

import numpy as np
import pytest
from PIL import Image

from feeder import decoder
from feeder.bundle import Preprocessing
from feeder.errors import BadFrame
from feeder.preprocess import draft_size, preprocess
from tests.pictures import PICTURES, camera_picture


def packed(picture: Image.Image, name: str, **options: object) -> bytes:
    """`picture` as a file of a format."""
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(1920, 1080), (2700, 1904)])
def test_reducing_changes_next_to_nothing(size: tuple[int, int]) -> None:
    """A PNG reduced in the decoder gives the model what a whole one gives it, as a JPEG does."""
    how = Preprocessing(
        size=224, resize=224, resample="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, views=("crop",)
    )
    data = packed(camera_picture(*size), "PNG", compress_level=1)
    full = decoder.decode(data, max_pixels=20_000_000)
    reduced = decoder.decode(data, min_edge=draft_size(how), max_pixels=20_000_000)
    assert min(reduced.image.size) >= draft_size(how)
    assert min(reduced.image.size) < 4 * draft_size(how)
    assert (reduced.width, reduced.height) == full.image.size == size
    difference = (preprocess(reduced.image, how) - preprocess(full.image, how)) * 127.5
    assert abs(difference.mean()) < 0.05
    assert np.abs(difference).mean() < 0.3


@pytest.mark.parametrize("name", ["large", "rgba", "grey", "grey_alpha", "palette"])
def test_reducing_in_strips_equals_reducing_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its mode, a picture reduced strip by strip is the one reduced as a whole."""
    monkeypatch.setattr(decoder, "STRIP", 7)
    picture = PICTURES[name]()
    got = decoder.decode(packed(picture, "PNG"), min_edge=20, max_pixels=20_000_000).image
    factor = {"large": 32, "palette": 4}.get(name, 8)
    assert got.tobytes() == picture.convert("RGB").reduce(factor).tobytes()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_large_pictures_of_every_format_are_reduced(name: str) -> None:
    """What leaves the decoder is as small as the model allows, and upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = packed(camera_picture(1600, 1200), name, exif=exif)
    picture = decoder.decode(data, min_edge=200, max_pixels=20_000_000)
    assert (picture.width, picture.height) == (1200, 1600)
    assert picture.image.size == (300, 400)


@pytest.mark.parametrize(
    ("name", "options", "megabytes"),
    [
        ("PNG", {}, 32),
        ("WEBP", {}, 128),
        ("AVIF", {"speed": 10}, 88),
        ("JPEG", {"progressive": True}, 26),
    ],
)
def test_a_picture_that_takes_too_much_memory_is_refused_with_the_figures(
    name: str, options: dict[str, object], megabytes: int
) -> None:
    """Before it is decoded, and in words that say how much it would have taken."""
    data = packed(Image.new("RGB", (4000, 2000)), name, **options)
    needed = f"4000 x 2000 pixels of {name} take {megabytes}"
    with pytest.raises(BadFrame, match=needed):
        decoder.decode(data, min_edge=448, max_pixels=20_000_000, memory=20_000_000)
    picture = decoder.decode(data, min_edge=448, max_pixels=20_000_000, memory=130_000_000)
    assert picture.width == 4000
