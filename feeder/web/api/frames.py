"""Sightings and frames: the log, row by row."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import Field

from feeder import query_terms
from feeder.log_reader import Query as LogQuery
from feeder.log_records import frame_record
from feeder.picture_log import PictureLog
from feeder.web import media
from feeder.web.api import models, shapes
from feeder.web.api.asking import MediaIdInPath, Paged, choose, pictures
from feeder.web.api.errors import Refusal, documented
from feeder.web.api.freshness import NOT_MODIFIED, Fresh
from feeder.web.api.paging import LINK, Pager
from feeder.web.api.told import told_router
from feeder.web.desk import Desk, TheDesk

router = told_router("frames")

_KINDS = (datetime, int)


class Sightings(Paged):
    """Which frames."""

    every_frame: bool = Field(False, description="blanks, unknowns and broken pictures, too")
    tag: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="with this tag only",
        examples=["behaviour=bathing"],
    )
    favorites: bool = Field(False, description="favorites only")


@router.get(
    "/sightings",
    response_model=shapes.Page[models.Frame],
    responses={200: {"headers": LINK}, **NOT_MODIFIED},
)
def list_sightings(
    request: Request,
    response: Response,
    desk: TheDesk,
    fresh: Fresh,
    asked: Annotated[Sightings, Query()],
) -> dict[str, Any]:
    """Frames that show an animal, or with `every_frame` all, by the time they were taken."""
    chosen = choose(desk, asked)
    tag = query_terms.tag(asked.tag) if asked.tag is not None else None
    fresh.check(chosen)
    pager = Pager(request, asked.cursor, asked.limit, chosen, _KINDS)
    newest, before = pager.start(desk.log.newest_frame())
    query = LogQuery(
        since=chosen.since,
        until=chosen.until,
        labels=chosen.labels,
        deployment=chosen.deployment,
        limit=asked.limit + 1,
        every_frame=asked.every_frame,
        favorites=asked.favorites,
        tag=tag,
        before=before,
        newest=newest,
    )
    page, last = pager.cut(desk.log.sightings(query))
    addresses = pictures(desk, [row["media_id"] for row in page])
    place = (last["timestamp"], last["media_id"]) if last else None
    return {
        "items": [frame_record(row, addresses[row["media_id"]]) for row in page],
        "next": pager.link(response, newest, place),
    }


@router.get(
    "/frames/{media_id}",
    response_model=models.FrameWithHistory,
    responses={**NOT_MODIFIED, **documented(404)},
)
def get_frame(media_id: MediaIdInPath, desk: TheDesk, fresh: Fresh) -> dict[str, Any]:
    """One frame, whatever it shows, and everything that was ever said of it."""
    fresh.check()
    row = desk.log.frame(media_id)
    picture = pictures(desk, [media_id])[media_id]
    return {**frame_record(row, picture), "observations": desk.log.observations(media_id)}


@router.get(
    "/frames/{media_id}/thumbnail",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}}, "description": "The picture, without metadata."},
        **NOT_MODIFIED,
        **documented(404, 410),
    },
)
def get_thumbnail(
    media_id: MediaIdInPath,
    request: Request,
    desk: TheDesk,
    edge: Annotated[int, Query(ge=1, le=480, description="pixels of the longer edge")] = 240,
) -> Response:
    """A frame's picture, made small, with an ETag; 404 or 410 where it is gone."""
    answer = media.thumbnail(desk, media_id, edge, request)
    if answer.status_code >= 400:  # with a drawing that says so, which is for people
        raise Refusal(answer.status_code, f"There is no picture of frame {media_id} to show.")
    return answer


@router.put(
    "/frames/{media_id}/favorite", response_model=models.Favorite, responses=documented(404)
)
def make_favorite(media_id: MediaIdInPath, desk: TheDesk) -> dict[str, Any]:
    """Makes a frame a favorite, whose picture is never deleted."""
    return _set_favorite(desk, media_id, True)


@router.delete(
    "/frames/{media_id}/favorite", response_model=models.Favorite, responses=documented(404)
)
def make_no_favorite(media_id: MediaIdInPath, desk: TheDesk) -> dict[str, Any]:
    """Makes a frame no favorite any more."""
    return _set_favorite(desk, media_id, False)


def _set_favorite(desk: Desk, media_id: int, favorite: bool) -> dict[str, Any]:
    log = PictureLog.open(desk.settings.database, desk.clock)
    try:
        with log.writing():
            log.get([media_id])
            log.set_favorite([media_id], favorite)
    finally:
        log.close()
    return {"media_id": media_id, "favorite": favorite}
