"""What waits for a person: the review queue, and what no species fitted."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from feeder import review as reviews
from feeder import unknowns as sorting
from feeder.embedding_store import EmbeddingStore
from feeder.log_records import cluster_record, waiting_record
from feeder.opening import open_bundle, open_vocabulary
from feeder.review_log import ReviewLog
from feeder.search_log import SearchLog
from feeder.web.api import models, shapes
from feeder.web.api.asking import Asked, check_deployment, pictures
from feeder.web.api.errors import documented, told_as
from feeder.web.api.freshness import NOT_MODIFIED, Fresh
from feeder.web.api.told import told_router
from feeder.web.desk import TheDesk

router = told_router("review")


class ReviewAsked(Asked):
    """What of the queue."""

    deployment: str | None = Field(
        None, min_length=1, max_length=200, description="one camera only", examples=["garden"]
    )
    uncertain: bool = Field(False, description="also the least certain sightings")
    days: int = Field(
        14, ge=1, le=36500, description="how far back rare and uncertain sightings are looked for"
    )
    limit: int = Field(20, ge=1, le=500, description="of the uncertain ones")


class UnknownsAsked(Asked):
    """How the unknown is sorted."""

    min_size: int = Field(
        sorting.MIN_SIZE, ge=2, le=1000, description="the least occasions that make a cluster"
    )
    limit: int = Field(20, ge=1, le=1000, description="clusters listed")


@router.get("/review", response_model=shapes.Items[models.Waiting], responses=NOT_MODIFIED)
def list_review(
    desk: TheDesk, fresh: Fresh, asked: Annotated[ReviewAsked, Query()]
) -> dict[str, Any]:
    """Species that are new or rare at a camera, each with its surest frame."""
    check_deployment(desk.zones, asked.deployment)
    since = desk.clock.now() - timedelta(days=asked.days)
    fresh.check(since.replace(minute=0, second=0, microsecond=0))  # an hour late is no matter
    with told_as(503):
        vocabulary = open_vocabulary(desk.settings, open_bundle(desk.settings))
    with ReviewLog(desk.settings.database) as log:
        found = reviews.waiting(
            log,
            vocabulary,
            since,
            asked.deployment,
            uncertain=asked.limit if asked.uncertain else 0,
        )
    addresses = pictures(desk, [one.media_id for one in found])
    return {"items": [waiting_record(one, addresses[one.media_id]) for one in found]}


@router.get("/unknowns", response_model=models.Unknowns, responses=documented(409))
def list_unknowns(desk: TheDesk, asked: Annotated[UnknownsAsked, Query()]) -> dict[str, Any]:
    """What no species fitted, sorted into clusters of frames that are alike.

    What was listed last is what a correction of a `cluster` names. 409 where the extra `cluster` is
    not installed.
    """
    settings = desk.settings
    bundle = open_bundle(settings)
    with SearchLog(settings.database) as log:
        store = EmbeddingStore.open(settings.database, bundle.digest, settings.cache)
        found = sorting.sort(store, log, asked.min_size)
        sorting.remember(found, log, settings.cache)
    return {
        "items": [cluster_record(one) for one in found.clusters[: asked.limit]],
        "clusters": len(found.clusters),
        "frames": found.frames,
        "alone": found.alone,
        "not_sorted": found.not_sorted,
        "too_old": found.too_old,
    }
