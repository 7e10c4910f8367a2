"""Every species with its picture and charts, and a page for each."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from feeder import query_terms, visit_history
from feeder.clock import MOMENT, to_local
from feeder.domain import Visit
from feeder.errors import FeederError
from feeder.picture_log import PictureLog
from feeder.tally import Shot, Tally, Total
from feeder.visit_history import VisitQuery
from feeder.visit_statistics import streaks
from feeder.vocabulary import spelling
from feeder.web import charts
from feeder.web.background import TheCounter
from feeder.web.day_view import as_day
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page
from feeder.web.words import species_url

router = APIRouter()

WEEKS = 26
"""Of the small picture of how a species came."""
YEAR_OF_WEEKS = 53
SHOTS, LOOKED_AT = 8, 32
"""Best pictures that are shown, of so many that may have been deleted."""
LATEST, LATEST_DAYS = 6, 4

_CODE = re.compile(r"[a-z0-9]{3,12}")

Sort = Literal["visits", "name", "last", "first"]
_ORDER: dict[Sort, Callable[[Total], Any]] = {
    "visits": lambda one: (-one.visits, -one.undated, one.label.name),
    "name": lambda one: spelling(one.label.name),
    "last": lambda one: (-one.last.timestamp(), one.label.name),
    "first": lambda one: (one.first, one.label.name),
}


@router.get("/species")
def species(
    request: Request,
    desk: TheDesk,
    counter: TheCounter,
    sort: Sort = "visits",
    since: Annotated[str, Query(max_length=32)] = "",
    q: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """All labels that came since a day, those that are called so."""
    start = as_day(since) if since else None
    is_complete = counter.caught_up()
    today = to_local(desk.clock.now(), desk.zone).date()
    found = [one for one in counter.tally.totals(start) if _is_called(one, q)]
    return page(
        request,
        "species",
        found=sorted(found, key=_ORDER[sort]),
        visits=sum(one.visits + one.undated for one in found),
        sparks=_sparks(counter.tally, today),
        periods=_periods(today, start),
        since=since,
        sort=sort,
        q=q,
        zone=desk.zone,
        days_due=0 if is_complete else counter.tally.days_due(),
        is_complete=is_complete,
    )


@router.get("/species/{name:path}")
def one_species(request: Request, desk: TheDesk, counter: TheCounter, name: str) -> Response:
    """All there is to know of one label; another name for it leads there."""
    is_complete = counter.caught_up()
    tally = counter.tally
    totals = tally.totals(label=name)
    if not totals:
        known = _otherwise_called(desk, name, tally)
        if known is not None:
            return RedirectResponse(species_url(known), 303)
        return page(request, "no_species", 404, name=name, is_complete=is_complete)
    (total,) = totals
    today = to_local(desk.clock.now(), desk.zone).date()
    days = tally.days(name)
    return page(
        request,
        "one_species",
        total=total,
        latest=_latest(desk, tally, name),
        shots=_shots(desk, tally, name),
        streaks=streaks(days, today),
        most=max(days.items(), key=lambda item: (item[1], item[0]), default=None),
        charts=[
            charts.by_hour("hours", tally.hours(name)),
            charts.by_week("weeks", days, today, YEAR_OF_WEEKS),
            charts.by_month("season", days),
        ],
        ebird=total.label.ebird_code if _CODE.fullmatch(total.label.ebird_code) else "",
        zones=desk.zones,
        zone=desk.zone,
        days_due=0 if is_complete else tally.days_due(),
        is_complete=is_complete,
    )


def _is_called(one: Total, text: str) -> bool:
    wanted = spelling(text)
    return wanted in spelling(one.label.name) or wanted in spelling(one.label.scientific_name)


def _otherwise_called(desk: Desk, name: str, tally: Tally) -> str | None:
    """The name under which visits are counted of what is called `name`; None where none are."""
    try:
        names = query_terms.called(name, desk.vocabulary, desk.log)
    except FeederError:
        return None
    return next((known for known in tally.labels() if known in names), None)


def _periods(today: date, chosen: date | None) -> list[tuple[str, str]]:
    """What may be chosen as the beginning, with its name."""
    offered = [
        ("", "ever"),
        (str(today - timedelta(days=6)), "the last 7 days"),
        (str(today - timedelta(days=29)), "the last 30 days"),
        (str(today.replace(month=1, day=1)), f"{today.year}"),
    ]
    if chosen and str(chosen) not in dict(offered):
        offered.append((str(chosen), f"since {chosen}"))
    return offered


def _sparks(tally: Tally, today: date) -> dict[str, list[int]]:
    """Visits of each label in each of the last weeks."""
    first = charts.monday(today) - timedelta(weeks=WEEKS - 1)
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0] * WEEKS)
    for label, day, count in tally.days_by_label(first):
        place = (day - first).days // 7
        if place < WEEKS:  # a wrong clock may have seen the future
            found[label][place] += count
    return dict(found)


def _latest(desk: Desk, tally: Tally, name: str) -> list[Visit]:
    """The newest visits, of the last few days on which there were any."""
    found: list[Visit] = []
    for span in tally.spans(name, LATEST_DAYS):
        query = VisitQuery(
            span.first, span.last + MOMENT, frozenset([name]), span.camera, begun=True
        )
        found += visit_history.read(desk.log, desk.settings.visits.gap, desk.groups, query)
        if len(found) >= LATEST:
            break
    return sorted(found, key=lambda visit: visit.start, reverse=True)[:LATEST]


def _shots(desk: Desk, tally: Tally, name: str) -> list[Shot]:
    """The best pictures that are still there."""
    shots = tally.shots(name, LOOKED_AT)
    there = _there(desk, [shot.media_id for shot in shots])
    return [shot for shot in shots if shot.media_id in there][:SHOTS]


def _there(desk: Desk, media_ids: Iterable[int]) -> set[int]:
    log = PictureLog.open(desk.settings.database, desk.clock, writable=False)
    try:
        return {one.media_id for one in log.get(list(media_ids)) if one.gone_since is None}
    finally:
        log.close()
