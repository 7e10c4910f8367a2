"""A report as one HTML page that needs nothing beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from feeder import pages
from feeder.report.best_shots import Best, cut
from feeder.report.gathering import Guest, Report
from feeder.report.words import first_shown, footnotes, hours_shown, many, summary, when
from feeder.thumbnails import data_uri

HERO, CARD = (1200, 800), (480, 320)
"""Pixels of the pictures: what a sharp screen shows of them."""

MOST_CARDS = 60
"""Guests with a picture of their own; more would make a page too large to send."""

_STEP, _BAR, _HIGH = 40, 26, 110
"""The chart's units: from hour to hour, a bar's width, the tallest bar's height."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A guest as the page has it; `picture` is a data URI, "" where there is none any more."""

    name: str
    scientific_name: str
    news: str
    said: str
    picture: str
    alt: str


@dataclass(frozen=True, slots=True)
class _Bar:
    hour: int
    count: int
    x: float
    y: float
    height: float
    is_busiest: bool


def render(report: Report, best: Mapping[str, Best], made: datetime) -> str:
    """The page as HTML, its pictures in it without metadata; `best` as `drawing` takes it.

    `made` is the instant to show, with a time zone.
    """
    hero = first_shown(report, best)
    others = [guest for guest in report.guests if not hero or guest is not hero[0]]
    return pages.render(
        "report",
        made,
        report=report,
        summary=summary(report),
        notes=footnotes(report),
        hero=_shown(report, hero[0], hero[1], HERO) if hero else None,
        guests=[
            _shown(report, guest, best.get(guest.label.name), CARD) for guest in others[:MOST_CARDS]
        ],
        rest=", ".join(f"{guest.name} {len(guest.visits)}" for guest in others[MOST_CARDS:]),
        bars=_bars(report),
        bar=_BAR,
        high=_HIGH,
        wide=len(hours_shown(report)) * _STEP,
        hero_size=HERO,
        card_size=CARD,
    )


def _shown(report: Report, guest: Guest, found: Best | None, size: tuple[int, int]) -> _Shown:
    picture = cut(found, size) if found else None
    at = when(report, found.visit if found else guest.visits[0])
    return _Shown(
        guest.name,
        guest.label.scientific_name,
        guest.news,
        f"{many(len(guest.visits), 'visit')} · {at}",
        "" if picture is None else data_uri(picture),
        f"{guest.name}, {at}",
    )


def _bars(report: Report) -> list[_Bar]:
    most = max(report.by_hour)
    if not most:
        return []
    return [
        _Bar(
            hour,
            report.by_hour[hour],
            place * _STEP + (_STEP - _BAR) / 2,
            round(_HIGH * (1 - report.by_hour[hour] / most), 1),
            round(_HIGH * report.by_hour[hour] / most, 1),
            hour == report.busiest,
        )
        for place, hour in enumerate(hours_shown(report))
    ]
