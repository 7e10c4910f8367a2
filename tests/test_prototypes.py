"""What examples add to the labels' vectors."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeder.domain import Kind, Label, Vectors
from feeder.encoder import unit
from feeder.prototypes import MAX_SPOTS, MIN_EXAMPLES, Examples, Rows, _spare, teach

WIDTH = 32
SCALE = 24.0
FINCH, SPARROW, EMPTY = (
    Label("finch", Kind.BIRD),
    Label("sparrow", Kind.BIRD),
    Label("empty", Kind.BLANK),
)
LABELS = (FINCH, SPARROW, EMPTY)


@pytest.fixture
def random() -> np.random.Generator:
    """The same numbers each time."""
    return np.random.default_rng(3)


@pytest.fixture
def rows(random: np.random.Generator) -> list[Rows]:
    """A random vector for each label."""
    vectors = unit(random.normal(size=(3, WIDTH)).astype(np.float32))
    return [(vectors[place : place + 1], np.zeros(1, np.float32)) for place in range(3)]


def like(way: Vectors, count: int, random: np.random.Generator, spread: float = 0.8) -> Vectors:
    """Unit vectors [count, WIDTH] around a direction [WIDTH]."""
    noise = random.normal(size=(count, WIDTH)) * spread / WIDTH**0.5
    return unit((unit(way[None]) + noise).astype(np.float32))


def best(vectors: Vectors, rows: list[Rows]) -> list[int]:
    """The place of each picture's most probable label."""
    each = [np.exp(SCALE * vectors @ way.T + bias).sum(axis=1) for way, bias in rows]
    return np.stack(each, axis=1).argmax(axis=1).tolist()


def shown(label: Label, vectors: Vectors) -> Examples:
    """Examples that are each of another moment."""
    return Examples(label, vectors, np.arange(len(vectors)))


def between(rows: list[Rows]) -> Vectors:
    """The direction of sparrows that are taken for finches."""
    return 0.6 * rows[0][0][0] + 0.5 * rows[1][0][0]


@given(
    st.floats(-9, 9),
    st.lists(st.integers(-9, 9), min_size=1, max_size=20),
    st.lists(st.integers(-9, 9), max_size=20),
)
def test_a_bias_is_the_largest_that_costs_little(
    bias: float, needed: list[int], room: list[int]
) -> None:
    """It is at most what was asked for, wins nine for each it takes, and none larger would."""
    own, others = np.array(needed, np.float32), np.array(room, np.float64)

    def is_fair(at: float) -> bool:
        return bool((others < at).sum() * 9.0 <= (own < at).sum())

    found = _spare(bias, own, others)
    assert found <= bias
    assert is_fair(found)
    assert not any(is_fair(at) for at in [*others, bias] if found < at <= bias)


def test_corrected_pictures_are_told_apart(rows: list[Rows], random: np.random.Generator) -> None:
    """Pictures like the corrected ones get their label, and what was right stays right."""
    odd = between(rows)
    test = like(odd, 200, random, 0.5)
    before = best(test, rows).count(1)
    found = []
    for count in (1, 3, 10):
        _, taught = teach(LABELS, rows, [shown(SPARROW, like(odd, count, random, 0.5))], SCALE)
        found.append(best(test, taught).count(1))
        for place in range(3):
            clear = like(rows[place][0][0], 200, random, 0.5)
            assert best(clear, taught).count(place) >= best(clear, rows).count(place) - 2
    assert found[0] >= before
    assert found[-1] > before + 50


def test_a_mistake_spreads_little(rows: list[Rows], random: np.random.Generator) -> None:
    """One correction of what another label is sure of takes few of that label's pictures."""
    finches = like(rows[0][0][0], 300, random, 0.5)
    assert best(finches, rows).count(0) > 290
    _, taught = teach(LABELS, rows, [shown(SPARROW, finches[:1])], SCALE)
    assert best(finches[1:], taught).count(0) > 290
    (_, bias) = taught[1]
    assert bias[1] <= np.log(9) + 1e-5


def test_what_is_known_adds_nothing(rows: list[Rows], random: np.random.Generator) -> None:
    """A confirmation of what the label's own vector is sure of needs no prototype."""
    sure = like(rows[0][0][0], 5, random, 0.2)
    labels, taught = teach(LABELS, rows, [shown(FINCH, sure)], SCALE)
    assert labels == [*LABELS]
    assert [len(bias) for _, bias in taught] == [1, 1, 1]


def test_confirmed_pictures_are_not_taken(rows: list[Rows], random: np.random.Generator) -> None:
    """Finches that somebody confirmed keep sparrows' prototypes from taking finches."""
    sparrows = shown(SPARROW, like(between(rows), 4, random, 0.6))
    finches = like(0.8 * rows[0][0][0] + 0.4 * rows[1][0][0], 60, random, 0.6)
    finches = finches[np.array(best(finches, rows)) == 0]
    test = finches[30:]
    _, alone = teach(LABELS, rows, [sparrows], SCALE)
    _, warned = teach(LABELS, rows, [sparrows, shown(FINCH, finches[:30])], SCALE)
    assert best(test, warned).count(0) > best(test, alone).count(0)


def test_frames_of_one_burst_count_as_one(rows: list[Rows], random: np.random.Generator) -> None:
    """Thirty frames of one moment weigh no more than one of them."""
    one = like(between(rows), 1, random)
    many = np.repeat(one, 30, axis=0)
    _, taught = teach(LABELS, rows, [shown(SPARROW, one)], SCALE)
    _, burst = teach(LABELS, rows, [Examples(SPARROW, many, np.zeros(30, np.int64))], SCALE)
    np.testing.assert_allclose(burst[1][0], taught[1][0], atol=1e-5)
    np.testing.assert_allclose(burst[1][1], taught[1][1], atol=1e-4)


def test_a_new_label_needs_a_few_examples(rows: list[Rows], random: np.random.Generator) -> None:
    """A label without a vector joins once there are enough, and is then told from the others."""
    elf = Label("elf", Kind.BIRD)
    way = random.normal(size=WIDTH).astype(np.float32)
    few = shown(elf, like(way, MIN_EXAMPLES - 1, random))
    assert teach(LABELS, rows, [few], SCALE)[0] == [*LABELS]
    labels, taught = teach(LABELS, rows, [shown(elf, like(way, MIN_EXAMPLES, random))], SCALE)
    assert labels == [*LABELS, elf]
    assert best(like(way, 50, random), taught).count(3) >= 30


def test_few_examples_that_differ_take_little(
    rows: list[Rows], random: np.random.Generator
) -> None:
    """Three pictures without anything in common do not make a label of whatever is unclear."""
    unlike = unit(random.normal(size=(3, WIDTH)).astype(np.float32))
    _, taught = teach(LABELS, rows, [shown(Label("elf", Kind.BIRD), unlike)], SCALE)
    unclear = unit(random.normal(size=(300, WIDTH)).astype(np.float32))
    assert best(unclear, taught).count(3) < 100


def test_each_false_bird_is_a_spot_of_its_own(
    rows: list[Rows], random: np.random.Generator
) -> None:
    """Leaves taken for a finch become blank where they look like these, and finches stay."""
    nothing = Label("nothing there", Kind.BLANK)
    spots = [
        rows[0][0][0] + 0.8 * random.normal(size=WIDTH).astype(np.float32) / WIDTH**0.5
        for _ in range(2)
    ]
    leaves = np.concatenate([like(spot, 2, random, 0.1) for spot in spots])
    lesson = Examples(nothing, leaves, np.array([0, 0, 1, 1]), alike=False)
    labels, taught = teach(LABELS, rows, [lesson], SCALE)
    assert labels[-1] == nothing
    assert len(taught[-1][1]) == 2
    for spot in spots:
        assert set(best(like(spot, 20, random, 0.1), taught)) == {3}
    finches = like(rows[0][0][0], 50, random, 0.5)
    assert best(finches, taught) == best(finches, rows)


def test_a_named_view_without_a_bird_is_one_thing(
    rows: list[Rows], random: np.random.Generator
) -> None:
    """Photos of one's own empty feeder are a label with a mean, like those of a bird."""
    way = random.normal(size=WIDTH).astype(np.float32)
    lesson = shown(Label("my feeder", Kind.BLANK), like(way, 5, random))
    _, taught = teach(LABELS, rows, [lesson], SCALE)
    assert len(taught[-1][1]) == 1
    assert best(like(way, 50, random), taught).count(3) >= 30


def test_spots_are_bounded(rows: list[Rows], random: np.random.Generator) -> None:
    """The newest spots stay, so that a product with all of them stays small."""
    leaves = like(rows[0][0][0], MAX_SPOTS + 5, random)
    lesson = Examples(Label("leaf", Kind.BLANK), leaves, np.arange(len(leaves)), alike=False)
    _, taught = teach(LABELS, rows, [lesson], SCALE)
    assert len(taught[-1][1]) <= MAX_SPOTS
    np.testing.assert_allclose(taught[-1][0][-1], leaves[-1], atol=1e-5)


def test_labels_of_examples_alone(random: np.random.Generator) -> None:
    """Where no label has a vector of its own, examples tell them apart."""
    ways = [random.normal(size=WIDTH).astype(np.float32) for _ in range(2)]
    lessons = [
        shown(label, like(way, 5, random)) for label, way in zip(LABELS[:2], ways, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels, taught = teach([], [], lessons, SCALE)
    assert labels == [FINCH, SPARROW]
    for place, way in enumerate(ways):
        assert set(best(like(way, 20, random, 0.3), taught)) == {place}
