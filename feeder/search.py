"""The logged frames most like a text, a photo or another frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from feeder import decoder
from feeder.bundle import Bundle, Precision
from feeder.bursts import Bursts
from feeder.classifier import MAX_PIXELS
from feeder.domain import Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.encoder import ImageEncoder, TextEncoder
from feeder.errors import BadFrame, FeederError, NoSuchFrame, VocabularyError
from feeder.log_reader import Query
from feeder.memory import release_memory
from feeder.nearest import best_first, cosines
from feeder.preprocess import draft_size
from feeder.search_log import AT_ONCE, SearchLog, Seen

DEFAULT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Hit:
    """A frame that was found; `similarity` is its cosine with what was sought, in [-1, 1]."""

    frame: Seen
    similarity: float


@dataclass(frozen=True, slots=True)
class Seeker:
    """Turns what is sought into a vector. Each encoder is loaded for one call and let go again.

    The fields are `ImageEncoder`'s.
    """

    bundle: Bundle
    precision: Precision | Literal["auto"] = "auto"
    threads: int = 0
    cache: Path | None = None

    def text(self, text: str) -> Vectors:
        """float32 [d], for a text, word for word. VocabularyError where the model reads none."""
        name = self.bundle.manifest.name
        if self.bundle.manifest.text is None:
            raise VocabularyError(
                f"The model {name} has no text encoder, so it cannot search for {text!r}.",
                "Search by a picture: `--like PHOTO`, or `--like-frame ID` for a frame of the "
                "log; or get a CLIP, which reads texts: `feeder model pull ID`.",
            )
        self.bundle.verify_settings()
        # Never bound to a name, so that the session goes before its memory is handed back.
        vectors = TextEncoder(self.bundle, self.precision, self.threads, self.cache).embed([text])
        release_memory()
        return np.asarray(vectors[0], np.float32)

    def photo(self, path: Path) -> Vectors:
        """float32 [d], for the picture at `path`. Raises BadFrame where it cannot be decoded."""
        edge = draft_size(self.bundle.manifest.preprocessing)
        try:
            image = decoder.decode(path.read_bytes(), min_edge=edge, max_pixels=MAX_PIXELS).image
        except OSError as error:
            raise BadFrame(f"{path}: {error.strerror}", "Check the path.") from error
        except BadFrame as bad:
            raise BadFrame(f"{path}: {bad}") from bad
        return self.image(image)

    def image(self, image: Image.Image) -> Vectors:
        """float32 [d], for a decoded picture."""
        self.bundle.verify_settings()
        encoder = ImageEncoder(self.bundle, self.precision, self.threads, self.cache)
        return encoder.embed_image(image)


def of_frame(store: EmbeddingStore, log: SearchLog, media_id: int, model: str) -> Vectors:
    """float32 [d], of a logged frame. FeederError where `model` has not seen it."""
    try:
        return np.asarray(store.get([media_id])[0], np.float32)
    except KeyError:
        pass
    if not log.seen([media_id]):
        raise NoSuchFrame(
            f"There is no frame {media_id} in the log.",
            "`feeder sightings --all` shows each frame's id in its first column.",
        )
    raise FeederError(
        f"Frame {media_id} has no embedding of the model {model}.",
        "It was judged by another model, or could not be decoded; choose another frame.",
    )


def search(
    store: EmbeddingStore,
    log: SearchLog,
    vector: Vectors,
    query: Query,
    *,
    every: bool = False,
    like: int | None = None,
) -> list[Hit]:
    """At most `query.limit` frames most like a unit vector, float32 [d], the likest first.

    Of a camera's frames within seconds of each other only the likest is given, unless `every`.
    `like` is the frame that the vector is of: neither it nor its burst is given.
    """
    limit = DEFAULT_LIMIT if query.limit is None else query.limit
    found: list[Hit] = []
    bursts = Bursts()
    if like is not None and not every:
        for frame in log.seen([like]).values():
            bursts.is_new(frame.deployment, frame.at)
    for hit in _ranked(store, log, vector, query):
        frame = hit.frame
        if frame.media_id == like or not (every or bursts.is_new(frame.deployment, frame.at)):
            continue
        found.append(hit)
        if len(found) == limit:
            break
    return found


def _ranked(store: EmbeddingStore, log: SearchLog, vector: Vectors, query: Query) -> Iterator[Hit]:
    """Every frame that meets the query, the likest first; the log is asked as far as needed."""
    few = log.few(query)
    rows = None if few is None else np.flatnonzero(np.isin(store.media_ids, few))
    media_ids = store.media_ids if rows is None else store.media_ids[rows]
    similarity = cosines(store.mapped(), vector, rows)
    for places in best_first(similarity):
        for start in range(0, len(places), AT_ONCE):
            part = places[start : start + AT_ONCE]
            seen = log.seen(media_ids[part].tolist(), query)
            for place in part:
                frame = seen.get(int(media_ids[place]))
                if frame is not None:
                    yield Hit(frame, float(similarity[place]))
