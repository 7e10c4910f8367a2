"""How near a vector is to each of a million kept ones; pure.

Exact, and with numpy alone: docs/decisions/0014-search-without-an-index.md says why.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from feeder.domain import Vectors

ROWS = 512
"""Vectors at a time: about 1 MB of them as float32, which stays in a core's own cache."""

FIRST = 5_000
"""Places in the first part of a ranking, which is mostly all that is looked at."""

Places = npt.NDArray[np.int64]

_WIDEN = 13  # a float16's fraction has 10 bits, a float32's 23
_SIGN_AND_NUMBER = np.int32(-0x7000_0001)  # without what widening the sign filled between them
_REBIASED = np.float32(2.0**112)  # a float16's exponents start at 15, a float32's at 127


def cosines(
    vectors: npt.NDArray[np.float16], query: Vectors, rows: Places | None = None
) -> Vectors:
    """float32 [n]: the cosine of each of `vectors`, finite float16 [n, d], with `query` [d].

    Both are of unit length. `rows` chooses some, in that order.
    """
    # numpy converts float16 bit by bit, five times slower than the shifts that it does on whole
    # registers: a float16's bits in a float32's places are the same number times 2^-112.
    bits = vectors.view(np.int16)
    scaled = np.asarray(query * _REBIASED, np.float32)
    count = len(bits) if rows is None else len(rows)
    found = np.empty(count, np.float32)
    wide = np.empty((ROWS, vectors.shape[1]), np.int32)
    for start in range(0, count, ROWS):
        end = min(start + ROWS, count)
        part = wide[: end - start]
        part[:] = bits[start:end] if rows is None else bits[rows[start:end]]
        np.left_shift(part, _WIDEN, out=part)
        np.bitwise_and(part, _SIGN_AND_NUMBER, out=part)
        # Not `@`: OpenBLAS would start threads here that wait for each other.
        np.einsum("nd,d->n", part.view(np.float32), scaled, out=found[start:end])
    return found


def best_first(similarity: Vectors) -> Iterator[Places]:
    """The places in float32 [n] in parts, the greatest first; of equal ones the earlier first.

    Only who goes on to the second part waits for all to be sorted.
    """
    count = len(similarity)
    if count > FIRST:
        least = np.partition(similarity, count - FIRST)[count - FIRST]
        part = np.flatnonzero(similarity >= least)
        part = part[np.argsort(-similarity[part], kind="stable")]
        yield part
        yield np.argsort(-similarity, kind="stable")[len(part) :]
    else:
        yield np.argsort(-similarity, kind="stable")
