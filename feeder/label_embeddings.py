"""A vocabulary in a bundle's embedding space: from prompts, from the bundle, from photos."""

import hashlib
import logging
import os
import zipfile
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feeder import prototypes
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle
from feeder.domain import Group, Kind, Label, Vectors
from feeder.encoder import unit
from feeder.errors import VocabularyError
from feeder.prototypes import Examples, Rows, mean_direction
from feeder.reading import Words
from feeder.vocabulary import Vocabulary, spelling

log = logging.getLogger("feeder.labels")

EmbedTexts = Callable[[Sequence[str]], Vectors]

DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class LabelEmbeddings:
    """The vectors images are compared with.

    `vectors` float32 [rows, d], each row of unit length; `bias` float32 [rows], added to logits;
    `owner` int64 [rows], the index in `labels` that a row counts for. `groups` are what labels
    have in common, each with its members' indices in `labels`, the smallest first. `skipped` are
    the labels of the vocabulary this bundle has no vector for. `blocked` are the indices of
    labels that are scored and yet never named. `words` are the labels' names as written words,
    None where what is read is not told from what is seen. `digest` names the vocabulary in the log.
    """

    labels: tuple[Label, ...]
    vectors: Vectors
    bias: Vectors
    owner: npt.NDArray[np.int64]
    digest: str
    groups: tuple[tuple[Label, tuple[int, ...]], ...] = ()
    skipped: tuple[str, ...] = ()
    blocked: frozenset[int] = frozenset()
    words: Words | None = None


@dataclass(frozen=True)
class PromptCache:
    """Prompt embeddings kept on disk, so that each is computed once.

    `encoder` names who made them: the bundle's digest and the text graph's precision. The file
    begins with the SHA-256 of what follows: a flipped bit in it would be a label slightly wrong.
    """

    folder: Path | None
    encoder: str

    def embed(self, prompts: Sequence[str], embed_texts: EmbedTexts) -> Vectors:
        """float32 [len(prompts), d] unit vectors; `embed_texts` is called for new ones only."""
        known = self._load()
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
        if new:
            known.update(zip(new, embed_texts(new), strict=True))
            try:
                self._save(known)
            except OSError as error:
                log.warning("the prompts could not be cached: %s", error)
        return np.stack([known[prompt] for prompt in prompts])

    @property
    def _path(self) -> Path | None:
        if self.folder is None:
            return None
        name = hashlib.sha256(self.encoder.encode()).hexdigest()[:16]
        return self.folder / f"prompts-{name}.cache"

    def _load(self) -> dict[str, Vectors]:
        if self._path is None or not self._path.exists():
            return {}
        try:
            content = self._path.read_bytes()
        except OSError as error:
            log.warning("the cached prompts cannot be read, and are made again: %s", error)
            return {}
        stated, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != stated:
            log.warning("the cached prompts in %s are damaged, and are made again", self._path)
            return {}
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            if str(stored["encoder"]) != self.encoder:
                return {}
            return dict(zip(stored["prompts"].tolist(), stored["vectors"], strict=True))

    def _save(self, known: dict[str, Vectors]) -> None:
        if self._path is None:
            return
        data = BytesIO()
        np.savez(
            data,
            encoder=self.encoder,
            prompts=np.array(list(known)),
            vectors=np.stack(list(known.values())),
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(f".{os.getpid()}.new")
        beside.write_bytes(hashlib.sha256(data.getvalue()).digest() + data.getvalue())
        os.replace(beside, self._path)


def embed(
    vocabulary: Vocabulary,
    bundle: Bundle,
    embed_texts: EmbedTexts | None,
) -> LabelEmbeddings:
    """Every label of `vocabulary` as unit vectors of `bundle`.

    `embed_texts` is the bundle's text encoder, None where it has none: then the bundle's own
    labels are selected from. A label learnt from photos by another bundle is skipped. Raises
    VocabularyError for a label that cannot be embedded.
    """
    stale = tuple(label.name for label in vocabulary.labels if _is_stale(label, bundle))
    vocabulary = replace(
        vocabulary, labels=tuple(one for one in vocabulary.labels if one.name not in stale)
    )
    shown = [photo_examples(label) for label in vocabulary.labels if label.photos is not None]
    named = replace(
        vocabulary, labels=tuple(one for one in vocabulary.labels if one.photos is None)
    )
    if embed_texts is None:
        rows, labels, skipped = _from_bundle(named, bundle)
    elif named.labels or not shown:
        rows, labels, skipped = _from_text(named, embed_texts), named.labels, ()
    else:
        rows, labels, skipped = [], (), ()
    every_label, rows = prototypes.teach(labels, rows, shown, bundle.manifest.logit_scale)
    skipped = (*skipped, *(f"{name} (learnt by another model)" for name in stale))
    words = None if embed_texts is None else _words(named, embed_texts)
    digest = _digest(vocabulary, every_label)
    return assembled(every_label, rows, vocabulary, digest, skipped, words)


def assembled(
    labels: Sequence[Label],
    rows: Sequence[Rows],
    vocabulary: Vocabulary,
    digest: str,
    skipped: tuple[str, ...] = (),
    words: Words | None = None,
) -> LabelEmbeddings:
    """Labels with their rows as one, with those of the vocabulary's groups that they make up.

    Raises VocabularyError where all of them are blocked.
    """
    blocked = {place for place, label in enumerate(labels) if label.name in vocabulary.blocked}
    if len(blocked) == len(labels):
        raise VocabularyError(
            f"Every label of {vocabulary.title!r} is blocked.", "`feeder labels unblock NAME`."
        )
    return LabelEmbeddings(
        labels=tuple(labels),
        vectors=np.concatenate([vectors for vectors, _ in rows]),
        bias=np.concatenate([bias for _, bias in rows]),
        owner=np.repeat(np.arange(len(rows)), [len(bias) for _, bias in rows]),
        digest=digest,
        # A blocked label is never named, by no group's name either.
        groups=_present(vocabulary.groups, labels, vocabulary.blocked),
        skipped=skipped,
        blocked=frozenset(blocked),
        words=words,
    )


def _from_text(vocabulary: Vocabulary, embed_texts: EmbedTexts) -> list[Rows]:
    groups = [vocabulary.prompts(label) for label in vocabulary.labels]
    every = [prompt for group in groups for prompts in group for prompt in prompts]
    if not every:
        raise VocabularyError(f"{vocabulary.title!r} has no labels.", "Add one: feeder labels add.")
    vectors = dict(zip(every, embed_texts(every), strict=True))
    return [
        (
            np.concatenate([mean_direction([vectors[prompt] for prompt in row]) for row in group]),
            np.zeros(len(group), np.float32),
        )
        for group in groups
    ]


def _words(vocabulary: Vocabulary, embed_texts: EmbedTexts) -> Words | None:
    """The names of all labels as written words, where one of the labels stands for text."""
    places = enumerate(vocabulary.labels)
    text = next((place for place, label in places if label.is_text), None)
    if text is None:
        return None
    written = [
        (place, prompts)
        for place, label in enumerate(vocabulary.labels)
        if place != text
        for prompts in vocabulary.written(label)
    ]
    every = [prompt for _, prompts in written for prompt in prompts]
    if not every:
        return None
    vectors = dict(zip(every, embed_texts(every), strict=True))
    rows = [mean_direction([vectors[prompt] for prompt in prompts]) for _, prompts in written]
    return Words(np.concatenate(rows), np.array([place for place, _ in written]), text)


def _from_bundle(
    vocabulary: Vocabulary, bundle: Bundle
) -> tuple[list[Rows], tuple[Label, ...], tuple[str, ...]]:
    """The vocabulary's labels that the bundle knows, then the bundle's own negatives.

    The negatives stay whatever the vocabulary: without them a closed list always names a bird.
    """
    own, stored = bundle_labels(bundle), _stored_vectors(bundle)
    rows: list[Rows] = []
    labels: list[Label] = []
    skipped: list[str] = []
    used: set[str] = set()
    for label in vocabulary.labels:
        match = next(filter(None, map(own.find, vocabularies.names(label))), None)
        if match is not None and match.name not in used:
            used.add(match.name)
            rows.append(stored[match.name])
        elif label.name in vocabulary.own:
            raise cannot_read(bundle, label.name)
        else:
            skipped.append(label.name)
            continue
        labels.append(label)
    for label in own.labels:
        if (
            label.name not in {*used, *vocabulary.own}
            and is_negative(label)
            and label.name not in vocabulary.removed
        ):
            rows.append(stored[label.name])
            labels.append(label)
    return rows, tuple(labels), tuple(skipped)


def without_vectors(vocabulary: Vocabulary, bundle: Bundle) -> dict[str, str]:
    """The labels that `bundle` cannot compare pictures with, by name, and why; nothing is encoded.

    Raises VocabularyError where example photos cannot be read.
    """
    stale = {
        one.name: "learnt by another model" for one in vocabulary.labels if _is_stale(one, bundle)
    }
    if bundle.manifest.text is not None:
        return stale
    own = bundle_labels(bundle)
    unknown = {
        label.name: "unknown to the model"
        for label in vocabulary.labels
        if label.photos is None and not any(map(own.find, vocabularies.names(label)))
    }
    return {**stale, **unknown}


def cannot_read(bundle: Bundle, name: str) -> VocabularyError:
    """The error for a label that a bundle without a text encoder should learn from its name."""
    return VocabularyError(
        f"The model {bundle.manifest.name} has no text encoder, so it cannot learn {name!r} "
        "from its name.",
        f'Show it photos: `feeder labels add "{name}" --photos FOLDER`; or get a CLIP, which '
        "reads names: `make model`.",
    )


def is_negative(label: Label) -> bool:
    """Whether it is there to keep a closed list from naming a species: no bird, or any bird."""
    return label.kind is not Kind.BIRD or label.is_any_bird


def bundle_labels(bundle: Bundle) -> Vocabulary:
    """The labels a bundle brings vectors for. Raises VocabularyError where it brings none."""
    if bundle.manifest.labels is None:
        raise VocabularyError(
            f"The model {bundle.manifest.name} brings no labels of its own.",
            'Choose a vocabulary: `vocabulary = "north-america"` under [model].',
        )

    def load(path: Path) -> bytes:
        return bundle.read(path.relative_to(bundle.folder).as_posix())

    vocabulary = vocabularies.read(bundle.folder / bundle.manifest.labels, load=load)
    if any(label.photos is not None for label in vocabulary.labels):
        raise VocabularyError(
            f"The model {bundle.manifest.name} brings a label made of photos, which no manifest "
            "pins.",
            "Its labels bring vectors; take `photos` out and export the bundle again.",
        )
    return vocabulary


def _stored_vectors(bundle: Bundle) -> dict[str, Rows]:
    assert bundle.manifest.label_vectors is not None
    data = BytesIO(bundle.read(bundle.manifest.label_vectors))
    with np.load(data, allow_pickle=False) as stored:
        vectors, bias = unit(stored["vectors"]), stored["bias"].astype(np.float32)
    labels = bundle_labels(bundle).labels
    return {label.name: (vectors[i : i + 1], bias[i : i + 1]) for i, label in enumerate(labels)}


def _present(
    groups: Sequence[Group], labels: Sequence[Label], blocked: Container[str]
) -> tuple[tuple[Label, tuple[int, ...]], ...]:
    """The groups that `labels`, less those `blocked` by name, make up, the smallest first.

    A name like "Downy/Hairy Woodpecker" needs all it lists, "woodpecker sp." any two.
    """
    place = {
        spelling(name): index
        for index, label in enumerate(labels)
        if label.kind is Kind.BIRD and label.name not in blocked
        for name in (label.name, *label.aliases)
    }
    found = []
    for group in groups:
        members = {place[name] for name in map(spelling, group.members) if name in place}
        least = 2 if group.label.name.endswith(" sp.") else len(group.members)
        if len(members) >= least:
            found.append((group.label, tuple(sorted(members))))
    return tuple(sorted(found, key=lambda one: len(one[1])))


def save_photos(path: Path, embeddings: Sequence[Vectors], bundle: Bundle) -> None:
    """Keeps the embeddings, n of [d], of a label's example photos beside the user's labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, embeddings=np.array(embeddings, np.float16), bundle_digest=bundle.digest)


def _is_stale(label: Label, bundle: Bundle) -> bool:
    """Whether the label was learnt from photos in another bundle's embedding space."""
    if label.photos is None:
        return False
    return str(_photo_arrays(label)["bundle_digest"]) != bundle.digest


def photo_examples(label: Label) -> Examples:
    """The example photos of a label that has some, each a burst of its own."""
    vectors = unit(_photo_arrays(label)["embeddings"].astype(np.float32))
    return Examples(label, vectors, np.arange(len(vectors)))


def _photo_arrays(label: Label) -> dict[str, npt.NDArray[Any]]:
    assert label.photos is not None
    again = f'Run `feeder labels remove "{label.name}"`, then add it again.'
    return read_photos(label.photos, label.name, again)


def read_photos(path: Path, name: str, again: str) -> dict[str, npt.NDArray[Any]]:
    """What `save_photos` kept, every byte of it against the archive's own CRC-32.

    numpy alone reads an array as far as its header says, and compares only what it read whole.
    Raises VocabularyError with the hint `again` for the photos of `name` that cannot be read.
    """
    try:
        data = path.read_bytes()
        with zipfile.ZipFile(BytesIO(data)) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} is damaged")
        with np.load(BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in ("bundle_digest", "embeddings")}
    except Exception as error:  # zipfile raises half a dozen classes for as many kinds of damage
        raise VocabularyError(
            f"The example photos of {name!r} cannot be read: {error}.", again
        ) from error


def _digest(vocabulary: Vocabulary, labels: Sequence[Label]) -> str:
    content = vocabularies.digest(vocabulary), [label.name for label in labels]
    return hashlib.sha256(repr(content).encode()).hexdigest()
