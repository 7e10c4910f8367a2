"""The whole history asked for its tags again, from its embeddings alone."""

from collections.abc import Callable

from feeder.embedding_store import EmbeddingStore
from feeder.tag_log import TagLog
from feeder.tagging import Tagger

ROWS = 2048
"""Frames in one transaction: a tenth of a second or so, for which the daemon waits at most."""


def retag(
    store: EmbeddingStore,
    log: TagLog,
    tagger: Tagger,
    model_digest: str,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> int:
    """Puts what `tagger` says of every frame in `store` in the place of the tags it has.

    Broken off, it goes on where it was, as long as the same is asked; `progress` is told of
    embeddings done and of all. The side vocabularies must be registered with `log`. Returns how
    many tags it wrote.
    """
    done, written = 0, 0
    start = log.progress(model_digest, tagger.digest)
    for media_ids, embeddings in store.chunks(ROWS):
        if done + len(media_ids) > start:
            frames = media_ids.tolist()
            are_birds, are_whole = log.facts(model_digest, frames)
            tags = tagger.tags(embeddings, are_birds, are_whole)
            log.replace(
                model_digest,
                zip(frames, tags, strict=True),
                digest=tagger.digest,
                done=done + len(frames),
            )
            written += sum(map(len, tags))
        done += len(media_ids)
        progress(done, len(store))
    log.finish()
    return written
