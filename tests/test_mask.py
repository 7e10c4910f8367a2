"""Masks: parts of a camera's picture that are never judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from feeder import config
from feeder.decoder_process import DecoderProcess
from feeder.domain import Box, Deployment, SettledPath
from feeder.errors import ConfigError
from feeder.frames import FrameReader
from feeder.mask import fill
from feeder.scene import Scene

shares = st.floats(0, 1, allow_nan=False)


def stamped(text: str, seed: int = 0) -> Image.Image:
    """A smooth garden with a few words in its upper left corner."""
    rough = np.random.default_rng(seed).integers(60, 180, (3, 4, 3), np.uint8)
    image = Image.fromarray(rough).resize((320, 240), Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).text((4, 2), text, (255, 255, 255), font_size=18)
    return image


CORNER = Box(0, 0, 0.5, 0.12)


def test_nothing_of_what_is_hidden_is_left() -> None:
    """Whatever was written there, the picture is the same; and elsewhere it is untouched."""
    one, two = fill(stamped("06:30:00"), [CORNER]), fill(stamped("ROBIN"), [CORNER])
    assert one.tobytes() == two.tobytes()
    rest = (160, 0, 320, 240)
    assert one.crop(rest).tobytes() == stamped("06:30:00").crop(rest).tobytes()


def test_it_takes_the_colours_around_it() -> None:
    """Smooth surroundings go on smoothly into what is hidden."""
    bare = np.asarray(stamped("").crop((0, 0, 160, 28)), np.float32)
    filled = np.asarray(fill(stamped("ROBIN"), [CORNER]).crop((0, 0, 160, 28)), np.float32)
    assert np.abs(filled - bare).mean() < 20


def test_no_mask_changes_nothing() -> None:
    """Without boxes the very picture comes back."""
    image = stamped("")
    assert fill(image, []) is image


@given(
    st.lists(st.tuples(shares, shares, shares, shares), min_size=1, max_size=3),
    st.integers(1, 70),
    st.integers(1, 70),
)
@settings(max_examples=40, deadline=None)
def test_any_box_fits_any_picture(
    boxes: list[tuple[float, float, float, float]], width: int, height: int
) -> None:
    """Boxes at edges, of no size or over everything leave a picture of the same size."""
    inside = [Box(x, y, w * (1 - x), h * (1 - y)) for x, y, w, h in boxes]
    filled = fill(Image.new("RGB", (width, height), (90, 120, 40)), inside)
    assert filled.size == (width, height)
    if sum(box.width * box.height for box in inside) < 0.2 and min(width, height) > 30:
        assert np.abs(np.asarray(filled, int) - (90, 120, 40)).max() <= 8


def test_a_running_clock_is_no_change() -> None:
    """Digits that change behind a mask are nothing that the scene sees, and without it they are."""
    seen: dict[bool, int] = {}
    for is_masked in (True, False):
        scene = Scene()
        regions = [
            scene.changed(fill(picture, [CORNER]) if is_masked else picture)
            for picture in (stamped("ABCDEFGHI" if i < 20 else "        0") for i in range(30))
        ]
        seen[is_masked] = sum(region is not None for region in regions)
    assert seen[True] == 0
    assert seen[False] > 0


def test_the_settings_say_what_is_hidden(tmp_path: Path) -> None:
    """Each box is four shares of the frame; anything else is an error that says so."""
    text = '[[deployment]]\nname = "garden"\nfolder = "f"\nmask = {}\n'
    path = tmp_path / "config.toml"
    (deployment,) = config.parse(text.format("[[0, 0.9, 1, 0.1]]"), path).deployments
    assert deployment.mask == (Box(0, 0.9, 1, 0.1),)
    for wrong in ("[0, 0, 1, 1]", "[[0, 0, 1]]", "[[0.5, 0, 0.6, 1]]", '[["a", 0, 1, 1]]', "3"):
        with pytest.raises(ConfigError, match=r"left, top, width, height"):
            config.parse(text.format(wrong), path)


def test_the_daemon_never_sees_what_is_hidden(tmp_path: Path) -> None:
    """A frame comes out of the reader with its deployment's mask filled in."""
    camera = Deployment("garden", tmp_path, mask=(CORNER,))
    decoder = DecoderProcess(max_pixels=10**6, timeout=30)
    reader = FrameReader(decoder, max_bytes=10**6, min_edge=200)
    images = []
    for text in ("06:30:00", "ROBIN"):
        file = tmp_path / f"{len(images)}.png"
        stamped(text).save(file)
        found = file.stat()
        source = SettledPath(camera, file, found.st_size, found.st_mtime_ns)
        bare = replace(source, deployment=replace(camera, mask=()))
        images.append([reader.decode(reader.read(one)).image for one in (source, bare)])
    decoder.close()
    (one, one_bare), (two, two_bare) = [[image.tobytes() for image in pair] for pair in images]
    assert one == two
    assert one_bare != two_bare
