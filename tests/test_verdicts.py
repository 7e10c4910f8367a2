"""Verdicts from probabilities, and that many at once are what each would be alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeder.bundle import Thresholds
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType
from feeder.verdicts import Choices, Verdicts, decide

ROBIN, WREN = Label("robin", Kind.BIRD), Label("wren", Kind.BIRD)
CAT, PERSON, EMPTY = (
    Label("cat", Kind.MAMMAL),
    Label("person", Kind.HUMAN),
    Label("empty", Kind.BLANK),
)
LABELS = (ROBIN, WREN, CAT, PERSON, EMPTY)
CHOICES = Choices(LABELS)
AT = Thresholds(label=0.5, bird=0.6, blank=0.5, margin=0.1)
SMALL, LARGE = Label("small sp.", Kind.BIRD), Label("large sp.", Kind.BIRD)


def decided(*shares: float, choices: Choices = CHOICES, at: Thresholds = AT) -> Verdicts:
    """The verdict on one picture with these probabilities."""
    return decide(np.array([shares], np.float32), choices, at)


@pytest.mark.parametrize(
    ("shares", "expected", "named"),
    [
        ((0.90, 0.05, 0.05, 0, 0), ObservationType.ANIMAL, ROBIN),
        ((0.40, 0.35, 0.25, 0, 0), ObservationType.ANIMAL, UNIDENTIFIED_BIRD),
        ((0.40, 0.15, 0.35, 0.1, 0), ObservationType.UNKNOWN, None),
        ((0.55, 0.0, 0.44, 0.01, 0), ObservationType.UNKNOWN, None),
        ((0.52, 0.48, 0, 0, 0), ObservationType.ANIMAL, UNIDENTIFIED_BIRD),
        ((0.0, 0.0, 0.52, 0.48, 0), ObservationType.UNKNOWN, None),
        ((0.2, 0.2, 0.05, 0, 0.55), ObservationType.BLANK, None),
        ((0.1, 0.1, 0.2, 0.15, 0.45), ObservationType.UNKNOWN, None),
        ((0.1, 0.0, 0.8, 0.1, 0), ObservationType.ANIMAL, CAT),
        ((0.0, 0.1, 0.1, 0.8, 0), ObservationType.HUMAN, PERSON),
    ],
)
def test_verdicts(shares: tuple[float, ...], expected: ObservationType, named: Label) -> None:
    """The thresholds decide between a name, any bird, blank and unknown, each with its reason."""
    got = decided(*shares)
    assert got.type(0) is expected
    assert got.label(0) == named
    assert got.reason(0)


def test_a_bird_of_no_certain_species_is_a_bird() -> None:
    """Where the birds together are certain and no species is, P(bird) is the verdict's share."""
    got = decided(0.4, 0.35, 0.25, 0, 0)
    assert got.named_probability[0] == pytest.approx(0.75)
    assert got.reason(0) == "P(bird) 0.75 >= 0.6, but robin 0.40 < 0.5"


def test_look_alikes_share_a_name() -> None:
    """Where no species is certain, the smallest group that is certain gives the name."""
    choices = Choices(LABELS, ((SMALL, (0, 1)), (LARGE, (0, 1, 2))))
    got = decided(0.4, 0.3, 0.3, 0, 0, choices=choices)
    assert got.label(0) == SMALL
    assert got.reason(0) == "small sp. 0.70, but robin 0.40 < 0.5"
    narrow = Choices(LABELS, ((SMALL, (0,)), (LARGE, (0, 1))))
    assert decided(0.4, 0.3, 0.3, 0, 0, choices=narrow).label(0) == LARGE
    assert decided(0.9, 0.1, 0, 0, 0, choices=choices).label(0) == ROBIN


def test_a_threshold_that_is_just_reached_is_reached() -> None:
    """A probability of 0.5 is enough for a threshold of 0.5, and one float less is not."""
    only = Choices((ROBIN, WREN))
    at = Thresholds(label=0.5, bird=0.5, blank=1, margin=0)
    assert decided(0.5, 0.5, choices=only, at=at).label(0) == ROBIN
    below = float(np.nextafter(np.float32(0.5), np.float32(0)))
    assert decided(below, below, choices=only, at=at).label(0) == UNIDENTIFIED_BIRD


def test_one_label_leads_by_all_it_has() -> None:
    """With a single label the margin is its probability."""
    got = decided(1.0, choices=Choices((CAT,)))
    assert (got.label(0), got.margin[0]) == (CAT, 1.0)


@given(st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=1, max_size=20))
def test_many_at_once_are_each_alone(weights: list[list[int]]) -> None:
    """A picture's verdict does not depend on what is judged with it."""
    raw = np.array(weights, np.float32) + 1e-3
    shares = raw / raw.sum(axis=1, keepdims=True)
    choices = Choices(LABELS, ((SMALL, (0, 1)),))
    together = decide(shares, choices, AT)
    for row, alone in enumerate(shares):
        one = decide(alone[None], choices, AT)
        assert one.type(0) is together.type(row)
        assert one.label(0) == together.label(row)
        assert one.reason(0) == together.reason(row)
