"""Today's visits, as they come, and those of any other day."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from feeder.clock import to_local
from feeder.domain import Visit
from feeder.query_terms import NoSuchTime
from feeder.refill import ATTRIBUTE, REMEMBERED, FeederState, feeder_state
from feeder.tag_log import TagLog
from feeder.web import charts, day_view
from feeder.web.day_view import DAY
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page

router = APIRouter()

SHOWN = 9
"""Visits that are shown at once; the others are folded away, so that their pictures wait."""

LAST = 6
"""Visits of earlier days that are shown where a day has none."""


@router.get("/")
def today(
    request: Request, desk: TheDesk, day: Annotated[str | None, Query(max_length=32)] = None
) -> HTMLResponse:
    """One day's visits; today's where none is asked for."""
    now = desk.clock.now()
    this_day = to_local(now, desk.zone).date()
    asked = _day(day) if day else this_day
    has_log = desk.settings.database.exists()
    seen = day_view.on(desk, asked) if has_log else day_view.DayView(asked, (), desk.zones)
    last: list[Visit] = []
    if has_log and not seen.visits and asked == this_day:
        last = day_view.newest(desk, LAST)
    return page(
        request,
        "today",
        seen=seen,
        shown=seen.visits[:SHOWN],
        folded=seen.visits[SHOWN:],
        last=last,
        has_log=has_log,
        is_today=asked == this_day,
        before=asked - DAY if asked > date.min else None,
        after=asked + DAY if asked < this_day else None,
        hours=charts.by_hour("hours", seen.by_hour),
        firsts=[],
        feeders=_feeders(desk) if has_log and asked == this_day else {},
        daemon=desk.link.state if desk.link else None,
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NoSuchTime(f"{text!r} is no day; write it like 2026-05-01") from None


def _feeders(desk: Desk) -> dict[str, FeederState]:
    """What is known of how full each camera's feeder is."""
    now = desk.clock.now()
    with TagLog(desk.settings.database) as log:
        states = {
            one.name: feeder_state(log.said(ATTRIBUTE, one.name, now - REMEMBERED), now)
            for one in desk.settings.deployments
        }
    return {name: state for name, state in states.items() if state.is_empty is not None}
