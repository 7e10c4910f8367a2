"""Embedding x vocabulary -> `Prediction`; the Python API.

>>> from feeder import Classifier
>>> classifier = Classifier.load("starter")
>>> classifier.classify_image("robin.jpg").best
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from feeder import bundle as bundles
from feeder import decoder, label_embeddings, species_prior, tagging, verdicts
from feeder import lessons as people
from feeder import vocabulary as vocabularies
from feeder.attributes import Attribute
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
from feeder.reading import without_what_is_read
from feeder.species_prior import Expectation, Locality
from feeder.verdicts import Choices, Context, Verdicts
from feeder.vocabulary import Vocabulary

Picture = str | Path | Image.Image | npt.NDArray[np.uint8]
"""A path, a Pillow image, or a uint8 array [height, width, 3]."""

FALLBACK_VOCABULARY = "north-america"
MAX_PIXELS = 64_000_000
PERHAPS = 0.2
"""P(bird) of the whole frame from which a region is looked at: leaves from near resemble birds."""


class Classifier:
    """A bundle and a vocabulary, ready to judge pictures. Not safe to share between threads.

    `calibrated` are thresholds and temperature by deployment, in the place of `thresholds` and 1.
    """

    def __init__(
        self,
        bundle: Bundle,
        vocabulary: Vocabulary,
        *,
        cache: Path | None = None,
        precision: Precision | Literal["auto"] = "auto",
        threads: int = 0,
        thresholds: Thresholds | None = None,
        calibrated: Mapping[str, tuple[Thresholds, float]] | None = None,
        top: int = 5,
        attributes: Sequence[Attribute] = (),
        localities: Mapping[str, Locality] | None = None,
        lazy: bool = False,
    ) -> None:
        """With `lazy` the image encoder is loaded, and may be refused, at the first picture only.

        Judging embeddings again needs none.
        """
        self.bundle = bundle
        self.thresholds = thresholds or bundle.manifest.thresholds
        self._calibrated = calibrated or {}
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
        self._localities = localities or {}
        self._contexts: dict[tuple[str, int | None], Context] = {}
        reads = bundle.manifest.text is not None
        self.tagger = tagging.embed(attributes, bundle, self._embed_texts if reads else None)
        self.__dict__.pop("_text_encoder", None)
        if not lazy:
            _ = self._image_encoder

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
        self._contexts.clear()
        for made_of_labels in ("choices", "expectations", "anywhere"):
            self.__dict__.pop(made_of_labels, None)

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
        if region is None or not _may_show_a_bird(whole):
            return self.tagger.tagged(whole)
        part = self.judge(self.embed([cut(frame.image, region)])[0], context)
        chosen = replace(part, region=region) if _is_surer(part, whole) else whole
        return self.tagger.tagged(chosen)

    def classify_image(self, picture: Picture) -> Prediction:
        """The verdict on one picture. Raises BadFrame where it cannot be decoded."""
        return self.tagger.tagged(self.judge(self.embed([picture])[0]))

    def embed(self, pictures: Sequence[Picture]) -> Vectors:
        """Unit vectors, float32 [len(pictures), d]; the mean over the bundle's views of each."""
        opened = (_opened(picture, self.min_edge) for picture in pictures)
        return np.stack([self._image_encoder.embed_image(image) for image in opened])

    def probabilities(self, embeddings: Vectors, context: Context | None = None) -> Vectors:
        """float32 [n, labels] for unit vectors [n, d]; each row sums to 1.

        Without `context` they are the model's own, blocked labels included.
        """
        logits = self._logits(embeddings, self.embeddings)
        if context is not None:
            logits /= np.float32(context.temperature)
        shares = _summed_softmax(logits, self.embeddings.owner)
        words = self.embeddings.words
        if words is not None:
            # What was learnt from pictures resembles them more than any word does.
            seen = self._best_cosines(embeddings, self._given)
            scale = self.bundle.manifest.logit_scale
            shares = without_what_is_read(shares, embeddings, seen, words, scale)
        if context is None or context.log_prior is None:
            return shares
        return species_prior.weigh(shares, context.log_prior, self.choices.are(Kind.BIRD))

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
        context = context or self.anywhere
        probability = self.probabilities(kept[None], context)
        (prediction,) = self.predictions(
            kept[None], probability, self.decide(probability, context), [0]
        )
        return prediction

    def decide(self, probabilities: Vectors, context: Context) -> Verdicts:
        """The verdicts on n pictures, from `probabilities`, float32 [n, labels]."""
        return verdicts.decide(probabilities, self.choices, context.thresholds, context)

    def predictions(
        self, embeddings: Vectors, probabilities: Vectors, said: Verdicts, rows: Iterable[int]
    ) -> Iterator[Prediction]:
        """The chosen `rows` of many verdicts in full, each with its best labels and its reason.

        `embeddings` float32 [n, d] and `probabilities` float32 [n, labels] are those of `said`.
        """
        vectors, chosen = self.embeddings, np.fromiter(rows, np.int64)
        has_birds = bool(self.choices.are(Kind.BIRD).any())
        cosines = self._best_cosines(embeddings[chosen], vectors)
        best = verdicts.top(probabilities[chosen], self._top)
        unweighed = self._unweighed(embeddings[chosen], said.context)
        for place, row in enumerate(chosen.tolist()):
            candidates = tuple(
                Candidate(self.labels[i], float(probabilities[row, i]), float(cosines[place, i]))
                for i in best[place]
            )
            label, share = said.label(row), float(said.named_probability[row])
            named = None if label is None else Candidate(label, share, candidates[0].cosine)
            yield Prediction(
                said.type(row),
                said.reason(row, None if unweighed is None else unweighed[place]),
                candidates,
                candidates[0] if label is candidates[0].label else named,
                bird_probability=float(said.bird[row]) if has_birds else None,
                margin=float(said.margin[row]),
                embedding=embeddings[row],
                model_digest=self.bundle.digest,
                vocabulary_digest=vectors.digest,
            )

    def context(self, deployment: str, at: datetime) -> Context:
        """What bears on a verdict on a frame of `deployment` taken at the instant `at`.

        It is the same object for the same week of the year.
        """
        expected = self.expectations.get(deployment)
        week = expected.week(at) if expected is not None else None
        if (deployment, week) not in self._contexts:
            self._contexts[deployment, week] = self._context(deployment, week)
        return self._contexts[deployment, week]

    @cached_property
    def expectations(self) -> dict[str, Expectation]:
        """What is to be expected at the deployments that have a region, by their names."""
        # Whoever named a bird there expects it, be it by `labels add` or by a correction.
        named = {label.name for label in self.labels} - {one.name for one in self._given.labels}
        return {
            name: species_prior.expect(locality, self.labels, self._vocabulary.own | named)
            for name, locality in self._localities.items()
        }

    @cached_property
    def anywhere(self) -> Context:
        """What bears on a verdict on a picture of which place and time are unknown."""
        return self._context("", None)

    def _context(self, deployment: str, week: int | None) -> Context:
        thresholds, temperature = self._calibrated.get(deployment, (self.thresholds, 1.0))
        count = len(self.labels)
        factors: Vectors = np.ones(count, np.float32)
        unlikely: Sequence[str] = ("",) * count
        if week is not None:
            expected = self.expectations[deployment]
            factors, unlikely = expected.factors[week], expected.unlikely(week)
        elif not self.embeddings.blocked:
            return Context(thresholds, temperature)
        blocked = np.isin(np.arange(count), list(self.embeddings.blocked))
        return Context(
            thresholds,
            temperature,
            log_prior=species_prior.log_prior(factors, blocked),
            unlikely=tuple(np.where(blocked, species_prior.BLOCKED, unlikely).tolist()),
        )

    def _unweighed(self, embeddings: Vectors, context: Context | None) -> Vectors | None:
        """Probabilities, float32 [n, labels], without the prior; None where there is none."""
        if context is None or context.log_prior is None:
            return None
        return self.probabilities(embeddings, replace(context, log_prior=None))

    @cached_property
    def choices(self) -> Choices:
        """What a verdict may name."""
        return Choices(self.labels, self.embeddings.groups)

    def _logits(self, embeddings: Vectors, rows: LabelEmbeddings) -> Vectors:
        # The bundle's logit bias is the same for every label, so a softmax cannot see it.
        scale = np.float32(self.bundle.manifest.logit_scale)
        return scale * (embeddings @ rows.vectors.T) + rows.bias

    def _best_cosines(self, embeddings: Vectors, rows: LabelEmbeddings) -> Vectors:
        """float32 [n, labels]: how alike each label's best row is, for unit vectors [n, d]."""
        starts = np.flatnonzero(np.diff(rows.owner, prepend=-1))
        return np.maximum.reduceat(embeddings @ rows.vectors.T, starts, axis=1)

    def _embed_vocabulary(self, vocabulary: Vocabulary) -> LabelEmbeddings:
        if self.bundle.manifest.text is None:
            return label_embeddings.embed(vocabulary, self.bundle, None)
        return label_embeddings.embed(vocabulary, self.bundle, self._embed_texts)

    def _embed_texts(self, prompts: Sequence[str]) -> Vectors:
        return self._prompts.embed(prompts, lambda new: self._text_encoder.embed(new))

    @cached_property
    def _image_encoder(self) -> ImageEncoder:
        return ImageEncoder(self.bundle, self._precision, self._threads, self._cache)

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


def _may_show_a_bird(whole: Prediction) -> bool:
    """Whether it is worth a second look; words on a note may have taken the bird's part."""
    is_read = whole.best is not None and whole.best.label.is_text
    return is_read or (whole.bird_probability or 0.0) >= PERHAPS


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
    shares: Vectors = logits - logits.max(axis=1, keepdims=True)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=1, keepdims=True)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    if len(starts) == len(owner):
        return shares
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
