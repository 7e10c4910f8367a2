"""A folder of example photos, to learn from."""

from pathlib import Path

from rich.progress import track

from feeder import decoder
from feeder.classifier import Classifier
from feeder.cli.output import err, note
from feeder.domain import Vectors
from feeder.errors import BadFrame, VocabularyError
from feeder.label_embeddings import MIN_PHOTOS


def embedded(classifier: Classifier, photos: Path) -> list[Vectors]:
    """The vectors, float32 [d], of the pictures in a folder; says which could not be read.

    Raises VocabularyError where they are too few.
    """
    vectors: list[Vectors] = []
    found = sorted(path for path in photos.rglob("*") if path.is_file())
    for path in track(found, "reading photos", console=err, transient=True):
        try:
            vectors.append(classifier.embed([path])[0])
        except BadFrame as bad:
            note(f"left out: {bad}")
    if len(vectors) < MIN_PHOTOS:
        raise VocabularyError(
            f"{photos} holds {len(vectors)} readable pictures; {MIN_PHOTOS} or more are needed.",
            f"Accepted are {', '.join(decoder.FORMATS)}; ten and more serve better.",
        )
    return vectors
