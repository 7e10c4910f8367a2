"""Pictures -> clusters of those that are alike, by HDBSCAN; pure.

Source: Campello, Moulavi & Sander 2013, as scikit-learn has it, which is an extra: `cluster`.
"""

import sys
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from feeder.bursts import WITHIN
from feeder.domain import Vectors
from feeder.errors import FeederError

SAMPLE = 5_000
"""Pictures that HDBSCAN is given at most; its time grows with their square."""

DIMENSIONS = 64
"""Principal axes kept for HDBSCAN, whose time and memory grow with them."""

NEAR_IDENTICAL = 0.9
"""Cosine from which a camera's pictures within seconds are one picture taken several times."""

_ROWS = 1024
_MIN_SAMPLES = 3  # neighbours that make a place dense; more blur small clusters together

_LEAST_MEMBERSHIP = 1 / 3
"""Membership as HDBSCAN gives it: the cluster's densest place lies at most so much denser."""

NONE = -1
"""Stands for a picture that is in no cluster."""

Places = npt.NDArray[np.int64]


def cluster(
    vectors: Vectors, cameras: Sequence[Hashable], times: Sequence[datetime], min_size: int
) -> Places:
    """int64 [n]: the cluster of each picture, from 0 on, or NONE; unit vectors [n, d], by time.

    A burst counts once, else each visit would be a cluster. `min_size` is counted so, too.
    Raises FeederError where scikit-learn is not installed.
    """
    stands_for = near_identical(vectors, cameras, times)
    alone, burst = np.unique(stands_for, return_inverse=True)
    found = _cluster_alone(vectors, alone, min_size)
    return np.asarray(found[burst], np.int64)


def near_identical(
    vectors: Vectors, cameras: Sequence[Hashable], times: Sequence[datetime]
) -> Places:
    """int64 [n]: the place of the earlier picture that each repeats, or its own; by time.

    A picture repeats one of the same camera that is about as old as the last repeat, and alike.
    """
    places = np.arange(len(vectors))
    recent: dict[Hashable, list[tuple[int, datetime]]] = {}
    for place, (camera, at) in enumerate(zip(cameras, times, strict=True)):
        going_on = [one for one in recent.get(camera, []) if abs(at - one[1]) <= WITHIN]
        for index, (earlier, _) in enumerate(going_on):
            if vectors[earlier] @ vectors[place] >= NEAR_IDENTICAL:
                places[place] = earlier
                going_on[index] = earlier, at
                break
        else:
            going_on.append((place, at))
        recent[camera] = going_on
    return places


def medoid_first(vectors: Vectors) -> Places:
    """int64 [n]: the places of a cluster's unit vectors [n, d], the most typical first.

    The first has the least sum of squared distances to all others.
    """
    return np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")


def _cluster_alone(vectors: Vectors, chosen: Places, min_size: int) -> Places:
    """The clusters, int64 [chosen], of the chosen vectors; they are many, and not copied."""
    count = len(chosen)
    found = np.full(count, NONE, np.int64)
    # With fewer there could be one cluster at most, and HDBSCAN tells clusters from each other.
    if count < 2 * min_size:
        return found
    # Evenly over the time, and the same ones each time.
    sample = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))
    found[sample] = _hdbscan(_reduced(vectors[chosen[sample]]), min_size)
    rest = np.setdiff1d(np.arange(count), sample, assume_unique=True)
    members = sample[found[sample] != NONE]
    if len(rest) and len(members):
        found[rest] = _nearest(vectors, chosen[rest], vectors[chosen[members]], found[members])
    return found


def _hdbscan(vectors: Vectors, min_size: int) -> Places:
    try:
        from sklearn.cluster import HDBSCAN
    except ImportError as error:
        raise FeederError(
            "Sorting by likeness needs scikit-learn, which is not installed.",
            f"`{sys.executable} -m pip install 'scikit-learn>=1.3'` brings it; it is the extra "
            "`cluster`.",
        ) from error
    # "leaf": the finest clusters. One species in two clusters is named twice; two species in one
    # would be named wrongly. A tree, for with "brute" memory grows with the square, too.
    hdbscan: Any = HDBSCAN(
        min_cluster_size=min_size,
        min_samples=_MIN_SAMPLES,
        cluster_selection_method="leaf",
        algorithm="kd_tree",
        copy=True,
    )
    found = np.asarray(hdbscan.fit_predict(vectors), np.int64)
    # A cluster takes in even the farthest picture that lies beside no other cluster.
    found[hdbscan.probabilities_ < _LEAST_MEMBERSHIP] = NONE
    return found


def _reduced(vectors: Vectors) -> Vectors:
    """The vectors [n, d] along the axes on which they differ most, [n, at most 64]."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, -DIMENSIONS:], np.float32)


def _nearest(vectors: Vectors, chosen: Places, members: Vectors, clusters: Places) -> Places:
    """The cluster of each chosen vector's nearest member, or NONE where that is too far.

    Too far is farther than any member of that cluster is from its own nearest.
    """
    reach = np.zeros(int(clusters.max()) + 1, np.float32)
    for number in np.unique(clusters):
        reach[number] = _loosest(members[clusters == number])
    found = np.full(len(chosen), NONE, np.int64)
    for start in range(0, len(chosen), _ROWS):
        cosine = vectors[chosen[start : start + _ROWS]] @ members.T
        nearest = cosine.argmax(axis=1)
        into = clusters[nearest]
        joins = cosine[np.arange(len(cosine)), nearest] >= reach[into]
        found[start : start + _ROWS] = np.where(joins, into, NONE)
    return found


def _loosest(members: Vectors) -> float:
    """The least cosine of a member [n, d] with the one nearest to it."""
    cosine = members @ members.T
    np.fill_diagonal(cosine, -1.0)
    return float(cosine.max(axis=1).min())
