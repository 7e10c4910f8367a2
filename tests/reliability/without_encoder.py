"""`feeder run` with everything real but the encoder, which would take most of the time.

python -m tests.reliability.without_encoder --config FILE run
"""

from typing import Any

import numpy as np
from PIL import Image

from feeder import classifier
from feeder.bundle import Bundle
from feeder.cli import main
from feeder.domain import Vectors


class StubEncoder:
    """The same unit vector for every picture, without ONNX Runtime."""

    def __init__(self, bundle: Bundle, *_: Any, **__: Any) -> None:
        width = bundle.manifest.embedding_width
        self._vector = np.full(width, width**-0.5, np.float32)

    def embed_image(self, image: Image.Image) -> Vectors:
        """A unit vector, float32 [d]."""
        return self._vector


if __name__ == "__main__":
    classifier.ImageEncoder = StubEncoder  # type: ignore[assignment,misc]
    main()
