"""What the commands on labels share: example photos, and what most labels are."""

from collections import Counter
from pathlib import Path

from rich.progress import track

from feeder import decoder
from feeder.classifier import Classifier
from feeder.cli.output import err, note
from feeder.domain import Kind, Vectors
from feeder.errors import BadFrame, VocabularyError
from feeder.prototypes import MIN_EXAMPLES
from feeder.vocabulary import Vocabulary


def read_photos(classifier: Classifier, folder: Path) -> list[Vectors]:
    """The embedding, float32 [d], of each readable picture in `folder`; the others are named.

    Raises VocabularyError where they are too few to learn a label from.
    """
    vectors: list[Vectors] = []
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in track(found, "reading photos", console=err, transient=True):
        try:
            vectors.append(classifier.embed([path])[0])
        except BadFrame as bad:
            note(f"left out: {bad}")
    if len(vectors) < MIN_EXAMPLES:
        raise VocabularyError(
            f"{folder} holds {len(vectors)} readable pictures; {MIN_EXAMPLES} or more are needed.",
            f"Accepted are {', '.join(decoder.FORMATS)}; ten and more serve better.",
        )
    return vectors


def usual_kind(vocabulary: Vocabulary) -> Kind:
    """What most of its labels are."""
    (kind, _), *_ = Counter(label.kind for label in vocabulary.labels).most_common(1)
    return kind
