"""Today's visits, as they come, and those of any other day."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from feeder.clock import to_local
from feeder.domain import Visit
from feeder.refill import FeederState
from feeder.tag_log import TagLog
from feeder.tally import Tally
from feeder.visit_statistics import ABSENCE, Arrival, First, days_away, is_first
from feeder.visits import Groups, is_species
from feeder.web import charts, day_view
from feeder.web.background import TheCounter
from feeder.web.day_view import DAY, DayView, as_day
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page

router = APIRouter()

SHOWN = 9
"""Visits that are shown at once; the others are folded away, so that their pictures wait."""

LAST = 6
"""Visits of earlier days that are shown where a day has none."""


@router.get("/")
def today(
    request: Request,
    desk: TheDesk,
    counter: TheCounter,
    day: Annotated[str | None, Query(max_length=32)] = None,
) -> HTMLResponse:
    """One day's visits; today's where none is asked for."""
    now = desk.clock.now()
    this_day = to_local(now, desk.zone).date()
    asked = as_day(day) if day else this_day
    has_log = desk.settings.database.exists()
    seen = day_view.on(desk, asked) if has_log else DayView(asked, (), desk.zones)
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
        before=asked - DAY,
        after=asked + DAY if asked < this_day else None,
        hours=charts.by_hour("hours", seen.by_hour),
        firsts=_firsts(counter.tally, seen, desk.groups) if counter.has_counted else [],
        feeders=_feeders(desk) if has_log and asked == this_day else {},
        is_hanging=desk.link is not None and desk.link.is_hanging,
    )


def _firsts(tally: Tally, seen: DayView, alike: Groups) -> list[First]:
    """Whose first visit ever, or of the season, was on this day; none while nobody can tell."""
    labels = {one.label.name: one for one in reversed(seen.visits) if one.trusted}
    before = tally.last_before(seen.day, list(labels))
    if before is None:
        return []
    found = []
    for name, visit in labels.items():
        away = days_away(before.get(name), seen.day)
        if is_species(visit.label, alike) and is_first(away, ABSENCE):
            arrival = Arrival(visit.start, visit.deployment, visit.best)
            found.append(First(visit.label, arrival, away))
    return found


def _feeders(desk: Desk) -> dict[str, FeederState]:
    """What is known of how full each camera's feeder is."""
    cameras = [one.name for one in desk.settings.deployments]
    with TagLog(desk.settings.database) as log:
        states = log.feeder_states(cameras, desk.clock.now())
    return {name: state for name, state in states.items() if state.is_empty is not None}
