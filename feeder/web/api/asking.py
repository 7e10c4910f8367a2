"""What a list may be asked for: the parameters that several share, and what they mean."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from feeder import query_terms
from feeder.clock import parse_utc, utc_text
from feeder.places import where
from feeder.query_terms import NoSuchTime
from feeder.web import row_id
from feeder.web.api.errors import Refusal
from feeder.web.desk import Desk

MediaId = Annotated[int, Field(ge=1, le=row_id.LAST, examples=[1742])]

MediaIdInPath = Annotated[
    int, Path(ge=1, le=row_id.LAST, description="a frame's number", examples=[1742])
]

_WHEN = (
    "`today`, `yesterday`, `2026-05-01`, `2026-05-01T06:30`, or that with an offset; without one "
    "in the zone of the deployment (of the first one without `deployment`)"
)


class Asked(BaseModel):
    """Parameters; one that nobody knows is refused, for it would be a slip."""

    model_config = ConfigDict(extra="forbid")


class Selecting(Asked):
    """Which part of the log."""

    since: str | None = Field(
        None,
        min_length=1,
        max_length=40,
        description=f"from this day or time on: {_WHEN}",
        examples=["2026-05-01"],
    )
    until: str | None = Field(
        None,
        min_length=1,
        max_length=40,
        description="up to this time, or to the end of this day; written likewise",
        examples=["2026-05-31"],
    )
    species: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="common or scientific name, alias or eBird code",
        examples=["European Robin"],
    )
    deployment: str | None = Field(
        None, min_length=1, max_length=200, description="one camera only", examples=["garden"]
    )


class Paged(Selecting):
    """The same, a page at a time."""

    limit: int = Field(50, ge=1, le=500, description="items on a page")
    cursor: str | None = Field(
        None, min_length=1, max_length=500, description="where a page begins: see `next`"
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the parameters mean: instants in UTC, whole milliseconds; names as the log has them."""

    since: datetime | None
    until: datetime | None
    labels: frozenset[str] | None
    deployment: str | None


def choose(desk: Desk, asked: Selecting) -> Chosen:
    """Reads the parameters. Refuses a time, name or camera that means nothing."""
    zones = desk.zones
    check_deployment(zones, asked.deployment)
    zone = zones[asked.deployment] if asked.deployment else desk.zone
    instants: dict[str, datetime | None] = {"since": None, "until": None}
    for name in instants:
        text = getattr(asked, name)
        if text is not None:
            try:
                found = query_terms.instant(text, zone, end=name == "until", clock=desk.clock)
            except NoSuchTime as error:
                raise Refusal(422, f"query `{name}`: {error}", error.hint) from None
            instants[name] = parse_utc(utc_text(found))
    labels = None
    if asked.species is not None:
        labels = query_terms.called(asked.species, desk.vocabulary, desk.log)
    return Chosen(instants["since"], instants["until"], labels, asked.deployment)


def check_deployment(known: Collection[str], name: str | None) -> None:
    """Refuses a camera that is not known."""
    if name is not None and name not in known:
        raise Refusal(422, f"query `deployment`: there are: {', '.join(known)}")


def pictures(desk: Desk, media_ids: list[int]) -> dict[int, str | None]:
    """The address of each frame's picture; None where it is gone."""
    return {
        media_id: f"/media/{media_id}/picture.jpg" if path else None
        for media_id, path in where(desk.settings, media_ids).items()
    }
