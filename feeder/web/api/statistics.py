"""What visits add up to, and the species among them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import Field

from feeder import visit_history
from feeder.clock import to_local
from feeder.domain import Label
from feeder.log_records import species_record, statistics_record
from feeder.visit_history import VisitQuery
from feeder.visit_statistics import ABSENCE, Statistics
from feeder.visits import is_species
from feeder.web.api import models, shapes
from feeder.web.api.asking import Chosen, Selecting, choose
from feeder.web.api.freshness import NOT_MODIFIED, Fresh
from feeder.web.api.told import told_router
from feeder.web.desk import Desk, TheDesk

router = told_router("statistics")


@dataclass
class Counting:
    """Goes through the whole history for one request at a time; of years it takes minutes.

    Who asked the same meanwhile gets the same answer.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _counted: tuple[str, dict[str, Any]] | None = field(default=None, init=False)

    def once(self, tag: str | None, count: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `count` gives, or gave under the same ETag."""
        with self._lock:
            if self._counted is None or self._counted[0] != tag:
                self._counted = tag or "", count()
            return self._counted[1]


def _of(request: Request) -> Counting:
    counting = request.app.state.counting
    assert isinstance(counting, Counting)
    return counting


TheCounting = Annotated[Counting, Depends(_of)]


class StatisticsAsked(Selecting):
    """Which visits are counted."""

    absence: int = Field(
        ABSENCE,
        ge=1,
        le=36500,
        description="whole days without a species after which it is a first of the season",
    )


@router.get("/statistics", response_model=models.Statistics, responses=NOT_MODIFIED)
def get_statistics(
    desk: TheDesk,
    fresh: Fresh,
    counting: TheCounting,
    asked: Annotated[StatisticsAsked, Query()],
) -> dict[str, Any]:
    """Visits by species, day and hour, first visits, and days in a row.

    A visit counts on the day and in the hour in which it began. What came first, and days in a row,
    are of the whole history up to the period's end.
    """
    chosen = choose(desk, asked)
    today = _today(desk, chosen)
    tag = fresh.check(chosen, today)
    return counting.once(
        tag,
        lambda: statistics_record(
            _counted(desk, chosen, None),
            until=chosen.until,
            today=today,
            absence=asked.absence,
            is_species=_is_species(desk),
        ),
    )


@router.get("/species", response_model=shapes.Items[models.Species], responses=NOT_MODIFIED)
def list_species(
    desk: TheDesk, fresh: Fresh, asked: Annotated[Selecting, Query()]
) -> dict[str, Any]:
    """What came, the most frequent first. `streaks` are of the period alone."""
    chosen = choose(desk, asked)
    today = _today(desk, chosen)
    fresh.check(chosen, today)
    counted = _counted(desk, chosen, chosen.since)
    is_species = _is_species(desk)
    return {"items": [species_record(one, is_species) for one in counted.species(today)]}


def _counted(desk: Desk, chosen: Chosen, read_from: datetime | None) -> Statistics:
    query = VisitQuery(read_from, chosen.until, chosen.labels, chosen.deployment, begun=True)
    visits = visit_history.read(desk.log, desk.settings.visits.gap, desk.groups, query)
    return Statistics(desk.zones.get, chosen.since).add(visits)


def _today(desk: Desk, chosen: Chosen) -> date:
    """The last day of the period, which is today at the latest."""
    end = min(desk.clock.now(), chosen.until or datetime.max.replace(tzinfo=UTC))
    zone = desk.zones[chosen.deployment] if chosen.deployment else desk.zone
    return to_local(end, zone).date()


def _is_species(desk: Desk) -> Callable[[Label], bool]:
    alike = desk.groups
    return partial(is_species, groups=alike)
