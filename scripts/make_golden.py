#!/usr/bin/env python3
"""Writes tests/golden/preprocess.npz: what transformers' own image processors make of PICTURES.

`pytest --update-golden` runs this. It needs transformers; the tests that read the file do not.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.pictures import PICTURES  # noqa: E402  # found by the line above

GOLDEN = ROOT / "tests" / "golden" / "preprocess.npz"


def main() -> None:
    """Writes the file anew and says how large it is."""
    tensors = {
        f"{name}/{how}": processor(make(), return_tensors="np")["pixel_values"][0]
        for how, processor in _processors().items()
        for name, make in PICTURES.items()
        # At full size one picture is enough, and all would be megabytes.
        if not how.endswith("224") or name == "golden"
    }
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(GOLDEN, **tensors)
    print(f"{GOLDEN}: {len(tensors)} tensors, {GOLDEN.stat().st_size / 1e3:.0f} kB")


def _processors() -> dict[str, Any]:
    """The slow processors: they resample with Pillow, as Feeder does."""
    from transformers import CLIPImageProcessor, SiglipImageProcessor

    return {
        "crop32": CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
        "crop32of40": CLIPImageProcessor(size={"shortest_edge": 40}, crop_size=32),
        "crop224": CLIPImageProcessor(),
        "squash32": SiglipImageProcessor(size={"height": 32, "width": 32}, do_convert_rgb=True),
        "squash224": SiglipImageProcessor(do_convert_rgb=True),
    }


if __name__ == "__main__":
    main()
