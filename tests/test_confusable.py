"""Labels that are in each other's way."""

import numpy as np
import pytest

from feeder import confusable
from feeder.bundle import Bundle, shipped_models
from feeder.domain import Kind, Label, Vectors
from feeder.encoder import unit
from feeder.label_embeddings import LabelEmbeddings, bundle_labels, embed

SCALE = 100.0


def embeddings(
    vectors: Vectors, owner: list[int], blocked: tuple[int, ...] = ()
) -> LabelEmbeddings:
    """Labels 0, 1, ... with these vectors."""
    count = max(owner) + 1
    return LabelEmbeddings(
        tuple(Label(f"label {place}", Kind.BIRD) for place in range(count)),
        unit(np.asarray(vectors, np.float32)),
        np.zeros(len(owner), np.float32),
        np.array(owner),
        "digest",
        blocked=frozenset(blocked),
    )


def spread(count: int = 30, width: int = 64) -> Vectors:
    """Directions that have nothing to do with each other."""
    return unit(np.random.default_rng(0).normal(size=(count, width)).astype(np.float32))


def test_pairs_are_close_by_the_measure_of_all_pairs() -> None:
    """What all vectors have in common changes the cosines, and not which pairs are close."""
    vectors = spread()
    vectors[7] = unit(vectors[3:4] + 0.1 * vectors[8:9])[0]
    common = np.zeros(64, np.float32)
    common[0] = 3.0
    for given in (vectors, vectors + common):
        (pair,) = confusable.close_pairs(embeddings(given, list(range(30))))
        assert (pair.one, pair.other) == (3, 7)
        assert pair.share == pytest.approx(0.07, abs=0.03)
    assert pair.cosine > 0.99


def test_a_label_is_as_near_as_its_nearest_vector() -> None:
    """One of a label's alternatives is enough to be in the way, and a blocked label is in none."""
    vectors = spread(31)
    vectors[11] = vectors[2]
    owner = [*range(11), 10, *range(11, 30)]
    (pair,) = confusable.close_pairs(embeddings(vectors, owner))
    assert (pair.one, pair.other) == (2, 10)
    assert confusable.close_pairs(embeddings(vectors, owner, blocked=(10,))) == []


def test_one_label_has_nothing_in_its_way() -> None:
    """A vocabulary of one label is told apart."""
    assert confusable.close_pairs(embeddings(spread(1), [0])) == []


def test_a_label_that_loses_on_its_own_vector_never_wins() -> None:
    """A rival nearby with a larger bias takes even the picture that is all the label stands for."""
    vectors = spread()
    vectors[7] = unit(vectors[3:4] + 0.1 * vectors[8:9])[0]
    found = embeddings(vectors, list(range(30)))
    assert confusable.overruled(found, SCALE) == []
    found.bias[7] = 5.0
    (one,) = confusable.overruled(found, SCALE)
    assert (one.label, one.by) == (3, 7)
    assert 4 < one.lead < 5


def test_labels_never_near_are_found_over_all_chunks() -> None:
    """Best and second count, in whichever chunk of the log they come."""
    chunks = [
        np.array([[0.6, 0.3, 0.1, 0]], np.float32),
        np.array([[0.6, 0.1, 0.3, 0]], np.float32),
    ]
    frames, never = confusable.never_near(chunks, 4)
    assert frames == 2
    assert never.tolist() == [False, False, False, True]
    assert confusable.never_near([], 2) == (0, pytest.approx([True, True]))


def test_the_starters_close_pairs_are_look_alikes() -> None:
    """What is close in the shipped model are birds that people confuse, too."""
    bundle = Bundle.open(shipped_models() / "starter")
    found = embed(bundle_labels(bundle), bundle, None)
    pairs = {
        (found.labels[pair.one].name, found.labels[pair.other].name)
        for pair in confusable.close_pairs(found)
    }
    assert ("Marsh Tit", "Willow Tit") in pairs
    assert ("Black-capped Chickadee", "Carolina Chickadee") in pairs
    assert len(pairs) < 30
    assert confusable.overruled(found, bundle.manifest.logit_scale) == []
