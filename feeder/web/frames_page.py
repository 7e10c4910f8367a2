"""All frames, whatever they show: the place to look for what was not named."""

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi import Query as Field
from fastapi.responses import HTMLResponse

from feeder import unknowns
from feeder.domain import ObservationType
from feeder.log_reader import Query
from feeder.query_terms import NoSuchTime
from feeder.search_log import SearchLog
from feeder.web import day_view
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page
from feeder.web.row_id import LAST
from feeder.web.words import Words

router = APIRouter()

SHOWN = 48
"""Frames on one page."""

SHOWS = {
    "": "all frames",
    "sightings": "animals",
    "blank": "nothing there",
    "unknown": "unknown",
    "alone": "unknown, and like no other",
    "unclassified": "unclassified",
    "human": "people",
    "favorites": "favorites",
}
"""What may be chosen, in words."""

_TYPES = {
    "sightings": ObservationType.ANIMAL,
    "blank": ObservationType.BLANK,
    "unknown": ObservationType.UNKNOWN,
    "unclassified": ObservationType.UNCLASSIFIED,
    "human": ObservationType.HUMAN,
}


@dataclass(frozen=True)
class Chosen:
    """Which frames; "" of anything is all of it. Only those earlier than the frame `before`."""

    show: Annotated[str, Field(max_length=20)] = ""
    camera: Annotated[str, Field(max_length=200)] = ""
    day: Annotated[str, Field(max_length=32)] = ""
    before: Annotated[int, Field(ge=0, le=LAST)] = 0

    @property
    def url(self) -> str:
        """The page of these."""
        fields = {"show": self.show, "camera": self.camera, "day": self.day, "before": self.before}
        kept = {key: value for key, value in fields.items() if value}
        return "/frames" + (f"?{urlencode(kept)}" if kept else "")

    def query(self, desk: Desk) -> Query:
        """The same for the log, one more than is shown.

        Raises NoSuchTime for a day that is none, and NoSuchFrame for such a frame.
        """
        since = until = place = None
        if self.day:
            zone = desk.zones.get(self.camera, desk.zone)
            since, until = day_view.period(day_view.as_day(self.day), zone)
        if self.before:
            frame = desk.log.frame(self.before)
            place = frame["timestamp"], self.before
        return Query(
            since=since,
            until=until,
            deployment=self.camera or None,
            limit=SHOWN + 1,
            every_frame=True,
            types=frozenset({_TYPES[self.show]}) if self.show in _TYPES else None,
            favorites=self.show == "favorites",
            among=_alone(desk) if self.show == "alone" else None,
            before=place,
        )


@router.get("/frames")
def frames(request: Request, desk: TheDesk, chosen: Annotated[Chosen, Depends()]) -> HTMLResponse:
    """Frames, the newest first, each with what was seen on it and why."""
    if chosen.show not in SHOWS:
        chosen = replace(chosen, show="")
    has_log = desk.settings.database.exists()
    wrong = ""
    try:
        found = list(desk.log.sightings(chosen.query(desk))) if has_log else []
    except NoSuchTime as error:
        found, wrong = [], str(error)
    shown = found[:SHOWN]
    return page(
        request,
        "frames",
        422 if wrong else 200,
        chosen=chosen,
        shows=SHOWS,
        frames=shown,
        older=replace(chosen, before=shown[-1]["media_id"]).url if len(found) > SHOWN else "",
        newest=replace(chosen, before=0).url if chosen.before else "",
        cameras=list(desk.zones),
        wrong=wrong,
        words=Words.of(desk),
    )


def _alone(desk: Desk) -> frozenset[int]:
    """What no species fitted and no cluster holds, as it was sorted last."""
    with SearchLog(desk.settings.database) as log:
        unnamed = frozenset(log.unnamed().tolist())
        found = unknowns.remembered(log, desk.settings.cache)
    clusters = found.clusters if found else ()
    return unnamed - {frame.media_id for one in clusters for frame in one.frames}
