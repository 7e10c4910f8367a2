"""What a picture reads like beside what it shows: CLIP takes a written word for the thing.

Each label's name is scored as a written word, too. Where a picture is more like the word than like
the thing, the label's probability goes, to that extent, to the one label that stands for text.
The labels share out the rest as before, so that nothing changes where no word is more alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feeder.domain import Vectors

TEMPLATES = (
    'the word "{label}".',
    'a sign that says "{label}".',
    'a handwritten note with the word "{label}" on it.',
)
"""What stands for a written word; the embeddings are averaged."""


@dataclass(frozen=True)
class Words:
    """Written words in a bundle's embedding space.

    `vectors` float32 [words, d], of unit length; `owner` int64 [words], rising, the label each is
    a name of; `text` the label that stands for text.
    """

    vectors: Vectors
    owner: npt.NDArray[np.int64]
    text: int


def without_what_is_read(
    probabilities: Vectors, embeddings: Vectors, seen: Vectors, words: Words, scale: float
) -> Vectors:
    """float32 [n, labels], each row still of sum 1.

    `probabilities` float32 [n, labels] and `embeddings` float32 [n, d] are of n pictures, `seen`
    [n, labels] each label's best cosine, and `scale` the bundle's logit scale.
    """
    starts = np.flatnonzero(np.diff(words.owner, prepend=-1))
    owners = words.owner[starts]
    read = np.maximum.reduceat(embeddings @ words.vectors.T, starts, axis=1)
    # The logistic function, in the form that no difference overflows.
    share = 0.5 + 0.5 * np.tanh(np.float32(scale / 2) * (read - seen[:, owners]))
    moved = probabilities[:, owners] * share
    left = probabilities.copy()
    left[:, owners] -= moved
    left[:, words.text] += moved.sum(axis=1)
    return left
