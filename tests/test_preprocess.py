"""Preprocessing equals the reference implementation's, picture by picture."""

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feeder.bundle import Preprocessing
from feeder.domain import Vectors
from feeder.preprocess import draft_size, preprocess
from tests.pictures import PICTURES, camera_picture

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "preprocess.npz"

CLIP = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
SIGLIP = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "views": ("squash",)}
HOW = {
    "crop32": Preprocessing(size=32, resize=32, **CLIP),
    "crop32of40": Preprocessing(size=32, resize=40, **CLIP),
    "crop224": Preprocessing(size=224, resize=224, **CLIP),
    "squash32": Preprocessing(size=32, resize=32, **SIGLIP),
    "squash224": Preprocessing(size=224, resize=224, **SIGLIP),
}
CASES = [
    f"{name}/{how}" for how in HOW for name in PICTURES if name == "golden" or "224" not in how
]


@pytest.fixture(scope="module")
def golden() -> Mapping[str, Vectors]:
    """The reference implementation's tensors; missing ones fail rather than skip."""
    if not GOLDEN.is_file():
        pytest.fail(f"{GOLDEN} is missing: `pytest --update-golden` makes it")
    with np.load(GOLDEN) as stored:
        return dict(stored)


def test_golden_tensors_are_rewritten_on_request(update_golden: bool) -> None:
    """`--update-golden` runs the reference implementation anew, and fails so that it is noticed."""
    if update_golden:
        script = ROOT / "scripts" / "make_golden.py"
        subprocess.run([sys.executable, str(script)], check=True)
        pytest.fail(f"{GOLDEN} was written anew; look at the difference and run again without")
    assert GOLDEN.is_file(), "`pytest --update-golden` makes it"


@pytest.mark.parametrize("case", CASES)
def test_preprocessing_equals_the_reference(case: str, golden: Mapping[str, Vectors]) -> None:
    """Any shape and mode gives bit for bit what transformers' Pillow processors give."""
    name, how = case.split("/")
    got = preprocess(PICTURES[name](), HOW[how])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[0], golden[case])


def test_every_golden_tensor_is_compared(golden: Mapping[str, Vectors]) -> None:
    """The golden file holds the cases of this test, no more and no fewer."""
    assert sorted(golden) == sorted(CASES)


def test_several_views_are_stacked_in_the_manifests_order() -> None:
    """Each view of a picture is one row, and equals that view taken alone."""
    both = HOW["crop32"].model_copy(update={"views": ("crop", "squash")})
    picture = PICTURES["odd"]()
    got = preprocess(picture, both)
    assert got.shape == (2, 3, 32, 32)
    for row, view in zip(got, both.views, strict=True):
        alone = both.model_copy(update={"views": (view,)})
        np.testing.assert_array_equal(row, preprocess(picture, alone)[0])


def test_the_picture_itself_is_left_alone() -> None:
    """Preprocessing does not change the picture it is given."""
    picture = PICTURES["rgba"]()
    before = picture.tobytes()
    preprocess(picture, HOW["crop32"])
    assert picture.mode == "RGBA" and picture.tobytes() == before


def test_reduced_decoding_changes_next_to_nothing() -> None:
    """A JPEG reduced to `draft_size` while decoding is within 0.05 of 255 on the mean.

    Pixel by pixel it is off by 0.3 at most on average; reduced to the input's own size, by twice
    as much.
    """
    how = HOW["crop224"]
    packed = io.BytesIO()
    camera_picture(4608, 2592).save(packed, "JPEG", quality=90)

    def levels(edge: int | None) -> Vectors:
        opened = Image.open(io.BytesIO(packed.getvalue()))
        if edge is not None:
            opened.draft("RGB", (edge, edge))
            assert max(opened.size) < 4608, "nothing was reduced"
        return preprocess(opened, how)[0] * np.array(how.std, np.float32)[:, None, None] * 255

    full = levels(None)
    assert abs((levels(draft_size(how)) - full).mean()) < 0.05
    reduced = np.abs(levels(draft_size(how)) - full)
    assert reduced.mean() < 0.3 and reduced.max() < 6
    assert np.abs(levels(how.size) - full).mean() > 1.5 * reduced.mean()
