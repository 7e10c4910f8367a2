"""Embedding x side vocabularies -> tags: no second look at the picture, a product of vectors."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from feeder.attributes import AskedOf, Attribute, Value
from feeder.bundle import Bundle
from feeder.domain import Kind, ObservationType, Prediction, Tag, Vectors
from feeder.encoder import unit
from feeder.label_embeddings import EmbedTexts, read_photos
from feeder.prototypes import mean_direction

Flags = npt.NDArray[np.bool_]

MIN_VALUES = 2
"""One answer alone would always be the answer."""

_SCALES = np.geomspace(1, 1000, 31)
_STRAYING = 3.0
"""Standard deviations below the photos' usual likeness at which a frame is of another kind."""


@dataclass(frozen=True)
class Question:
    """An attribute in a bundle's embedding space.

    `vectors` float32 [values, d], of unit length; `scale` multiplies cosines; a picture whose best
    cosine is below `floor` is like none of the values. `right` of `shown` example photos are told
    right by the others, both 0 for one made of words. `digest` names all that decides.
    """

    attribute: Attribute
    vectors: Vectors
    scale: float
    digest: str
    floor: float = -1.0
    right: int = 0
    shown: int = 0

    @property
    def learnt_from(self) -> str:
        return "photos" if self.shown else "words"

    def say(self, cosines: Vectors) -> list[Tag | None]:
        """What is sure enough, for cosines [n, values]; None where nothing is."""
        logits = np.float32(self.scale) * cosines
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        best = shares.argmax(axis=1)
        rows = np.arange(len(best))
        # As float64, as a threshold is: 0.6 as float32 is more than 0.6.
        sure = shares[rows, best].astype(np.float64)
        said = (sure >= self.attribute.threshold) & (cosines[rows, best] >= self.floor)
        values = self.attribute.values
        return [
            Tag(self.attribute.name, values[place].name, float(share), self.digest)
            if is_said and not values[place].neutral
            else None
            for place, share, is_said in zip(best.tolist(), sure.tolist(), said, strict=True)
        ]


class Register(Protocol):
    """What keeps the meaning of digests: the log, or the part of it that writes observations."""

    def register_attribute(self, digest: str, attribute: str, values: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class Tagger:
    """All that is asked beside the label. `unasked` are attributes this bundle has no answers to,
    each with the reason."""

    questions: tuple[Question, ...] = ()
    unasked: tuple[tuple[str, str], ...] = ()

    @cached_property
    def digest(self) -> str:
        """Names all the questions together, hexadecimal."""
        return _sha256([question.digest for question in self.questions])

    def register(self, log: Register) -> None:
        """Says what each question's digest stands for, before the first tag bears it."""
        for question in self.questions:
            values = [value.name for value in question.attribute.values]
            log.register_attribute(question.digest, question.attribute.name, values)

    def tagged(self, prediction: Prediction) -> Prediction:
        """The prediction with its tags."""
        if prediction.embedding is None or not self.questions:
            return prediction
        named = prediction.named
        is_bird = (
            prediction.observation_type is ObservationType.ANIMAL
            and named is not None
            and named.label.kind is Kind.BIRD
        )
        is_whole = prediction.region is None
        (tags,) = self.tags(prediction.embedding[None], np.array([is_bird]), np.array([is_whole]))
        return replace(prediction, tags=tags)

    def tags(
        self, embeddings: Vectors, are_birds: Flags, are_whole: Flags
    ) -> list[tuple[Tag, ...]]:
        """The tags of n pictures from their unit vectors, float32 [n, d].

        `are_birds` [n] are the sightings of birds, which alone are asked what birds are asked;
        `are_whole` [n] those of which the whole frame was judged: a part of it that holds the bird
        says nothing of the feeder.
        """
        found: list[list[Tag]] = [[] for _ in embeddings]
        if not self.questions:
            return [()] * len(found)
        cosines = embeddings @ self._vectors.T
        start = 0
        for question in self.questions:
            end = start + len(question.vectors)
            asked = are_birds if question.attribute.asked_of is AskedOf.BIRD else are_whole
            rows = np.flatnonzero(asked)
            if len(rows):
                for row, tag in zip(rows, question.say(cosines[rows, start:end]), strict=True):
                    if tag is not None:
                        found[row].append(tag)
            start = end
        return [tuple(tags) for tags in found]

    @cached_property
    def _vectors(self) -> Vectors:
        return np.concatenate([question.vectors for question in self.questions])


def embed(
    attributes: Sequence[Attribute], bundle: Bundle, embed_texts: EmbedTexts | None
) -> Tagger:
    """Every attribute that this bundle can answer.

    An attribute is told by photos where two of its values have some of this bundle's, else by
    words, which takes a text encoder. Raises VocabularyError for photos that cannot be read.
    """
    questions, unasked = [], []
    for attribute in attributes:
        photos = {
            value: vectors
            for value in attribute.values
            if value.photos is not None
            and (vectors := _photos(attribute, value, value.photos, bundle)) is not None
        }
        worded = tuple(value for value in attribute.values if value.prompts)
        if len(photos) >= MIN_VALUES:
            questions.append(_from_photos(attribute, photos))
        elif embed_texts is not None and len(worded) >= MIN_VALUES:
            scale = bundle.manifest.logit_scale
            questions.append(_from_words(attribute, worded, embed_texts, scale))
        else:
            unasked.append((attribute.name, _missing(attribute, photos, embed_texts is not None)))
    return Tagger(tuple(questions), tuple(unasked))


def _missing(attribute: Attribute, photos: dict[Value, Vectors], reads: bool) -> str:
    if photos:
        (value,) = photos
        return f"photos of {value.name} alone; a second value is needed"
    if any(value.photos is not None for value in attribute.values):
        return "its photos were read by another model"
    return "fewer than two values" if reads else "the model reads no text"


def _from_words(
    attribute: Attribute, values: tuple[Value, ...], embed_texts: EmbedTexts, scale: float
) -> Question:
    prompts = [prompt for value in values for prompt in value.prompts]
    vectors = dict(zip(prompts, embed_texts(prompts), strict=True))
    rows = [mean_direction([vectors[prompt] for prompt in value.prompts]) for value in values]
    said = [[value.name, value.neutral, value.prompts] for value in values]
    return Question(
        replace(attribute, values=values), np.concatenate(rows), scale, _digest(attribute, said)
    )


def _from_photos(attribute: Attribute, photos: dict[Value, Vectors]) -> Question:
    """Nearest mean, with the scale at which photos left out are best told by the others.

    The odds are held back as if each value had one photo more on either side, or few photos that
    are easily told apart would be told for certain. Source: Platt 1999, "Probabilistic outputs
    for support vector machines", 2.2.
    """
    means = np.concatenate([mean_direction(vectors) for vectors in photos.values()])
    cosines, owner, targets = [], [], []
    for place, vectors in enumerate(photos.values()):
        # Each photo against the mean of the others of its value.
        left_out = vectors @ means.T
        others = unit(vectors.sum(axis=0, keepdims=True) - vectors)
        left_out[:, place] = np.einsum("nd,nd->n", vectors, others)
        cosines.append(left_out)
        owner += [place] * len(vectors)
        target = np.full(len(means), 1 / ((len(vectors) + 2) * (len(means) - 1)))
        target[place] = (len(vectors) + 1) / (len(vectors) + 2)
        # Values count alike, however many photos each has.
        targets += [target / len(vectors)] * len(vectors)
    cosine, owners = np.concatenate(cosines).astype(np.float64), np.array(owner)
    own = cosine[np.arange(len(owners)), owners]
    said = [
        [value.name, value.neutral, hashlib.sha256(vectors.tobytes()).hexdigest()]
        for value, vectors in photos.items()
    ]
    return Question(
        replace(attribute, values=tuple(photos)),
        means,
        _best_scale(cosine, np.array(targets)),
        _digest(attribute, said),
        floor=float(own.mean() - _STRAYING * own.std()),
        right=int((cosine.argmax(axis=1) == owners).sum()),
        shown=len(owners),
    )


def _best_scale(cosines: npt.NDArray[np.float64], targets: npt.NDArray[np.float64]) -> float:
    """The scale whose softmax over cosines [n, values] has the least cross-entropy to targets."""

    def entropy(scale: float) -> float:
        logits = scale * (cosines - cosines.max(axis=1, keepdims=True))
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(-(targets * logs).sum())

    return float(min(_SCALES, key=entropy))


def _photos(attribute: Attribute, value: Value, path: Path, bundle: Bundle) -> Vectors | None:
    """Unit vectors [n, d] of the example photos; None where another bundle made them."""
    name = f"{attribute.name}={value.name}"
    again = f"Run `feeder attributes forget '{name}'`, then learn it anew."
    stored = read_photos(path, name, again)
    if str(stored["bundle_digest"]) != bundle.digest:
        return None
    return unit(stored["embeddings"].astype(np.float32))


def _digest(attribute: Attribute, values: object) -> str:
    return _sha256([attribute.name, attribute.asked_of, attribute.threshold, values])


def _sha256(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
