"""Fits label vectors, biases and one scale to embeddings; calibrates them; sets thresholds."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar  # type: ignore[import-untyped]  # no stubs
from starter_photos import Flags, Floats, Ints

from feeder.bundle import Thresholds
from feeder.encoder import unit

UNNAMED_WEIGHT = 4
"""What all photographs of unnamed birds weigh together; a species weighs 1."""
FALSE_BIRDS = 0.015
"""The share of held-out pictures without a bird that may be called one."""
RIGHT_NAMES = 0.95
"""The share of names given to held-out birds that shall be right."""


@dataclass(frozen=True)
class Fit:
    """`vectors` [labels, d] have unit length; `bias` [labels] is in logits.

    logits = scale * embeddings @ vectors.T + bias, exactly as `feeder.classifier` computes them.
    """

    vectors: Floats
    bias: Floats
    scale: float

    def logits(self, embeddings: Floats) -> Floats:
        """float32 [n, labels] for unit vectors [n, d]."""
        return np.asarray(self.scale * embeddings @ self.vectors.T + self.bias, np.float32)


@dataclass(frozen=True)
class Space:
    """An affine view of features: those less `centre` [d], times `whiten` [d, d]."""

    centre: Floats
    whiten: Floats


def whitened(x: Floats, target: Ints, shrink: float) -> Space:
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


def fit(x: Floats, target: Ints, birds: Flags, *, penalty: float = 1e-4, steps: int = 150) -> Fit:
    """Cosine softmax on unit vectors [n, d], every label weighing the same.

    `target` [n] is -1 for a bird of unknown species; `birds` [labels]. The loss is the weighted
    mean of -log(probability of the label, or of all birds together), plus `penalty` / 2 * labels
    * scale**2.
    """
    labels, width = len(birds), x.shape[1]
    count = np.bincount(target + 1, minlength=labels + 1)[target + 1]
    weight = np.where(target < 0, UNNAMED_WEIGHT, 1) / count
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
    return Fit(unit(vectors), bias, float(np.exp(best[-1])))


def calibrated(found: Fit, embeddings: Floats, target: Ints, prior: Floats) -> Fit:
    """`found`, as sure of itself as held-out photographs [n, d] say it may be, plus `prior`.

    One factor on all logits, at which those photographs are likeliest, labels weighing alike
    (temperature scaling, Guo et al. 2017).
    """
    named = target >= 0
    logits, target = found.logits(embeddings[named]), target[named]
    if not len(target):
        return replace(found, bias=np.asarray(found.bias + prior, np.float32))
    weight = 1 / np.sqrt(np.bincount(target)[target])

    def loss(log_factor: float) -> float:
        scaled = np.float32(np.exp(log_factor)) * logits + prior
        right = softmax(scaled)[np.arange(len(target)), target]
        return float(-np.average(np.log(np.maximum(right, 1e-12)), weights=weight))

    factor = float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))
    bias = np.asarray(found.bias * np.float32(factor) + prior, np.float32)
    return replace(found, scale=found.scale * factor, bias=bias)


def thresholds(probability: Floats, target: Ints, birds: Flags) -> Thresholds:
    """The least thresholds at which names are mostly right and hardly anything is a false bird.

    `probability` [n, labels] is of held-out photographs, `target` [n] their labels, -1 for a bird
    of unknown species.
    """
    is_bird = (target < 0) | birds[np.maximum(target, 0)]
    share, best = probability[:, birds].sum(axis=1), probability.argmax(axis=1)
    steps = np.arange(0.5, 0.96, 0.05)
    others = share[~is_bird]
    rare = [(others >= at).sum() <= FALSE_BIRDS * len(others) for at in steps]
    bird = steps[rare.index(True)] if any(rare) else steps[-1]
    top, species = probability.max(axis=1), is_bird & (target >= 0)
    label = 0.95
    for at in np.arange(0.3, 0.96, 0.05):
        named = species & birds[best] & (top >= at) & (share >= bird)
        if named.any() and (best == target)[named].mean() >= RIGHT_NAMES:
            label = at
            break
    return Thresholds(label=round(float(label), 2), bird=round(float(bird), 2), blank=0.5)


def softmax(logits: Floats) -> Floats:
    """Probabilities [n, labels] whose rows sum to 1."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)
