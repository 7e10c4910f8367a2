"""Fits label vectors, biases and one scale in a whitened embedding space."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize  # type: ignore[import-untyped]  # it ships no types
from starter_photos import Data, Flags, Floats, Ints

from feeder.encoder import unit

UNNAMED_WEIGHT = 4
"""What all photographs of unnamed birds weigh together; a species weighs 1."""


@dataclass(frozen=True)
class Space:
    """Where embeddings live: the graph's output less `centre` [d], times `whiten` [d, d]."""

    centre: Floats
    whiten: Floats

    def embed(self, features: Floats) -> Floats:
        """Graph outputs [n, views, d] to unit vectors [n, d]: the mean of the unit views."""
        moved = np.asarray((features - self.centre) @ self.whiten, np.float32)
        views = np.stack([unit(moved[:, view]) for view in range(moved.shape[1])])
        return unit(np.asarray(views.mean(axis=0), np.float32))


@dataclass(frozen=True)
class Fit:
    """`vectors` [labels, d] have unit length; `bias` [labels] is in logits.

    logits = scale * embeddings @ vectors.T + bias, exactly as `feeder.classifier` computes them.
    """

    space: Space
    vectors: Floats
    bias: Floats
    scale: float

    def logits(self, features: Floats) -> Floats:
        """float32 [n, labels] for graph outputs [n, views, d]."""
        cosine = self.space.embed(features) @ self.vectors.T
        return np.asarray(np.float32(self.scale) * cosine + self.bias, np.float32)


def fit(data: Data, rows: Flags, penalty: float = 1e-4, steps: int = 150) -> Fit:
    """Cosine softmax on the photographs that `rows` [n] marks, in their whitened space.

    The loss is the weighted mean of -log(probability of the label, or of all birds together),
    plus `penalty` / 2 * labels * scale**2.
    """
    target, features = data.target[rows], data.features[rows]
    count = np.bincount(target + 1, minlength=len(data.labels) + 1)
    weight = np.where(target < 0, UNNAMED_WEIGHT, data.weight[target]) / count[target + 1]
    named = target >= 0
    space = whitened(features[named, 0].mean(axis=1), target[named])
    x = np.concatenate([space.embed(features[:, variant]) for variant in (0, 1)])
    # The distant variant weighs half: it is for robustness, the plain one is the truth.
    weights = np.concatenate([weight, weight / 2])
    return _cosine_softmax(x, np.tile(target, 2), weights, data.birds, space, penalty, steps)


def whitened(x: Floats, target: Ints, shrink: float = 0.2) -> Space:
    """The space in which photographs [n, d] of one label scatter alike in every direction.

    Labels weigh alike; their common covariance is drawn towards a sphere by `shrink`. Directions
    in which pictures of one species differ (light, pose) count less, so that a mean of a few
    example photographs says more.
    """
    count = np.bincount(target)
    means = np.zeros((len(count), x.shape[1]))
    np.add.at(means, target, x / count[target][:, None])
    # n / (n - 1), because a label's mean is drawn to its own few photographs.
    weight = np.where(count > 1, 1 / np.maximum(count - 1, 1), 0)[target]
    apart = x - means[target]
    within = (apart * weight[:, None]).T @ apart / weight.sum()
    sphere = np.trace(within) / len(within) * np.eye(len(within))
    values, axes = np.linalg.eigh((1 - shrink) * within + shrink * sphere)
    whiten = axes / np.sqrt(values) @ axes.T
    whiten /= np.sqrt((whiten**2).sum() / len(whiten))
    return Space(means[count > 0].mean(axis=0).astype("f"), whiten.astype("f"))


def _cosine_softmax(
    x: Floats,
    target: Ints,
    weight: Floats,
    birds: Flags,
    space: Space,
    penalty: float,
    steps: int,
) -> Fit:
    labels, width = len(birds), x.shape[1]
    weight = (weight / weight.sum()).astype(np.float32)[:, None]
    allowed = np.where(target[:, None] < 0, birds, np.arange(labels) == target[:, None])

    def loss(point: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        free = point[: labels * width].reshape(labels, width).astype(np.float32)
        bias, scale = point[labels * width : -1].astype(np.float32), float(np.exp(point[-1]))
        norm = np.linalg.norm(free, axis=1, keepdims=True)
        vectors = free / norm
        cosine = x @ vectors.T
        probability = softmax(np.float32(scale) * cosine + bias)
        right = np.where(allowed, probability, np.float32(0))
        mass = np.maximum(right.sum(axis=1, keepdims=True), np.float32(1e-12))
        value = -(weight * np.log(mass)).sum() + penalty / 2 * labels * scale**2
        slope = weight * (probability - right / mass)
        by_vector = np.float32(scale) * slope.T @ x
        by_free = (by_vector - (by_vector * vectors).sum(axis=1, keepdims=True) * vectors) / norm
        by_scale = scale * (slope * cosine).sum() + penalty * labels * scale**2
        gradient = np.concatenate([by_free.ravel(), slope.sum(axis=0), [by_scale]])
        return float(value), gradient.astype(np.float64)

    known = [label for label in range(labels) if (target == label).any()]
    start = np.ones((labels, width), np.float32)
    start[known] = [x[target == label].mean(axis=0) for label in known]
    point = np.concatenate([unit(start).ravel(), np.zeros(labels), [np.log(16)]])
    best = minimize(loss, point, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x
    vectors = best[: labels * width].reshape(labels, width).astype(np.float32)
    bias = best[labels * width : -1].astype(np.float32)
    return Fit(space, unit(vectors), bias, float(np.exp(best[-1])))


def softmax(logits: Floats) -> Floats:
    """Probabilities [n, labels] whose rows sum to 1."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)
