"""Visits: who came, when, and for how long."""

from typing import Annotated, Any

from fastapi import Path, Query, Request, Response

from feeder import visit_history
from feeder.domain import Visit
from feeder.records import visit_record
from feeder.visit_history import Place, VisitQuery
from feeder.web import one_visit
from feeder.web.api import models, shapes
from feeder.web.api.asking import Paged, choose
from feeder.web.api.errors import Refusal, documented
from feeder.web.api.freshness import NOT_MODIFIED, Fresh
from feeder.web.api.paging import LINK, Pager
from feeder.web.api.told import told_router
from feeder.web.desk import Desk, TheDesk

router = told_router("visits")

_KINDS = Place.__args__  # type: ignore[attr-defined]


@router.get(
    "/visits",
    response_model=shapes.Page[models.Visit],
    responses={200: {"headers": LINK}, **NOT_MODIFIED},
)
def list_visits(
    request: Request,
    response: Response,
    desk: TheDesk,
    fresh: Fresh,
    asked: Annotated[Paged, Query()],
) -> dict[str, Any]:
    """Visits that any moment of the period fell into, each whole, by their start, newest first."""
    chosen = choose(desk, asked)
    fresh.check(chosen)
    pager = Pager(request, asked.cursor, asked.limit, chosen, _KINDS)
    newest, after = pager.start(desk.log.newest_frame())
    query = VisitQuery(
        chosen.since, chosen.until, chosen.labels, chosen.deployment, after=after, newest=newest
    )
    visits = visit_history.read(desk.log, desk.settings.visits.gap, desk.groups, query)
    page, last = pager.cut(visits)
    return {
        "items": [visit_record(visit) for visit in page],
        "next": pager.link(response, newest, visit_history.place(last) if last else None),
    }


@router.get("/visits/{event_id:path}", response_model=models.Visit, responses=documented(404))
def get_visit(
    desk: TheDesk,
    event_id: Annotated[
        str, Path(description="camera and number of any of its frames", examples=["garden:1742"])
    ],
) -> dict[str, Any]:
    """One visit; as frames come and labels change, another may have taken its place."""
    return visit_record(visit_of(desk, event_id))


def visit_of(desk: Desk, event_id: str) -> Visit:
    """The visit that this frame of this camera is of. Refuses what is none."""
    visit = one_visit.find(desk, event_id)
    if visit is None:
        raise Refusal(404, f"There is no visit {event_id!r}.", "`/visits` lists them.")
    return visit
