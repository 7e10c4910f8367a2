"""One visit, with all its frames."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from feeder import log_reader
from feeder.clock import MOMENT
from feeder.domain import Visit
from feeder.web import correcting, one_visit
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page
from feeder.web.words import Words, visit_url

router = APIRouter()

SHOWN = 48
"""Frames on one page of a visit."""


@router.get("/visits/{event_id:path}")
def visit(
    request: Request,
    desk: TheDesk,
    event_id: str,
    start: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HTMLResponse:
    """The visit with this id, or, where a frame came before it since, the one that frame is in."""
    found = one_visit.find(desk, event_id)
    if found is None:
        return page(request, "no_visit", 404, event_id=event_id)
    others = [media_id for media_id in found.media_ids if media_id != found.best]
    shown = found.media_ids[start : start + SHOWN]
    return page(
        request,
        "visit",
        visit=found,
        media_ids=found.media_ids,
        answers=correcting.answers(desk, [found.best, *others], visit_url(found)),
        done=correcting.done(request, desk),
        words=Words.of(desk),
        zones=desk.zones,
        frames=_frames(desk, found, frozenset(shown)),
        start=start,
        shown=SHOWN,
    )


def _frames(desk: Desk, visit: Visit, media_ids: frozenset[int]) -> list[dict[str, Any]]:
    """The rows of these frames, in time order."""
    query = log_reader.Query(visit.start, visit.end + MOMENT, deployment=visit.deployment)
    rows = [row for row in desk.log.sightings(query) if row["media_id"] in media_ids]
    return rows[::-1]
