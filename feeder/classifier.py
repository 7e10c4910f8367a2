"""Embedding x vocabulary -> `Prediction`; the Python API.

>>> from feeder import Classifier
>>> classifier = Classifier.load("starter")
>>> classifier.classify_image("robin.jpg").best
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from feeder import bundle as bundles
from feeder import decoder, label_embeddings, verdicts
from feeder import lessons as people
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle, Precision, Thresholds
from feeder.domain import (
    Box,
    Candidate,
    Frame,
    Kind,
    Label,
    Prediction,
    Vectors,
    unclassified,
)
from feeder.encoder import ImageEncoder, TextEncoder
from feeder.errors import BadFrame, VocabularyError
from feeder.label_embeddings import LabelEmbeddings, PromptCache
from feeder.preprocess import draft_size
from feeder.prototypes import Examples
from feeder.verdicts import Choices, Verdicts
from feeder.vocabulary import Vocabulary

Picture = str | Path | Image.Image | npt.NDArray[np.uint8]
"""A path, a Pillow image, or a uint8 array [height, width, 3]."""

FALLBACK_VOCABULARY = "north-america"
MAX_PIXELS = 64_000_000
PERHAPS = 0.2
"""P(bird) of the whole frame from which a region is looked at: leaves from near resemble birds."""


@dataclass(frozen=True, slots=True)
class Context:
    """What bears on a verdict besides the picture.

    Logits are divided by `temperature`; `log_prior`, float32 [labels], is then added to them: how
    likely each label is at that place and time, 0 where nothing speaks for or against it.
    """

    thresholds: Thresholds
    temperature: float = 1.0
    log_prior: Vectors | None = None


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
        self._vocabulary = vocabulary
        self._given = self.embeddings = self._embed_vocabulary(vocabulary)
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

    def teach(self, lessons: Sequence[Examples]) -> None:
        """Learns from examples that people named, in the place of whatever it learnt so before.

        The vocabulary's digest changes with what is learnt; no encoder is needed.
        """
        self.embeddings = people.taught(self._given, lessons, self._vocabulary, self.bundle)
        self.__dict__.pop("choices", None)

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
        context = self.context(frame.source.deployment.name, frame.captured_at)
        whole = self.judge(self.embed([frame.image])[0], context)
        if region is None or (whole.bird_probability or 0.0) < PERHAPS:
            return whole
        part = self.judge(self.embed([cut(frame.image, region)])[0], context)
        return replace(part, region=region) if _is_surer(part, whole) else whole

    def classify_image(self, picture: Picture) -> Prediction:
        """The verdict on one picture. Raises BadFrame where it cannot be decoded."""
        return self.judge(self.embed([picture])[0])

    def embed(self, pictures: Sequence[Picture]) -> Vectors:
        """Unit vectors, float32 [len(pictures), d]; the mean over the bundle's views of each."""
        opened = (_opened(picture, self.min_edge) for picture in pictures)
        return np.stack([self._image_encoder.embed_image(image) for image in opened])

    def probabilities(self, embeddings: Vectors, context: Context | None = None) -> Vectors:
        """float32 [n, labels] for unit vectors [n, d]; each row sums to 1.

        Without `context` they are the model's own.
        """
        logits, owner = self._logits(embeddings, self.embeddings), self.embeddings.owner
        if context is not None:
            logits /= np.float32(context.temperature)
            if context.log_prior is not None:
                logits += context.log_prior[owner]
        return _summed_softmax(logits, owner)

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

    def judge(self, embedding: Vectors, context: Context | None = None) -> Prediction:
        """The verdict on a picture's unit vector, float32 [d]; without `context`, whatever it is.

        It is that on the vector as the log keeps it, so that judging again gives the same.
        """
        if not np.isfinite(embedding).all():
            return unclassified("the model gave no numbers for it")
        kept = as_kept(embedding)
        context = context or Context(self.thresholds)
        probability = self.probabilities(kept[None], context)
        (prediction,) = self.predictions(
            kept[None], probability, self.decide(probability, context), [0]
        )
        return prediction

    def decide(self, probabilities: Vectors, context: Context) -> Verdicts:
        """The verdicts on n pictures, from `probabilities`, float32 [n, labels]."""
        return verdicts.decide(probabilities, self.choices, context.thresholds)

    def predictions(
        self, embeddings: Vectors, probabilities: Vectors, said: Verdicts, rows: Iterable[int]
    ) -> Iterator[Prediction]:
        """The chosen `rows` of many verdicts in full, each with its best labels and its reason.

        `embeddings` float32 [n, d] and `probabilities` float32 [n, labels] are those of `said`.
        """
        vectors = self.embeddings
        has_birds = bool(self.choices.are(Kind.BIRD).any())
        for row in rows:
            cosine = np.full(len(self.labels), -1.0, np.float32)
            np.maximum.at(cosine, vectors.owner, vectors.vectors @ embeddings[row])
            candidates = tuple(
                Candidate(self.labels[i], float(probabilities[row, i]), float(cosine[i]))
                for i in verdicts.top(probabilities[row], self._top)
            )
            label, share = said.label(row), float(said.named_probability[row])
            named = None if label is None else Candidate(label, share, candidates[0].cosine)
            yield Prediction(
                said.type(row),
                said.reason(row),
                candidates,
                candidates[0] if label is candidates[0].label else named,
                bird_probability=float(said.bird[row]) if has_birds else None,
                margin=float(said.margin[row]),
                embedding=embeddings[row],
                model_digest=self.bundle.digest,
                vocabulary_digest=vectors.digest,
            )

    def context(self, deployment: str, at: datetime) -> Context:
        """What bears on a verdict on a frame of `deployment` taken at the instant `at`."""
        return Context(self.thresholds)

    @cached_property
    def choices(self) -> Choices:
        """What a verdict may name."""
        return Choices(self.labels, self.embeddings.groups)

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


def as_kept(embeddings: Vectors) -> Vectors:
    """Unit vectors as the log keeps them: float32 again, with a float16's precision."""
    return embeddings.astype("<f2").astype(np.float32)


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
