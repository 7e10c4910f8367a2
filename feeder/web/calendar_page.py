"""The calendar: visits by day over the years."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from feeder.clock import to_local
from feeder.web import charts
from feeder.web.background import TheCounter
from feeder.web.desk import TheDesk
from feeder.web.rendering import page

router = APIRouter()

YEARS = 3
"""Shown at once; earlier ones are a link away."""


@router.get("/calendar")
def calendar(
    request: Request,
    desk: TheDesk,
    counter: TheCounter,
    species: Annotated[str, Query(max_length=200)] = "",
    until: Annotated[int | None, Query(ge=1, le=9999)] = None,
) -> HTMLResponse:
    """Some years' days, by how many visits they had, of one label or of all."""
    is_complete = counter.caught_up()
    tally = counter.tally
    days = tally.days(species or None)
    this_year = to_local(desk.clock.now(), desk.zone).year
    first = min(days, default=date(this_year, 1, 1)).year
    last = min(max(until or 0, first), this_year) if until else this_year
    years = range(last, max(first, last - YEARS + 1) - 1, -1)
    steps = charts.steps(days.values())
    return page(
        request,
        "calendar",
        years=[
            (year, charts.year(year, days, steps, _link), _months(year, days)) for year in years
        ],
        steps=steps,
        visits=sum(days.values()),
        count=len(days),
        undated=sum(one.undated for one in tally.totals(label=species or None)),
        labels=sorted(tally.labels(), key=str.casefold),
        species=species,
        earlier=years[-1] - 1 if years[-1] > first else None,
        later=min(last + YEARS, this_year) if last < this_year else None,
        days_due=0 if is_complete else tally.days_due(),
        is_complete=is_complete,
    )


def _link(day: date) -> str:
    return f"/?day={day}"


def _months(year: int, days: dict[date, int]) -> list[tuple[date, list[tuple[date, int]]]]:
    """The year's months with their days that had any, for who reads and does not look."""
    found: dict[date, list[tuple[date, int]]] = {}
    for day, count in days.items():
        if day.year == year:
            found.setdefault(day.replace(day=1), []).append((day, count))
    return list(found.items())
