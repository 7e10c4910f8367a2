"""Frames by likeness to words or to another frame."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from feeder.embedding_store import EmbeddingStore
from feeder.errors import VocabularyError
from feeder.log_reader import Query as LogQuery
from feeder.log_records import hit_record
from feeder.opening import open_bundle
from feeder.search import DEFAULT_LIMIT, of_frame
from feeder.search import search as find
from feeder.search_log import SearchLog
from feeder.web.api import models
from feeder.web.api.asking import MediaId, Selecting, choose, pictures
from feeder.web.api.errors import Refusal, documented
from feeder.web.api.told import told_router
from feeder.web.desk import TheDesk
from feeder.web.judging import TheJudge

router = told_router("search")


class Sought(Selecting):
    """What is sought, and where."""

    text: str | None = Field(
        None, min_length=1, max_length=500, description="words", examples=["a bird bathing"]
    )
    like_frame: MediaId | None = Field(None, description="a frame of the log")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=1000)
    every: bool = Field(False, description="all frames of a burst, not only the likest")


@router.get("/search", response_model=models.Hits, responses=documented(404, 409))
def search_frames(
    desk: TheDesk, judge: TheJudge, asked: Annotated[Sought, Query()]
) -> dict[str, Any]:
    """The frames most like a text or another frame; say one of the two.

    409 for a text where the model in use reads none, or a frame that it has not seen.
    """
    if (asked.text is None) == (asked.like_frame is None):
        raise Refusal(422, "query: say one of `text` and `like_frame`.")
    chosen = choose(desk, asked)
    query = LogQuery(
        since=chosen.since,
        until=chosen.until,
        labels=chosen.labels,
        deployment=chosen.deployment,
        limit=asked.limit,
    )
    settings = desk.settings
    bundle = open_bundle(settings)
    with SearchLog(settings.database) as log:
        store = EmbeddingStore.open(settings.database, bundle.digest, settings.cache)
        if asked.text is not None:
            try:
                vector = judge.text_vector(asked.text)
            except VocabularyError as error:
                raise Refusal(409, str(error), "Search by `like_frame`.") from error
        else:
            assert asked.like_frame is not None
            vector = of_frame(store, log, asked.like_frame, bundle.manifest.name)
        hits = find(store, log, vector, query, every=asked.every, like=asked.like_frame)
        left_out = log.with_embedding() - len(store)
    addresses = pictures(desk, [hit.frame.media_id for hit in hits])
    return {
        "items": [hit_record(hit, addresses[hit.frame.media_id]) for hit in hits],
        "not_searched": left_out,
    }
