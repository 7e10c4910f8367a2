"""Embedding x vocabulary -> `Prediction`; the Python API.

>>> from feeder import Classifier
>>> classifier = Classifier.load("starter")
>>> classifier.classify_image("robin.jpg").best
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from feeder import bundle as bundles
from feeder import decoder, label_embeddings
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle, Precision, Thresholds
from feeder.domain import (
    UNIDENTIFIED_BIRD,
    Box,
    Candidate,
    Frame,
    Kind,
    Label,
    ObservationType,
    Prediction,
    Vectors,
    unclassified,
)
from feeder.encoder import ImageEncoder, TextEncoder
from feeder.errors import BadFrame, VocabularyError
from feeder.label_embeddings import LabelEmbeddings, PromptCache
from feeder.preprocess import draft_size
from feeder.vocabulary import Vocabulary

Picture = str | Path | Image.Image | npt.NDArray[np.uint8]
"""A path, a Pillow image, or a uint8 array [height, width, 3]."""

FALLBACK_VOCABULARY = "north-america"
MAX_PIXELS = 64_000_000
PERHAPS = 0.2
"""P(bird) of the whole frame from which a region is looked at: leaves from near resemble birds."""


class Classifier:
    """A bundle and a vocabulary, ready to judge pictures. Not safe to share between threads."""

    def __init__(
        self,
        bundle: Bundle,
        vocabulary: Vocabulary,
        *,
        cache: Path | None = None,
        precision: Precision | Literal["auto"] = "auto",
        threads: int = 0,
        thresholds: Thresholds | None = None,
        top: int = 5,
    ) -> None:
        self.bundle = bundle
        self.thresholds = thresholds or bundle.manifest.thresholds
        self._precision: Precision | Literal["auto"] = precision
        self._threads = threads
        self._cache = cache
        bundle.verify_settings()
        self._prompts = PromptCache(cache, f"{bundle.digest} {precision}")
        self._top = top
        # Text before images: the text encoder is the larger, and is dropped again if this
        # vocabulary is all it was needed for.
        self.embeddings = self._embed_vocabulary(vocabulary)
        self.__dict__.pop("_text_encoder", None)
        self._image_encoder = ImageEncoder(bundle, precision, threads, cache)

    @classmethod
    def load(
        cls,
        model: str | Path = "starter",
        vocabulary: str | Path | None = None,
        *,
        cache: Path | None = None,
        precision: Precision | Literal["auto"] = "auto",
        threads: int = 0,
    ) -> "Classifier":
        """A bundle by name or folder, with a vocabulary by name or file.

        Without a vocabulary it is the bundle's own labels, or North American feeder birds where
        the bundle has none. Raises BundleError or VocabularyError.
        """
        models = bundles.shipped_models()
        bundle = Bundle.open(bundles.find(str(model), [models, Path("models")]))
        chosen = choose_vocabulary(
            bundle, str(vocabulary) if vocabulary else None, [models / "vocabularies"]
        )
        return cls(bundle, chosen, cache=cache, precision=precision, threads=threads)

    @property
    def labels(self) -> tuple[Label, ...]:
        """What this classifier chooses among, in the order of its probabilities."""
        return self.embeddings.labels

    @property
    def min_edge(self) -> int:
        """The shorter edge, in pixels, to which a JPEG may be reduced while decoding."""
        return draft_size(self.bundle.manifest.preprocessing)

    def classify(self, frame: Frame, region: Box | None = None) -> Prediction:
        """The verdict on a frame; `unclassified` with the reason where it has no pixels.

        Where `region` is given and the whole shows a bird perhaps, that part is judged too, and the
        surer view wins.
        """
        if frame.image is None:
            return unclassified(frame.defect)
        whole = self.judge(self.embed([frame.image])[0])
        if region is None or (whole.bird_probability or 0.0) < PERHAPS:
            return whole
        part = self.judge(self.embed([cut(frame.image, region)])[0])
        return replace(part, region=region) if _is_surer(part, whole) else whole

    def classify_image(self, picture: Picture) -> Prediction:
        """The verdict on one picture. Raises BadFrame where it cannot be decoded."""
        return self.judge(self.embed([picture])[0])

    def embed(self, pictures: Sequence[Picture]) -> Vectors:
        """Unit vectors, float32 [len(pictures), d]; the mean over the bundle's views of each."""
        opened = (_opened(picture, self.min_edge) for picture in pictures)
        return np.stack([self._image_encoder.embed_image(image) for image in opened])

    def probabilities(self, embeddings: Vectors) -> Vectors:
        """float32 [n, labels] for unit vectors [n, d]; each row sums to 1."""
        return _summed_softmax(self._logits(embeddings, self.embeddings), self.embeddings.owner)

    def predict_proba(
        self, pictures: Picture | Sequence[Picture], texts: Sequence[str] | None = None
    ) -> Vectors:
        """Probabilities, float32 [pictures, texts], each row summing to 1.

        `texts` are encoded word for word; without them the columns are `labels`. Raises
        VocabularyError where `texts` are given and the bundle has no text encoder.
        """
        one = isinstance(pictures, str | Path | Image.Image | np.ndarray)
        vectors = self.embed([pictures] if one else pictures)  # type: ignore[list-item,arg-type]
        if texts is None:
            return self.probabilities(vectors)
        if self.bundle.manifest.text is None:
            raise VocabularyError(
                f"The model {self.bundle.manifest.name} has no text encoder, so it cannot score "
                "free texts.",
                "Get a CLIP, which reads texts: `make model` or `feeder model pull ID`.",
            )
        prompts = self._embed_vocabulary(vocabularies.from_texts(texts))
        return _summed_softmax(self._logits(vectors, prompts), prompts.owner)

    def judge(self, embedding: Vectors) -> Prediction:
        """The verdict on a picture's unit vector, float32 [d]."""
        if not np.isfinite(embedding).all():
            return unclassified("the model gave no numbers for it")
        rows = self.embeddings
        probability = self.probabilities(embedding[None])[0]
        cosine = np.full(len(self.labels), -1.0, np.float32)
        np.maximum.at(cosine, rows.owner, rows.vectors @ embedding)
        order = np.argsort(-probability, kind="stable")[: max(self._top, 2)]
        candidates = tuple(
            Candidate(self.labels[i], float(probability[i]), float(cosine[i])) for i in order
        )
        mass = {kind: float(probability[at].sum()) for kind, at in self._by_kind.items()}
        groups = [
            Candidate(label, float(probability[list(members)].sum()), candidates[0].cosine)
            for label, members in rows.groups
        ]
        said = verdict(candidates, mass, self.thresholds, groups)
        return Prediction(
            said.observation_type,
            said.reason,
            candidates[: self._top],
            said.named,
            bird_probability=mass.get(Kind.BIRD),
            margin=_margin(candidates),
            embedding=embedding,
            model_digest=self.bundle.digest,
            vocabulary_digest=rows.digest,
        )

    @cached_property
    def _by_kind(self) -> dict[Kind, npt.NDArray[np.bool_]]:
        """For each kind that the labels have, which of them are of it."""
        kinds = [label.kind for label in self.labels]
        return {kind: np.array([one is kind for one in kinds]) for kind in set(kinds)}

    def _logits(self, embeddings: Vectors, rows: LabelEmbeddings) -> Vectors:
        # The bundle's logit bias is the same for every label, so a softmax cannot see it.
        scale = np.float32(self.bundle.manifest.logit_scale)
        return scale * (embeddings @ rows.vectors.T) + rows.bias

    def _embed_vocabulary(self, vocabulary: Vocabulary) -> LabelEmbeddings:
        if self.bundle.manifest.text is None:
            return label_embeddings.embed(vocabulary, self.bundle, None)
        return label_embeddings.embed(vocabulary, self.bundle, self._embed_texts)

    def _embed_texts(self, prompts: Sequence[str]) -> Vectors:
        return self._prompts.embed(prompts, lambda new: self._text_encoder.embed(new))

    @cached_property
    def _text_encoder(self) -> TextEncoder:
        return TextEncoder(self.bundle, self._precision, self._threads, self._cache)


def choose_vocabulary(
    bundle: Bundle, name: str | None, folders: Sequence[Path], own: Path | None = None
) -> Vocabulary:
    """The vocabulary called `name` with the user's `own` labels on top.

    None is the bundle's labels where it brings some, else North American feeder birds.
    """
    if name is None and bundle.manifest.labels is not None:
        chosen = label_embeddings.bundle_labels(bundle)
    else:
        chosen = vocabularies.read(vocabularies.locate(name or FALLBACK_VOCABULARY, folders))
    return vocabularies.with_own(chosen, own) if own is not None else chosen


class Verdict(NamedTuple):
    """What a picture is taken to show, and why; `named` as in `Prediction`."""

    observation_type: ObservationType
    reason: str
    named: Candidate | None = None


def verdict(
    candidates: Sequence[Candidate],
    mass: dict[Kind, float],
    at: Thresholds,
    groups: Sequence[Candidate] = (),
) -> Verdict:
    """The verdict on the best labels, best first, and each kind's total probability.

    A closed list always names something; `blank`, `unknown` and an unidentified bird are how the
    program declines. Where no species is sure, the first of `groups` that is takes its place.
    """
    best = candidates[0]
    said = f"{best.label.name} {best.probability:.2f}"
    birds, blank = mass.get(Kind.BIRD, 0.0), mass.get(Kind.BLANK, 0.0)
    if blank >= at.blank:
        return Verdict(ObservationType.BLANK, f"P(nothing there) {blank:.2f} >= {at.blank:g}")
    doubt = _doubt(candidates, birds, at)
    if not doubt:
        human = best.label.kind is Kind.HUMAN
        return Verdict(ObservationType.HUMAN if human else ObservationType.ANIMAL, said, best)
    group = next((one for one in groups if one.probability >= at.label), None)
    if group is not None and birds >= at.bird:
        reason = f"{group.label.name} {group.probability:.2f}, but {said} {doubt}"
        return Verdict(ObservationType.ANIMAL, reason, group)
    if birds >= at.bird:
        bird = Candidate(UNIDENTIFIED_BIRD, birds, best.cosine)
        reason = f"P(bird) {birds:.2f} >= {at.bird:g}, but {said} {doubt}"
        return Verdict(ObservationType.ANIMAL, reason, bird)
    return Verdict(ObservationType.UNKNOWN, f"{said} {doubt}")


def _doubt(candidates: Sequence[Candidate], birds: float, at: Thresholds) -> str:
    """Why the best label is not the verdict; "" where it is."""
    best, margin = candidates[0], _margin(candidates)
    if best.label.kind is Kind.BLANK:
        return "is not sure enough to be blank"
    if best.probability < at.label:
        return f"< {at.label:g}"
    if best.label.kind is Kind.BIRD and birds < at.bird:
        return f"with P(bird) {birds:.2f} < {at.bird:g}"
    if margin < at.margin:
        return f"is only {margin:.2f} ahead of the next"
    return ""


def cut(image: Image.Image, region: Box) -> Image.Image:
    """The pixels of `image` within `region`, at least one each way."""
    left, top = int(region.x * image.width), int(region.y * image.height)
    right = max(left + 1, round((region.x + region.width) * image.width))
    bottom = max(top + 1, round((region.y + region.height) * image.height))
    return image.crop((left, top, right, bottom))


def _is_surer(part: Prediction, whole: Prediction) -> bool:
    """Whether `part` names something, and `whole` nothing or that less surely.

    A bird's species outweighs all else: that some bird is there is easily sure.
    """
    return _certainty(part) > _certainty(whole)


def _certainty(prediction: Prediction) -> tuple[bool, float]:
    named = prediction.named
    if named is None:
        return False, 0.0
    bird = named is prediction.best and named.label.kind is Kind.BIRD
    return bird and not named.label.is_any_bird, named.probability


def _margin(candidates: Sequence[Candidate]) -> float:
    return candidates[0].probability - (candidates[1].probability if len(candidates) > 1 else 0)


def _summed_softmax(logits: Vectors, owner: npt.NDArray[np.int64]) -> Vectors:
    """Softmax over rows [n, rows], then each label's rows summed: [n, labels]."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = shifted / shifted.sum(axis=1, keepdims=True)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return np.asarray(np.add.reduceat(shares, starts, axis=1), np.float32)


def _opened(picture: Picture, min_edge: int) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    if isinstance(picture, np.ndarray):
        return Image.fromarray(picture)
    try:
        data = Path(picture).read_bytes()
    except OSError as error:
        raise BadFrame(f"{picture}: {error.strerror}", "Check the path.") from error
    try:
        return decoder.decode(data, min_edge=min_edge, max_pixels=MAX_PIXELS).image
    except BadFrame as bad:
        raise BadFrame(f"{picture}: {bad}") from bad
