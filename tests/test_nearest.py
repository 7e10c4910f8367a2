"""Cosines with very many kept vectors: exact, whatever way they are computed."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from feeder.encoder import unit
from feeder.nearest import FIRST, ROWS, best_first, cosines


def kept(count: int, width: int = 24, seed: int = 0) -> np.ndarray:
    """Unit vectors as the log keeps them."""
    drawn = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return unit(drawn).astype("<f2")


@pytest.mark.parametrize("count", [0, 1, ROWS - 1, ROWS, ROWS + 1, 5 * ROWS + 3])
def test_they_are_those_of_plain_arithmetic(count: int) -> None:
    """Whatever the number of vectors."""
    vectors, query = kept(count), kept(1, seed=1)[0].astype(np.float32)
    expected = vectors.astype(np.float64) @ query.astype(np.float64)
    found = cosines(vectors, query)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_some_rows_in_the_order_asked_for() -> None:
    """Only the chosen rows are compared."""
    vectors, query = kept(2 * ROWS), kept(1, seed=1)[0].astype(np.float32)
    rows = np.random.default_rng(2).permutation(2 * ROWS)[: ROWS + 5]
    np.testing.assert_array_equal(cosines(vectors, query, rows), cosines(vectors, query)[rows])


@settings(deadline=None)
@given(arrays.arrays(np.float16, (3, 8), elements=st.floats(-1, 1, width=16, allow_subnormal=True)))
def test_every_float16_counts_as_what_it_is(vectors: np.ndarray) -> None:
    """Zeros of either sign and subnormal numbers, too."""
    query = np.linspace(-0.5, 0.5, 8).astype(np.float32)
    expected = vectors.astype(np.float64) @ query.astype(np.float64)
    np.testing.assert_allclose(cosines(vectors, query), expected, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, FIRST, FIRST + 1, 2 * FIRST])
@pytest.mark.parametrize("different", [1, 7, 1_000_000])
def test_places_come_best_first(count: int, different: int) -> None:
    """Each once, and of equal ones the earlier first, however many are equal."""
    similarity = np.random.default_rng(1).integers(0, different, count).astype(np.float32)
    parts = [part.tolist() for part in best_first(similarity)]
    expected = sorted(range(count), key=lambda place: (-similarity[place], place))
    assert list(chain.from_iterable(parts)) == expected
